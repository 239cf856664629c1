"""Files and folders of the user alone."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path


class StorageError(Exception):
    """The state cannot be written, such as on a full disk; what should be written is not there."""


@contextlib.contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """Write what the block writes to a database in autocommit mode, all or nothing.

    Raises:
        StorageError: It cannot be written.
    """
    try:
        database.execute("BEGIN IMMEDIATE")
        yield
        database.execute("COMMIT")
    except BaseException as error:
        # Of most errors of the disk SQLite has rolled back itself.
        if database.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                database.execute("ROLLBACK")
        if isinstance(error, sqlite3.Error):
            raise StorageError(f"the state cannot be written: {error}") from error
        raise


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
    """Write a file that only the user may read, and that nobody reads before it is complete.

    Raises:
        StorageError: It cannot be written.
    """
    try:
        with open(path, "wb", opener=_private) as stream:
            stream.write(content)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise StorageError(f"the state cannot be written: {error}") from error


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
