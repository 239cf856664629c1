"""A munged for tests, with a private key and socket."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.processes import running

# Distributions install daemons here, and not every user has it on PATH.
_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
MUNGED = shutil.which("munged", path=_PATH)
MISSING = "" if MUNGED else "munged is not installed (Debian and Ubuntu: apt install munge)"


@contextmanager
def munged(socket: Path | None = None) -> Iterator[Path]:
    """Run munged, and yield its socket, which every user of this machine can access.

    Args:
        socket: The socket; by default one in a new folder.
    """
    assert MUNGED, MISSING
    with tempfile.TemporaryDirectory(prefix="qrmi-munge-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        key, log = folder / "key", folder / "log"
        socket = socket or folder / "socket"
        key.touch(0o600)
        key.write_bytes(secrets.token_bytes(128))
        command = [
            MUNGED,
            "--foreground",
            f"--socket={socket}",
            f"--key-file={key}",
            f"--pid-file={folder / 'pid'}",
            f"--seed-file={folder / 'seed'}",
            "--num-threads=2",
        ]

        with running(command, log=log, ready=lambda: answers(socket)):
            yield socket


def answers(socket: Path) -> bool:
    """Return True if munged responds at a socket."""
    command = ["munge", "--no-input", f"--socket={socket}"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def decoded(credential: str, socket: Path) -> tuple[int, int | None]:
    """Return munged's status for a credential, 17 if it was used before, and its user id."""
    done = subprocess.run(
        [
            "unmunge",
            f"--socket={socket}",
            "--no-output",
            "--metadata=-",
            "--keys=UID",
            "--numeric",
        ],
        input=credential.encode(),
        capture_output=True,
        check=False,
    )
    words = done.stdout.decode().split()
    return done.returncode, int(words[-1]) if done.returncode == 0 else None
