"""A scripted HTTP server on loopback that can misbehave at the level of its sockets."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field


@dataclass
class Request:
    """A request, and the number of its connection."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int


Behaviour = Callable[[Request, socket.socket], object]
"""Handles one request; returns False to end the connection."""


@dataclass
class SocketServer:
    """A server with one behaviour for each request; the last one serves all further requests.

    A context manager; at the end of the block all connections are closed.
    """

    script: Iterable[Behaviour]
    port: int = 0
    tls: ssl.SSLContext | None = None
    requests: list[Request] = field(default_factory=list)
    connections: int = 0

    def __enter__(self) -> SocketServer:
        self._script = list(self.script)
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._start(self._serve, connection, self.connections)

    def _serve(self, connection: socket.socket, number: int) -> None:
        self._open.append(connection)
        try:
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
                self._open.append(connection)
            with connection.makefile("rb") as stream:
                while request := _read(stream, number):
                    with self._lock:
                        behaviour = self._script[min(len(self.requests), len(self._script) - 1)]
                        self.requests.append(request)
                    if not behaviour(request, connection):
                        return
        except (OSError, ValueError):  # ValueError: not HTTP
            pass
        finally:
            connection.close()


def _read(stream: object, number: int) -> Request | None:
    line = stream.readline()  # type: ignore[attr-defined]
    if not line:
        return None
    method, target, _ = line.decode("latin-1").split()
    headers = {}
    while line := stream.readline().strip():  # type: ignore[attr-defined]
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    body = b""
    if headers.get("transfer-encoding") == "chunked":
        while size := int(stream.readline(), 16):  # type: ignore[attr-defined]
            body += stream.read(size)  # type: ignore[attr-defined]
            stream.readline()  # type: ignore[attr-defined]
        stream.readline()  # type: ignore[attr-defined]
    elif "content-length" in headers:
        body = stream.read(int(headers["content-length"]))  # type: ignore[attr-defined]
    return Request(method, target, headers, body, number)


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Status", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def answer(
    status: int = 200, body: bytes | object = b"{}", headers: Mapping[str, str] | None = None
) -> Behaviour:
    """Return a behaviour that sends a complete response; the body is bytes, or sent as JSON."""

    def behave(request: Request, connection: socket.socket) -> object:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        content = b"" if status == 204 or request.method == "HEAD" else content
        fields = {"Content-Type": "application/json", "Content-Length": str(len(content))}
        connection.sendall(_head(status, fields | dict(headers or {})) + content)
        return True

    return behave


def reset(before: bytes = b"") -> Behaviour:
    """Return a behaviour that sends some bytes, then resets the connection."""

    def behave(_request: Request, connection: socket.socket) -> object:
        connection.sendall(before)
        time.sleep(0.05 if before else 0)  # a reset overtakes the bytes sent before it
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False

    return behave


def close(before: bytes = b"") -> Behaviour:
    """Return a behaviour that sends some bytes, then closes the connection properly."""

    def behave(_request: Request, connection: socket.socket) -> object:
        connection.sendall(before)
        return False

    return behave


def stall(before: bytes = b"", seconds: float = 5.0) -> Behaviour:
    """Return a behaviour that sends some bytes, then nothing until the client gives up."""

    def behave(_request: Request, connection: socket.socket) -> object:
        connection.sendall(before)
        connection.settimeout(seconds)
        connection.recv(1)
        return False

    return behave


def drip(before: bytes, pieces: Iterable[bytes], every_seconds: float = 0.05) -> Behaviour:
    """Return a behaviour that sends some bytes, then small pieces at intervals."""

    def behave(_request: Request, connection: socket.socket) -> object:
        connection.sendall(before)
        for piece in pieces:
            time.sleep(every_seconds)
            connection.sendall(piece)
        return False

    return behave


HALF = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"half": '
HALF_CHUNKED = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{"half": \r\n'
