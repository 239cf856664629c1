"""Notes of a driver about tasks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

from qrmi_core.locks import Lock

_NoteT = TypeVar("_NoteT")


class TaskNotes(Generic[_NoteT]):
    """Notes about tasks, keyed by the task's id (or the submission's tag), oldest first.

    For facts that the vendor's service does not report: a slot to free, an id without a tag. Notes
    may be used from many threads and after a fork. They are a cache: the oldest note is dropped
    when there are more than `limit`, and none outlives the process.

    Args:
        limit: The largest number of notes kept.
    """

    def __init__(self, limit: int = 10_000) -> None:
        self._limit = limit
        self._notes: dict[str, _NoteT] = {}
        self._lock = Lock()

    def __setitem__(self, task_id: str, note: _NoteT) -> None:
        with self._lock:
            self._notes[task_id] = note
            if len(self._notes) > self._limit:
                del self._notes[next(iter(self._notes))]

    def __contains__(self, task_id: str) -> bool:
        return task_id in self._notes

    def __len__(self) -> int:
        return len(self._notes)

    def __iter__(self) -> Iterator[str]:
        """Iterate over a snapshot of the ids, oldest first."""
        with self._lock:
            return iter(list(self._notes))

    def items(self) -> list[tuple[str, _NoteT]]:
        """Return a snapshot of the notes, oldest first."""
        with self._lock:
            return list(self._notes.items())

    def get(self, task_id: str) -> _NoteT | None:
        """Return the note of a task, None without one."""
        return self._notes.get(task_id)

    def pop(self, task_id: str) -> _NoteT | None:
        """Remove and return the note of a task, None without one: one thread alone gets it."""
        with self._lock:
            return self._notes.pop(task_id, None)
