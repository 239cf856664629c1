"""Readers of values that a service sent: None for a value of another type."""

from __future__ import annotations

import datetime
import math
from typing import Any


def read_text(value: object) -> str | None:
    """Return a text, or a whole number as text; None for an empty text and for anything else.

    Services write codes and ids as either.
    """
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    try:
        return str(value) or None
    except ValueError:  # more digits than Python converts
        return None


def read_count(value: object) -> int | None:
    """Return a whole number of at least 0; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def read_number(value: object) -> float | None:
    """Return a finite number; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def read_time(value: object) -> datetime.datetime | None:
    """Return a time in ISO 8601 as UTC, which a time without a zone is; None for anything else."""
    try:
        moment = datetime.datetime.fromisoformat(value)  # type: ignore[arg-type]
        return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).astimezone(
            datetime.UTC
        )
    except (TypeError, ValueError, OverflowError):
        return None


def read_object(mapping: dict[str, Any], key: str) -> dict[str, Any]:
    """Return the object that another object has under a key; an empty one without it."""
    found = mapping.get(key)
    return found if isinstance(found, dict) else {}
