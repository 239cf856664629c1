"""Connections that keep to a deadline.

requests limits the time between two reads, so that a response that comes drop by drop may last for
ever, and limits sending a body by the time to connect. Here every read and write is limited by
the time left, and a transfer must keep a least rate. An exchange also notes whether anything was
sent: a request that was not sent was not carried out.
"""

from __future__ import annotations

import http.client
import io
import logging
import os
import socket
import threading
import time
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from qrmi_core.deadline import Deadline
from qrmi_core.redaction import Redactor

if TYPE_CHECKING:
    from urllib3.poolmanager import PoolManager, ProxyManager

    from qrmi_core.http.settings import HttpSettings

_BLOCK_BYTES = 1 << 16
SENT_BYTES = 1 << 14
"""Sent at once, in less time than a stall takes at the least rate."""


class Exchange:
    """One request and its response, within the limits of the settings.

    Args:
        deadline: For all of it.
        settings: The limits.
        transfer: Whether it may take longer, as long as it moves.
        small_response: Whether the response, once it begins, must end within the time for a call.
        redact: Redacts the secrets of the call.

    Attributes:
        sent: Whether the vendor may have received anything.
        too_slow: Whether it was aborted for its rate.
        waited_seconds: The limit of the last read or write.
    """

    def __init__(
        self,
        deadline: Deadline,
        settings: HttpSettings,
        transfer: bool,
        small_response: bool,
        redact: Redactor,
    ) -> None:
        self.deadline = deadline
        self.settings = settings
        self.redact = redact
        self.too_slow = False
        self.waited_seconds = 0.0
        self._transfer = transfer
        self._small_response = small_response
        self.connected()

    @property
    def first_byte_seconds(self) -> float:
        """The limit for the first byte of the response."""
        if not self._transfer:
            return self.settings.read_timeout_seconds
        extra = self.settings.transfer_seconds_per_megabyte * self._sent_bytes / 1e6
        return self.settings.transfer_timeout_seconds + extra

    def connected(self) -> None:
        """Begin anew: what went to a proxy until now did not go to the vendor."""
        self.sent = self._received = False
        self._sent_bytes = self._moved_bytes = 0
        self._moved_seconds = 0.0

    def read(self, sock: socket.socket, read: Callable[[], int | None]) -> int | None:
        """Read from a socket once.

        Raises:
            TimeoutError: Nothing came in time, or the transfer has been too slow for too long.
        """
        stall = self.settings.read_timeout_seconds if self._received else self.first_byte_seconds
        sock.settimeout(self._clipped(stall))
        start = time.monotonic()
        size = read()
        # Neither the wait for the first byte nor the reader's own pauses count for the rate.
        if size and self._received:
            self._moved(size, start)
        elif size:
            self._received, self._moved_bytes, self._moved_seconds = True, size, 0.0
            if self._small_response:
                self.deadline = Deadline(self.deadline.clip(self.settings.call_timeout_seconds))
        return size

    def write(self, sock: socket.socket, block: memoryview, send: Callable[[Any], None]) -> None:
        """Write to a socket once; raises as `read`."""
        sock.settimeout(self._clipped(self.settings.read_timeout_seconds))
        start = time.monotonic()
        send(block)
        self._sent_bytes += len(block)
        self._moved(len(block), start)

    def _moved(self, size: int, start: float) -> None:
        self._moved_bytes += size
        self._moved_seconds += time.monotonic() - start
        if not self._transfer or self._moved_seconds < self.settings.slow_seconds:
            return
        if self._moved_bytes < self.settings.slow_bytes_per_second * self._moved_seconds:
            self.too_slow = True
            raise TimeoutError("the transfer is too slow")
        self._moved_bytes, self._moved_seconds = 0, 0.0

    def _clipped(self, seconds: float) -> float:
        self.waited_seconds = seconds
        left = self.deadline.clip(seconds)
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        return left


underway: ContextVar[Exchange] = ContextVar("qrmi_http_exchange")
"""The exchange in progress; `Adapter` needs it."""


class _Reader(io.RawIOBase):
    """A reader of a socket within the limits of the exchange."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._exchange = underway.get()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        return self._exchange.read(self._sock, lambda: self._raw.readinto(buffer))

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        reader = SimpleNamespace(
            makefile=lambda _mode: io.BufferedReader(_Reader(sock), _BLOCK_BYTES)
        )
        super().__init__(reader, *args, **kwargs)  # type: ignore[arg-type]


class _Connection(HTTPConnection):
    response_class = _Response

    def connect(self) -> None:
        try:
            super().connect()
        finally:
            underway.get().connected()

    def send(self, data: Any) -> None:
        exchange = underway.get()
        if self.sock is None:
            self.connect()
        exchange.sent = True
        view = memoryview(data).cast("B")
        for start in range(0, len(view), SENT_BYTES):
            exchange.write(self.sock, view[start : start + SENT_BYTES], super().send)


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
        # Else requests would take a credential from ~/.netrc, and look for proxies, although each
        # request names its own, in all variables of the environment.
        self.trust_env = False
        for scheme in ("http://", "https://"):
            self.mount(scheme, Adapter())

    def get_redirect_target(self, resp: object) -> str | None:  # noqa: ARG002
        # requests would parse it, and read the whole body, though no redirect is followed.
        return None


class Sessions:
    """The sessions of a client: one for each thread and process, since none may share it.

    Args:
        user_agent: The header of that name.
    """

    def __init__(self, user_agent: str) -> None:
        self._user_agent = user_agent
        self._local = threading.local()

    def current(self) -> requests.Session:
        """Return this thread's and process's session."""
        own: _Own | None = getattr(self._local, "own", None)
        if own is None or own.process != os.getpid():
            # A connection shared with the parent process would mix their responses.
            self.close()
            own = self._local.own = _Own(self._user_agent)
        return own.session

    def close(self) -> None:
        """Close this thread's session; the next use makes another."""
        if own := self._local.__dict__.pop("own", None):
            own.session.close()


class _Own:
    """The session of one thread and process, closed when this object is dropped.

    A traceback, for one, may refer to the session itself for long after its thread has ended.
    """

    def __init__(self, user_agent: str) -> None:
        self.session = Session()
        self.session.headers["User-Agent"] = user_agent
        self.process = os.getpid()
        weakref.finalize(self, _close, self.session, self.process)


def _close(session: Session, process: int) -> None:
    # In a forked child, another thread may have been holding the locks of its connections.
    if process == os.getpid():
        session.close()


class _WithoutSecrets(logging.Filter):
    """A filter that cleans log records of urllib3, which show queries and parts of responses."""

    def filter(self, record: logging.LogRecord) -> bool:
        exchange = underway.get(None)
        if exchange and isinstance(record.args, tuple):
            record.args = tuple(
                arg if isinstance(arg, int) else exchange.redact.excerpt(str(arg).partition("?")[0])
                for arg in record.args
            )
            record.exc_info = None
        return True


for _name in ("urllib3.connection", "urllib3.connectionpool"):
    logging.getLogger(_name).addFilter(_WithoutSecrets())
