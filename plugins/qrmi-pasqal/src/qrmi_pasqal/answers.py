"""What the answers of Pasqal's services have in common."""

from __future__ import annotations

import datetime


def to_time(value: object) -> datetime.datetime | None:
    """A service's notation of a time, in UTC where it names no zone; None for anything else."""
    try:
        moment = datetime.datetime.fromisoformat(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)
