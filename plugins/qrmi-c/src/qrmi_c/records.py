"""Log records, sent to the host while one of its calls is carried out."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from qrmi_c.frames import LOG, send

_LEVELS = {
    "off": logging.CRITICAL + 1,
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": 1,
}
_WORDS = ((logging.ERROR, "ERROR"), (logging.WARNING, "WARN"), (logging.INFO, "INFO"))


class Filter:
    """The filter of the variable ``RUST_LOG``.

    Args:
        text: Levels, or ``module=level``, or modules, joined by commas; unknown words are ignored.
    """

    def __init__(self, text: str) -> None:
        found: dict[str, int] = {}
        for word in filter(None, (word.strip() for word in text.split(","))):
            module, equals, level = word.rpartition("=")
            if level.lower() in _LEVELS:
                found[module.replace("::", ".")] = _LEVELS[level.lower()]
            elif not equals:
                found[word.replace("::", ".")] = _LEVELS["trace"]
        self._levels = found or {"": logging.WARNING}

    def lowest(self) -> int:
        """Return the level below which no record passes."""
        return min(self._levels.values())

    def passes(self, record: logging.LogRecord) -> bool:
        """Return True if a record is chosen, by the longest module that its name begins with."""
        fitting = [module for module in self._levels if record.name.startswith(module)]
        return bool(fitting) and record.levelno >= self._levels[max(fitting, key=len)]


class Records(logging.Handler):
    """Sends the records of QRMI and of its plugins to the host.

    Args:
        text: The value of ``RUST_LOG``.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self._here = threading.local()
        self._packages = {"qrmi"}
        self.choose(text)

    def choose(self, text: str) -> None:
        """Use another value of ``RUST_LOG``."""
        self._filter = Filter(text)
        logging.getLogger().setLevel(self._filter.lowest())

    def include(self, module: str) -> None:
        """Send the records of the package of a driver, too."""
        self._packages.add(module.partition(".")[0])

    @contextmanager
    def to(self, connection: socket.socket) -> Iterator[None]:
        """Send the records of this thread to a connection."""
        self._here.connection = connection
        try:
            yield
        finally:
            self._here.connection = None

    def emit(self, record: logging.LogRecord) -> None:
        connection = getattr(self._here, "connection", None)
        # Those of others, such as urllib3, hold what QRMI redacts.
        known = record.name.startswith(tuple(self._packages))
        if connection is None or not known or not self._filter.passes(record):
            return
        word = next((word for level, word in _WORDS if record.levelno >= level), "DEBUG")
        fields = (word, record.name.replace(".", "::"), record.getMessage())
        with suppress(OSError):  # the host has gone, which the reply will notice
            send(connection, LOG, [field.encode(errors="replace") for field in fields])
