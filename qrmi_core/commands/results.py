"""Results of tasks on standard output and in files."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, BinaryIO

from qrmi_core.commands.output import flush
from qrmi_core.errors import QrmiError

if TYPE_CHECKING:
    from qrmi_core.task import Task

SPOOL_BYTES = 2**23
"""The size, in bytes, up to which a result is kept in memory before it is printed."""


def print_result(spool: BinaryIO) -> None:
    """Copy a result to standard output, unchanged."""
    spool.seek(0)
    flush()
    shutil.copyfileobj(spool, sys.stdout.buffer)
    if sys.stdout.isatty():
        sys.stdout.buffer.write(b"\n")
    sys.stdout.buffer.flush()


def save_result(task: Task, output: str) -> None:
    """Write the result of a task that has completed to a file."""
    try:
        task.save_result(output)
    except OSError as error:
        if not isinstance(error, QrmiError):
            # A write that fails names no file, and another names the temporary one.
            error.filename = output
        raise
