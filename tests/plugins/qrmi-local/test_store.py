"""The store: what it keeps, for whom, and that it is never half written."""

from __future__ import annotations

import contextlib
import errno
import multiprocessing
import os
import resource
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule
from hypothesis.strategies import booleans, sampled_from

from qrmi_core import deadline
from qrmi_core.errors import ConfigError, ResourceBusyError, ServiceError, TransportError
from qrmi_core.values import TaskStatus
from qrmi_local.database import on_network
from qrmi_local.store import TaskStore

# Above the largest process number that Linux gives.
NOBODY = 2**22 + 1


def submit(store: TaskStore, task_id: str = "t", content: bytes = b"{}", **how: str) -> None:
    store.submit(task_id, "aer", "sampler", content, **how)


def status_of(store: TaskStore, task_id: str = "t") -> TaskStatus:
    task = store.task(task_id)
    assert task is not None
    return task.status


@pytest.fixture(params=["wal", "delete"])
def store(home: Path, request: pytest.FixtureRequest) -> TaskStore:
    return TaskStore(home, journal_mode=request.param)


def test_a_task_goes_from_the_queue_to_its_result(store: TaskStore) -> None:
    submit(store, content=b"input")
    task = store.claim(0, NOBODY, ["aer"])
    assert task is not None
    assert task.status is TaskStatus.Running
    assert store.path(task, "payload").read_bytes() == b"input"
    assert store.complete(task, b"output")
    assert status_of(store) is TaskStatus.Completed
    assert store.path(task, "result").read_bytes() == b"output"
    assert not store.path(task, "payload").exists(), "a payload is of no use afterwards"


def test_tasks_are_claimed_in_the_order_of_submission(store: TaskStore) -> None:
    for name in "cab":
        submit(store, name)
    assert [task.id for _ in range(3) if (task := store.claim(0, NOBODY, ["aer"]))] == [
        "c",
        "a",
        "b",
    ]
    assert store.claim(0, NOBODY, ["aer"]) is None


def test_a_submission_with_a_known_id_changes_nothing(store: TaskStore) -> None:
    submit(store)
    task = store.claim(0, NOBODY, ["aer"])
    assert task
    store.complete(task, b"output")
    submit(store, content=b"again")
    assert status_of(store) is TaskStatus.Completed
    assert not store.path(task, "payload").exists()


def test_a_stopped_task_takes_no_result_any_more(store: TaskStore) -> None:
    submit(store)
    lock = store.take_slot(0)
    assert lock is not None
    task = store.claim(0, NOBODY, ["aer"])
    assert task
    store.stop(task.id)
    assert not store.complete(task, b"too late")
    assert status_of(store) is TaskStatus.Cancelled
    assert not store.path(task, "result").exists()
    os.close(lock)


def test_the_task_of_a_worker_without_a_lock_fails_with_a_reason(store: TaskStore) -> None:
    submit(store)
    lock = store.take_slot(3)
    assert lock is not None
    store.claim(3, NOBODY, ["aer"])
    store.settle()
    assert status_of(store) is TaskStatus.Running
    os.close(lock)
    store.settle()
    task = store.task("t")
    assert task
    assert task.status is TaskStatus.Failed
    assert "gone without a word" in (task.reason or "")


def test_a_dead_executors_task_leaves_no_payload(store: TaskStore) -> None:
    for settle in (store.settle, lambda: store.settle(NOBODY, "why")):
        submit(store, "t")
        assert store.claim(0, NOBODY, ["aer"])
        assert settle() == 1
        assert status_of(store) is TaskStatus.Failed
        assert list(store.files.iterdir()) == []
        store.prune(0)


def test_only_tasks_of_the_given_resources_are_claimed_and_get_slots(store: TaskStore) -> None:
    store.submit("pulses", "EMU_FREE", "10", b"{}")
    assert store.claim(0, NOBODY, ["aer"]) is None
    assert store.claim(0, NOBODY, []) is None
    assert store.free_slots(4, ["aer"]) == {}
    submit(store)
    slots = store.free_slots(4, ["aer", "fake_lagos"])
    assert list(slots) == [0]
    task = store.claim(0, NOBODY, ["aer"])
    assert task
    assert task.id == "t", "though it came later"
    assert status_of(store, "pulses") is TaskStatus.Queued
    os.close(slots[0])


def test_as_many_slots_are_given_out_as_tasks_lack_a_worker(store: TaskStore) -> None:
    assert store.free_slots(4, ["aer"]) == {}
    submit(store, "a")
    submit(store, "b")
    first = store.free_slots(4, ["aer"])
    assert sorted(first) == [0, 1]
    assert store.free_slots(4, ["aer"]) == {}, "the new workers will take the tasks"
    store.claim(0, NOBODY, ["aer"])
    submit(store, "c")
    second = store.free_slots(4, ["aer"])
    assert sorted(second) == [2]
    submit(store, "d")
    submit(store, "e")
    third = store.free_slots(4, ["aer"])
    assert sorted(third) == [3], "there are no more than four"
    for lock in (*first.values(), *second.values(), *third.values()):
        os.close(lock)


def test_everything_is_readable_by_its_owner_alone(store: TaskStore) -> None:
    old = os.umask(0o000)
    try:
        submit(store)
        task = store.claim(0, NOBODY, ["aer"])
        assert task
        store.complete(task, b"output")
    finally:
        os.umask(old)
    modes = {
        path.relative_to(store.home): stat.S_IMODE(path.stat().st_mode)
        for path in (store.home, *store.home.rglob("*"))
    }
    assert len(modes) > 5
    for path, mode in modes.items():
        assert mode == (0o700 if (store.home / path).is_dir() else 0o600), path


def test_a_folder_that_others_can_read_is_refused(home: Path) -> None:
    home.mkdir(mode=0o755)
    home.chmod(0o755)
    with pytest.raises(ConfigError, match="chmod 700"):
        submit(TaskStore(home))
    assert list(home.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="QRMI_LOCAL_HOME"):
        submit(TaskStore(tmp_path / "file" / "store"))


def test_a_store_of_a_later_version_is_refused(home: Path) -> None:
    store = TaskStore(home)
    submit(store)
    store.close()
    db = sqlite3.connect(home / "store.db")
    db.execute("PRAGMA user_version = 99")
    with pytest.raises(ConfigError, match="another version"):
        submit(TaskStore(home))
    db.execute("PRAGMA user_version = 1")
    db.close()


def test_the_journal_is_chosen_by_the_file_system(home: Path, tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/sda / ext4 rw 0 0\n"
        "server:/home /home\\040of/all nfs4 rw 0 0\n"
        "/dev/sdb /home\\040of/all/local xfs rw 0 0\n"
        "scratch /lustre lustre rw 0 0\n"
        "host:/ /sshfs fuse.sshfs rw 0 0\n"
        "s3 /bucket fuse.new-thing rw 0 0\n"
        "overlay /container fuse.fuse-overlayfs rw 0 0\n"
        "/dev/sdc /ntfs fuseblk rw 0 0\n"
        "shared /host virtiofs rw 0 0\n"
    )
    kinds = {
        "/var/lib": False,
        "/home of/all/ada": True,
        "/home of/all/local/ada": False,
        "/home of/allure": False,
        "/lustre": True,
        "/sshfs": True,
        "/bucket": True,
        "/container": False,
        "/ntfs": False,
        "/host": True,
    }
    assert {name: on_network(Path(name), mounts) for name in kinds} == kinds
    assert on_network(home, tmp_path / "missing") is False


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_later_look_keeps_the_journal_that_the_store_was_made_with(home: Path, mode: str) -> None:
    submit(TaskStore(home, journal_mode=mode))
    other = TaskStore(home)
    assert other.journal_mode() == mode
    assert status_of(other) is TaskStatus.Queued


def test_many_processes_can_make_the_store_at_once(home: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from qrmi_local.store import TaskStore\n"
        "TaskStore(Path(sys.argv[1])).submit(sys.argv[2], 'aer', 'sampler', b'{}')"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", script, str(home), f"t{number}"])
        for number in range(6)
    ]
    assert [process.wait(60) for process in started] == [0] * 6
    assert TaskStore(home).counts()[TaskStatus.Queued] == 6


def test_threads_share_a_store(store: TaskStore) -> None:
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for index in range(20):
                submit(store, f"{number}-{index}")
                store.claim(0, NOBODY, ["aer"])
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert store.counts()[TaskStatus.Running] == 80


def test_a_locked_database_is_waited_for_until_the_deadline_only(store: TaskStore) -> None:
    submit(store)
    # With WAL reading is possible all the time.
    calls = [store.settle] if store.journal_mode() == "wal" else [store.settle, store.counts]
    locked = sqlite3.connect(store.home / "store.db", isolation_level=None)
    locked.execute("BEGIN EXCLUSIVE")
    for call in calls:
        start = time.monotonic()
        with (
            deadline.within(deadline.Deadline(0.3)),
            pytest.raises(TransportError, match=r"locked by others for 0\.\d s"),
        ):
            call()
        assert 0.2 < time.monotonic() - start < 2
    locked.execute("ROLLBACK")
    locked.close()
    store.stop("t")
    assert status_of(store) is TaskStatus.Cancelled


INTERRUPTED = """
import signal, sys
from pathlib import Path
from qrmi_local.store import TaskStore
signal.signal(signal.SIGALRM, signal.default_int_handler)
signal.setitimer(signal.ITIMER_REAL, 0.5)
try:
    TaskStore(Path(sys.argv[1])).stop("t")
except KeyboardInterrupt:
    print("interrupted")
"""


def test_a_wait_for_a_locked_database_can_be_interrupted(store: TaskStore) -> None:
    submit(store)
    locked = sqlite3.connect(store.home / "store.db", isolation_level=None)
    locked.execute("BEGIN IMMEDIATE")
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, str(store.home)],
        stdout=subprocess.PIPE,
        timeout=10,
        check=True,
    )
    locked.close()
    assert done.stdout == b"interrupted\n"


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_waits_until_no_thread_is_in_the_database(store: TaskStore) -> None:
    entered, left = threading.Event(), threading.Event()

    def work() -> None:
        with store._db.transaction():
            entered.set()
            time.sleep(0.3)
            left.set()

    thread = threading.Thread(target=work)
    thread.start()
    assert entered.wait(10)
    child = os.fork()
    if child == 0:
        status = 2
        try:
            store.counts()
            status = 0 if left.is_set() else 1
        finally:
            os._exit(status)
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_children_forked_while_threads_write_can_write_too(store: TaskStore) -> None:
    stop = threading.Event()

    def work(number: int) -> None:
        index = 0
        while not stop.is_set():
            submit(store, f"{number}-{index}")
            index += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    try:
        for number in range(10):
            child = multiprocessing.get_context("fork").Process(
                target=submit, args=(store, f"child-{number}")
            )
            child.start()
            child.join(20)
            assert child.exitcode == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert {f"child-{number}" for number in range(10)} <= {
        task.id for task in store.tasks_of("aer")
    }


def _in_child(store: TaskStore) -> None:
    submit(store, "from-child")
    assert len([key for key in store._db._connections if key[0] == os.getpid()]) == 1


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_uses_a_connection_of_its_own(store: TaskStore) -> None:
    submit(store, "from-parent")
    child = multiprocessing.get_context("fork").Process(target=_in_child, args=(store,))
    child.start()
    child.join(30)
    assert child.exitcode == 0
    submit(store, "from-parent-again")
    assert store.counts()[TaskStatus.Queued] == 3


def test_a_folder_deleted_meanwhile_is_made_again(store: TaskStore) -> None:
    submit(store, "lost")
    shutil.rmtree(store.home)
    assert store.task("lost") is None
    submit(store, "new")
    assert TaskStore(store.home).task("new")


def test_a_full_disk_is_a_clear_error_and_leaves_nothing(
    store: TaskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(store, "before")

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ServiceError, match=r"no space left .* `qrmi local prune`"):
        submit(store, "after")
    assert store.task("after") is None
    assert [path.name for path in store.files.iterdir()] == ["before.payload"]
    task = store.claim(0, NOBODY, ["aer"])
    assert task
    with pytest.raises(ServiceError, match="no space left"):
        store.complete(task, b"output")
    assert status_of(store, "before") is TaskStatus.Running, "so that it can be made to fail"
    assert not store.path(task, "result").exists()


FULL_DATABASE = """
import resource, sys, signal
from pathlib import Path
from qrmi_core.errors import QrmiError
from qrmi_local.store import TaskStore
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = TaskStore(Path(sys.argv[1]))
store.submit("first", "aer", "sampler", b"{}")
limit = store.home.joinpath("store.db-wal" if store.journal_mode() == "wal" else "store.db")
resource.setrlimit(resource.RLIMIT_FSIZE, (limit.stat().st_size + 8192,) * 2)
kept = 1
try:
    for number in range(10_000):
        store.submit(f"t{number}", "aer", "x" * 500, b"{}")
        kept += 1
except QrmiError as error:
    print(kept, type(error).__name__, error)
"""


def test_a_database_that_cannot_grow_loses_nothing_that_was_accepted(store: TaskStore) -> None:
    submit(store, "zeroth")
    done = subprocess.run(
        [sys.executable, "-c", FULL_DATABASE, str(store.home)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    kept, error, *_ = done.stdout.split(maxsplit=2) or [done.stderr, ""]
    assert error == "ServiceError", done.stdout + done.stderr
    assert TaskStore(store.home).counts()[TaskStatus.Queued] == int(kept) + 1
    db = sqlite3.connect(store.home / "store.db")
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()


def test_pruning_deletes_what_ended_long_ago_with_its_files(store: TaskStore) -> None:
    for name in ("ended", "queued"):
        submit(store, name)
    task = store.claim(0, NOBODY, ["aer"])
    assert task
    store.complete(task, b"output")
    orphan = store.files / "killed.x7h2"
    orphan.touch()
    os.utime(orphan, (0, 0))
    assert store.prune(3600) == 0
    assert not orphan.exists()
    assert store.task("ended")
    assert store.prune(0) == 1
    assert store.task("ended") is None
    assert [path.name for path in store.files.iterdir()] == ["queued.payload"]


def test_a_large_result_needs_little_memory_beyond_itself(store: TaskStore) -> None:
    submit(store)
    task = store.claim(0, NOBODY, ["aer"])
    assert task
    result = bytes(50_000_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    store.complete(task, result)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000
    assert store.path(task, "result").stat().st_size == len(result)


class Transitions(RuleBasedStateMachine):
    """Any sequence of events leaves each task where a simple model has it."""

    tasks = Bundle("tasks")

    @initialize()
    def begin(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="qrmi-store-"))
        self.store = TaskStore(self.home)
        self.model: dict[str, TaskStatus] = {}
        self.tokens: dict[str, str | None] = {}
        self.slots: dict[int, int] = {}
        self.working: dict[str, int] = {}
        self.holder: str | None = None

    def teardown(self) -> None:
        for lock in self.slots.values():
            os.close(lock)
        if self.holder:
            self.store.release("aer", self.holder, cancel_pending=False)
        self.store.close()
        shutil.rmtree(self.home)

    @rule(target=tasks, mine=booleans())
    def submit(self, mine: bool) -> str:
        task_id = f"t{len(self.model)}"
        token = self.holder if mine else None
        self.store.submit(task_id, "aer", "sampler", b"{}", acquisition=token)
        self.model[task_id] = TaskStatus.Queued
        self.tokens[task_id] = token
        return task_id

    @rule(task_id=tasks)
    def submit_again(self, task_id: str) -> None:
        self.store.submit(task_id, "aer", "sampler", b"{}")

    @rule(slot=sampled_from([0, 1]))
    def work(self, slot: int) -> None:
        if slot not in self.slots:
            lock = self.store.take_slot(slot)
            assert lock is not None
            self._fail_running_of(slot)
            self.slots[slot] = lock
        if slot in self.working.values():
            return
        task = self.store.claim(slot, NOBODY + slot, ["aer"])
        queued = [name for name, status in self.model.items() if status is TaskStatus.Queued]
        if self.holder:
            # The holder's tasks wait for those of others that run already.
            alien = any(self.tokens[name] != self.holder for name in self.working)
            queued = [name for name in queued if self.tokens[name] == self.holder and not alien]
        assert (task.id if task else None) == (queued[0] if queued else None)
        if task:
            self.model[task.id] = TaskStatus.Running
            self.working[task.id] = slot

    @rule(task_id=tasks, well=booleans())
    def end(self, task_id: str, well: bool) -> None:
        task = self.store.task(task_id)
        assert task
        if task.status is TaskStatus.Completed:
            return  # a worker does not end a task twice
        slot = self.working.pop(task_id, None)
        taken = self.store.complete(task, b"{}") if well else self.store.fail(task, "why")
        assert taken == (self.model[task_id] is TaskStatus.Running)
        if taken:
            assert slot is not None
            self.model[task_id] = TaskStatus.Completed if well else TaskStatus.Failed

    @rule(task_id=tasks)
    def stop(self, task_id: str) -> None:
        self.store.stop(task_id)
        self.working.pop(task_id, None)
        if self.model[task_id] in (TaskStatus.Queued, TaskStatus.Running):
            self.model[task_id] = TaskStatus.Cancelled

    @rule(slot=sampled_from([0, 1]))
    def die(self, slot: int) -> None:
        if slot in self.slots:
            os.close(self.slots.pop(slot))
            self.store.settle()
            self._fail_running_of(slot)

    @rule()
    def acquire(self) -> None:
        try:
            token = self.store.acquire("aer", exclusive=True, holders=1, lease_seconds=None)
        except ResourceBusyError:
            assert self.holder
        else:
            assert self.holder is None
            self.holder = token

    @rule(cancel=booleans())
    def release(self, cancel: bool) -> None:
        if self.holder is None:
            return
        self.store.release("aer", self.holder, cancel_pending=cancel)
        for name, token in self.tokens.items():
            if cancel and token == self.holder and self.model[name] is TaskStatus.Queued:
                self.model[name] = TaskStatus.Cancelled
        self.holder = None

    @invariant()
    def the_store_agrees(self) -> None:
        if hasattr(self, "store"):
            assert {task.id: task.status for task in self.store.tasks_of("aer")} == self.model

    def _fail_running_of(self, slot: int) -> None:
        for name in [name for name, place in self.working.items() if place == slot]:
            del self.working[name]
            self.model[name] = TaskStatus.Failed


TestTransitions = Transitions.TestCase
TestTransitions.settings = settings(
    max_examples=25,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def test_a_killed_writer_leaves_a_store_that_works(store: TaskStore) -> None:
    script = (
        "import sys; from pathlib import Path; from qrmi_local.store import TaskStore\n"
        "store = TaskStore(Path(sys.argv[1])); number = 0\n"
        "while True:\n"
        "    store.submit(f't{number}', 'aer', 'sampler', b'{}'); number += 1\n"
        "    print(number, flush=True)"
    )
    submit(store, "before")
    writer = subprocess.Popen(
        [sys.executable, "-c", script, str(store.home)], stdout=subprocess.PIPE, text=True
    )
    with contextlib.closing(writer.stdout) as lines:  # type: ignore[type-var]
        assert lines is not None
        for _ in range(20):
            number = int(lines.readline())
        writer.kill()
        number = max([number, *(int(line) for line in lines if line.strip())])
    writer.wait(30)
    queued = store.counts()[TaskStatus.Queued]
    assert queued in (number + 1, number + 2)
    task = store.claim(0, NOBODY, ["aer"])
    assert task
    assert task.id == "before"
