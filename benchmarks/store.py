"""Measure the store of qrmi-local, in tasks a second with each journal mode."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from common import Row, main

from qrmi_local.store import TaskStore

TASKS = 400
SUBMIT = """
import sys, uuid
from pathlib import Path
from qrmi_local.store import TaskStore
store = TaskStore(Path(sys.argv[1]))
for _ in range(int(sys.argv[2])):
    store.submit(str(uuid.uuid4()), "aer", "sampler", b"{}")
"""


def throughput(home: Path, mode: str, tasks: int) -> list[Row]:
    """Submit, claim, complete and read tasks in one process."""
    store = TaskStore(home / mode, mode)
    found = []

    def time_each(what: str, arguments: Iterable[Any], function: Callable[[Any], Any]) -> list[Any]:
        start = time.perf_counter()
        returned = [function(argument) for argument in arguments]
        found.append(rate(f"store, {mode}: {what}", tasks, start))
        return returned

    def submit(_: int) -> None:
        store.submit(str(uuid.uuid4()), "aer", "sampler", b"{}")

    time_each("submitted", range(tasks), submit)
    claimed = time_each("claimed", range(tasks), lambda _: store.claim(0, 2**22 + 1, ["aer"]))
    time_each("completed", claimed, lambda task: store.complete(task, b"{}"))
    time_each("polled", claimed, lambda task: store.task(task.id))
    store.close()
    return found


def many_processes(home: Path, mode: str, tasks: int, processes: int = 8) -> Row:
    """Submit tasks from several processes at once."""
    store = TaskStore(home / f"{mode}-many", mode)
    store.submit(str(uuid.uuid4()), "aer", "sampler", b"{}")
    command = [sys.executable, "-c", SUBMIT, str(store.home), str(tasks // processes)]
    start = time.perf_counter()
    running = [subprocess.Popen(command) for _ in range(processes)]
    if any([process.wait() for process in running]):  # noqa: C419 (waits for all)
        raise RuntimeError("a submitting process failed")
    store.close()
    return rate(f"store, {mode}: by {processes} new processes", tasks, start)


def rate(what: str, number: int, start: float) -> Row:
    """Return a rate."""
    return Row(what, "/s", number / (time.perf_counter() - start))


def rows(quick: bool) -> list[Row]:
    """Run all of them in a temporary folder."""
    tasks = 80 if quick else TASKS
    with tempfile.TemporaryDirectory(prefix="qrmi-bench-", ignore_cleanup_errors=True) as folder:
        return [
            row
            for mode in ("wal", "delete")
            for row in (
                *throughput(Path(folder), mode, tasks),
                many_processes(Path(folder), mode, tasks),
            )
        ]


if __name__ == "__main__":
    main(rows, __doc__)
