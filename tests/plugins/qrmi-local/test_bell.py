"""The bell by which a submission wakes a worker that waits."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from qrmi_local import worker
from qrmi_local.bell import Bell
from qrmi_local.limits import Guard
from qrmi_local.store import StoredTask, TaskStore

LONG = 60.0


def seconds_of(bell: Bell, longest: float) -> float:
    start = time.monotonic()
    bell.wait(longest)
    return time.monotonic() - start


@pytest.fixture
def bell(tmp_path: Path) -> Bell:
    made = Bell(tmp_path / "bell")
    made.wait(0)
    return made


def test_a_ring_ends_a_wait_and_the_next_one_lasts_its_time(bell: Bell) -> None:
    assert seconds_of(bell, 0.05) >= 0.04
    for _ in range(3):
        bell.ring()
    assert seconds_of(bell, LONG) < LONG / 2
    assert seconds_of(bell, 0.05) >= 0.04


def test_a_ring_that_another_hears_first_harms_nobody(bell: Bell, tmp_path: Path) -> None:
    other = Bell(tmp_path / "bell")
    other.wait(0)
    bell.ring()
    assert seconds_of(bell, LONG) < LONG / 2
    assert seconds_of(other, 0.05) >= 0.04


def test_nothing_happens_where_nobody_listens_or_hears(bell: Bell, tmp_path: Path) -> None:
    Bell(tmp_path / "none").ring()
    assert not (tmp_path / "none").exists()
    os.mkfifo(tmp_path / "left")
    Bell(tmp_path / "left").ring()
    assert bell._pipe
    with pytest.raises(BlockingIOError):
        while True:
            os.write(bell._pipe, bytes(4096))
    bell.ring()


def test_without_a_pipe_a_wait_lasts_its_time(tmp_path: Path) -> None:
    assert seconds_of(Bell(tmp_path / "missing" / "bell"), 0.05) >= 0.04


def test_a_file_in_place_of_the_pipe_is_neither_heard_nor_written(tmp_path: Path) -> None:
    (tmp_path / "bell").write_text("kept")
    bell = Bell(tmp_path / "bell")
    bell.ring()
    assert seconds_of(bell, 0.05) >= 0.04
    assert (tmp_path / "bell").read_text() == "kept"


def test_an_idle_worker_takes_a_task_at_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = TaskStore(home)
    ran: list[str] = []

    def execute(_store: TaskStore, task: StoredTask) -> bool:
        ran.append(task.id)
        return False

    def submit() -> None:
        while not (home / "locks" / "bell").exists():
            time.sleep(0.001)
        store.submit("late", "aer", "sampler", b"{}")
        store.close()

    monkeypatch.setattr(worker, "_execute", execute)
    monkeypatch.setattr(worker, "_warm_up", lambda _resource: None)
    monkeypatch.setattr(worker, "_PAUSE_SECONDS", LONG)
    store.make_home()
    store.counts()
    submitter = threading.Thread(target=submit)
    submitter.start()
    start = time.monotonic()
    worker._execute_tasks(store, 0, os.getppid(), Guard(home), LONG, LONG)
    submitter.join()
    assert ran == ["late"]
    assert time.monotonic() - start < LONG / 2
    store.close()
