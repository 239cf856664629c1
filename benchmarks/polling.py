"""Measure the requests and the lateness of a wait, beside a loop that polls once in a second.

Time is simulated, so an hour's task takes a moment. The loop counts as bare.
"""

from __future__ import annotations

import random
import statistics

from common import Row, main, number

from qrmi_core import Observation, Payload, QuantumResource, TaskStatus
from qrmi_core.testing import FakeClock, FakeVendor

DURATIONS_SECONDS = (0.5, 3.3, 60.0, 3600.0)
REQUEST_SECONDS = 0.05
"""The time of one status request."""
RUNS = 200
"""Simulated tasks of each duration; the jitter differs."""


class SimulatedVendor(FakeVendor):
    """A vendor whose task ends at a given time."""

    def __init__(self, duration: float) -> None:
        super().__init__()
        self.duration = duration
        self.clock = FakeClock()

    def report(self, task_id: str) -> Observation:  # noqa: ARG002
        """Respond to one status request."""
        ended = self.clock() >= self.duration
        self.clock.advance(REQUEST_SECONDS)
        return Observation(TaskStatus.Completed if ended else TaskStatus.Running)


def ours(duration: float) -> tuple[int, float]:
    """Return the requests and the lateness in seconds of one wait of the library."""
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
    """Return the same for a loop that polls, then sleeps for a second."""
    clock = FakeClock()
    calls = 0
    while True:
        calls += 1
        ended = clock() >= duration
        clock.advance(REQUEST_SECONDS)
        if ended:
            return calls, clock() - duration
        clock.sleep(1.0)


def rows(quick: bool) -> list[Row]:
    """Wait for tasks of each duration."""
    random.seed(1)
    table = []
    for duration in DURATIONS_SECONDS:
        # Tasks end at no round second.
        durations = [duration * random.uniform(0.95, 1.05) for _ in range(20 if quick else RUNS)]
        waits = [map(wait, durations) for wait in (ours, every_second)]
        (calls, late), (plain_calls, plain_late) = (zip(*each, strict=True) for each in waits)
        name = f"polling: task of {number(duration)} s"
        for what, unit, figure, among in (
            ("requests", "", calls, plain_calls),
            ("late by", "s", late, plain_late),
        ):
            medians = {
                "ours": {unit: statistics.median(figure)},
                "bare": {unit: statistics.median(among)},
            }
            table.append(Row.of(f"{name}, {what}", unit, medians))
    return table


if __name__ == "__main__":
    main(rows, __doc__)
