"""Making a store, by several processes at once or after one that was killed, and cleaning it."""

from __future__ import annotations

import fcntl
import os
import signal
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from qrmi_core import TaskStatus
from qrmi_local import database
from qrmi_local.store import TaskStore

HOUR = 3600


def submit(store: TaskStore, task_id: str) -> None:
    store.submit(task_id, "aer", "sampler", b"{}")


# The journal


@pytest.mark.parametrize(("network", "mode"), [(True, "delete"), (False, "wal")])
def test_a_new_store_has_the_journal_of_its_file_system(
    home: Path, monkeypatch: pytest.MonkeyPatch, network: bool, mode: str
) -> None:
    monkeypatch.setattr(database, "on_network", lambda folder: network and folder == home)
    assert TaskStore(home).journal_mode() == mode


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_the_journal_that_was_asked_for_counts_on_every_file_system(
    home: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setattr(database, "on_network", lambda _folder: mode == "wal")
    assert TaskStore(home, journal_mode=mode).journal_mode() == mode


# Two processes, and processes that were killed


def test_what_another_process_makes_meanwhile_is_used(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited = []

    def flock(descriptor: int, operation: int) -> None:
        waited.append(operation)
        monkeypatch.undo()
        submit(TaskStore(home), "of the other process")  # which had the lock before
        fcntl.flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    store = TaskStore(home)
    submit(store, "ours")
    assert waited == [fcntl.LOCK_EX]
    assert {task.id for task in store.tasks_of("aer")} == {"of the other process", "ours"}


def _only_the_folder(home: Path) -> None:
    home.mkdir(mode=0o700)


def _without_locks(home: Path) -> None:
    TaskStore(home).make_home()
    (home / "locks").rmdir()


def _without_tasks(home: Path) -> None:
    TaskStore(home).make_home()
    (home / "tasks").rmdir()


def _an_empty_database(home: Path) -> None:
    _only_the_folder(home)
    (home / "store.db").touch(mode=0o600)


def _a_database_without_tables(home: Path) -> None:
    _an_empty_database(home)
    (home / "setup.lock").touch(mode=0o600)
    db = sqlite3.connect(home / "store.db")
    db.execute("PRAGMA journal_mode = wal")
    db.close()


@pytest.mark.parametrize(
    "part",
    [
        *(_only_the_folder, _without_locks, _without_tasks),
        *(_an_empty_database, _a_database_without_tables),
    ],
)
def test_a_store_that_was_made_in_part_is_completed(
    home: Path, part: Callable[[Path], None]
) -> None:
    part(home)
    store = TaskStore(home)
    submit(store, "t")
    (lock,) = store.free_slots(1, ["aer"]).values()
    os.close(lock)
    assert store.counts()[TaskStatus.Queued] == 1
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (home, *home.iterdir())}
    assert modes == {0o700, 0o600}


# Files that a killed writer leaves


def _killed_while_it_writes(store: TaskStore) -> None:
    store.close()
    child = os.fork()
    if child == 0:
        try:
            os.fsync = lambda _descriptor: os.kill(os.getpid(), signal.SIGKILL)
            submit(store, "lost")
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def _killed_before_the_task_was_queued(store: TaskStore) -> None:
    store._contents.write("lost", "payload", b"{}")


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("killed", [_killed_while_it_writes, _killed_before_the_task_was_queued])
def test_what_a_killed_writer_has_left_is_deleted_when_it_is_old(
    home: Path, killed: Callable[[TaskStore], None]
) -> None:
    store = TaskStore(home)
    submit(store, "queued")
    killed(store)
    (left,) = {path.name for path in store.files.iterdir()} - {"queued.payload"}
    assert store.task("lost") is None
    store.prune(HOUR)
    assert (store.files / left).exists(), "its writer may be at work still"
    for path in store.files.iterdir():
        os.utime(path, (0, 0))
    store.prune(HOUR)
    assert [path.name for path in store.files.iterdir()] == ["queued.payload"]


def test_a_file_that_cannot_be_deleted_keeps_no_other(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = TaskStore(home)
    store.counts()
    for name in ("a", "b", "c"):
        (store.files / name).touch()
        os.utime(store.files / name, (0, 0))
    unlink = os.unlink

    def stubborn(path: str | Path, **named: int) -> None:
        if Path(path).name == "b":
            raise PermissionError(1, "Operation not permitted", str(path))
        unlink(path, **named)

    monkeypatch.setattr(os, "unlink", stubborn)
    store.prune(HOUR)
    assert [path.name for path in store.files.iterdir()] == ["b"]
