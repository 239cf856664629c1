"""Measure 1000 tasks on IBM Quantum and on Pasqal Cloud: time, requests and lateness.

All sides submit with 16 threads; jobs take 5 to 10 s. The published library cannot wait for many
tasks: its users poll each unfinished task with the same threads, once in a second.
"""

from __future__ import annotations

from common import CLIENT, Goal, Row, figures, in_turns, main, pythons
from mocks import running, stats
from mocks.pasqal import Pasqal
from mocks.runtime import Runtime

RUNS = 3
GOAL_SECONDS = 13.0
"""The wall time from the first submission until all tasks are seen to have ended."""
GOAL_REQUESTS = 1100
GOAL_SECONDS_LATE = 3.0
PROGRAM = f"""{CLIENT}
import threading
from concurrent.futures import ThreadPoolExecutor
tasks = int(arguments[0])
if side == "ours":
    from qrmi_core import Payload, as_completed
else:
    from qrmi import Payload, TaskStatus
if kind == "pasqal-cloud":
    payload = Payload.PasqalCloud(json.dumps({{"version": "1", "pad": "x" * 3000}}), 100)
else:
    payload = Payload.QiskitPrimitive(primitive, "sampler")
seen = {{}}
start = time.monotonic()
if side == "ours":
    started = resource().run_all([payload] * tasks)
    submitted = time.monotonic()
    for task in as_completed(started):
        seen[task.id] = time.monotonic()
else:
    own = threading.local()  # its objects are for one thread alone
    def qpu():
        if not hasattr(own, "qpu"):
            own.qpu = resource()
        return own.qpu
    with ThreadPoolExecutor(16) as pool:
        started = list(pool.map(lambda _: qpu().task_start(payload), range(tasks)))
        submitted = time.monotonic()
        while waiting := [task for task in started if task not in seen]:
            for task, status in zip(waiting, pool.map(lambda id: qpu().task_status(id), waiting)):
                if status not in (TaskStatus.Queued, TaskStatus.Running):
                    seen[task] = time.monotonic()
            time.sleep(1)
print(json.dumps({{
    "submitted": submitted - start,
    "seconds": max(seen.values()) - start,
    "CPU": time.process_time(),
    "seen": seen,
}}))
"""


def rows(quick: bool) -> list[Row]:
    """Measure both services."""
    tasks = 50 if quick else 1000

    def measure(side: str) -> dict[str, float]:
        stats(account.url)
        found = figures(side, PROGRAM, account, str(tasks))
        seen, service = found.pop("seen"), stats(account.url)
        ends = service.pop("ends")
        return {
            **found,
            **service,
            "late": max(seen.values()) - max(ends.values()),
            "latest": max(seen[task] - end for task, end in ends.items()),
        }

    table = []
    for title, service in (("IBM", Runtime), ("Pasqal", Pasqal)):
        with running(service) as account:
            medians = in_turns(pythons(), measure, 1 if quick else RUNS, warm_up=False)
        table += [
            Row.of(
                f"{title}: {tasks} tasks, all seen", "s", medians, "seconds", Goal(GOAL_SECONDS)
            ),
            Row.of(f"{title}: all submitted", "s", medians, "submitted"),
            Row.of(f"{title}: last one late by", "s", medians, "late", Goal(GOAL_SECONDS_LATE)),
            Row.of(f"{title}: any late by at most", "s", medians, "latest"),
            Row.of(f"{title}: requests", "", medians, "requests", Goal(GOAL_REQUESTS)),
            Row.of(f"{title}: connections", "", medians, "connections"),
            Row.of(f"{title}: CPU", "s", medians, "CPU"),
        ]
    return table


if __name__ == "__main__":
    main(rows, __doc__)
