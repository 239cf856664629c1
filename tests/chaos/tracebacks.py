"""Tracebacks in the output of programs."""

from __future__ import annotations

import re
from collections.abc import Iterator

import attrs

from qrmi_core import QrmiError, errors

_HEAD = "Traceback (most recent call last):"
_CHAIN = re.compile(
    r"The above exception was the direct cause|During handling of the above exception"
)
_KIND = re.compile(r"(\w*(?:Error|Exception|Exit|Interrupt|Timeout|Unit|Refused))(?=: | |$)")
_UNNAMED = "Exception in ASGI application"
"""A server's log of an exception that became a response of 500."""
_TREE = frozenset(
    name
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, QrmiError)
)


@attrs.frozen
class Traceback:
    """The traceback of an exception, with those of its causes.

    Args:
        kind: The name of the exception's class.
        text: The traceback.
    """

    kind: str
    text: str

    @property
    def is_raw(self) -> bool:
        """True if the exception is not a `QrmiError`."""
        return self.kind not in _TREE


def tracebacks(text: str) -> Iterator[Traceback]:
    """Yield the tracebacks in a text, including those that a log has on one line."""
    lines = text.splitlines()
    start: int | None = None
    index = 0
    while index < len(lines):
        line = lines[index].strip()
        if line != _HEAD:
            if _HEAD in line:
                yield Traceback((_KIND.findall(line) or [_UNNAMED])[-1], line)
            elif _UNNAMED in line:
                yield Traceback(_UNNAMED, line)
            index += 1
            continue
        start = index if start is None else start
        index += 1
        while index < len(lines) and (lines[index].startswith((" ", "\t")) or not lines[index]):
            index += 1
        last = lines[index] if index < len(lines) else ""
        following = next((line for line in lines[index + 1 : index + 20] if line.strip()), "")
        if not _CHAIN.match(following):
            kind = last.partition(":")[0].strip().rpartition(".")[2]
            yield Traceback(kind, "\n".join(lines[start : index + 1]))
            start = None
        index += 1
