"""Measure the time until a restarted emulator with many jobs serves."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from common import Goal, Row, in_turns, main, run

from qrmi_core import TaskStatus
from qrmi_emulator.face import PAUSED, Condition, State
from qrmi_emulator.faces.ibm.runtime.records import RuntimeJob
from qrmi_emulator.settings import EmulatorSettings

RUNS = 5
JOBS = 10_000
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


def rows(quick: bool) -> list[Row]:
    """Restart it some times."""
    number = 1000 if quick else JOBS
    with tempfile.TemporaryDirectory(prefix="qrmi-bench-") as folder:
        home = Path(folder) / "state"
        fill(home, number)

        def restart(_: str) -> dict[str, float]:
            ended = run([sys.executable, "-c", RESTART, str(home)])
            entered, imported, cpu, jobs = map(float, ended.output.split())
            assert jobs == number
            return {"entered": entered, "whole": ended.seconds, "CPU": cpu - imported}

        found = in_turns(["ours"], restart, 1 if quick else RUNS)
    name = f"emulator: restart with {number:,} jobs"
    return [
        Row.of(name, "s", found, "entered", Goal(GOAL_SECONDS)),
        Row.of(f"{name}, its CPU", "s", found, "CPU"),
        Row.of(f"{name}, whole process", "s", found, "whole"),
    ]


if __name__ == "__main__":
    main(rows, __doc__)
