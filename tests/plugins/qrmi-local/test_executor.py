"""The executor: tasks of programs that need no resource."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qrmi_core import ConfigError, TaskStatus
from qrmi_core.payload import read_content
from qrmi_local.executor import Executor, LocalSettings, StoredTask


def executor_in(home: Path) -> Executor:
    return Executor(LocalSettings(home=home, slots=1, idle_seconds=30.0))


def look(executor: Executor, task_id: str) -> StoredTask:
    (task,) = executor.look([task_id])
    return task


@pytest.mark.slow
def test_a_task_is_executed_once_workers_are_started(
    home: Path, bell: Any, until: Callable[..., Any]
) -> None:
    executor = executor_in(home)
    assert not home.exists()
    assert executor.look(["first"]) == []
    executor.submit("first", "aer", "sampler", read_content(bell.input), seed=1)
    executor.submit("first", "aer", "sampler", b"another")
    assert look(executor, "first").status is TaskStatus.Queued
    assert not executor.result_path("first").exists()
    executor.start_workers()
    until(lambda: look(executor, "first").status is TaskStatus.Completed, 60)
    assert "results" in json.dumps(json.loads(executor.result_path("first").read_bytes()))
    assert executor.log_path("first").exists()
    assert [task.id for task in executor.tasks_of("aer")] == ["first"]
    executor.close()


@pytest.mark.slow
def test_a_task_is_cancelled_and_one_whose_worker_dies_fails(
    home: Path, slow: Any, until: Callable[..., Any]
) -> None:
    executor = executor_in(home)
    content = read_content(slow.input)
    executor.submit("running", "aer", "sampler", content)
    executor.submit("queued", "aer", "sampler", content)
    executor.start_workers()
    until(lambda: look(executor, "running").is_running, 60)
    executor.cancel("queued")
    assert look(executor, "queued").status is TaskStatus.Cancelled
    pid = look(executor, "running").pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    until(lambda: look(executor, "running").status is TaskStatus.Failed, 10)
    executor.cancel("running")
    assert look(executor, "running").status is TaskStatus.Failed
    executor.close()


def test_a_folder_of_others_is_refused(home: Path) -> None:
    home.mkdir(mode=0o755)
    with pytest.raises(ConfigError, match="chmod 700"):
        executor_in(home).make_folder()


def test_polls_of_a_running_task_seldom_search_for_dead_workers(
    home: Path, until: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = executor_in(home)
    executor.submit("one", "aer", "sampler", b"")
    store = executor._store
    lock = store.take_slot(0)
    assert lock is not None
    assert store.claim(0, os.getpid(), ["aer"])
    searches: list[int] = []
    monkeypatch.setattr(store, "settle", lambda: searches.append(1))
    monkeypatch.setattr("qrmi_local.executor._SETTLE_SECONDS", 1e6)
    for _ in range(50):
        assert look(executor, "one").is_running
    assert len(searches) == 1
    monkeypatch.undo()
    os.close(lock)
    other = executor_in(home)
    until(lambda: look(other, "one").status is TaskStatus.Failed, 10)
    other.close()
    executor.close()
