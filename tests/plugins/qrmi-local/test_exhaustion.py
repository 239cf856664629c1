"""Full disks, exhausted file tables and read-only folders, at every place where one can strike."""

from __future__ import annotations

import errno
import fcntl
import io
import os
import resource as limits
import sqlite3
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from qrmi_core import ConfigError, QrmiError, QuantumResource, ServiceError, TaskStatus
from qrmi_core.errors import DriverDefectError, SubmissionUncertainError, WaitTimeoutError
from qrmi_local.store import TaskStore

NOBODY = 2**22 + 1
PLACES = (
    *((os, name) for name in ("open", "mkdir", "pwrite", "fsync", "replace")),
    *((fcntl, "flock"), (io, "open"), (subprocess, "run")),
)
"""The functions of the system that can fail, of those that the store and the pool call."""


class Bench:
    """A resource of one store, with a task that is queued and one that has ended."""

    def __init__(self, aer: QuantumResource, home: Path, bell: Any) -> None:
        self.aer, self.bell = aer, bell
        self.store = TaskStore(home)
        self.ended, self.queued = str(uuid.uuid4()), str(uuid.uuid4())
        for task_id in (self.ended, self.queued):
            self.store.submit(task_id, "aer", "sampler", b"{}")
        task = self.store.claim(0, NOBODY, ["aer"])
        assert task
        self.store.complete(task, b'{"some": "result"}')
        self.store.path(task, "log").write_text("said")
        self.store.close()

    def start(self) -> None:
        """Submit: afterwards the task exists, or an error was raised, and not both."""
        before = {info.id for info in self.aer.task_list()}
        added: set[str] = set()
        try:
            added = {self.aer.task_start(self.bell)}
        finally:
            after = {task.id for task in self.store.tasks_of("aer")}
            self.store.close()
            assert after - before == added

    def acquire(self) -> None:
        token = self.aer.acquire(timeout=0)
        with suppress(QrmiError):
            self.aer.release(token)
        self.aer._driver.release(token, cancel_pending=False)

    def first(self) -> None:
        store = TaskStore(self.store.home / uuid.uuid4().hex)
        try:
            store.counts()
        finally:
            store.close()

    def read(self) -> None:
        assert self.aer.task_result(self.ended, timeout=0).value == '{"some": "result"}'

    def logs(self) -> None:
        assert self.aer.task_logs(self.ended) == "said"

    def calls(self) -> dict[str, Callable[[], object]]:
        return {
            "task_start": self.start,
            "task_status": lambda: self.aer.task_status(self.queued),
            "task_statuses": lambda: self.aer._driver.task_statuses([self.queued, self.ended]),
            "task_list": self.aer.task_list,
            "task_result": self.read,
            "task_logs": self.logs,
            "task_stop": lambda: self.aer.task_stop(self.ended),
            "task_usage": lambda: self.aer.task_usage(self.ended),
            "status": self.aer.status,
            "acquire": self.acquire,
            "prune": lambda: self.aer._driver._store.prune(3600),
            "size": lambda: self.aer._driver._store.size(),
            "first use": self.first,
        }


NAMES = (
    *("task_start", "task_status", "task_statuses", "task_list", "task_result", "task_logs"),
    *("task_stop", "task_usage", "status", "acquire", "prune", "size"),
    "first use",
)


@pytest.fixture
def bench(make_resource, home: Path, bell, monkeypatch: pytest.MonkeyPatch) -> Bench:
    def run(*_arguments: object, pass_fds: list[int], **_named: object) -> None:
        os.ftruncate(pass_fds[0], 0)  # as a worker does that has started well

    monkeypatch.setattr(subprocess, "run", run)
    made = Bench(make_resource(QRMI_LOCAL_SLOTS="3"), home, bell)
    for name, call in made.calls().items():  # whatever is imported late is imported now
        call()
        assert name in NAMES
    return made


def descriptors() -> list[str]:
    """Return the names of the open files."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            found.append(os.readlink(f"/proc/self/fd/{name}"))
    return sorted(found)


@contextmanager
def typed(bench: Bench, *kinds: type[QrmiError]) -> Iterator[list[QrmiError]]:
    """Let the block raise nothing but errors of these kinds, and leave no file open."""
    raised: list[QrmiError] = []
    bench.aer.close()  # so that the database is opened anew
    before = descriptors()
    try:
        yield raised
    except QrmiError as error:
        assert isinstance(error, kinds), repr(error)
        assert not isinstance(error, DriverDefectError | SubmissionUncertainError), repr(error)
        raised.append(error)
    bench.aer.close()
    assert descriptors() == before


class Fault:
    """An error of the system, raised by one of several functions in place of one of its calls."""

    def __init__(self, number: int, failing: int) -> None:
        self.number, self.failing, self.calls = number, failing, 0

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            self.calls += 1
            if self.calls == self.failing:
                raise OSError(self.number, os.strerror(self.number))
            return function(*arguments, **named)

        return call


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EMFILE, errno.EROFS, errno.EIO])
def test_whatever_fails_is_a_typed_error_and_leaves_nothing_open(
    bench: Bench, name: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = ConfigError if number == errno.EROFS else ServiceError
    for failing in range(1, 100):
        fault = Fault(number, failing)
        with typed(bench, kind) as raised, monkeypatch.context() as broken:
            for module, place in PLACES:
                if module is subprocess and number == errno.EROFS:
                    continue  # a start writes nothing
                broken.setattr(module, place, fault.wrap(getattr(module, place)))
            bench.calls()[name]()
        for error in raised:
            assert error.retryable == (number != errno.EROFS)
        if fault.calls < failing:
            return
    raise AssertionError("it never ended")


@pytest.mark.parametrize("name", NAMES)
def test_a_full_file_table_is_a_typed_error(bench: Bench, name: str) -> None:
    soft, hard = limits.getrlimit(limits.RLIMIT_NOFILE)
    failures = 0
    for more in range(12):
        with typed(bench, ServiceError) as raised:
            next_one = os.dup(0)
            os.close(next_one)
            limits.setrlimit(limits.RLIMIT_NOFILE, (next_one + more, hard))
            try:
                bench.calls()[name]()
            finally:
                limits.setrlimit(limits.RLIMIT_NOFILE, (soft, hard))
        assert all(error.retryable for error in raised)
        failures += len(raised)
    assert failures > 0 or name in ("size", "status")


def test_an_acquisition_that_cannot_be_noted_holds_nothing(bench: Bench) -> None:
    db = sqlite3.connect(bench.store.home / "store.db")
    db.execute(
        "CREATE TRIGGER full BEFORE INSERT ON acquisitions BEGIN SELECT RAISE(FAIL, 'full'); END"
    )
    db.close()
    locks = bench.store.home / "locks"
    before = sorted(locks.iterdir())
    with typed(bench, ServiceError) as raised:
        bench.aer.acquire(timeout=0)
    assert raised
    assert sorted(locks.iterdir()) == before


def test_a_simulator_that_cannot_be_loaded_now_is_a_typed_error(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(_resource: str) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr("qrmi_local.engines.qiskit.known", exhausted)
    for name in ("task_start", "task_status", "status"):
        with typed(bench, ServiceError) as raised:
            bench.calls()[name]()
        assert raised or name == "status"


@pytest.mark.slow
def test_a_task_is_executed_when_the_disk_has_room_again(
    make_resource, bell, monkeypatch: pytest.MonkeyPatch
) -> None:
    aer = make_resource()

    def full(*_arguments: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as broken:
        broken.setattr(os, "pwrite", full)
        task = aer.run(bell)
        with pytest.raises(ServiceError, match="no space left for the store"):
            task.status()
        with pytest.raises(WaitTimeoutError, match="no space left for the store"):
            task.wait(0.5)
        assert "no space left" in (aer.status().status_reason or "")
    assert task.wait(60) is TaskStatus.Completed
