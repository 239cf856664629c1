"""A server on loopback that meets requests with faults when told to.

Derive a handler that says what the service does, and a service that has faults for some requests.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

Fault = Callable[["FaultyHandler", Callable[[], None]], None]
"""Reacts in place of the service; may call what the service would do."""


def status(code: int, body: object = b"", **headers: str) -> Fault:
    """An error answer without an effect."""
    return lambda handler, _proceed: handler.answer(
        code, body, {name.replace("_", "-"): text for name, text in headers.items()}
    )


def cut_before(handler: FaultyHandler, _proceed: Callable[[], None]) -> None:
    """The connection is reset and nothing was done."""
    handler.reset()


def cut_after(handler: FaultyHandler, proceed: Callable[[], None]) -> None:
    """The request is carried out and the connection reset."""
    handler.muted = True
    proceed()
    handler.muted = False
    handler.reset()


def silent_after(handler: FaultyHandler, proceed: Callable[[], None]) -> None:
    """The request is carried out and never answered."""
    handler.muted = True
    proceed()
    handler.muted = False
    time.sleep(1.0)
    handler.close_connection = True


def bad_gateway_after(handler: FaultyHandler, proceed: Callable[[], None]) -> None:
    """The request is carried out and a proxy answers 502."""
    handler.muted = True
    proceed()
    handler.muted = False
    handler.answer(502, b"<html>bad gateway</html>", {"Content-Type": "text/html"})


def truncated(handler: FaultyHandler, proceed: Callable[[], None]) -> None:
    """Half of the answer."""
    handler.half = True
    proceed()
    handler.half = False
    handler.close_connection = True


def malformed(handler: FaultyHandler, proceed: Callable[[], None]) -> None:
    """The answer without its last character."""
    handler.shorter = True
    proceed()
    handler.shorter = False


def replaced(body: object) -> Fault:
    """Carry out the request, and send another body in place of its response."""

    def fault(handler: FaultyHandler, proceed: Callable[[], None]) -> None:
        handler.muted = True
        proceed()
        handler.muted = False
        handler.answer(200, body)

    return fault


def silent(_handler: FaultyHandler, _proceed: Callable[[], None]) -> None:
    """Nothing was done and nothing is answered."""
    time.sleep(0.2)


FAULTS: dict[str, Fault] = {
    "429": status(429, Retry_After="0"),
    "503": status(503),
    "500": status(500, b"<html>oops</html>"),
    "504": status(504),
    "reset before": cut_before,
    "reset after": cut_after,
    "502 after": bad_gateway_after,
    "half": truncated,
}
"""Those that a client survives when they do not last."""
ODD: dict[str, Fault] = {
    "silent": silent,
    "malformed": malformed,
    "html": status(200, b"<html>log in</html>", Content_Type="text/html"),
}
"""Answers that are none."""


class FaultyService:
    """A server in a thread for each handler; a context manager.

    Attributes:
        requests: Method and path of every request, in order, as the handler notes them.
        connections: How many connections were accepted.
        faults: Faults for the next requests of a kind, such as ``"POST jobs"``.

    Args:
        handlers: The classes that answer; they find the service as their `service`.
    """

    def __init__(self, *handlers: type[FaultyHandler]) -> None:
        self.requests: list[str] = []
        self.connections = 0
        self.faults: dict[str, deque[Fault]] = {}
        self.lock = threading.RLock()
        self._servers = [FaultyServer(("127.0.0.1", 0), handler) for handler in handlers]
        for server in self._servers:
            server.service = self
        self._threads = [
            threading.Thread(target=server.serve_forever, args=(0.002,)) for server in self._servers
        ]
        self.hosts = [f"http://127.0.0.1:{server.server_address[1]}" for server in self._servers]
        self.host = self.hosts[0]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for server, thread in zip(self._servers, self._threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()

    def fail(self, what: str, *faults: Fault) -> None:
        """Let the next requests of that kind meet these faults, one each."""
        self.faults[what] = deque(faults)

    def ids(self) -> set[str]:
        """The ids that the service has given out, which `counted` shows as ``*``."""
        return set()

    def counted(self) -> Counter[str]:
        """How often each kind of request came, with ids replaced by ``*``."""
        known = self.ids()
        return Counter(
            "/".join("*" if part in known else part for part in line.partition("?")[0].split("/"))
            for line in self.requests
        )

    def forget_requests(self) -> None:
        """Begin to count anew."""
        self.requests.clear()

    def cost(self, call: Callable[[], object]) -> Counter[str]:
        """How often each kind of request comes for one call."""
        self.forget_requests()
        call()
        return self.counted()

    def next_fault(self, *kinds: str) -> Fault | None:
        """The fault that the next request of the first of these kinds meets, and is then gone."""
        waiting = next((self.faults[kind] for kind in kinds if self.faults.get(kind)), None)
        return waiting.popleft() if waiting else None


class FaultyServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    service: Any

    def process_request(self, request: Any, client_address: Any) -> None:
        self.service.connections += 1
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error."""


class FaultyHandler(BaseHTTPRequestHandler):
    """Answers one connection's requests; a fault may hold an answer back, or cut it."""

    service: Any
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: FaultyServer

    def setup(self) -> None:
        super().setup()
        self.service = self.server.service
        self.muted = self.half = self.shorter = False

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""

    def reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def answer(self, code: int, body: object = b"", headers: dict[str, str] | None = None) -> None:
        if self.muted:
            return
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        data = data[:-1] if self.shorter else data
        fields = {"Content-Type": "application/json", **(headers or {})}
        self.send_response(code)
        for name, text in fields.items():
            self.send_header(name, text)
        if code != 204:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if code != 204:
            self.wfile.write(data[: len(data) // 2] if self.half else data)
