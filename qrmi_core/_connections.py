"""Connections for `qrmi_core.http` that keep to a deadline.

requests limits the time between two reads, so that an answer that comes drop by drop may last for
ever, and limits sending a body by the time to connect. Here every read and write is limited by
what is left. It is also noted whether anything was sent: what was not sent was not carried out.
"""

from __future__ import annotations

import http.client
import io
import logging
import os
import socket
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import attrs
import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from qrmi_core.deadline import Deadline

if TYPE_CHECKING:
    from urllib3.poolmanager import PoolManager, ProxyManager

_BLOCK_BYTES = 1 << 16


@attrs.define
class Exchange:
    """One request and its answer.

    Args:
        deadline: For all of it.
        stall_seconds: For one read or write.
        sent: Whether the vendor may have received anything.
        scrub: Removes what must not be logged from a text.
    """

    deadline: Deadline
    stall_seconds: float
    sent: bool = False
    scrub: Callable[[str], str] = str

    def timeout(self) -> float:
        """Seconds that the next read or write may take.

        Raises:
            TimeoutError: None are left.
        """
        seconds = self.deadline.clip(self.stall_seconds)
        if seconds <= 0:
            raise TimeoutError("the deadline has passed")
        return seconds


underway: ContextVar[Exchange] = ContextVar("qrmi_http_exchange")
"""The exchange for which `Adapter` is called."""


class _Reader(io.RawIOBase):
    """What a socket receives."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._exchange = underway.get()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._exchange.timeout())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


@attrs.frozen
class _Readable:
    """As much of a socket as `http.client.HTTPResponse` uses."""

    sock: socket.socket

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self.sock), _BLOCK_BYTES)


class _Answer(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(_Readable(sock), *args, **kwargs)  # type: ignore[arg-type]


class _Connection(HTTPConnection):
    response_class = _Answer

    def connect(self) -> None:
        try:
            super().connect()
        finally:
            # What went to a proxy until now did not go to the vendor.
            underway.get().sent = False

    def send(self, data: Any) -> None:
        exchange = underway.get()
        if self.sock is None:
            self.connect()
        exchange.sent = True
        view = memoryview(data).cast("B")
        for start in range(0, len(view), _BLOCK_BYTES):
            self.sock.settimeout(exchange.timeout())
            super().send(view[start : start + _BLOCK_BYTES])


class _SecureConnection(_Connection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


_POOLS = {"http": _Pool, "https": _SecurePool}


class Adapter(HTTPAdapter):
    """The transport of a `requests.Session`; needs `underway` to be set."""

    poolmanager: PoolManager

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> ProxyManager:
        manager: ProxyManager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager


class Session(requests.Session):
    """One thread's connections."""

    def __init__(self) -> None:
        super().__init__()
        for scheme in ("http://", "https://"):
            self.mount(scheme, Adapter())

    def get_redirect_target(self, resp: object) -> str | None:  # noqa: ARG002
        # requests would parse it, and read the whole body, though no redirect is followed.
        return None


class ClosedAtEnd:
    """Closes a session when it is let go itself.

    A traceback, for one, may refer to the session for long after its thread has ended.
    """

    def __init__(self, session: Session) -> None:
        weakref.finalize(self, _close, session, os.getpid())


def _close(session: Session, process: int) -> None:
    # In a forked child, another thread may have been holding the locks of its connections.
    if process == os.getpid():
        session.close()


class _WithoutSecrets(logging.Filter):
    """Cuts query strings and known secrets off what urllib3 logs of our calls."""

    def filter(self, record: logging.LogRecord) -> bool:
        exchange = underway.get(None)
        if exchange and isinstance(record.args, tuple):
            record.args = tuple(
                exchange.scrub(arg.partition("?")[0]) if isinstance(arg, str) else arg
                for arg in record.args
            )
        return True


for _name in ("urllib3.connection", "urllib3.connectionpool"):
    logging.getLogger(_name).addFilter(_WithoutSecrets())
