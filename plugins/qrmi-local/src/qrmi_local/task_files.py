"""The files of tasks: payload, result and log, each beside the database of the store."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

from qrmi_core.plugin import replace_file
from qrmi_local.database import Database

CONTENTS = ("payload", "result", "log")
_ORPHAN_SECONDS = 3600.0


class TaskFiles:
    """The files of a store's tasks.

    Args:
        folder: The folder with the files.
        database: The store's database, which makes the folder and explains errors.
    """

    def __init__(self, folder: Path, database: Database) -> None:
        self.folder = folder
        self._db = database

    def path(self, task_id: str, content: str) -> Path:
        """Return the path of a task's ``payload``, ``result`` or ``log``."""
        return self.folder / f"{task_id}.{content}"

    def write(self, task_id: str, content: str, data: bytes) -> None:
        """Write a file atomically.

        Raises:
            ConfigError: The folder cannot be used.
            ServiceError: The disk is full.
        """
        with self._db.explained():
            self._db.make_home()
            replace_file(self.path(task_id, content), data)

    def discard(self, task_id: str, *contents: str) -> None:
        """Delete files of a task, if they exist."""
        for content in contents:
            with suppress(OSError):
                self.path(task_id, content).unlink()

    def discard_orphans(self, existing: Callable[[list[str]], Collection[str]]) -> None:
        """Delete old files of no task, left by a process that was killed while it wrote.

        Args:
            existing: Returns those ids of a list that are ids of tasks.
        """
        old = time.time() - _ORPHAN_SECONDS
        paths = []
        for path in self.folder.iterdir():
            with suppress(OSError):
                if path.stat().st_mtime < old:
                    paths.append(path)
        known = existing([path.name.split(".")[0] for path in paths])
        for path in paths:
            task_id, _, content = path.name.partition(".")
            if task_id not in known or content not in CONTENTS:
                with suppress(OSError):
                    path.unlink()
