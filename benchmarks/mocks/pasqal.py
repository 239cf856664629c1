"""A mock of Pasqal Cloud in a process of its own, with 20 ms latency and results of any size.

``GET /stats`` returns the number of requests since the last one, and when each batch ended, in
seconds of the system's monotonic clock, which all processes share.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import random
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

LATENCY_SECONDS = 0.02
SECONDS_OF_A_JOB = (5.0, 10.0)
CORE = "/core-fast/api"


def ended_batch(megabytes: int) -> str:
    """Return the id of a batch that has ended with a result of so many megabytes."""
    return f"{megabytes:08}-0000-4000-8000-000000000000"


@contextlib.contextmanager
def pasqal_mock() -> Iterator[str]:
    """Run the mock, and yield its URL."""
    command = [sys.executable, __file__]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def settings_of(url: str, resource_id: str) -> dict[str, str]:
    """Return the environment of a client."""
    prefix = f"{resource_id}_QRMI_PASQAL_CLOUD"
    return {
        f"{prefix}_BASE_URL": url,
        f"{prefix}_AUTH_ENDPOINT": f"{url}/oauth/token",
        f"{prefix}_PROJECT_ID": "00000000-0000-4000-8000-000000000001",
        "PASQAL_USERNAME": "me@example.org",
        "PASQAL_PASSWORD": "a-password",
    }


@functools.cache
def result(megabytes: int) -> bytes:
    """Return a result of so many megabytes, counts of bit strings of 100 atoms."""
    choose = random.Random(megabytes)
    entries = (
        f'"{choose.getrandbits(100):0100b}":{choose.randrange(1, 9)}'
        for _ in range(megabytes * 10**6 // 105)
    )
    return b'{"job-1":{"counter":{%s}}}' % ",".join(entries).encode()


class Mock:
    """The service."""

    def __init__(self) -> None:
        self.requests = 0
        self.ends: dict[str, float] = {}

    def batch(self, batch_id: str) -> dict[str, object]:
        """Return the document of a batch."""
        ended = time.monotonic() >= self.ends.get(batch_id, 0.0)
        return {
            "id": batch_id,
            "status": "DONE" if ended else "RUNNING",
            "job_ids": [f"job-{batch_id}"],
        }

    def respond(self, method: str, target: str) -> bytes:
        """Carry a request out, and return the body of the response."""
        url = urlsplit(target)
        if url.path == "/stats":
            body = json.dumps({"requests": self.requests, "ends": self.ends}).encode()
            self.__init__()  # type: ignore[misc]
            return body
        self.requests += 1
        match [method, *url.path.removeprefix(CORE).strip("/").split("/")]:
            case ["POST", "oauth", "token"]:
                return b'{"access_token": "a-token", "expires_in": 3600}'
            case ["POST", "v1", "batches"]:
                batch_id = str(uuid.uuid4())
                self.ends[batch_id] = time.monotonic() + random.uniform(*SECONDS_OF_A_JOB)
                return enveloped(self.batch(batch_id))
            case ["GET", "v1", "batches"]:
                found = [self.batch(each) for each in parse_qs(url.query)["id"]]
                pagination = {"total": len(found), "start": 0, "end": len(found)}
                return enveloped(found, pagination=pagination)
            case ["GET", "v2", "batches", batch_id]:
                return enveloped(self.batch(batch_id))
            case ["GET", "v2", "jobs", job_id]:
                return enveloped({**self.batch(job_id.removeprefix("job-")), "id": job_id})
            case ["GET", "v1", "batches", batch_id, "full_results"]:
                return b'{"status":"success","data":%s}' % result(int(batch_id[:8]))
        raise ValueError(f"unknown request: {method} {target}")


def enveloped(data: object, **more: object) -> bytes:
    """Return the body of a response with some data."""
    return json.dumps({"status": "success", "data": data, **more}).encode()


class Connection(asyncio.Protocol):
    """A connection, whose bodies of any size are not kept."""

    def __init__(self, mock: Mock) -> None:
        self.mock = mock
        self.head = b""
        self.missing = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Read a request, and respond later."""
        if self.missing:
            self.missing -= len(data)
        else:
            head, found, body = (self.head + data).partition(b"\r\n\r\n")
            self.head += b"" if found else data
            if not found:
                return
            self.request, *fields = head.decode().split("\r\n")
            self.head = b""
            lengths = [line for line in fields if line.lower().startswith("content-length:")]
            self.missing = int(lengths[0].partition(":")[2]) - len(body) if lengths else 0
        if not self.missing:
            asyncio.get_running_loop().call_later(LATENCY_SECONDS, self.respond)

    def respond(self) -> None:
        """Send the response."""
        method, target, _ = self.request.split(" ")
        body = self.mock.respond(method, target)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        self.transport.write(f"{head}\r\n\r\n".encode())
        self.transport.write(body)


async def serve() -> None:
    """Serve until the process ends."""
    mock = Mock()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(mock), "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve())
