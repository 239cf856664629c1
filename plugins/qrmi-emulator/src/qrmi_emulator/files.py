"""Files and folders of the user alone."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def make_private(folder: Path) -> None:
    """Make a folder that only the user may look into.

    Raises:
        PermissionError: Others may read it.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.stat()
    if found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise PermissionError(f"{folder} must be yours alone: chmod 700 it, or name another")


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only the user may read, and that nobody reads before it is complete."""
    with open(path, "wb", opener=_private) as stream:
        stream.write(content)


def lock(path: Path) -> int | None:
    """Take the lock of a file until its descriptor is closed or the process ends.

    Returns:
        The descriptor, None if another process has the lock.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
