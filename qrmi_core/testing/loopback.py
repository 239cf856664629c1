"""A vendor's service on loopback, with a log of its requests and faults on demand."""

from __future__ import annotations

import json
import re
import socket
import struct
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

import attrs

from qrmi_core.locks import Lock


@attrs.frozen
class VendorRequest:
    """A request, as it arrived.

    Args:
        method: The method.
        path: The path, percent-encoded, without the query.
        query_string: The query, percent-encoded.
        headers: The header fields, found in any spelling of their case.
        body: The body.
    """

    method: str
    path: str
    query_string: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def query(self) -> dict[str, str]:
        """The values of the query by key; of a repeated key the last one."""
        return dict(parse_qsl(self.query_string, keep_blank_values=True))

    def json(self) -> Any:
        """Return the parsed body, None if it is empty."""
        return json.loads(self.body or b"null")


@attrs.frozen
class VendorResponse:
    """A response to send.

    Args:
        status: The status.
        body: The body: bytes, or a value to encode as JSON.
        headers: Further header fields; ``Content-Type`` is that of JSON by default.
        cut: True to send half of the body and close the connection.
        stall_seconds: Seconds without a byte in the middle of the body.
    """

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = attrs.field(factory=dict)
    cut: bool = False
    stall_seconds: float = 0.0

    @property
    def content(self) -> bytes:
        """The body as bytes."""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


Respond = Callable[[], VendorResponse | None]
Fault = Callable[[VendorRequest, Respond], VendorResponse | None]
"""Responds to a request in place of the vendor, whose response the second argument gives.

None resets the connection without a response.
"""


class Faults:
    """The faults that vendors and networks have, for `LoopbackVendor.fail`."""

    @staticmethod
    def response(status: int, body: Any = b"", **headers: str) -> Fault:
        """Return a fault that responds so, without carrying the request out.

        Args:
            status: The status.
            body: The body: bytes, or a value to encode as JSON.
            headers: Further header fields, with ``_`` for ``-``: ``Retry_After="0"``.
        """
        fields = {name.replace("_", "-"): text for name, text in headers.items()}
        return lambda _request, _respond: VendorResponse(status, body, fields)

    @staticmethod
    def lost_before(_request: VendorRequest, _respond: Respond) -> None:
        """Reset the connection; the request is not carried out."""

    @staticmethod
    def lost_after(_request: VendorRequest, respond: Respond) -> None:
        """Carry the request out, and reset the connection without a response."""
        respond()

    @staticmethod
    def bad_gateway_after(_request: VendorRequest, respond: Respond) -> VendorResponse:
        """Carry the request out, and respond 502 in a proxy's place."""
        respond()
        return VendorResponse(502, b"<html>bad gateway</html>", {"Content-Type": "text/html"})

    @staticmethod
    def truncated(_request: VendorRequest, respond: Respond) -> VendorResponse | None:
        """Carry the request out, and send half of the response."""
        found = respond()
        return found and attrs.evolve(found, cut=True)

    @staticmethod
    def malformed(_request: VendorRequest, respond: Respond) -> VendorResponse | None:
        """Carry the request out, and leave the last byte of the response out."""
        found = respond()
        return found and attrs.evolve(found, body=found.content[:-1])

    @staticmethod
    def page(_request: VendorRequest, _respond: Respond) -> VendorResponse:
        """Respond with a login page in place of the API."""
        return VendorResponse(200, b"<html>log in</html>", {"Content-Type": "text/html"})

    @staticmethod
    def silent_before(seconds: float) -> Fault:
        """Return a fault that keeps silent for so many seconds, and carries nothing out."""
        return lambda _request, _respond: time.sleep(seconds)

    @staticmethod
    def silent_after(seconds: float) -> Fault:
        """Return a fault that carries the request out, and is silent for so many seconds."""

        def fault(_request: VendorRequest, respond: Respond) -> None:
            respond()
            time.sleep(seconds)

        return fault

    @staticmethod
    def stalled(seconds: float) -> Fault:
        """Return a fault that carries the request out, and stalls for so long in its response."""

        def fault(_request: VendorRequest, respond: Respond) -> VendorResponse | None:
            found = respond()
            return found and attrs.evolve(found, stall_seconds=seconds, cut=True)

        return fault


class LoopbackVendor:
    """A vendor's service on loopback, in a thread; a context manager.

    Derive from it and implement `respond`. Every request is logged; `fail` lets the next ones meet
    faults, such as those of `Faults`.

    Args:
        tokens: The bearer tokens that are accepted; None accepts every request.

    Attributes:
        url: The address.
        requests: Method, path and query of every request, in order, such as ``GET /v1/tasks``.
        received: The requests themselves.
        connections: The number of connections that were accepted.
        tokens: The bearer tokens that are accepted.
        faults: The faults that the next requests meet, by their kind.
        defects: The exceptions of `respond`, the first of which is raised when the block ends.
        lock: Held while a request is carried out.
    """

    def __init__(self, tokens: Collection[str] | None = None) -> None:
        self.tokens = None if tokens is None else {*tokens}
        self.requests: list[str] = []
        self.received: list[VendorRequest] = []
        self.connections = 0
        self.faults: dict[str, deque[Fault]] = {}
        self.defects: list[Exception] = []
        self.lock = Lock(reentrant=True)
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.002,))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        if self.defects and error is None:
            raise RuntimeError("the service could not respond") from self.defects[0]

    # What a service defines

    def respond(self, request: VendorRequest) -> VendorResponse:
        """Carry a request out and return the response."""
        raise NotImplementedError("a LoopbackVendor implements respond")

    def unauthorized(self, _request: VendorRequest) -> VendorResponse:
        """Return the response to a request without an accepted token."""
        return VendorResponse(401)

    def needs_token(self, _request: VendorRequest) -> bool:
        """Return True if the request needs one of `tokens`."""
        return self.tokens is not None

    def ids(self) -> Collection[str]:
        """Return the ids that were given out, which `*` stands for in kinds of requests."""
        return ()

    def kinds(self, request: VendorRequest) -> Iterable[str]:
        """Return the kinds of a request by which `fail` finds it, the best one first."""
        return (self.kind(f"{request.method} {request.path}"),)

    def log_entry(self, request: VendorRequest) -> str:
        """Return the entry of a request in `requests`."""
        query = f"?{request.query_string}" if request.query_string else ""
        return f"{request.method} {request.path}{query}"

    # What tests use

    def fail(self, kind: str, *faults: Fault, after: int = 0) -> None:
        """Let the next requests of a kind meet these faults, one each.

        Args:
            kind: The method and the path with ``*`` for each id, such as ``GET /v1/tasks/*``;
                empty for all requests.
            faults: The faults; none takes back what was left of others.
            after: The number of requests of that kind that come before, and meet none.
        """
        untouched: Fault = lambda _request, respond: respond()  # noqa: E731
        self.faults[kind] = deque([*[untouched] * after, *faults])

    def kind(self, entry: str) -> str:
        """Return the kind of a request, given its entry in `requests`: ids are ``*``."""
        known = self.ids()
        parts = re.split("(/)", entry.partition("?")[0])
        return "".join("*" if unquote(part) in known else part for part in parts)

    def counted(self) -> Counter[str]:
        """Return the number of requests by kind."""
        return Counter(map(self.kind, self.requests))

    def forget_requests(self) -> None:
        """Begin to count anew."""
        self.requests.clear()

    def cost(self, call: Callable[[], object]) -> Counter[str]:
        """Call a function, and return the number of its requests by kind."""
        self.forget_requests()
        call()
        return self.counted()

    def _respond(self, request: VendorRequest) -> VendorResponse | None:
        with self.lock:
            self.requests.append(self.log_entry(request))
            self.received.append(request)
            waiting = (self.faults.get(kind) for kind in (*self.kinds(request), ""))
            due = next(filter(None, waiting), None)
            fault = due.popleft() if due else None
        if fault:
            return fault(request, lambda: self._carry_out(request))
        return self._carry_out(request)

    def _carry_out(self, request: VendorRequest) -> VendorResponse:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        with self.lock:
            if self.needs_token(request) and token not in (self.tokens or ()):
                return self.unauthorized(request)
            return self.respond(request)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, vendor: LoopbackVendor) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.vendor = vendor

    def process_request(self, request: Any, client_address: Any) -> None:
        self.vendor.connections += 1
        super().process_request(request, client_address)

    def handle_error(self, *_args: Any) -> None:
        """Keep the service's errors, but not those of clients that went away."""
        error = sys.exc_info()[1]
        if isinstance(error, Exception) and not isinstance(error, ConnectionError):
            self.vendor.defects.append(error)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Small responses in two packets would wait for each other otherwise.
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""

    def _serve(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers: Any = self.headers
        request = VendorRequest(self.command, url.path, url.query, headers, body)
        response = self.server.vendor._respond(request)
        if response is None:
            self._reset()
        else:
            self._send(response)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def _send(self, response: VendorResponse) -> None:
        data = b"" if response.status == 204 else response.content
        self.send_response(response.status)
        for name, text in {"Content-Type": "application/json", **response.headers}.items():
            self.send_header(name, text)
        if response.status != 204:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "HEAD":
            return
        half = len(data) // 2 if response.cut or response.stall_seconds else len(data)
        self.wfile.write(data[:half])
        time.sleep(response.stall_seconds)
        if response.cut:
            self.close_connection = True
        else:
            self.wfile.write(data[half:])
