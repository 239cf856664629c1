"""Converters that the settings of IBM's plugins share."""

from __future__ import annotations

import re

LOG_LEVELS = ("critical", "error", "warning", "info", "debug")
"""The levels of what the services log of a job."""


def to_word(text: str) -> str:
    """Convert an id or a key, which is sent in a header or a form; strip blanks around it."""
    word = text.strip()
    if not re.fullmatch("[!-~]+", word):
        raise ValueError("a text of visible ASCII characters without blanks")
    return word


def to_version(text: str) -> str:
    """Convert the version of an API, which is a date."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        raise ValueError("a date such as 2026-04-15")
    return text
