"""What IBM's plugins have in common in their settings."""

from __future__ import annotations

import re

from qrmi_core.errors import ConfigError

LOG_LEVELS = ("critical", "error", "warning", "info", "debug")
"""What the services may log of a job."""


def to_url(text: str) -> str:
    """An address that paths are put behind."""
    return text.strip().rstrip("/")


def to_word(text: str) -> str:
    """An id or a key, which goes into a header or a form; blanks around it are dropped."""
    word = text.strip()
    if not re.fullmatch("[!-~]+", word):
        raise ValueError("a text of visible ASCII characters without blanks")
    return word


def to_version(text: str) -> str:
    """A date, which is what versions of the APIs are."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        raise ValueError("a date such as 2026-04-15")
    return text


def check_url(key: str, url: str) -> None:
    """Refuse an address that nothing can be put behind.

    Not a converter, whose errors show the value: it may have secrets.

    Raises:
        ConfigError: It has a query string or a fragment.
    """
    if "?" in url or "#" in url:
        raise ConfigError(
            f"{key}: the address has a query string or a fragment; leave out what begins with "
            "? or #"
        )
