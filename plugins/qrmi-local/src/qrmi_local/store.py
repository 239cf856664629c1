"""Tasks and acquisitions on disk: an SQLite database with the large contents in files beside it.

A live process holds locks (`qrmi_local.locks`): a worker the one of its slot, an acquiring process
one for each acquisition that ends with it. So nothing dead looks alive, and nobody needs to watch.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import time
import uuid
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from qrmi_core.plugin import NotAcquiredError, ResourceBusyError, TaskStatus, lock_file
from qrmi_local import locks
from qrmi_local.bell import Bell
from qrmi_local.database import Database
from qrmi_local.task_files import CONTENTS, TaskFiles
from qrmi_local.task_rows import NEXT, StoredTask as StoredTask, among, end, one

_GONE = "its worker is gone without a word: killed, or this machine went down"

_Q, _R = TaskStatus.Queued, TaskStatus.Running


class TaskStore:
    """The store in one folder. May be used from many threads and in forked children.

    Args:
        home: The folder; made when first needed, for the user alone.
        journal_mode: ``wal`` or ``delete``, for a database that does not exist yet; by default
            WAL where the file system can have it.
        create: Whether to make the folder and the database if they are missing.
    """

    def __init__(self, home: Path, journal_mode: str | None = None, *, create: bool = True) -> None:
        self.home = home
        self.files = home / "tasks"
        self._locks = home / "locks"
        self._db = Database(
            home, journal_mode=journal_mode, create=create, folders=("tasks", "locks")
        )
        self._contents = TaskFiles(self.files, self._db)
        self.bell = Bell(self._locks / "bell")  # rings for each task that is submitted

    # Tasks

    def submit(
        self,
        task_id: str,
        resource: str,
        argument: str,
        content: bytes,
        *,
        seed: int | None = None,
        acquisition: str | None = None,
    ) -> None:
        """Add a task to the queue; an existing one is left unchanged.

        Args:
            task_id: Its id, a valid file name.
            resource: The resource's id.
            argument: The primitive's name, or the number of runs.
            content: The input or the sequence.
            seed: See `LocalSettings.seed`.
            acquisition: The token it is submitted under.

        Raises:
            NotAcquiredError: The acquisition belongs to another resource, or has ended.
            ServiceError: It could not be written, such as on a full disk; the task does not exist.
        """
        if self.task(task_id):
            return
        self._contents.write(task_id, "payload", content)
        try:
            with self._db.transaction() as db:
                if acquisition is not None:
                    self._check_acquisition(db, acquisition, resource)
                db.execute(
                    "INSERT OR IGNORE INTO tasks (id, resource, argument, seed, acquisition,"
                    " status, created) VALUES (?, ?, ?, ?, ?, 0, ?)",
                    (task_id, resource, argument, seed, acquisition, time.time()),
                )
        except NotAcquiredError:
            self._contents.discard(task_id, "payload")
            raise
        self.bell.ring()

    def task(self, task_id: str) -> StoredTask | None:
        """Return a task, None if it does not exist."""
        return next(iter(self.tasks([task_id])), None)

    def tasks(self, task_ids: Sequence[str]) -> list[StoredTask]:
        """Return those of the tasks that exist."""
        found: list[StoredTask] = []
        for start in range(0, len(task_ids), 500):  # SQLite limits the parameters of a statement
            part = task_ids[start : start + 500]
            marks = ",".join("?" * len(part))
            found += self._select(f"SELECT * FROM tasks WHERE id IN ({marks})", part)
        return found

    def tasks_of(self, resource: str) -> list[StoredTask]:
        """Return a resource's tasks, newest first."""
        return self._select(
            "SELECT * FROM tasks WHERE resource = ? ORDER BY number DESC", [resource]
        )

    def queue_position(self, task: StoredTask) -> int:
        """Return the number of queued tasks before this one."""
        with self._db.connected() as db:
            where = "status = 0 AND number < ?"
            row = db.execute(f"SELECT count(*) FROM tasks WHERE {where}", (task.number,)).fetchone()
        return int(row[0])

    def counts(self, resource: str | None = None) -> dict[TaskStatus, int]:
        """Return the numbers of tasks by state, of one resource or of all."""
        with self._db.connected() as db:
            rows = db.execute(
                "SELECT status, count(*) FROM tasks WHERE ?1 IS NULL OR resource = ?1"
                " GROUP BY status",
                (resource,),
            ).fetchall()
        return dict.fromkeys(TaskStatus, 0) | {TaskStatus(row[0]): row[1] for row in rows}

    def pending(self) -> dict[str, int]:
        """Return the numbers of queued tasks by resource."""
        with self._db.connected() as db:
            return dict(
                db.execute("SELECT resource, count(*) FROM tasks WHERE status = 0 GROUP BY 1")
            )

    def path(self, task: StoredTask, content: str) -> Path:
        """Return the path of a task's ``payload``, ``result`` or ``log``."""
        return self._contents.path(task.id, content)

    def stop(self, task_id: str) -> None:
        """Cancel a task, with the process that executes it; one that has ended is left alone."""
        with self._db.transaction() as db:
            self._settle(db)
            task = one(db, "SELECT * FROM tasks WHERE id = ?", task_id)
            if task is None or task.status not in (_Q, _R):
                return
            if task.status is _R and task.pid:
                # It cannot have gone on to another task, since that takes a transaction; nor can
                # the number be another process's, since its watcher reaps it after settling.
                with suppress(ProcessLookupError):
                    os.killpg(task.pid, signal.SIGKILL)
            end(db, task.id, TaskStatus.Cancelled, "stopped on request")
        self._contents.discard(task.id, "payload")

    def settle(self, pid: int | None = None, reason: str = _GONE) -> int:
        """Let the tasks of dead workers fail, and return their number.

        Args:
            pid: An executing process that is dead, whose tasks alone are meant.
            reason: Why they fail.
        """
        with self._db.transaction() as db:
            return self._settle(db, pid, reason)

    # What workers need

    def free_slots(self, slots: int, resources: Collection[str]) -> dict[int, int]:
        """Take the locks of the slots that lack a worker, and return their descriptors by slot.

        Args:
            slots: The number of workers at most.
            resources: Those that the workers could serve.
        """
        free: dict[int, int] = {}
        if not resources:
            return free
        try:
            with self._db.transaction() as db:
                self._settle(db)
                queued, running = (
                    db.execute(f"SELECT count(*) FROM tasks WHERE {which}", values).fetchone()[0]
                    for which, values in (
                        (f"status = 0 AND {among(resources)}", tuple(resources)),
                        ("status = 1", ()),
                    )
                )
                for slot in range(slots):
                    if (lock := lock_file(self._slot(slot))) is not None:
                        free[slot] = lock
                idle = max(0, slots - len(free) - running)
                while len(free) > max(0, queued - idle):
                    os.close(free.popitem()[1])
        except BaseException:
            for lock in free.values():
                os.close(lock)
            raise
        return free

    def take_slot(self, slot: int) -> int | None:
        """Take one slot again: its lock's descriptor, None if another worker has it."""
        with self._db.transaction() as db:
            self._settle(db)
            return lock_file(self._slot(slot))

    def claim(self, slot: int, pid: int, resources: Collection[str]) -> StoredTask | None:
        """Take the next task that may run, and return it, None without one.

        Args:
            slot: The worker's slot.
            pid: The executing process, leader of a process group.
            resources: Those that the process can serve.
        """
        if not resources:
            return None
        with self._db.transaction() as db:
            self._expire(db)
            task = one(db, NEXT.format(among=among(resources)), *resources)
            if task is None:
                return None
            db.execute(
                "UPDATE tasks SET status = 1, slot = ?, pid = ?, started = ? WHERE id = ?",
                (slot, pid, time.time(), task.id),
            )
            return one(db, "SELECT * FROM tasks WHERE id = ?", task.id)

    def complete(self, task: StoredTask, result: bytes) -> bool:
        """Keep the result; False if the task was taken away meanwhile.

        Raises:
            ServiceError: It could not be written.
        """
        self._contents.write(task.id, "result", result)
        completed = self._finish(task, TaskStatus.Completed, None)
        if not completed:
            self._contents.discard(task.id, "result")
        return completed

    def fail(self, task: StoredTask, reason: str) -> bool:
        """Note why the task failed; False if it was taken away meanwhile."""
        return self._finish(task, TaskStatus.Failed, reason)

    # Acquisitions

    def acquire(
        self, resource: str, *, exclusive: bool, holders: int, lease_seconds: float | None
    ) -> str:
        """Hold a resource and return the token.

        Args:
            resource: The resource's id.
            exclusive: True if nobody else may hold it or run tasks.
            holders: The largest number of holders at the same time if not.
            lease_seconds: Seconds that it lasts; None for as long as this process lives.

        Raises:
            ResourceBusyError: It is held by others.
        """
        token = uuid.uuid4().hex
        try:
            with self._db.transaction() as db:
                self._expire(db)
                held = db.execute(
                    "SELECT count(*), coalesce(max(exclusive), 0) FROM acquisitions"
                    " WHERE resource = ?",
                    (resource,),
                ).fetchone()
                if held[1] or held[0] >= (1 if exclusive else holders):
                    by = "exclusively" if held[1] else f"by {held[0]} others"
                    raise ResourceBusyError(f"{resource} is held {by}")
                expires = None
                if lease_seconds is None:
                    lock = lock_file(self._locks / token)
                    assert lock is not None  # nobody else knows the token
                    locks.keep(token, lock)
                else:
                    expires = time.time() + lease_seconds
                db.execute(
                    "INSERT INTO acquisitions VALUES (?, ?, ?, ?)",
                    (token, resource, exclusive, expires),
                )
        except BaseException:
            self._unlock(token)
            raise
        return token

    def release(self, resource: str, token: str, *, cancel_pending: bool) -> None:
        """End an acquisition of a resource; one that has ended already is not an error.

        Args:
            resource: The resource's id.
            token: The token of the acquisition.
            cancel_pending: True to cancel the tasks queued under it.
        """
        ids: list[str] = []
        with self._db.transaction() as db:
            self._end_acquisition(db, token, resource)
            if cancel_pending:
                rows = db.execute(
                    "SELECT id FROM tasks WHERE status = 0 AND acquisition = ? AND resource = ?",
                    (token, resource),
                )
                ids = [row[0] for row in rows]
                for task_id in ids:
                    end(db, task_id, TaskStatus.Cancelled, "its acquisition was released")
        for task_id in ids:
            self._contents.discard(task_id, "payload")

    def used(self, resource: str, token: str) -> tuple[int, float]:
        """Return the number of tasks of an acquisition, and the seconds that they ran."""
        with self._db.connected() as db:
            tasks, seconds = db.execute(
                "SELECT count(*), total(max(finished - started, 0)) FROM tasks"
                " WHERE acquisition = ? AND resource = ?",
                (token, resource),
            ).fetchone()
        return tasks, seconds

    def held_exclusively(self, resource: str) -> bool:
        """Return True if an acquisition keeps everybody else from the resource."""
        with self._db.transaction() as db:
            self._expire(db)
            row = db.execute(
                "SELECT 1 FROM acquisitions WHERE resource = ? AND exclusive", (resource,)
            ).fetchone()
        return row is not None

    # Upkeep

    def make_home(self) -> None:
        """Make the folder.

        Raises:
            ConfigError: It cannot be made, or other users can read it.
            ServiceError: The disk is full, or the like.
        """
        with self.explained():
            self._db.make_home()

    def explained(self) -> AbstractContextManager[None]:
        """Return a context that names the folder and the remedy in errors of the system.

        Raises:
            ConfigError: The folder cannot be used.
            ServiceError: The disk is full, or anything else; `retryable` if that may pass.
        """
        return self._db.explained()

    def prune(self, older_than_seconds: float) -> int:
        """Delete the tasks that finished longer ago than this, and return their number."""
        before = time.time() - older_than_seconds
        with self._db.transaction() as db:
            rows = db.execute(
                "DELETE FROM tasks WHERE status >= 2 AND finished <= ? RETURNING id", (before,)
            ).fetchall()
        for (task_id,) in rows:
            self._contents.discard(task_id, *CONTENTS)
        with self.explained():
            self._contents.discard_orphans(lambda ids: {task.id for task in self.tasks(ids)})
        return len(rows)

    def journal_mode(self) -> str:
        """Return the database's journal mode, ``wal`` or ``delete``."""
        with self._db.connected() as db:
            return str(db.execute("PRAGMA journal_mode").fetchone()[0])

    def size(self) -> int:
        """Return the size on disk, in bytes."""
        total = 0
        for folder, _, names in os.walk(self.home):
            for name in names:
                with suppress(OSError):
                    total += os.stat(os.path.join(folder, name)).st_size
        return total

    def workers(self, slots: int) -> int:
        """Return the number of slots that have a worker."""
        with self._db.transaction():
            return sum(locks.is_held(self._slot(slot)) for slot in range(slots))

    def exists(self) -> bool:
        """Return True if there is a database, and not only a folder to be made."""
        return self._db.path.exists()

    def close(self) -> None:
        """Close this thread's connection; the store can be used again afterwards."""
        self._db.close()

    # Helpers

    def _finish(self, task: StoredTask, status: TaskStatus, reason: str | None) -> bool:
        with self._db.transaction() as db:
            mine = one(
                db, "SELECT * FROM tasks WHERE id = ? AND status = 1 AND pid = ?", task.id, task.pid
            )
            if mine:
                end(db, task.id, status, reason)
        self._contents.discard(task.id, "payload")
        return mine is not None

    def _settle(self, db: sqlite3.Connection, pid: int | None = None, reason: str = _GONE) -> int:
        running = db.execute(
            "SELECT id, slot FROM tasks WHERE status = 1 AND (?1 IS NULL OR pid = ?1)", (pid,)
        ).fetchall()
        slots = {slot for _, slot in running}
        dead = {slot for slot in slots if pid or not locks.is_held(self._slot(slot))}
        ids = [task_id for task_id, slot in running if slot in dead]
        for task_id in ids:
            end(db, task_id, TaskStatus.Failed, reason)
            # Of no use any more, even if this transaction comes to nothing.
            self._contents.discard(task_id, "payload")
        return len(ids)

    def _check_acquisition(self, db: sqlite3.Connection, token: str, resource: str) -> None:
        self._expire(db)
        if not db.execute(
            "SELECT 1 FROM acquisitions WHERE token = ? AND resource = ?", (token, resource)
        ).fetchone():
            raise NotAcquiredError(
                f"the acquisition of {resource} is not there: it was released, its time is over, "
                f"or it is not of the store in {self.home}; acquire the resource again"
            )

    def _expire(self, db: sqlite3.Connection) -> None:
        """End the acquisitions whose process or time has ended."""
        now = time.time()
        rows = db.execute("SELECT token, resource, expires FROM acquisitions").fetchall()
        for token, resource, expires in rows:
            if expires <= now if expires is not None else not locks.is_held(self._locks / token):
                self._end_acquisition(db, token, resource)

    def _end_acquisition(self, db: sqlite3.Connection, token: str, resource: str) -> None:
        # Only for a token that is known may its name be that of a file.
        if db.execute(
            "DELETE FROM acquisitions WHERE token = ? AND resource = ?", (token, resource)
        ).rowcount:
            self._unlock(token)

    def _unlock(self, token: str) -> None:
        locks.drop(token)
        with suppress(OSError):  # a file without a lock is as good as none
            (self._locks / token).unlink()

    def _slot(self, slot: int) -> Path:
        return self._locks / f"worker-{slot}"

    def _select(self, statement: str, parameters: Sequence[object]) -> list[StoredTask]:
        with self._db.connected() as db:
            return [StoredTask(*row) for row in db.execute(statement, parameters)]
