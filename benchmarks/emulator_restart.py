"""Measure the time until a restarted emulator with many jobs serves."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from qrmi_core import TaskStatus
from qrmi_emulator.face import PAUSED, Condition, State
from qrmi_emulator.faces.ibm.runtime.records import RuntimeJob
from qrmi_emulator.settings import EmulatorSettings

GOAL_SECONDS = 2.0
QUEUED = 100
INPUT = b'{"pubs": [["OPENQASM 3.0; bit[1] c; qubit[1] q; c = measure q;", null, 100]]}'
RESTART = """
import sys, time
from qrmi_emulator import Emulator
imported = time.process_time()
start = time.perf_counter()
with Emulator(state=sys.argv[1]) as emulator:
    entered = time.perf_counter() - start
    cpu = time.process_time()
    jobs = sum(emulator.info()["jobs"].values())
    print(entered, imported, cpu, jobs)
"""


def fill(home: Path, jobs: int) -> None:
    """Make the state of an emulator with jobs, of which some wait for a paused resource."""
    state = State(home, EmulatorSettings())
    state.set_condition("aer", Condition(status=PAUSED))
    for first in range(0, jobs, 1000):
        now = state.clock()
        made = [
            RuntimeJob(
                resource="aer", argument="sampler", face="ibm-runtime", tags=["bench"], created=now
            )
            for _ in range(min(1000, jobs - first))
        ]
        state.submit([(job, INPUT) for job in made])
        for job in made:
            if len(state.jobs) - len(state.live) < jobs - QUEUED:
                job.status, job.started, job.finished = TaskStatus.Completed, now, now
                del state.live[job.id]
        state._file.add(made)
    state.close()


def main() -> None:
    """Restart it some times and print the median."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--times", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="qrmi-bench-") as folder:
        home = Path(folder) / "state"
        fill(home, arguments.jobs)
        rows = []
        for _ in range(arguments.times):
            start = time.perf_counter()
            ran = subprocess.run(
                [sys.executable, "-c", RESTART, str(home)],
                capture_output=True,
                text=True,
                check=True,
            )
            rows.append((time.perf_counter() - start, *map(float, ran.stdout.split())))
    whole, entered, imported, cpu, jobs = (
        statistics.median(column) for column in zip(*rows, strict=True)
    )
    assert jobs == arguments.jobs
    print(
        f"restart with {arguments.jobs:,} jobs: {entered:.2f} s until it serves "
        f"(goal: under {GOAL_SECONDS:.0f}), {whole:.2f} s with the start and the end of Python; "
        f"CPU: {imported:.2f} s for imports, {cpu - imported:.2f} s for the state"
    )


if __name__ == "__main__":
    main()
