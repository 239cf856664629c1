"""The log of prolog, epilog and sweep, and redaction of secrets."""

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
"""A shorter value is not treated as a secret: words may contain it."""
HIDDEN = "<hidden>"


class Secrets:
    """Secrets to redact in texts."""

    def __init__(self) -> None:
        self._values: set[str] = set()

    def add(self, values: Iterable[str | None]) -> None:
        """Redact these values from now on."""
        found = [value for value in values if value and len(value) >= _LEAST_CHARACTERS]
        self._values |= {*found, *(quote(value, safe="") for value in found)}

    def without(self, text: str) -> str:
        """Return a text with each secret redacted."""
        for value in sorted(self._values, key=len, reverse=True):
            text = text.replace(value, HIDDEN)
        return text


def secret_values(environment: Mapping[str, str]) -> list[str]:
    """Return the values of secret settings."""
    return [value for key, value in environment.items() if is_secret(key)]


def one_line(text: str) -> str:
    """Return a text without line breaks or control characters."""
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
        """Format a record, with all secrets redacted."""
        return self._secrets.without(super().format(record))


def start(site: Site, secrets: Secrets) -> None:
    """Log to the site's file, or to standard error if the file cannot be written."""
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
    logging.getLogger("stevedore").setLevel(
        logging.WARNING
    )  # This reads the metadata of all installed plugins.
    logging.raiseExceptions = False  # on a full disk, do not write elsewhere instead
    if site.problem:
        root.error("%s", site.problem)
    if trouble is not None:
        root.warning("the log %s cannot be written: %s", site.log, trouble)


def append_to(path: str) -> int:
    """Open a file for appending and return its descriptor; a new file is for root and its group.

    Raises:
        OSError: The file cannot be written.
        Untrusted: Another user could have put another file in its place.
    """
    trust.check(path)
    os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(path, flags, 0o640)
