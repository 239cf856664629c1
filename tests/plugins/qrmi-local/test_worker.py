"""Worker processes: started on demand, stopped and killed without harm to the queue."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from qrmi_core import QuantumResource, TaskStatus, wait
from qrmi_core.errors import ServiceError, TaskFailedError
from qrmi_core.payload import read_content
from qrmi_local import pool, worker
from qrmi_local.limits import Guard
from qrmi_local.settings import LocalSettings
from qrmi_local.store import StoredTask, TaskStore
from support.processes import said

pytestmark = pytest.mark.slow


def stored(home: Path, task_id: str) -> StoredTask:
    store = TaskStore(home)
    try:
        task = store.task(task_id)
    finally:
        store.close()
    assert task
    return task


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def workers_of(home: Path) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found += [path.parent.name] * (os.fsencode(home) in path.read_bytes().split(b"\0"))
    return found


@pytest.fixture
def running(make_resource, slow, until):
    """A resource with one place, and a task that runs in it."""
    aer = make_resource(QRMI_LOCAL_SLOTS="1")
    task = aer.run(slow)
    until(lambda: task.status() is TaskStatus.Running)
    return aer, task


def test_a_running_task_is_cancelled_within_two_seconds(running, home, until, bell) -> None:
    aer, task = running
    pid = stored(home, task.id).pid
    assert pid
    next_task = aer.run(bell)
    start = time.monotonic()
    task.stop()
    assert task.status() is TaskStatus.Cancelled
    until(lambda: is_gone(pid), 2)
    assert time.monotonic() - start < 2
    assert next_task.wait(60) is TaskStatus.Completed, "its place is filled"


def test_a_queued_task_is_cancelled_within_two_seconds(running, home, slow) -> None:
    aer, task = running
    queued = aer.run(slow)
    assert queued.status() is TaskStatus.Queued
    start = time.monotonic()
    queued.stop()
    assert queued.status() is TaskStatus.Cancelled
    assert time.monotonic() - start < 2
    assert task.status() is TaskStatus.Running, "the other one goes on"


@pytest.mark.parametrize("name", ["SIGKILL", "SIGSEGV", "SIGTERM", "SIGABRT"])
def test_a_task_whose_worker_dies_fails_with_the_signal_and_the_next_one_runs(
    running, home, bell, name: str, until
) -> None:
    aer, task = running
    next_task = aer.run(bell)
    pid = stored(home, task.id).pid
    assert pid
    os.kill(pid, signal.Signals[name])
    until(lambda: stored(home, task.id).status is TaskStatus.Failed, 5)
    assert task.wait(5) is TaskStatus.Failed
    with pytest.raises(TaskFailedError, match=name):
        task.result(0)
    # Without a look from us: the watcher fills the place.
    until(lambda: stored(home, next_task.id).status is TaskStatus.Completed, 60)
    if name == "SIGSEGV":
        assert "Segmentation fault" in task.logs()


def test_a_task_whose_worker_and_watcher_die_fails_at_the_next_look(running, home, until) -> None:
    aer, task = running
    pid = stored(home, task.id).pid
    assert pid
    for victim in (parent_of(pid), pid):
        os.kill(victim, signal.SIGKILL)
    # Its lock goes with the last of its threads.
    until(lambda: [info.status for info in aer.task_list()] == [TaskStatus.Failed], 5)
    assert task.wait(5) is TaskStatus.Failed
    with pytest.raises(TaskFailedError, match="gone without a word"):
        task.result(0)


def test_a_task_goes_on_when_only_the_watcher_dies(running, home, until, bell) -> None:
    aer, task = running
    pid = stored(home, task.id).pid
    assert pid
    watcher = parent_of(pid)
    os.kill(watcher, signal.SIGKILL)
    until(lambda: is_gone(watcher), 5)
    assert task.status() is TaskStatus.Running
    task.stop()
    until(lambda: is_gone(pid), 2)
    assert aer.run(bell).wait(60) is TaskStatus.Completed


def test_no_more_tasks_run_than_there_are_slots(make_resource, slow, until) -> None:
    aer = make_resource(QRMI_LOCAL_SLOTS="2")
    tasks = [aer.run(slow) for _ in range(4)]
    until(lambda: [task.status() for task in tasks].count(TaskStatus.Running) == 2)
    assert [task.status() for task in tasks[2:]] == [TaskStatus.Queued] * 2, "in order"
    status = aer.status()
    assert status.busy
    assert status.capacity
    assert (status.capacity.available_slots, status.capacity.max_slots) == (0, 2)
    assert status.pending_job_count == 2


def test_tasks_run_in_a_store_without_wal(home, make_resource, bell) -> None:
    store = TaskStore(home, journal_mode="delete")
    aer = make_resource()
    tasks = [aer.run(bell) for _ in range(20)] if store.journal_mode() == "delete" else []
    done, pending = wait(tasks, 60)
    assert len(done) == 20
    assert pending == []
    assert not (home / "store.db-wal").exists()
    store.close()


def test_a_worker_leaves_when_it_is_idle_and_another_comes(
    make_resource, bell, home, until
) -> None:
    aer = make_resource(QRMI_LOCAL_IDLE_SECONDS="0.2")
    task = aer.run(bell)
    assert task.wait(60) is TaskStatus.Completed
    pid = stored(home, task.id).pid
    assert pid
    until(lambda: is_gone(pid), 10)
    assert aer.run(bell).wait(60) is TaskStatus.Completed


def test_tasks_survive_the_process_that_submitted_them(home, until) -> None:
    script = Path(__file__).with_name("submit.py")
    (task_id,) = said(sys.executable, script, home, "1").split()
    until(lambda: stored(home, task_id).status is TaskStatus.Completed, 60)


def test_a_worker_keeps_no_pipe_of_the_process_that_started_it(home) -> None:
    # With a pipe kept, reading to its end would last as long as the worker does.
    script = Path(__file__).with_name("submit.py")
    start = time.monotonic()
    said(*(sys.executable, script, home, "1"), env={**os.environ, "QRMI_LOCAL_IDLE_SECONDS": "30"})
    assert time.monotonic() - start < 15


def test_a_worker_starts_whatever_folder_and_relative_path_the_caller_uses(
    home, tmp_path, until
) -> None:
    script = Path(__file__).with_name("submit.py")
    (tmp_path / "random.py").write_text("raise SystemExit('shadows the standard library')")
    (task_id,) = said(sys.executable, "-P", script, home, "1", cwd=tmp_path).split()
    until(lambda: stored(home, task_id).status is TaskStatus.Completed, 60)


# As with a Python in which nothing is installed.
EXTENDED = """
import runpy, sys
sys.executable = sys._base_executable
sys.path[:0] = sys.argv[1].split(":")
del sys.argv[:2]
runpy.run_path(sys.argv[0])
"""


def test_a_worker_starts_where_the_caller_has_extended_its_import_path(home, until) -> None:
    import qrmi_core
    import qrmi_local

    paths = ":".join(str(Path(module.__file__).parents[1]) for module in (qrmi_core, qrmi_local))
    script = Path(__file__).with_name("submit.py")
    (task_id,) = said(sys.executable, "-c", EXTENDED, paths, script, home, "1").split()
    until(lambda: stored(home, task_id).status is TaskStatus.Completed, 60)


def test_workers_that_cannot_start_are_told_and_harm_no_task(
    make_resource, home, bell, until, monkeypatch: pytest.MonkeyPatch
) -> None:
    aer = make_resource(QRMI_LOCAL_SLOTS="1")
    with monkeypatch.context() as broken:
        broken.setattr(pool, "_WORKER", "raise SystemExit('no simulator fits')")
        task = aer.run(bell)
        with pytest.raises(ServiceError, match=r"3 in a row.*worker\.log.*no simulator fits"):
            task.wait(60)
        until(lambda: "no simulator fits" in (aer.status().status_reason or ""))
    # Repaired: the next worker starts well, as soon as a look finds that the last one has ended.
    lock = home / "locks" / "worker-0"
    until(lambda: aer.status().healthy and lock.stat().st_size == 0)
    assert task.wait(60) is TaskStatus.Completed


def test_a_python_without_the_simulator_leaves_the_task_to_others(
    make_resource, home, bell, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = TaskStore(home)
    aer = make_resource()
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("qrmi_local.engines.qiskit._installed", lambda: False)
        content = read_content(bell.input)
        store.submit("00000000-0000-0000-0000-00000000000c", "aer", "sampler", content)
        pool.start_workers(store, LocalSettings.from_mapping({"QRMI_LOCAL_HOME": str(home)}))
        observation = aer._driver.task_status("00000000-0000-0000-0000-00000000000c")
        assert observation.status is TaskStatus.Queued
        assert "pip install" in (observation.reason or "")
        assert not workers_of(home)
        elsewhere.setattr(worker, "_can_run", pool.can_run)
        start = time.monotonic()
        lock = store.take_slot(0)
        assert lock is not None
        worker._execute_tasks(store, 0, os.getppid(), Guard(home), 30.0, 1e9)
        os.close(lock)
        assert time.monotonic() - start < 5, "it leaves its slot to others"
    task = aer.task("00000000-0000-0000-0000-00000000000c")
    assert task.wait(60) is TaskStatus.Completed, task.logs()
    store.close()


def test_a_worker_prunes_while_it_lives(home, monkeypatch: pytest.MonkeyPatch) -> None:
    store = TaskStore(home)
    pruned = []
    monkeypatch.setattr(worker, "_PRUNE_SECONDS", 0.1)
    monkeypatch.setattr(store, "prune", pruned.append)
    lock = store.take_slot(0)
    assert lock is not None
    worker._execute_tasks(store, 0, os.getppid(), Guard(home), 0.5, 7.0)
    os.close(lock)
    assert len(pruned) >= 2
    assert set(pruned) == {7.0}
    store.close()


LIMITED = """
import resource, sys
from qrmi_core import Payload, QuantumResource
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
circuit = (
    'OPENQASM 3.0; include "stdgates.inc"; bit[16] c; qubit[16] q; h q; c = measure q;'
)
document = {"pubs": [[circuit, None, 200_000]], "version": 2, "options": {}}
aer = QuantumResource("aer", "local", {"QRMI_LOCAL_HOME": sys.argv[1]})
payload = Payload.QiskitPrimitive(input=document, program_id="sampler")
print(aer.task_start(payload))
"""


def test_a_result_that_cannot_be_written_makes_the_task_fail(home, make_resource) -> None:
    task = make_resource().task(said(sys.executable, "-c", LIMITED, home).strip())
    assert task.wait(60) is TaskStatus.Failed
    with pytest.raises(TaskFailedError, match="File too large"):
        task.result(0)
    assert list(home.glob("tasks/*result*")) == []


EXECUTOR = """
import os, sys
from qrmi_local import worker

def fail(*_given):
    raise OSError(28, "No space left on device")

worker._execute_tasks = fail
worker._become_executor(None, 0, os.open(sys.argv[1], os.O_RDWR | os.O_CREAT), 0, None, 1, 1)
"""
FULL_LOG = """
import pathlib
from types import SimpleNamespace
from qrmi_local import worker

full = pathlib.Path("/dev/full")
store = SimpleNamespace(path=lambda *_: full, fail=lambda _task, reason: print(reason))
worker.engine_for = lambda _name: 1 / 0
worker._execute(store, SimpleNamespace(resource="aer"))
"""


def test_an_executor_on_a_full_disk_ends_with_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-c", EXECUTOR, str(tmp_path / "lock")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "[Errno 28] No space left on device\n")


def test_a_task_whose_log_cannot_be_written_fails_for_its_own_reason() -> None:
    done = subprocess.run([sys.executable, "-c", FULL_LOG], capture_output=True, text=True)
    assert done.stdout == "ZeroDivisionError: division by zero\n", done.stderr


def test_eight_processes_with_fifty_tasks_each_lose_none_and_double_none(home) -> None:
    script = Path(__file__).with_name("submit.py")
    started = [
        subprocess.Popen(
            [sys.executable, str(script), str(home), "50"], stdout=subprocess.PIPE, text=True
        )
        for _ in range(8)
    ]
    ids = [
        task_id for process in started for task_id in process.communicate(timeout=100)[0].split()
    ]
    assert [process.returncode for process in started] == [0] * 8
    assert len(set(ids)) == 400
    aer = QuantumResource("aer", "local", {"QRMI_LOCAL_HOME": str(home), "QRMI_LOCAL_SLOTS": "2"})
    done, pending = wait([aer.task(task_id) for task_id in ids], 100)
    assert pending == []
    assert {task.status() for task in done} == {TaskStatus.Completed}
    store = TaskStore(home)
    tasks = sorted(store.tasks_of("aer"), key=lambda task: task.started or 0)
    assert {task.id for task in tasks} == set(ids)
    assert [task.number for task in tasks] == sorted(task.number for task in tasks), "in order"
    for slot in {task.slot for task in tasks}:
        ran = [(task.started, task.finished) for task in tasks if task.slot == slot]
        assert all(before[1] <= after[0] for before, after in itertools.pairwise(ran)), (
            "a worker runs one at a time"
        )
    assert len(list(store.files.glob("*.result"))) == 400
    store.close()


def test_a_store_deleted_under_a_worker_stays_deleted(home, make_resource, until, bell) -> None:
    aer = make_resource()
    for _ in range(5):
        aer.run(bell)
        # A worker may be writing a file at this moment.
        until(lambda: shutil.rmtree(home, ignore_errors=True) or not home.exists(), 5)
    until(lambda: not workers_of(home), 20)
    assert not home.exists()
