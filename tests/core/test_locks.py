"""Locks: free in a forked child, and created by the core only."""

from __future__ import annotations

import ast
import builtins
import importlib
import math
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from qrmi_core import locks
from qrmi_core.locks import Lock
from qrmi_core.notes import TaskNotes
from qrmi_core.testing import FakeVendor
from support.fakes import PAYLOAD, fake_resource

ROOT = Path(__file__).parents[2]
KINDS = {"Lock", "RLock", "Condition", "Semaphore", "BoundedSemaphore", "Barrier"}
MODULES = {"threading", "_thread", "multiprocessing"}
FILES = sorted([*ROOT.glob("qrmi_core/**/*.py"), *ROOT.glob("plugins/*/src/**/*.py")])


def locks_of(source: str) -> Iterator[str]:
    """Return the standard library's locks that a source uses."""
    tree = ast.parse(source)
    aliases: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                aliases |= {name.asname or name.name for name in names if name.name in MODULES}
            case ast.ImportFrom(module=str(module), names=names) if module in MODULES:
                yield from ({name.name for name in names} & KINDS)
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id=name), attr=kind) if name in aliases:
                yield from ({kind} & KINDS)


def test_only_the_core_makes_locks_of_the_standard_library() -> None:
    found = {path: {*locks_of(path.read_text(encoding="utf-8"))} for path in FILES}
    # All other code uses qrmi_core.plugin.Lock.
    assert {path: kinds for path, kinds in found.items() if kinds} == {
        ROOT / "qrmi_core/locks.py": {"Lock", "RLock"},
        # It searches drivers for locks, and its threads end before any fork.
        ROOT / "qrmi_core/testing/contract/manners.py": {"Lock", "RLock", "Barrier"},
        # A program of its own, which does not fork.
        ROOT / "plugins/qrmi-c/src/qrmi_c/helper.py": {"Lock", "Condition"},
    }


@pytest.mark.parametrize(
    "source",
    [
        "import threading\nlock = threading.Lock()",
        "import threading as t\nclass A:\n    lock: t.Condition",
        "from threading import RLock",
        "def f():\n    from threading import Semaphore as S",
        "import threading\nfield(factory=threading.RLock)",
    ],
)
def test_every_way_to_make_a_lock_is_seen(source: str) -> None:
    assert [*locks_of(source)]


def test_other_names_are_not_locks_of_the_standard_library() -> None:
    assert not [*locks_of("import threading\nfrom qrmi_core.plugin import Lock\nthreading.Event()")]


def test_a_lock_is_acquired_again_by_its_thread_only_if_it_is_reentrant() -> None:
    plain, reentrant = Lock(), Lock(reentrant=True)
    with plain, reentrant:
        assert not plain.acquire(timeout=0)
        assert reentrant.acquire(timeout=0)
        reentrant.release()


@pytest.fixture
def others() -> set[Lock]:
    """Return the locks of other tests."""
    return {*locks._locks}


@contextmanager
def held_by_another_thread(others: set[Lock]) -> Iterator[None]:
    """Let another thread hold every lock except `others`."""
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with ExitStack() as held:
            for lock in {*locks._locks} - others:
                held.enter_context(lock)
            entered.set()
            leave.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert entered.wait(30)
        yield
    finally:
        leave.set()
        thread.join()


def succeeds_in_a_child(function: Callable[[], object]) -> bool:
    """Return True if a function succeeds in a forked child within 20 s."""
    child = os.fork()
    if not child:
        status = 1
        try:
            function()
            status = 0
        finally:
            os._exit(status)
    deadline = threading.Timer(20, os.kill, (child, 9))
    deadline.start()
    try:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        deadline.cancel()


@pytest.mark.parametrize("reentrant", [False, True])
def test_a_forked_child_finds_a_lock_unlocked(others: set[Lock], reentrant: bool) -> None:
    lock = Lock(reentrant=reentrant)

    def use() -> None:
        with lock:
            pass

    with held_by_another_thread(others):
        assert not lock.acquire(timeout=0)
        assert succeeds_in_a_child(use)
        assert not lock.acquire(timeout=0)


def test_a_lock_may_be_waited_for_without_end() -> None:
    assert Lock().acquire(timeout=math.inf)


def test_a_fork_waits_for_the_imports_of_other_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "import builtins\nbuiltins.begun.set()\nassert builtins.go_on.wait(30)\nvalue = 1\n"
    (tmp_path / "slow_to_import.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    begun, go_on = threading.Event(), threading.Event()
    monkeypatch.setattr(builtins, "begun", begun, raising=False)
    monkeypatch.setattr(builtins, "go_on", go_on, raising=False)

    def use() -> None:
        assert importlib.import_module("slow_to_import").value == 1

    thread = threading.Thread(target=use)
    thread.start()
    assert begun.wait(30)
    threading.Timer(0.2, go_on.set).start()
    assert succeeds_in_a_child(use)
    thread.join()


def test_a_fork_waits_once_for_an_import_that_does_not_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class NeverEnding:
        owner = 7

    lock = NeverEnding()
    monkeypatch.setitem(importlib._bootstrap._module_locks, "m", weakref.ref(lock))  # type: ignore[attr-defined]
    monkeypatch.setattr(locks, "_LONGEST_IMPORT_SECONDS", 0.2)
    begun = time.monotonic()
    locks._let_imports_end()
    waited = time.monotonic()
    locks._let_imports_end()
    assert waited - begun >= 0.2
    assert time.monotonic() - waited < 0.2


def test_a_forked_child_uses_notes_resources_and_tasks(others: set[Lock]) -> None:
    notes: TaskNotes[int] = TaskNotes()
    notes["t"] = 1
    qpu = fake_resource(FakeVendor())
    token = qpu.acquire()
    task = qpu.run(PAYLOAD)

    def use() -> None:
        notes["u"] = 2
        assert notes.items() == [("t", 1), ("u", 2)]
        task.wait()
        qpu.task("another")
        qpu.run(PAYLOAD).result()
        qpu.release(token)
        qpu.acquire()

    with held_by_another_thread(others):
        assert succeeds_in_a_child(use)
    assert [*notes] == ["t"]
