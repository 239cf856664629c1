"""The part of IBM Quantum's Runtime API that many small tasks need, with a latency."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

PAGE = 200
"""Jobs in one page of the list, at most."""
RESULT = {"results": [], "metadata": {"version": 2}}


class RuntimeMock:
    """A process that responds as the service does.

    Args:
        latency_seconds: The time from a request to its response.
        least_seconds: How long a job takes, at least.
        most_seconds: How long a job takes, at most.
    """

    def __init__(
        self,
        latency_seconds: float = 0.02,
        least_seconds: float = 5.0,
        most_seconds: float = 10.0,
    ) -> None:
        figures = map(str, (latency_seconds, least_seconds, most_seconds))
        self._command = [sys.executable, __file__, *figures]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def settings(self) -> dict[str, str]:
        """Return the settings of a resource of type ``ibm-quantum-compute-service``."""
        return {
            "QRMI_IBM_QCS_ENDPOINT": f"{self.url}/api/v1",
            "QRMI_IBM_QCS_IAM_ENDPOINT": self.url,
            "QRMI_IBM_QCS_IAM_APIKEY": "a-key-of-the-user",
            "QRMI_IBM_QCS_SERVICE_CRN": "crn:v1:bluemix:public:quantum-computing:us-east:a/b:c::",
            "QRMI_IBM_QCS_SESSION_MODE": "job",
        }

    def counts(self) -> dict[str, Any]:
        """Return the number of requests of each kind since the last call, and of connections.

        ``last_end`` is the time at which the last job ends, in seconds since 1970.
        """
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{self.url}/counts") as response:
            return dict(json.load(response))


class _Service:
    def __init__(self, latency: float, least: float, most: float) -> None:
        self.latency = latency
        self.random = random.Random(1)
        self.span = (least, most)
        self.jobs: dict[str, dict[str, Any]] = {}
        self.requests: Counter[str] = Counter()
        self.connections = 0

    async def serve(self) -> None:
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, backlog=1024)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while line := await reader.readline():
                method, target, _ = line.decode().split(" ", 2)
                size = 0
                while (field := await reader.readline()) not in (b"\r\n", b""):
                    if field.lower().startswith(b"content-length:"):
                        size = int(field.partition(b":")[2])
                body = await reader.readexactly(size)
                due = time.monotonic() + self.latency
                content = json.dumps(self._respond(method, target, body)).encode()
                await asyncio.sleep(due - time.monotonic())
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                    b"Content-Length: %d\r\n\r\n" % len(content) + content
                )
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def _respond(self, method: str, target: str, body: bytes) -> Any:
        parts = urlsplit(target)
        query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        path = parts.path.removeprefix("/api/v1")
        if path == "/counts":
            self.connections -= 1
            found = {"connections": self.connections, "requests": dict(self.requests)}
            found["last_end"] = max((job["end"] for job in self.jobs.values()), default=0)
            self.requests.clear()
            self.connections = 0
            return found
        kind = "/jobs/{id}" if path.startswith("/jobs/") else path
        self.requests[f"{method} {kind}"] += 1
        match method, path.split("/")[1:]:
            case "POST", ["identity", "token"]:
                return {"access_token": "a-token", "expires_in": 3600}
            case "POST", ["jobs"]:
                job_id = f"job-{len(self.jobs)}"
                end = time.time() + self.random.uniform(*self.span)
                self.jobs[job_id] = {"id": job_id, "tags": json.loads(body)["tags"], "end": end}
                return {"id": job_id}
            case "GET", ["jobs"]:
                return self._page(query)
            case "GET", ["jobs", job_id]:
                return self._document(self.jobs[job_id])
        return RESULT

    def _page(self, query: dict[str, str]) -> dict[str, Any]:
        found = [
            job for job in reversed(self.jobs.values()) if query.get("tags") in (None, *job["tags"])
        ]
        if pending := query.get("pending"):
            now = time.time()
            found = [job for job in found if (job["end"] > now) == (pending == "true")]
        start = int(query.get("offset", "0"))
        page = found[start : start + int(query.get("limit", str(PAGE)))]
        return {"jobs": [self._document(job) for job in page], "count": len(found)}

    def _document(self, job: dict[str, Any]) -> dict[str, Any]:
        word = "Completed" if job["end"] <= time.time() else "Running"
        return {
            "id": job["id"],
            "backend": "ibm_fez",
            "state": {"status": word, "reason": None},
            "status": word,
            "created": "2026-01-01T00:00:00Z",
            "program": {"id": "sampler"},
            "tags": job["tags"],
        }


if __name__ == "__main__":
    asyncio.run(_Service(*map(float, sys.argv[1:])).serve())
