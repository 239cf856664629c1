"""Converters that the settings of IBM's plugins share."""

from __future__ import annotations

import re

LOG_LEVELS = ("critical", "error", "warning", "info", "debug")
"""What the services may log of a job."""


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
