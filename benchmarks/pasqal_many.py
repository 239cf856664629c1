"""The cost of 1000 tasks on Pasqal Cloud, against the published library: requests and lateness.

Both submit with 16 threads. The published library cannot wait for many tasks: its users poll each
unfinished task with the same threads, once in a second.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import urllib.request

from mocks.pasqal import pasqal_mock, settings_of
from pasqal_large import pythons

RUNS = 3
"""Runs of each side."""
TASKS = 1000
MOST_REQUESTS = 1100
MOST_SECONDS_LATE = 3.0
CLIENT = """
import json, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
tasks, text = int(sys.argv[2]), json.dumps({"version": "1", "pad": "x" * 3000})
seen = {}
start = time.monotonic()
with ThreadPoolExecutor(16) as pool:
    if sys.argv[1] == "ours":
        from qrmi_core import Payload, QuantumResource, as_completed
        qpu = QuantumResource("EMU_FREE", "pasqal-cloud")
        payload = Payload.PasqalCloud(text, 100)
        started = list(pool.map(lambda _: qpu.run(payload), range(tasks)))
        submitted = time.monotonic()
        for task in as_completed(started):
            seen[task.id] = time.monotonic()
    else:
        from qrmi import Payload, QuantumResource, ResourceType, TaskStatus
        own = threading.local()  # its objects are for one thread alone
        def qpu():
            if not hasattr(own, "qpu"):
                own.qpu = QuantumResource("EMU_FREE", ResourceType.PasqalCloud)
            return own.qpu
        payload = Payload.PasqalCloud(text, 100)
        started = list(pool.map(lambda _: qpu().task_start(payload), range(tasks)))
        submitted = time.monotonic()
        while waiting := [task for task in started if task not in seen]:
            for task, status in zip(waiting, pool.map(lambda id: qpu().task_status(id), waiting)):
                if status not in (TaskStatus.Queued, TaskStatus.Running):
                    seen[task] = time.monotonic()
            time.sleep(1)
print(json.dumps([submitted - start, max(seen.values()) - start, seen]))
"""


def measured(python: str, side: str, url: str) -> dict[str, float]:
    """Run one side, and return its figures."""
    command = [python, "-c", CLIENT, side, str(TASKS)]
    env = {**os.environ, **settings_of(url, "EMU_FREE")}
    done = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
    submitting, taken, seen = json.loads(done.stdout)
    with urllib.request.urlopen(f"{url}/stats") as response:
        service = json.load(response)
    late = [seen[task] - end for task, end in service["ends"].items()]
    last = max(seen.values()) - max(service["ends"].values())
    return {
        "s to submit": submitting,
        "s in all": taken,
        "requests": service["requests"],
        "s late, the last": last,
        "s late, at most": max(late),
    }


def main() -> None:
    """Run both sides in turns, and print the medians."""
    found: dict[str, list[dict[str, float]]] = {}
    with pasqal_mock() as url:
        for _ in range(RUNS):
            for side, python in pythons().items():
                found.setdefault(side, []).append(measured(python, side, url))
    print(f"{TASKS} tasks of 5 to 10 s, 16 threads, medians of {RUNS} runs in turns, 20 ms latency")
    for side, runs in found.items():
        medians = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
        print(f"{side:10}", *(f"{value:8.1f} {name}" for name, value in medians.items()))
    print(f"goals: {MOST_REQUESTS} requests, the last {MOST_SECONDS_LATE} s late")


if __name__ == "__main__":
    main()
