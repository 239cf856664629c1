"""Services on loopback with a latency, in other processes than the benchmark's.

``GET /stats`` of each returns the numbers of requests and connections since the last one, and when
each job ends, in seconds of the system's monotonic clock, which all processes share.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import attrs

LATENCY_SECONDS = 0.02
SECONDS_OF_A_JOB = (5.0, 10.0)
KEPT_BYTES = 2**20
"""The length of the longest request body that a service reads."""


def stats(url: str) -> dict[str, Any]:
    """Return ``requests``, ``connections`` and ``ends`` since the last call."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{url}/stats") as response:
        return dict(json.load(response))


class Service:
    """A service, whose jobs end after some seconds."""

    kind: ClassVar[str]
    resource_id: ClassVar[str]

    def __init__(self) -> None:
        self.random = random.Random(1)
        self.reset()

    @staticmethod
    def environment(url: str) -> dict[str, str]:
        """Return the environment of a client."""
        raise NotImplementedError

    def reset(self) -> None:
        """Forget the jobs and the counts."""
        self.requests = self.connections = 0
        self.ends: dict[str, float] = {}

    def start(self, job_id: str) -> None:
        """Start a job."""
        self.ends[job_id] = time.monotonic() + self.random.uniform(*SECONDS_OF_A_JOB)

    def ended(self, job_id: str) -> bool:
        """Return True if a job has ended."""
        return time.monotonic() >= self.ends.get(job_id, 0.0)

    def respond(self, method: str, target: str, body: bytes) -> bytes:
        """Carry a request out, and return the body of the response."""
        raise NotImplementedError

    def count(self, method: str, target: str, body: bytes) -> bytes:
        """Count a request and carry it out, or return the counts."""
        if urlsplit(target).path == "/stats":
            found = {"requests": self.requests, "connections": self.connections - 1}
            content = json.dumps(found | {"ends": self.ends}).encode()
            self.reset()
            return content
        self.requests += 1
        return self.respond(method, target, body)


@attrs.frozen
class Account:
    """The way of a client to a service.

    Args:
        url: The address of the service.
        kind: The type of the resource.
        resource_id: The id of the resource.
        environment: The environment of the client.
    """

    url: str
    kind: str
    resource_id: str
    environment: Mapping[str, str]


@contextlib.contextmanager
def running(service: type[Service], latency_seconds: float = LATENCY_SECONDS) -> Iterator[Account]:
    """Run a service, and yield an account."""
    command = [sys.executable, "-m", service.__module__, str(latency_seconds)]
    folder = Path(__file__).parents[1]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            url = process.stdout.readline().strip()
            yield Account(url, service.kind, service.resource_id, service.environment(url))
        finally:
            process.terminate()


def serve(service: Service) -> None:
    """Print the URL of a service, and serve until the process ends."""
    latency = float(sys.argv[1])

    async def serve_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        service.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while line := await reader.readline():
                method, target, _ = line.decode().split(" ", 2)
                size = 0
                while (field := await reader.readline()) not in (b"\r\n", b""):
                    if field.lower().startswith(b"content-length:"):
                        size = int(field.partition(b":")[2])
                while size > KEPT_BYTES:
                    size -= len(await reader.read(KEPT_BYTES))
                body = await reader.readexactly(size)
                due = time.monotonic() + latency
                content = service.count(method, target, body)
                if latency:
                    await asyncio.sleep(due - time.monotonic())
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                    b"Content-Length: %d\r\n\r\n" % len(content)
                )
                writer.write(content)
        writer.close()

    async def serve_all() -> None:
        server = await asyncio.start_server(
            serve_connection, "127.0.0.1", 0, backlog=1024, limit=KEPT_BYTES
        )
        print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
        await server.serve_forever()

    asyncio.run(serve_all())
