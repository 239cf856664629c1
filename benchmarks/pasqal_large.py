"""The cost of large documents on Pasqal Cloud, against the published library: seconds and memory.

Each measurement is a process of its own, so that its peak of memory is that of one operation.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from mocks.pasqal import ended_batch, pasqal_mock, settings_of

RUNS = 5
"""Runs of each measurement."""
MEASUREMENTS = {
    "result of 10 MB": ("result", 10),
    "result of 100 MB": ("result", 100),
    "start with 50 MB": ("start", 50),
}
CLIENT = """
import json, os, resource, sys, time
if sys.argv[1] == "ours":
    from qrmi_core import Payload, QuantumResource
    qpu = QuantumResource("EMU_FREE", "pasqal-cloud")
else:
    from qrmi import Payload, QuantumResource, ResourceType
    qpu = QuantumResource("EMU_FREE", ResourceType.PasqalCloud)
what, megabytes, batch = sys.argv[2], int(sys.argv[3]), sys.argv[4]
qpu.task_status(batch)  # the token, and what is imported once
if what == "start":
    text = '{"version": "1", "pad": [%s""]}' % ('"01234567890", ' * (megabytes * 10**6 // 15))
    payload = Payload.PasqalCloud(sequence=text, job_runs=100)
start = time.perf_counter()
if what == "start":
    qpu.task_start(payload)
else:
    value = qpu.task_result(batch).value
    assert len(value) > megabytes * 0.9e6
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
print(json.dumps([seconds, peak]))
"""


def measured(python: str, side: str, what: str, megabytes: int, url: str) -> tuple[float, float]:
    """Return the seconds of one operation, and the most megabytes of memory of its process."""
    command = [python, "-c", CLIENT, side, what, str(megabytes), ended_batch(megabytes)]
    env = {**os.environ, **settings_of(url, "EMU_FREE")}
    done = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
    seconds, peak = json.loads(done.stdout)
    return seconds, peak


def pythons() -> Mapping[str, str]:
    """Return the interpreter of each side that is there."""
    prepared = Path(os.environ.get("QRMI_TEST_PREPARED", "missing"))
    published = prepared / "peers" / "bin" / "python"
    return {"ours": sys.executable} | ({"published": str(published)} if published.exists() else {})


def main() -> None:
    """Measure both sides in turns, and print the medians."""
    sides = pythons()
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    with pasqal_mock() as url:
        for run in range(RUNS + 1):
            for name, (what, megabytes) in MEASUREMENTS.items():
                for side, python in sides.items():
                    figures = measured(python, side, what, megabytes, url)
                    if run:  # the first one fills caches
                        found.setdefault((name, side), []).append(figures)
    print(f"medians of {RUNS} runs in turns, 20 ms latency")
    for (name, side), runs in found.items():
        seconds = statistics.median(seconds for seconds, _ in runs)
        peak = statistics.median(peak for _, peak in runs)
        print(f"{name:18}{side:10}{seconds:8.3f} s{peak:8.0f} MB at most")


if __name__ == "__main__":
    main()
