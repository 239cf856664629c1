"""Measure the time that the integration adds to a job's start on a real cluster.

A start is from the allocation of a batch job to the first line of its script; the time of the
vendor's responses has a row. (`srun` polls the end of a prolog in ever longer steps,
so its time depends more on Slurm than on the prolog.)
"""

from __future__ import annotations

import datetime
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import Goal, Row, main, pythons

from qrmi_emulator import Emulator

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.cluster import Cluster, Plugin, missing  # type: ignore[import-not-found]

QPU = "fake_fez"
RUNS = 9
JOB_GOAL_MS = 400.0
"""The most that a job with a QPU may start later, beside the time of the vendor."""
TASK_GOAL_MS = 60.0
"""The most that the program may take that runs before every task."""
BARE, QPU_START, VENDOR, PROLOG = "bare", "with a QPU", "vendor", "prolog"
_RESPONSE = re.compile(r"qrmi_core\.http: .* after ([0-9.]+) s$", re.MULTILINE)


def start_ms(cluster: Cluster, *options: str) -> float:
    """Return the time from a job's allocation until its script runs."""
    job = cluster.submit("date +%s.%N", *options).wait()
    log = (cluster.logs / "slurmctld.log").read_text()
    allocated = re.search(rf"^\[(.*)\] .*(?:Allocate|Started) JobId={job.id} ", log, re.MULTILINE)
    assert allocated
    begin = datetime.datetime.fromisoformat(allocated[1]).timestamp()
    return (float(job.output) - begin) * 1000


def vendor_ms(log: Path, start: int) -> float:
    """Return the time of the vendor's responses until a job had its QPU, from the log."""
    text = log.read_text()[start:].partition(" has ")[0]
    return sum(float(seconds) for seconds in _RESPONSE.findall(text)) * 1000


def process_ms(*command: str) -> float:
    """Return the time of a program, started as a job's task prolog."""
    environment = {"SLURM_JOB_ID": "1", "SLURM_JOB_NODELIST": "n1", "SLURMD_NODENAME": "n1"}
    begin = time.perf_counter()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - begin) * 1000


def measured(mode: str, python: str, runs: int) -> dict[str, float]:
    """Return the medians with one way to install it, in milliseconds."""
    times: dict[str, list[float]] = {BARE: []}
    with tempfile.TemporaryDirectory(prefix="qrmi-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        with Cluster(folder, debug="info") as cluster, Emulator(["ibm-runtime"]) as emulator:
            plugin = Plugin(cluster, mode, python=python)
            plugin.install(emulator.config())
            cluster.start(*plugin.lines())
            start_ms(cluster)
            asked = f"--qpu={QPU}" if mode == "shim" else f"--licenses={QPU}"
            for _ in range(runs):
                times[BARE].append(start_ms(cluster))
                if mode == "none":
                    continue
                before = len(plugin.log.read_text()) if plugin.log.exists() else 0
                start = start_ms(cluster, asked)
                vendor = vendor_ms(plugin.log, before)
                times.setdefault(QPU_START, []).append(start)
                times.setdefault(VENDOR, []).append(vendor)
                times.setdefault(PROLOG, []).append(process_ms(str(plugin.folder / "task-prolog")))
    return {name: statistics.median(values) for name, values in times.items()}


def rows(quick: bool) -> list[Row]:
    """Measure each way to install it; nothing without Slurm."""
    if problem := missing("shim"):
        print(f"slurm: {problem}", file=sys.stderr)
        return []
    runs = 1 if quick else RUNS
    python = pythons()["ours"]
    base = measured("none", python, runs)[BARE]
    table = [Row("Slurm: start of a job", "ms", base)]
    for mode in ("scripts", "shim"):
        found = measured(mode, python, runs)
        added = found[QPU_START] - found[VENDOR] - base
        table += [
            Row(f"Slurm, {mode}: start with a QPU", "ms", found[QPU_START], bare=found[BARE]),
            Row(f"Slurm, {mode}: of it the vendor", "ms", found[VENDOR]),
            Row(f"Slurm, {mode}: the rest", "ms", added, goal=Goal(JOB_GOAL_MS)),
            Row(f"Slurm, {mode}: task prolog", "ms", found[PROLOG], goal=Goal(TASK_GOAL_MS)),
        ]
    return table


if __name__ == "__main__":
    main(rows, __doc__)
