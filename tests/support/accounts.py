"""Run programs as another user, one without an entry in the password database."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

STRANGER = 54321
"""A user id without an account."""

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None,
    reason="only root can start programs as another user, with setpriv",
)


@contextmanager
def strangers_folder() -> Iterator[Path]:
    """Create a folder that only that user can read, and remove it after the block.

    It is outside pytest's temporary folder, which other users cannot enter.
    """
    with tempfile.TemporaryDirectory(prefix="qrmi-stranger-", ignore_cleanup_errors=True) as name:
        os.chown(name, STRANGER, STRANGER)
        yield Path(name)


def as_stranger(
    *command: object, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a program as a user without a passwd entry, with an otherwise empty environment.

    The process may read every file, since the interpreter may be in root's home folder. It may
    write only its own files.
    """
    return subprocess.run(
        [
            *("setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups"),
            *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"),
            *map(str, command),
        ],
        env={"PATH": os.defpath, **environment},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
