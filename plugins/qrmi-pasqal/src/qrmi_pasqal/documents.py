"""JSON documents of any size.

Small ones are for `json`. Of those that may have hundreds of megabytes as little as possible is
parsed, and as few copies as possible are made; only they need msgspec.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import msgspec

LARGE = 1 << 20
"""The length, in bytes or characters, from which a document is large."""


def members(document: str | bytes | msgspec.Raw) -> dict[str, msgspec.Raw]:
    """Return the members of a JSON object; their values are checked, but not read.

    Raises:
        ValueError: The document is not a JSON object.
        RecursionError: It is nested too deeply.
    """
    import msgspec

    return msgspec.json.decode(document, type=dict[str, msgspec.Raw])


def parsed(text: str, *names: str) -> Any:
    """Parse JSON; of a large object only the values of these names.

    The other values of a large object are checked, and can be encoded again.

    Raises:
        ValueError: The text is not JSON, or cannot be encoded.
        RecursionError: It is nested too deeply.
    """
    if len(text) < LARGE:
        text.encode()
        return json.loads(text, parse_constant=_refuse)
    import msgspec

    try:
        found: dict[str, Any] = members(text)
    except msgspec.ValidationError:
        return msgspec.json.decode(text)
    return found | {name: msgspec.json.decode(found[name]) for name in names if name in found}


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is not a JSON number")


def body(value: dict[str, Any], length: int) -> Any:
    """Return a value as `HttpClient.request` is to send it: encoded without a copy if it is large.

    Args:
        value: The value, which may contain what `parsed` returns.
        length: The length of its longest text.
    """
    if length < LARGE:
        return value
    import msgspec

    return msgspec.json.encode(value)
