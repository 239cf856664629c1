"""The worker process, started by `qrmi_local.pool`.

It is two processes. The watcher is small and only waits. The executor, its child, imports the
simulators once and executes one task after the other. When the executor is stopped, killed or
crashes, or its task exceeds a limit, the watcher lets the task fail with that, and starts another
executor while tasks wait. Both hold the lock of the worker's slot.
"""

from __future__ import annotations

import faulthandler
import functools
import logging
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from qrmi_core.plugin import QrmiError, broken_dependency
from qrmi_local import locks
from qrmi_local.engines import EngineError, UnknownResource, engine_for, one_line
from qrmi_local.limits import Guard
from qrmi_local.pool import can_run
from qrmi_local.store import StoredTask, TaskStore

_PAUSE_SECONDS = 0.05
_PRUNE_SECONDS = 60.0
# An executor that needed more is replaced after its task, since memory is not always given back.
_LARGE_BYTES = 2**30

_can_run = functools.cache(can_run)


def main(arguments: list[str]) -> int:
    """Watch over executors until no task waits.

    Args:
        arguments: The store's folder, the slot, the descriptor of its lock, how many seconds to
            stay without work, and how many to keep finished tasks.
    """
    home, slot, descriptor, idle, retention = arguments
    os.umask(0o077)
    # A store that was deleted meanwhile must not be made again.
    store = TaskStore(Path(home), create=False)
    try:
        _serve(store, int(slot), int(descriptor), float(idle), float(retention))
    except QrmiError as error:
        if store.exists():
            _say(str(error))
            return 1
    return 0


def _serve(
    store: TaskStore, slot: int, lock: int | None, idle_seconds: float, retention_seconds: float
) -> None:
    while lock is not None:
        os.set_inheritable(lock, False)
        went_well = _watch(store, slot, lock, idle_seconds, retention_seconds)
        if went_well and _is_needed(store):
            continue
        os.close(lock)
        # What was submitted while we held the lock was left to us, and nobody may come again.
        lock = store.take_slot(slot) if went_well and _is_needed(store) else None


def _is_needed(store: TaskStore) -> bool:
    return store.exists() and any(map(_can_run, store.pending()))


def _watch(
    store: TaskStore, slot: int, lock: int, idle_seconds: float, retention_seconds: float
) -> bool:
    """Let one executor live; False if it could not even take a task."""
    store.close()
    watcher = os.getpid()
    guard = Guard(store.home)
    executor = os.fork()
    if executor == 0:
        _become_executor(store, slot, lock, watcher, guard, idle_seconds, retention_seconds)
    excess = guard.wait(executor)
    # Reaped after its task is settled: until then its number cannot be another process's.
    ended = os.waitid(os.P_PID, executor, os.WEXITED | os.WNOWAIT)
    assert ended is not None  # only with WNOHANG is there nothing to tell
    settled = store.settle(executor, excess or _reason(ended)) if store.exists() else 0
    os.waitpid(executor, 0)
    killed = ended.si_code != os.CLD_EXITED
    return killed or settled > 0 or ended.si_status == 0


def _reason(ended: os.waitid_result) -> str:
    if ended.si_code == os.CLD_EXITED:
        return f"its worker process exited with status {ended.si_status}; see the task's logs"
    try:
        name = signal.Signals(ended.si_status).name
    except ValueError:
        name = f"signal {ended.si_status}"
    hint = " (by hand, or since memory ran out)" if name == "SIGKILL" else ""
    return f"its worker process was killed by {name}{hint}; see the task's logs"


def _become_executor(
    store: TaskStore,
    slot: int,
    lock: int,
    watcher: int,
    guard: Guard,
    idle_seconds: float,
    retention_seconds: float,
) -> NoReturn:
    status = 1
    try:
        os.setpgid(0, 0)
        locks.keep("worker", lock)
        faulthandler.enable(file=2)
        logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
        os.ftruncate(lock, 0)  # a start that went well; see start_workers
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        _execute_tasks(store, slot, watcher, guard, idle_seconds, retention_seconds)
        status = 0
        _flush()
    except (QrmiError, OSError) as error:  # such as a full disk
        _say(str(error))
    except BaseException:
        _say(traceback.format_exc())
    finally:
        os._exit(status)


def _execute_tasks(
    store: TaskStore,
    slot: int,
    watcher: int,
    guard: Guard,
    idle_seconds: float,
    retention_seconds: float,
) -> None:
    idle_since = time.monotonic()
    prune_at = idle_since
    while os.getppid() == watcher and store.exists():
        if time.monotonic() >= prune_at:
            store.prune(retention_seconds)
            prune_at = time.monotonic() + _PRUNE_SECONDS
        pending = store.pending()
        mine = [resource for resource in pending if _can_run(resource)]
        for resource_id in mine:
            _warm_up(resource_id)
        task = store.claim(slot, os.getpid(), mine)
        if task is None:
            # Tasks may wait for the end of an acquisition, which nobody announces.
            if mine:
                idle_since = time.monotonic()
            # Those of another Python's resources may wait for our slot.
            elif pending or time.monotonic() - idle_since > idle_seconds:
                return
            store.bell.wait(_PAUSE_SECONDS)
            continue
        # A task that was stopped takes this process with it, at any moment from now on.
        with guard.limiting():
            goes_on = _execute(store, task)
        if not goes_on or _peak_bytes() > _LARGE_BYTES:
            return
        idle_since = time.monotonic()


@functools.cache
def _warm_up(resource_id: str) -> None:
    """Load a simulator before a task is taken, so that the time does not count as the task's."""
    # What cannot be loaded is the failure of the task that needs it.
    with suppress(Exception):
        engine_for(resource_id).warm_up(resource_id)


def _execute(store: TaskStore, task: StoredTask) -> bool:
    with _logging_to(store.path(task, "log")):
        try:
            engine = engine_for(task.resource)
            content = store.path(task, "payload").read_bytes()
            result = engine.run(task.resource, task.argument, content, seed=task.seed)
            return store.complete(task, result)
        except (EngineError, UnknownResource, QrmiError) as error:
            reason = str(error)
        except MemoryError:
            reason = "the simulation needs more memory than there is"
        except BaseException as error:  # whatever a simulator raises is its task's failure
            _say(traceback.format_exc())
            reason = broken_dependency(error) or f"{type(error).__name__}: {one_line(error)}"
        _say(reason)
    return store.fail(task, reason)


@contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """Send the output of Python and of the simulators' own code to the task's log."""
    kept = [os.dup(1), os.dup(2)]
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    try:
        yield
    finally:
        _flush()
        for number, descriptor in enumerate(kept, start=1):
            os.dup2(descriptor, number)
            os.close(descriptor)


def _say(text: str) -> None:
    """Write to the log, unless its disk is full."""
    with suppress(OSError):
        print(text, file=sys.stderr)
    _flush()


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()


def _peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
