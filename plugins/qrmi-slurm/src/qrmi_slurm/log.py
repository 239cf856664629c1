"""The log of prolog, epilog and sweep, and texts without secrets."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from qrmi_core.plugin import is_secret
from qrmi_slurm import trust
from qrmi_slurm.site import Site

_LEAST_CHARACTERS = 4
"""A shorter value is no secret, and would be found in the midst of words."""
HIDDEN = "<hidden>"


class Secrets:
    """What no text may contain."""

    def __init__(self) -> None:
        self._values: set[str] = set()

    def add(self, values: Iterable[str | None]) -> None:
        """Hide these from now on."""
        found = [value for value in values if value and len(value) >= _LEAST_CHARACTERS]
        self._values |= {*found, *(quote(value, safe="") for value in found)}

    def without(self, text: str) -> str:
        """A text in which each of them is replaced."""
        for value in sorted(self._values, key=len, reverse=True):
            text = text.replace(value, HIDDEN)
        return text


def secret_values(environment: Mapping[str, str]) -> list[str]:
    """The values of secret settings."""
    return [value for key, value in environment.items() if is_secret(key)]


def one_line(text: str) -> str:
    """A text without line breaks and without what a terminal would obey."""
    return "".join(char if char.isprintable() else " " for char in " ".join(text.split()))


class _Formatter(logging.Formatter):
    def __init__(self, secrets: Secrets) -> None:
        super().__init__(
            "%(asctime)s.%(msecs)03dZ %(levelname)s %(process)d %(name)s: %(message)s",
            "%Y-%m-%dT%H:%M:%S",
        )
        self.converter = time.gmtime
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        """A record without secrets, wherever in it they were."""
        return self._secrets.without(super().format(record))


def start(site: Site, secrets: Secrets) -> None:
    """Log into the site's file; where it cannot be written, to standard error."""
    trouble = None
    handler: logging.Handler
    try:
        handler = logging.StreamHandler(os.fdopen(append_to(site.log), "a", encoding="utf-8"))
    except (OSError, trust.Untrusted) as error:
        handler = logging.StreamHandler(sys.stderr)
        trouble = error
    handler.setFormatter(_Formatter(secrets))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(site.log_level.upper())
    logging.getLogger("stevedore").setLevel(logging.WARNING)  # lists all that is installed
    logging.raiseExceptions = False  # a full disk is no reason to write elsewhere
    if site.problem:
        root.error("%s", site.problem)
    if trouble is not None:
        root.warning("the log %s cannot be written: %s", site.log, trouble)


def append_to(path: str) -> int:
    """A descriptor that adds to a file, which is made for root and its group if it is not there.

    Raises:
        OSError: It cannot be written.
        Untrusted: Somebody else could have put another file in its place.
    """
    trust.check(path)
    os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(path, flags, 0o640)
