"""Log records passed to a function instead of `logging`."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Final

from qrmi_core.plugin import installed

LogCallback = Callable[[str, str, str], object]
"""Called with level (``ERROR`` ``WARN`` ``INFO`` ``DEBUG``), logger and message."""

_LEVELS: Final = {
    "off": logging.CRITICAL + 1,
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": logging.DEBUG,
}


class _Sink(logging.Handler):
    """A handler that passes records to a function, or prints them if none is set."""

    callback: LogCallback | None = None

    def emit(self, record: logging.LogRecord) -> None:
        try:
            level = "WARN" if record.levelno == logging.WARNING else record.levelname
            message = record.getMessage()
            if self.callback is not None:
                self.callback(level, record.name, message)
            else:
                at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))
                print(f"[{at} {level} {record.name}] {message}", file=sys.stderr)
        except Exception:
            self.handleError(record)


_sink = _Sink()


def set_log_callback(callback: LogCallback | None) -> None:
    """Pass the log records of QRMI and its plugins to a function instead of `logging`.

    The function may be called on any thread; its exceptions are printed and dropped. The level is
    that of each logger, unless the variable ``RUST_LOG`` sets one, such as ``debug``. ::

        set_log_callback(lambda level, logger, message: print(level, message))

    Args:
        callback: The function; None to print records to standard error.

    Raises:
        TypeError: `callback` is not callable.
    """
    if callback is not None and not callable(callback):
        raise TypeError(f"callback must be callable or None, not {type(callback).__name__}")
    _sink.callback = callback
    level = _LEVELS.get(os.environ.get("RUST_LOG", "").strip().lower())
    for logger in _loggers():
        if _sink not in logger.handlers:
            logger.addHandler(_sink)
        logger.propagate = False
        if level is not None:
            logger.setLevel(level)


def _loggers() -> Iterator[logging.Logger]:
    packages = {info.target.partition(":")[0].partition(".")[0] for info in installed()}
    for package in sorted(packages | {"qrmi", "qrmi_core", "qrmi_ibm_common"}):
        yield logging.getLogger(package)
