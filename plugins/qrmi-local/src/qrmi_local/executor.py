"""Execution of tasks on this machine's simulators: the interface of qrmi-local for programs.

An `Executor` keeps tasks in a folder and lets worker processes execute them. The tasks go on when
the process that submitted them ends, and every process of the user finds them in the folder.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from qrmi_core.plugin import ServiceError
from qrmi_local.limits import Limits as Limits
from qrmi_local.pool import open_store, start_workers
from qrmi_local.settings import LocalSettings as LocalSettings, default_slots as default_slots
from qrmi_local.store import StoredTask as StoredTask

_SETTLE_SECONDS = 0.5


class Executor:
    """Tasks in one folder, and the worker processes that execute them.

    Construction touches nothing on disk. May be used from many threads and in forked children.

    Args:
        settings: The folder, the number of slots, and how long tasks and idle workers are kept.
        limits: The most that a task of the folder may use, from the start of workers on; no limits
            by default.
    """

    def __init__(self, settings: LocalSettings, limits: Limits | None = None) -> None:
        self._settings = settings
        self._limits: Limits | None = limits or Limits()
        self._settle_at = 0.0
        self._store = open_store(settings)

    def make_folder(self) -> None:
        """Make the folder now, instead of with the first task.

        Raises:
            ConfigError: The folder cannot be made, or other users can read it.
        """
        self._store.make_home()

    def submit(
        self,
        task_id: str,
        resource: str,
        argument: str,
        content: bytes,
        *,
        seed: int | None = None,
    ) -> None:
        """Add a task to the queue. A task with this id that exists already is left unchanged.

        Args:
            task_id: The task's id, a valid file name.
            resource: The resource's id, such as `aer`.
            argument: The program's id, or the number of runs; see `qrmi_local.engines.Engine`.
            content: The program's input, or the sequence.
            seed: For contents that bring none of their own.

        Raises:
            ConfigError: The folder cannot be used.
            ServiceError: The task could not be written, such as on a full disk; it does not exist.
        """
        self._store.submit(task_id, resource, argument, content, seed=seed)

    def start_workers(self) -> None:
        """Start the workers that queued tasks lack, at most one for each slot.

        Tasks whose simulator this Python does not have are left to processes that have it.

        Raises:
            ConfigError: This Python cannot start another.
            ServiceError: The system refuses a further process, workers end at once, or the limits
                cannot be written.
        """
        if self._limits and self._store.exists():
            try:
                self._limits.write(self._store.home)
            except OSError as error:
                raise ServiceError(
                    f"the limits of tasks in {self._store.home} cannot be written: {error.strerror}"
                ) from error
            self._limits = None
        start_workers(self._store, self._settings)

    def look(self, task_ids: Sequence[str]) -> list[StoredTask]:
        """Return the current state of those tasks that exist, without starting workers.

        A task whose worker has died is Failed, which is looked for once in half a second.
        """
        tasks = self._store.tasks(task_ids)
        is_due = time.monotonic() >= self._settle_at
        if is_due and any(task.is_running for task in tasks):
            # It takes a transaction, which workers wait for.
            self._settle_at = time.monotonic() + _SETTLE_SECONDS
            if self._store.settle():
                tasks = self._store.tasks(task_ids)
        return tasks

    def tasks_of(self, resource: str) -> list[StoredTask]:
        """Return the tasks of a resource, newest first."""
        self._store.settle()
        return self._store.tasks_of(resource)

    def cancel(self, task_id: str) -> None:
        """Cancel a task, and kill the process that executes it. Ended tasks are left unchanged."""
        self._store.stop(task_id)

    def result_path(self, task_id: str) -> Path:
        """Return the path of the result, a file that exists as soon as the task is Completed."""
        return self._store.files / f"{task_id}.result"

    def log_path(self, task_id: str) -> Path:
        """Return the path of the log, a file that grows while the task is executed."""
        return self._store.files / f"{task_id}.log"

    def close(self) -> None:
        """Close this thread's connection to the database. Tasks and workers go on."""
        self._store.close()
