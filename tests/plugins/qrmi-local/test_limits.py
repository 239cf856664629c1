"""Limits of time and memory, which end a task and no other."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qrmi_core import TaskStatus
from qrmi_core.payload import read_content
from qrmi_local.executor import Executor, Limits, LocalSettings, StoredTask
from qrmi_local.limits import Guard

# Less than a process with a loaded simulator has.
LITTLE = 50 * 2**20


def executor_in(home: Path, limits: Limits | None) -> Executor:
    return Executor(LocalSettings(home=home, slots=1, idle_seconds=30.0), limits)


def state_of(executor: Executor, task_id: str) -> StoredTask:
    (task,) = executor.look([task_id])
    return task


@pytest.mark.slow
@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(seconds=1.0), "it ran longer than the 1 s that a task may"),
        (
            Limits(seconds=100.0, memory_bytes=LITTLE),
            "it needed more than the 50 MiB of memory that a task may",
        ),
    ],
)
def test_a_task_that_exceeds_a_limit_fails_with_it_and_the_next_one_runs(
    home: Path, slow: Any, bell: Any, until: Callable[..., Any], limits: Limits, reason: str
) -> None:
    executor = executor_in(home, limits)
    executor.submit("greedy", "aer", "sampler", read_content(slow.input))
    executor.start_workers()
    until(lambda: state_of(executor, "greedy").status is TaskStatus.Failed, 60)
    task = state_of(executor, "greedy")
    assert task.reason == reason
    assert task.started
    assert task.finished
    assert task.finished - task.started < 30
    # Its limits hold for all that follow.
    other = executor_in(home, Limits(seconds=100.0, memory_bytes=2**40))
    other.submit("modest", "aer", "sampler", read_content(bell.input))
    other.start_workers()
    until(lambda: state_of(other, "modest").status is TaskStatus.Completed, 60)
    other.close()
    executor.close()


def test_the_time_after_a_task_counts_for_no_task(home: Path) -> None:
    home.mkdir()
    Limits(seconds=0.1).write(home)
    guard = Guard(home)
    child = os.fork()
    if child == 0:
        with guard.limiting():
            pass
        time.sleep(0.3)
        os._exit(0)
    assert guard.wait(child) is None
    assert os.waitpid(child, 0)[1] == 0


def test_limits_are_written_once_there_is_a_store(home: Path) -> None:
    executor = executor_in(home, Limits(seconds=5.0))
    executor.start_workers()
    assert Limits.read(home) == Limits()
    executor.submit("one", "unknown", "sampler", b"")
    executor.start_workers()
    assert Limits.read(home) == Limits(seconds=5.0)
    executor_in(home, None).start_workers()
    assert Limits.read(home) == Limits()
    executor.close()
