"""Counts of bit strings, in the forms in which machines that run pulse sequences give them."""

from __future__ import annotations

import ast
import json
import re
from typing import Any


def parse_result(text: str) -> Any:
    """Read the text of a result that is JSON, or a literal in Python's notation.

    QPUs on premises give the latter.

    Raises:
        ValueError: It is neither.
    """
    try:
        return json.loads(text)
    except ValueError as error:
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            raise error from None


def counts_of(found: object) -> dict[str, int]:
    """The counts in a result, ``{"counter": {"00": 36, ...}}`` or the inner mapping alone.

    All bit strings are of one length, and at least one was counted.

    Raises:
        ValueError: It has no such counts.
    """
    counter = found.get("counter", found) if isinstance(found, dict) else found
    if not isinstance(counter, dict):
        raise ValueError("it has no counts")
    for bits, count in counter.items():
        if not re.fullmatch("[01]+", str(bits)) or type(count) is not int or count < 0:
            raise ValueError(f"{bits!r:.40}: {count!r:.40} is no count of a bit string")
    if not any(counter.values()):
        raise ValueError("it has no counts")
    if len({len(bits) for bits in counter}) > 1:
        raise ValueError("its bit strings are of different lengths")
    return counter
