"""The `qrmi` command.

Only this package and `qrmi_core.commands` import click and rich, when a command runs.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status.

    Args:
        argv: The arguments; by default those of the process.
    """
    try:
        from qrmi_core.commands.signals import Signals

        with Signals() as signals:
            try:
                from qrmi_core.cli.app import execute
            except Exception as error:
                from qrmi_core._imports import broken_dependency

                if cause := broken_dependency(error):
                    sys.stderr.write(f"qrmi: error: {cause}\n")
                    return 2
                raise
            return execute(sys.argv[1:] if argv is None else list(argv), signals)
    except KeyboardInterrupt as error:  # while modules are imported, or another is reported
        sys.stderr.write("qrmi: error: interrupted\n")
        return 128 + int(getattr(error, "number", signal.SIGINT))


def run() -> None:
    """Run the command as a program."""
    try:
        status = main()
        # Python shows a traceback for an interrupt while it shuts down.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    except KeyboardInterrupt:
        status = 128 + signal.SIGINT
    sys.exit(status)
