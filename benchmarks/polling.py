"""The cost of waiting for a task, in requests and delay, against a loop of one poll per second.

Time is simulated, so an hour's task takes a moment; the loop is the one that users get.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence

from qrmi_core import Observation, Payload, QuantumResource, TaskStatus
from qrmi_core.testing import FakeClock, FakeVendor

DURATIONS_SECONDS = (0.5, 3.3, 60.0, 3600.0)
REQUEST_SECONDS = 0.05
"""How long the vendor takes to answer one look."""
RUNS = 200
"""Simulated tasks a duration; the jitter differs."""


class SimulatedVendor(FakeVendor):
    """A vendor whose task ends at a given time."""

    def __init__(self, duration: float) -> None:
        super().__init__()
        self.duration = duration
        self.clock = FakeClock()

    def report(self, task_id: str) -> Observation:  # noqa: ARG002
        """One status request."""
        ended = self.clock() >= self.duration
        self.clock.advance(REQUEST_SECONDS)
        return Observation(TaskStatus.Completed if ended else TaskStatus.Running)


def ours(duration: float) -> tuple[int, float]:
    """Requests and lateness in seconds of one wait of the library's."""
    vendor = SimulatedVendor(duration)
    qpu = QuantumResource(
        "simulated",
        "fake",
        {},
        driver_class=vendor.driver(),
        clock=vendor.clock,
        sleep=vendor.clock.sleep,
    )
    qpu.run(Payload.QiskitPrimitive("{}", "sampler")).wait()
    return vendor.calls["task_status"], vendor.clock() - duration


def every_second(duration: float) -> tuple[int, float]:
    """The same for a loop that looks, then sleeps for a second."""
    clock = FakeClock()
    calls = 0
    while True:
        calls += 1
        ended = clock() >= duration
        clock.advance(REQUEST_SECONDS)
        if ended:
            return calls, clock() - duration
        clock.sleep(1.0)


def row(name: str, duration: float, waits: Sequence[tuple[int, float]]) -> str:
    """One line of the table."""
    calls = [calls for calls, _ in waits]
    late = [seconds for _, seconds in waits]
    return (
        f"{duration:9.1f}  {name:13}{statistics.median(calls):9.0f}{max(calls):7}"
        f"{statistics.median(late):11.2f}{max(late):8.2f}"
    )


def main() -> None:
    """Wait for tasks of each duration and print the table."""
    random.seed(1)
    print(f"{RUNS} simulated waits each; a request takes {REQUEST_SECONDS} s, lateness includes it")
    print(f"{'task, s':>9}  {'':13}{'requests':>9}{'most':>7}{'late, s':>11}{'most':>8}")
    for duration in DURATIONS_SECONDS:
        # Tasks end at no round second.
        durations = [duration * random.uniform(0.95, 1.05) for _ in range(RUNS)]
        print(row("qrmi_core", duration, [ours(seconds) for seconds in durations]))
        print(row("every second", duration, [every_second(seconds) for seconds in durations]))


if __name__ == "__main__":
    main()
