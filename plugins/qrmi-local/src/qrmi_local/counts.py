"""Counts in the results of pulse sequences."""

from __future__ import annotations

import json
from collections.abc import Mapping


def pulse_counts(text: str) -> list[Mapping[str, int]]:
    """Return the counts of a result, ``{"counter": {"00": 36, ...}}``.

    Raises:
        ValueError: The text is not such a result.
    """
    found = json.loads(text)
    if not isinstance(found, dict) or not isinstance(found.get("counter"), dict):
        raise ValueError("it has no counts")
    return [found["counter"]]
