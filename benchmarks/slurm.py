"""The time that the integration adds to a job's start, against a cluster without it.

A start is from the allocation of a batch job to the first line of its script; what the vendor took
to answer is told apart. (`srun` looks for the end of a prolog in ever longer steps, which says more
of Slurm than of the prolog.) `make bench` prepares an environment with the wheels in the folder
QRMI_TEST_PREPARED.
"""

from __future__ import annotations

import argparse
import datetime
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from qrmi_emulator import Emulator

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.cluster import Cluster, Plugin, missing  # type: ignore[import-not-found]

QPU = "fake_fez"
JOB_LIMIT_MS = 400.0
"""Limit for the delay of a job with a QPU, without the vendor's response times."""
TASK_LIMIT_MS = 60.0
"""Limit for the program that runs before every task."""
_ANSWER = re.compile(r"qrmi_core\.http: .* after ([0-9.]+) s$", re.MULTILINE)


def start_ms(cluster: Cluster, *options: str) -> float:
    """The time from a job's allocation until its script runs."""
    job = cluster.submit("date +%s.%N", *options).wait()
    log = (cluster.logs / "slurmctld.log").read_text()
    allocated = re.search(rf"^\[(.*)\] .*(?:Allocate|Started) JobId={job.id} ", log, re.MULTILINE)
    assert allocated
    begin = datetime.datetime.fromisoformat(allocated[1]).timestamp()
    return (float(job.output) - begin) * 1000


def vendor_ms(log: Path, start: int) -> float:
    """The time that the vendor took until a job had its QPU, as the log tells."""
    text = log.read_text()[start:].partition(" has ")[0]
    return sum(float(seconds) for seconds in _ANSWER.findall(text)) * 1000


def process_ms(*command: str) -> float:
    """The time of a program, as a job's task prolog is started."""
    environment = {"SLURM_JOB_ID": "1", "SLURM_JOB_NODELIST": "n1", "SLURMD_NODENAME": "n1"}
    begin = time.perf_counter()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - begin) * 1000


def measured(mode: str, python: str, runs: int) -> dict[str, float]:
    """The medians with one way to install it, in milliseconds."""
    times: dict[str, list[float]] = {"without a QPU": []}
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
                times["without a QPU"].append(start_ms(cluster))
                if mode == "none":
                    continue
                before = len(plugin.log.read_text()) if plugin.log.exists() else 0
                start = start_ms(cluster, asked)
                vendor = vendor_ms(plugin.log, before)
                times.setdefault("with a QPU", []).append(start)
                times.setdefault("of which the vendor", []).append(vendor)
                times.setdefault("task prolog", []).append(
                    process_ms(str(plugin.folder / "task-prolog"))
                )
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> int:
    """Run it, and fail if a limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    if problem := missing("shim"):
        print(problem)
        return 0
    prepared = os.environ.get("QRMI_TEST_PREPARED")
    python = str(Path(prepared, "smoke/bin/python")) if prepared else sys.executable
    found = {mode: measured(mode, python, runs) for mode in ("none", "scripts", "shim")}
    base = found["none"]["without a QPU"]
    print(f"medians of {runs} starts in ms")
    for mode, medians in found.items():
        for name, value in medians.items():
            print(f"{mode:9}{name:22}{value:7.0f}")
    passed = True
    for mode in ("scripts", "shim"):
        added = found[mode]["with a QPU"] - found[mode]["of which the vendor"] - base
        print(f"{mode}: {added:.0f} ms added beside the vendor ({JOB_LIMIT_MS:.0f})")
        print(f"{mode}: {found[mode]['task prolog']:.0f} ms a task prolog ({TASK_LIMIT_MS:.0f})")
        passed &= added <= JOB_LIMIT_MS and found[mode]["task prolog"] <= TASK_LIMIT_MS
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
