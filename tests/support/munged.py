"""A munged of the tests' own: its key and its socket are known to nobody else."""

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

# Where distributions put daemons, which is not on every user's path.
_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
MUNGED = shutil.which("munged", path=_PATH)
MISSING = "" if MUNGED else "munged is not installed (Debian and Ubuntu: apt install munge)"


@contextmanager
def munged(socket: Path | None = None) -> Iterator[Path]:
    """Run a munged and give its socket, which every user of this machine can reach.

    Args:
        socket: The socket; by default one in a folder of its own.
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
    """Whether a munged is there."""
    command = ["munge", "--no-input", f"--socket={socket}"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def decoded(credential: str, socket: Path) -> tuple[int, int | None]:
    """What munged says of a credential, and the user id in it; 17 is a credential used before."""
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
