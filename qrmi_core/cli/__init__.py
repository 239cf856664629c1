"""The `qrmi` command.

Only this package imports click and rich, and each command imports what it needs when it runs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and give its exit status.

    Args:
        argv: The arguments; by default those of the process.
    """
    from qrmi_core.cli.app import execute

    return execute(sys.argv[1:] if argv is None else list(argv))


def run() -> None:
    """Run the command as a program."""
    sys.exit(main())
