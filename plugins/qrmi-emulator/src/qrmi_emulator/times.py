"""Times of vendors' documents: ISO 8601 in UTC."""

from __future__ import annotations

import datetime


def utc(seconds: float) -> datetime.datetime:
    """Return the date and time of seconds since the epoch."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)


def iso(seconds: float | None) -> str | None:
    """Return seconds since the epoch in ISO 8601, to the microsecond; None for None."""
    return None if seconds is None else _text(seconds, "microseconds")


def iso_milliseconds(seconds: float | None) -> str | None:
    """Return seconds since the epoch in ISO 8601, to the millisecond; None for None."""
    return None if seconds is None else _text(seconds, "milliseconds")


def epoch(text: str) -> float:
    """Return the seconds since the epoch of ISO 8601, in UTC without an offset.

    Raises:
        ValueError: The text is not a date and time.
    """
    try:
        at = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"not a date and time: {text:.40}") from error
    return (at if at.tzinfo else at.replace(tzinfo=datetime.UTC)).timestamp()


def _text(seconds: float, timespec: str) -> str:
    return utc(seconds).isoformat(timespec=timespec).replace("+00:00", "Z")
