"""The deadline in force bounds whatever is called within it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from qrmi_core import (
    Observation,
    ResourceBusyError,
    TaskStatus,
    TransportError,
    WaitTimeoutError,
)
from qrmi_core.deadline import Deadline, current, within
from qrmi_core.testing import FakeClock, FakeVendor
from support.fakes import PAYLOAD, fake_resource


@pytest.mark.parametrize(
    ("outer", "inner", "expected"), [(5, 60, 5), (5, None, 5), (60, 5, 5), (None, 5, 5)]
)
def test_an_inner_deadline_only_shortens(
    outer: float | None, inner: float | None, expected: float
) -> None:
    clock = FakeClock()
    with within(Deadline(outer, clock)):
        with within(Deadline(inner, clock)):
            assert current().remaining() == expected
        assert current().remaining() == outer


def test_a_deadline_for_cleaning_up_may_be_a_later_one() -> None:
    clock = FakeClock()
    with within(Deadline(0, clock)), within(Deadline(5, clock), extend=True):
        assert current().remaining() == 5


@pytest.mark.parametrize("timeout", [None, 60.0, math.inf])
@pytest.mark.parametrize(
    ("wait", "kind"),
    [
        (lambda qpu, timeout: qpu.acquire(timeout), ResourceBusyError),
        (lambda qpu, timeout: qpu.task_start(PAYLOAD, timeout=timeout), ResourceBusyError),
        (lambda qpu, timeout: qpu.task("task-1").wait(timeout), WaitTimeoutError),
        (lambda qpu, timeout: qpu.task_result("task-1", timeout), WaitTimeoutError),
    ],
    ids=["acquire", "task_start", "wait", "result"],
)
def test_a_wait_ends_with_the_outer_deadline(
    wait: Callable[[Any, float | None], object], kind: type[Exception], timeout: float | None
) -> None:
    vendor, clock = FakeVendor([Observation(TaskStatus.Running)]), FakeClock()
    qpu = fake_resource(vendor, clock)
    qpu.task_start(PAYLOAD)
    for name in ("acquire", "task_start"):
        vendor.faults[name] = [ResourceBusyError("taken") for _ in range(999)]
    begun = clock()
    with within(Deadline(5, clock)), pytest.raises(kind):
        wait(qpu, timeout)
    assert 4 < clock() - begun <= 5


def test_a_lost_submission_is_searched_for_beyond_the_outer_deadline() -> None:
    vendor, clock = FakeVendor(), FakeClock()
    vendor.lost_responses["task_start"] = [TransportError("reset", uncertain=True)]
    left: list[float | None] = []

    def spend(function: str) -> None:
        clock.advance(10 if function == "task_start" else 0)
        if function == "find_submission":
            left.append(current().remaining())

    vendor.on_call = spend
    with within(Deadline(5, clock)):
        fake_resource(vendor, clock, findable=True).task_start(PAYLOAD)
    assert left == [pytest.approx(30, abs=1)]
