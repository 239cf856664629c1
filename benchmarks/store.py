"""Measure the store of qrmi-local."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

from qrmi_local.store import TaskStore

SUBMIT = """
import sys, uuid
from pathlib import Path
from qrmi_local.store import TaskStore
store = TaskStore(Path(sys.argv[1]))
for _ in range(int(sys.argv[2])):
    store.submit(str(uuid.uuid4()), "aer", "sampler", b"{}")
"""


def throughput(home: Path, journal_mode: str, tasks: int) -> None:
    """Submit, claim and complete tasks in one process."""
    store = TaskStore(home / journal_mode, journal_mode)
    start = time.perf_counter()
    for _ in range(tasks):
        store.submit(str(uuid.uuid4()), "aer", "sampler", b"{}")
    report(f"{journal_mode}: submitted by one process", tasks, start)
    start = time.perf_counter()
    claimed = [task for _ in range(tasks) if (task := store.claim(0, 2**22 + 1, ["aer"]))]
    report(f"{journal_mode}: claimed", tasks, start)
    start = time.perf_counter()
    for task in claimed:
        store.complete(task, b"{}")
    report(f"{journal_mode}: completed", tasks, start)
    start = time.perf_counter()
    for task in claimed:
        store.task(task.id)
    report(f"{journal_mode}: looked at", tasks, start)
    store.close()


def many_processes(home: Path, journal_mode: str, tasks: int, processes: int = 8) -> None:
    """Submit tasks from several processes at once."""
    store = TaskStore(home / f"{journal_mode}-many", journal_mode)
    store.submit(str(uuid.uuid4()), "aer", "sampler", b"{}")
    command = [sys.executable, "-c", SUBMIT, str(store.home), str(tasks // processes)]
    start = time.perf_counter()
    running = [subprocess.Popen(command) for _ in range(processes)]
    if any(process.wait() for process in running):
        raise SystemExit("a submitting process failed")
    report(
        f"{journal_mode}: submitted by {processes} processes, their start included", tasks, start
    )
    store.close()


def report(what: str, number: int, start: float) -> None:
    """Print a rate."""
    print(f"{what}: {number / (time.perf_counter() - start):,.0f} a second")


def main() -> None:
    """Run all of them in a temporary folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=1000)
    tasks = parser.parse_args().tasks
    with tempfile.TemporaryDirectory(prefix="qrmi-bench-", ignore_cleanup_errors=True) as folder:
        for journal_mode in ("wal", "delete"):
            throughput(Path(folder), journal_mode, tasks)
            many_processes(Path(folder), journal_mode, tasks)


if __name__ == "__main__":
    main()
