"""Messages and tables for people."""

from __future__ import annotations

import errno
import sys
from collections.abc import Sequence
from contextlib import suppress


def say(text: str) -> None:
    """Print a message that is not the result, on standard error."""
    # A closed stream must not keep the command from undoing its work.
    with suppress(OSError):
        if sys.stderr is not None:
            sys.stderr.write(f"qrmi: {text}\n")
            sys.stderr.flush()


def flush() -> None:
    """Flush standard output.

    Raises:
        OSError: It cannot be written.
    """
    if sys.stdout is None:
        raise OSError(errno.EBADF, "standard output is closed")
    sys.stdout.flush()


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return aligned columns, never cut, so that they can be searched; None becomes a dash."""
    cells = [list(heads), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    )


def _cell(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
    return str(value)
