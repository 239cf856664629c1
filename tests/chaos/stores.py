"""The contents of the emulator and of the local store, read from their databases."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import attrs

from chaos.programs import mark_of
from qrmi_local.store import TaskStore

_TYPES: Final = {
    "ibm-runtime": "ibm-quantum-compute-service",
    "ibm-da": "ibm-quantum-system",
    "pasqal-cloud": "pasqal-cloud",
    "pasqal-local": "pasqal-local",
    "coin": "coin",
}
"""The type of resource of each face."""
_FINAL: Final = 2
"""The first of the final states."""


@attrs.frozen
class Held:
    """A task that a store holds.

    Args:
        resource_type: The type of its resource.
        id: Its id.
        client: The number of its client, None if unknown.
        number: Its number among the client's tasks, None if unknown.
        ended: True if its state is final.
    """

    resource_type: str
    id: str
    client: int | None
    number: int | None
    ended: bool


@attrs.frozen
class Contents:
    """The contents of the stores.

    Args:
        tasks: The tasks.
        results: The ids of tasks with a result in the object store.
        sessions: The types and tokens of the sessions that are open.
    """

    tasks: list[Held]
    results: set[str]
    sessions: list[tuple[str, str]]

    @property
    def pending(self) -> list[Held]:
        """The tasks that have not ended."""
        return [task for task in self.tasks if not task.ended]


def contents(emulator: Path, local: Path) -> Contents:
    """Read the contents of the stores.

    Args:
        emulator: The folder of the emulator's state.
        local: The folder of the local store.
    """
    objects = dict(_objects(emulator / "objects.db"))
    tasks, sessions = [], []
    batches: dict[str, list[bool]] = {}
    for kind, face, record in _records(emulator / "emulator.db"):
        resource_type = _TYPES[face]
        text = _text(emulator / "inputs" / record["id"])
        if face == "ibm-da":
            text = objects.get(f"input_{record['name']}.json", "")
        client, number = mark_of(text) or (None, None)
        if kind == "job" and face == "pasqal-cloud":
            batches.setdefault(record["session"], []).append(record["status"] >= _FINAL)
        elif kind == "job":
            ended = record["status"] >= _FINAL
            tasks.append(Held(resource_type, record["name"], client, number, ended))
        elif face == "pasqal-cloud":
            tasks.append(Held(resource_type, record["id"], client, number, True))
        elif record["closed"] is None and record.get("revoked") is None:
            sessions.append((resource_type, record["id"]))
    tasks = [
        attrs.evolve(task, ended=task.ended and all(batches.get(task.id, ()))) for task in tasks
    ]
    results = {name[8:-5] for name in objects if name.startswith("results_")}
    tasks += _local_tasks(local)
    sessions += _local_sessions(local)
    return Contents(tasks, results, sessions)


def _records(path: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for kind, face, body in _rows(path, "SELECT kind, face, body FROM records ORDER BY number"):
        if kind in ("job", "session"):
            yield kind, face, json.loads(body)


def _objects(path: Path) -> Iterator[tuple[str, str]]:
    for name, content in _rows(path, "SELECT name, content FROM objects"):
        yield name, bytes(content).decode(errors="replace")


def _local_tasks(home: Path) -> Iterator[Held]:
    # A client's number is the seed of its resource, since the store drops the program of a task.
    for task_id, seed, status in _rows(home / "store.db", "SELECT id, seed, status FROM tasks"):
        yield Held("local", task_id, seed, None, status >= _FINAL)


def _local_sessions(home: Path) -> Iterator[tuple[str, str]]:
    if not (home / "store.db").exists():
        return
    store = TaskStore(home)
    store.held_exclusively("aer")  # This closes sessions whose process or lifetime has ended.
    store.close()
    for (token,) in _rows(home / "store.db", "SELECT token FROM acquisitions"):
        yield "local", token


def _rows(path: Path, statement: str) -> list[tuple[Any, ...]]:
    if not path.exists():
        return []
    with closing(sqlite3.connect(path, timeout=20)) as database:
        return database.execute(statement).fetchall()


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""
