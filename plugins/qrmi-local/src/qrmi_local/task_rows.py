"""The rows of the store's table of tasks."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection

import attrs

from qrmi_core.plugin import TaskStatus

# The oldest task that no acquisition of another holds up. Whoever holds the resource exclusively
# waits for the tasks of others that were running already.
NEXT = """
SELECT * FROM tasks AS task WHERE status = 0 AND {among} AND NOT EXISTS (
    SELECT 1 FROM acquisitions AS held
    WHERE held.resource = task.resource AND held.exclusive AND (
        held.token IS NOT task.acquisition OR EXISTS (
            SELECT 1 FROM tasks AS other WHERE other.status = 1
            AND other.resource = task.resource AND other.acquisition IS NOT held.token
        )
    )
) ORDER BY number LIMIT 1
"""


@attrs.frozen
class StoredTask:
    """A task as the database has it.

    Args:
        number: Its place in the order of submission.
        id: Its id.
        resource: The resource's id.
        argument: The primitive's name, or the number of runs.
        seed: See `LocalSettings.seed`.
        acquisition: The token it was submitted under.
        status: Its state.
        reason: Why it failed or was cancelled.
        slot: The worker that executes or executed it.
        pid: That worker's executing process.
        created: When it was submitted, seconds since the epoch, as are the next two.
        started: When its execution began.
        finished: When it ended.
    """

    number: int
    id: str
    resource: str
    argument: str
    seed: int | None
    acquisition: str | None
    status: TaskStatus = attrs.field(converter=TaskStatus)
    reason: str | None
    slot: int | None
    pid: int | None
    created: float
    started: float | None
    finished: float | None

    @property
    def is_running(self) -> bool:
        """True while a worker executes the task."""
        return self.status is TaskStatus.Running


def among(resources: Collection[str]) -> str:
    """Return the condition of SQL that a row is of one of some resources."""
    return f"resource IN ({','.join('?' * len(resources))})"


def one(db: sqlite3.Connection, statement: str, *parameters: object) -> StoredTask | None:
    """Return the first row of a query, None without a row."""
    row = db.execute(statement, parameters).fetchone()
    return StoredTask(*row) if row else None


def end(db: sqlite3.Connection, task_id: str, status: TaskStatus, reason: str | None) -> None:
    """Let a task that has not ended end."""
    db.execute(
        "UPDATE tasks SET status = ?, reason = ?, finished = ? WHERE id = ? AND status < 2",
        (status, reason, time.time(), task_id),
    )
