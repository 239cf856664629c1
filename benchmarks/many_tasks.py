"""Submit 1000 tasks and wait for all: the time and the requests.

The service is a mock in another process, which responds after 20 ms; its jobs take 5 to 10 s.
"""

from __future__ import annotations

import argparse
import time

import attrs
from mocks.runtime import RuntimeMock

from qrmi_core import Payload, QuantumResource, as_completed

TASKS = 1000
AIM_SECONDS = 13.0
"""The wall time from the first submission until all tasks are seen to have ended."""
AIM_REQUESTS = 1100
PAYLOAD = Payload.QiskitPrimitive(
    '{"pubs": [["OPENQASM 3.0; bit[1] c; qubit[1] q; c = measure q;", null, 10]], "version": 2}',
    "sampler",
)


@attrs.frozen
class Figures:
    """The cost of many tasks.

    Args:
        submitted_seconds: From the first submission to the last.
        seconds: From the first submission until all tasks are seen to have ended.
        late_seconds: From the end of the last task until it is seen.
        requests: The number of requests.
        polls: Those of them that are not submissions.
        connections: The number of connections.
        processor_seconds: The processor time of this process.
    """

    submitted_seconds: float
    seconds: float
    late_seconds: float
    requests: int
    polls: int
    connections: int
    processor_seconds: float


def many_tasks(service: RuntimeMock, tasks: int = TASKS, concurrency: int = 16) -> Figures:
    """Submit tasks side by side and wait for all."""
    qpu = QuantumResource("ibm_fez", "ibm-quantum-compute-service", service.settings())
    service.counts()
    begin, used = time.perf_counter(), time.process_time()
    started = qpu.run_all([PAYLOAD] * tasks, concurrency=concurrency)
    submitted = time.perf_counter()
    assert len({task.id for task in as_completed(started)}) == tasks
    end, now = time.perf_counter(), time.time()
    used = time.process_time() - used
    counts = service.counts()
    requests = sum(counts["requests"].values())
    return Figures(
        submitted - begin,
        end - begin,
        now - counts["last_end"],
        requests,
        requests - counts["requests"]["POST /jobs"],
        counts["connections"],
        used,
    )


def main() -> None:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=TASKS)
    parser.add_argument("--concurrency", type=int, default=16)
    arguments = parser.parse_args()
    with RuntimeMock() as service:
        found = many_tasks(service, arguments.tasks, arguments.concurrency)
    print(f"{arguments.tasks} tasks, {arguments.concurrency} threads, 20 ms, jobs of 5 to 10 s")
    print(f"submitted after       {found.submitted_seconds:8.2f} s")
    print(f"all seen to have ended{found.seconds:8.2f} s (aim {AIM_SECONDS:.0f})")
    print(f"the last one late by  {found.late_seconds:8.2f} s")
    print(f"requests              {found.requests:8} (aim {AIM_REQUESTS}), {found.polls} polls")
    print(f"connections           {found.connections:8}")
    print(f"processor time        {found.processor_seconds:8.2f} s")


if __name__ == "__main__":
    main()
