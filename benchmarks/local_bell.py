"""Measure the time of a local Bell task, and the memory and CPU of a worker that waits."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path

from common import Goal, Row, main

from qrmi_core import Payload, QuantumResource, Task
from qrmi_local.store import TaskStore

BELL = (
    'OPENQASM 3.0;\ninclude "stdgates.inc";\nbit[2] c;\nqubit[2] q;\n'
    "h q[0];\ncx q[0], q[1];\nc[0] = measure q[0];\nc[1] = measure q[1];\n"
)
PAYLOAD = Payload.QiskitPrimitive(
    input={"pubs": [[BELL, None, 1000]], "version": 2}, program_id="sampler"
)
TASKS = 50
WARM_GOAL_MS = 40
IDLE_SECONDS = 5.0


def timed(aer: QuantumResource) -> tuple[Task, list[float]]:
    """Run a task: milliseconds from its submission to its id, start, end and result."""
    at, start = time.time(), time.perf_counter()
    task = aer.run(PAYLOAD)
    submitted = time.perf_counter() - start
    task.result(120)
    total = time.perf_counter() - start
    usage = task.usage()
    assert usage.started_at
    assert usage.finished_at
    ran = [when.timestamp() - at for when in (usage.started_at, usage.finished_at)]
    return task, [1000 * seconds for seconds in (submitted, *ran, total)]


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def megabytes(pid: int) -> tuple[float, float]:
    """Return the resident memory of a process, and its share of it (RSS and PSS)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    sizes = {name: int(value.split()[0]) / 1024 for name, value in (at.split(":") for at in lines)}
    return sizes["Rss"], sizes["Pss"]


def idle(home: Path, task: Task, seconds: float) -> list[Row]:
    """Return the memory and the CPU of the processes that wait for a task."""
    store = TaskStore(home)
    stored = store.task(task.id)
    store.close()
    assert stored
    assert stored.pid
    status = Path(f"/proc/{stored.pid}/status").read_text()
    watcher = int(status.partition("PPid:")[2].split()[0])
    processes = {"worker": stored.pid, "its watcher": watcher, "client": os.getpid()}
    before = {name: cpu_seconds(pid) for name, pid in processes.items()}
    time.sleep(seconds)
    found = []
    for name, pid in processes.items():
        rss, pss = megabytes(pid)
        used = 100 * (cpu_seconds(pid) - before[name]) / seconds
        found += [
            Row(f"local: idle {name}, RSS", "MB", rss),
            Row(f"local: idle {name}, PSS", "MB", pss),
            Row(f"local: idle {name}, CPU", "%", used),
        ]
    return found


def rows(quick: bool) -> list[Row]:
    """Run a first task and warm ones in a temporary folder, then wait."""
    with tempfile.TemporaryDirectory(prefix="qrmi-bench-", ignore_cleanup_errors=True) as folder:
        home = Path(folder) / "store"
        config = {"QRMI_LOCAL_HOME": str(home), "QRMI_LOCAL_IDLE_SECONDS": "15"}
        aer = QuantumResource("aer", "local", config)
        task, (*_, cold) = timed(aer)
        times = [timed(aer)[1] for _ in range(3 if quick else TASKS)]
        waiting = idle(home, task, 1.0 if quick else IDLE_SECONDS)
        aer.close()
    submitted, started, finished, warm = (
        statistics.median(column) for column in zip(*times, strict=True)
    )
    return [
        Row("local: warm Bell task", "ms", warm, goal=Goal(WARM_GOAL_MS)),
        Row("local: submitted after", "ms", submitted),
        Row("local: started after", "ms", started),
        Row("local: finished after", "ms", finished),
        Row("local: first Bell task", "ms", cold),
        *waiting,
    ]


if __name__ == "__main__":
    main(rows, __doc__)
