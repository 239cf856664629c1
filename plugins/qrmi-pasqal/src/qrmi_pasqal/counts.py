"""Counts in the results of Pasqal's cloud and of machines on premises."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from typing import Any


def pulse_counts(text: str) -> list[Mapping[str, int]]:
    """Return the counts of a result, ``{"counter": {"00": 36, ...}}`` or the inner mapping alone.

    Machines on premises write it in Python's notation.

    Raises:
        ValueError: The text is not such a result.
    """
    found = _parse(text)
    counter = found.get("counter", found) if isinstance(found, dict) else found
    if not isinstance(counter, dict):
        raise ValueError("it has no counts")
    return [counter]


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            raise error from None
