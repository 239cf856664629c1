"""Waiting for tasks, with a clock that only sleeping advances."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, strategies as st

from qrmi_core import (
    AuthenticationFailedError,
    CallTimeoutError,
    InvalidInputError,
    InvalidResponseError,
    Observation,
    Payload,
    PollingPolicy,
    QrmiError,
    QuantumResource,
    ResourceBusyError,
    ServiceError,
    Settings,
    SubmissionUncertainError,
    Task,
    TaskNotFoundError,
    TaskNotReadyError,
    TaskStatus,
    TransportError,
    WaitTimeoutError,
    as_completed,
    wait,
)
from qrmi_core.channel import Channel
from qrmi_core.deadline import Deadline, current, within
from qrmi_core.locks import Lock
from qrmi_core.retry import OnWait
from qrmi_core.submission import until_free
from qrmi_core.testing import FakeClock, FakeVendor

PAYLOAD = Payload.QiskitPrimitive(input="{}", program_id="sampler")


def fake_channel(clock: FakeClock, on_wait: OnWait | None = None) -> Channel:
    driver = FakeVendor().driver()("fake", "fake", Settings())
    return Channel(driver, clock=clock, sleep=clock.sleep, on_wait=on_wait)


class TimedVendor(FakeVendor):
    """A vendor whose tasks end at given times."""

    def __init__(self, clock: FakeClock, *ends: float, request: float = 0.0) -> None:
        super().__init__()
        self.clock = clock
        self.ends = ends
        self.seen: dict[str, float] = {}
        self.on_call = lambda _function: clock.advance(request)

    def report(self, task_id: str) -> Observation:
        number = int(self.task(task_id).id.removeprefix("task-")) - 1
        if self.clock() < self.ends[number % len(self.ends)]:
            return Observation(TaskStatus.Running)
        self.seen.setdefault(task_id, self.clock())
        return Observation(TaskStatus.Completed)


def resource(vendor: FakeVendor, clock: FakeClock, **how: bool) -> QuantumResource:
    driver = vendor.driver(**how)
    return QuantumResource("fake", "fake", {}, driver_class=driver, clock=clock, sleep=clock.sleep)


@pytest.mark.slow
@given(st.floats(0, 7200), st.floats(0, 0.3))
def test_a_task_is_seen_to_end_in_time_at_a_bounded_cost(end: float, request: float) -> None:
    clock = FakeClock()
    vendor = TimedVendor(clock, end, request=request)
    task = resource(vendor, clock).run(PAYLOAD)
    task.wait()
    late = clock() - end
    assert late <= max(0.2, min(0.1 * end, 15)) * 1.1 + 3 * request + 1e-6
    # Eleven polls in the first two seconds; then the interval grows by 10 %, up to 15 s.
    assert vendor.calls["task_status"] <= 60 + end / 15


@pytest.mark.parametrize(("end", "looks", "lateness"), [(3.3, 18, 0.5), (3600, 300, 16.5)])
def test_the_promised_figures_hold(end: float, looks: int, lateness: float) -> None:
    for _ in range(20):
        clock = FakeClock()
        vendor = TimedVendor(clock, end)
        resource(vendor, clock).run(PAYLOAD).wait()
        assert vendor.calls["task_status"] <= looks
        assert clock() - end <= lateness


def test_a_finished_task_is_looked_at_once_and_never_again() -> None:
    clock = FakeClock()
    vendor = TimedVendor(clock, 0)
    qpu = resource(vendor, clock)
    task = qpu.run(PAYLOAD)
    for _ in range(3):
        assert task.wait() is task.status() is qpu.task_status(task.id) is TaskStatus.Completed
    assert vendor.calls["task_status"] == 1
    assert clock.pauses == []


def test_a_timeout_of_0_looks_once() -> None:
    clock = FakeClock()
    vendor = TimedVendor(clock, 100)
    task = resource(vendor, clock).run(PAYLOAD)
    with pytest.raises(WaitTimeoutError) as caught:
        task.wait(0)
    assert vendor.calls["task_status"] == 1
    assert clock.pauses == []
    assert caught.value.status is TaskStatus.Running
    assert isinstance(caught.value, TaskNotReadyError)
    assert isinstance(caught.value, TimeoutError)
    assert task.id in str(caught.value)


@given(st.floats(0.01, 100), st.floats(0, 0.05))
def test_a_wait_ends_at_its_deadline_and_not_long_before(timeout: float, request: float) -> None:
    clock = FakeClock()
    vendor = TimedVendor(clock, float("inf"), request=request)
    task = resource(vendor, clock).run(PAYLOAD)
    start = clock()
    with pytest.raises(WaitTimeoutError):
        task.wait(timeout)
    assert start + timeout * 0.9 - 0.25 <= clock() <= start + timeout + request + 1e-6


def test_the_deadline_reaches_the_requests() -> None:
    clock = FakeClock()
    vendor = TimedVendor(clock, 50)
    left: list[float | None] = []
    vendor.on_call = lambda _function: left.append(current().remaining())
    task = resource(vendor, clock).run(PAYLOAD)
    task.wait(60)
    assert left[0] is None, "the submission has no deadline"
    assert left[1] == 60
    assert left[1:] == sorted(left[1:], reverse=True)
    assert current().remaining() is None


@pytest.mark.parametrize("timeout", [-1, float("nan")])
def test_a_timeout_that_is_no_time_is_refused(timeout: float) -> None:
    clock = FakeClock()
    task = resource(FakeVendor(), clock).run(PAYLOAD)
    with pytest.raises(InvalidInputError, match="timeout"):
        task.wait(timeout)
    with pytest.raises(InvalidInputError, match="timeout"):
        as_completed([task], timeout)


def test_an_outage_does_not_end_a_wait_until_it_is_too_long(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = FakeClock()
    vendor = TimedVendor(clock, 2000)
    outage = [TransportError("connection refused") for _ in range(1000)]
    vendor.faults["task_status"] = outage
    task = resource(vendor, clock).run(PAYLOAD)
    with pytest.raises(TransportError) as caught:
        task.wait()
    assert 600 < clock() < 620
    assert caught.value.task_id == task.id
    assert sum("waiting goes on" in record.getMessage() for record in caplog.records) == 1
    # The vendor is back, and the task is unchanged.
    vendor.faults["task_status"].clear()
    assert task.wait() is TaskStatus.Completed


def test_an_outage_of_many_tasks_is_as_long_as_that_of_one() -> None:
    clock = FakeClock()
    vendor = TimedVendor(clock, 9000)
    vendor.faults["task_status"] = [TransportError("connection refused") for _ in range(9999)]
    qpu = resource(vendor, clock)
    with pytest.raises(TransportError):
        wait([qpu.run(PAYLOAD) for _ in range(3)])
    assert 600 < clock() < 700


def test_outages_are_counted_apart() -> None:
    clock = FakeClock()
    vendor = TimedVendor(clock, 3000)

    def fail(function: str) -> None:
        # Outages of 500 s, each shorter than the bound of 600 s, with 50 s between them.
        if function == "task_status" and clock() % 550 < 500:
            raise TransportError("down")

    vendor.on_call = fail
    assert resource(vendor, clock).run(PAYLOAD).wait() is TaskStatus.Completed


def test_a_page_of_a_proxy_does_not_end_a_wait() -> None:
    clock = FakeClock()
    vendor = FakeVendor()
    vendor.faults["task_status"] = [InvalidResponseError("HTML in place of JSON")]
    assert resource(vendor, clock).run(PAYLOAD).wait() is TaskStatus.Completed


def test_an_error_that_trying_again_cannot_mend_ends_a_wait(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = FakeClock()
    vendor = FakeVendor()
    vendor.faults["task_status"] = [AuthenticationFailedError("refused")]
    with pytest.raises(AuthenticationFailedError):
        resource(vendor, clock).run(PAYLOAD).wait()
    assert clock.pauses == []
    assert "waiting goes on" not in caplog.text


def test_retry_after_is_obeyed() -> None:
    clock = FakeClock()
    vendor = FakeVendor()
    vendor.faults["task_status"] = [ServiceError("slow down", retryable=True, retry_after=42)]
    resource(vendor, clock).run(PAYLOAD).wait()
    assert clock.pauses[0] == 42


@pytest.mark.parametrize("asked", [1e4, 2.5e11, 1e300, float("inf"), float("nan"), -5.0])
@pytest.mark.parametrize("function", ["task_start", "find_submission", "task_status", "task_stop"])
def test_a_vendor_cannot_ask_for_a_longer_pause_than_an_outage_may_last(
    function: str, asked: float
) -> None:
    clock = FakeClock()
    vendor = FakeVendor(reports=[Observation(TaskStatus.Completed)])
    kind = {"task_start": ResourceBusyError, "task_stop": TaskNotReadyError}
    error = kind.get(function, ServiceError)("later", retryable=True, retry_after=asked)
    vendor.faults[function] = [error]
    if function == "find_submission":
        vendor.lost_responses["task_start"] = [TransportError("reset", uncertain=True)]
    qpu = resource(vendor, clock, findable=True)
    try:
        task = qpu.run(PAYLOAD)
        task.wait()
        task.stop()
    except QrmiError as raised:
        assert isinstance(raised, SubmissionUncertainError | TaskNotReadyError)
    assert clock() <= 600
    assert sum(clock.pauses) <= 600


@pytest.mark.parametrize("timeout", [1e10, 1e300, float("inf")])
def test_a_timeout_of_ages_is_a_timeout(timeout: float) -> None:
    clock = FakeClock()
    qpu = resource(FakeVendor(), clock)
    qpu.release(qpu.acquire(timeout))
    assert qpu.run(PAYLOAD, timeout).wait(timeout) is TaskStatus.Completed
    # For example where one thread waits for another to renew a token.
    with within(Deadline(timeout)):
        assert Lock().acquire(current().remaining())


def test_a_timeout_during_an_outage_tells_the_outage() -> None:
    clock = FakeClock()
    vendor = FakeVendor()
    vendor.faults["task_status"] = [TransportError("no route") for _ in range(100)]
    with pytest.raises(WaitTimeoutError) as caught:
        resource(vendor, clock).run(PAYLOAD).wait(5)
    assert caught.value.status is None
    assert isinstance(caught.value.__cause__, TransportError)


def test_tasks_come_as_they_end() -> None:
    clock = FakeClock()
    vendor = TimedVendor(clock, 9, 3, 6)
    qpu = resource(vendor, clock)
    tasks = [qpu.run(PAYLOAD) for _ in range(3)]
    assert list(as_completed(tasks)) == [tasks[1], tasks[2], tasks[0]]


def test_tasks_of_one_resource_are_looked_at_in_one_call_where_the_driver_can() -> None:
    clock = FakeClock()
    vendor = TimedVendor(clock, *range(1, 41))
    qpu = resource(vendor, clock, batched=True)
    tasks = [qpu.run(PAYLOAD) for _ in range(40)]
    done, pending = wait(tasks)
    assert done == tasks
    assert pending == []
    assert vendor.calls["task_statuses"] < 60
    assert vendor.calls["task_status"] <= 1, "the last one is alone"


def test_many_tasks_are_polled_less_often_until_most_of_them_have_ended() -> None:
    clock = FakeClock()
    vendor = TimedVendor(clock, *[5.5] * 900, *[7.5] * 100)
    qpu = resource(vendor, clock, batched=True)
    tasks = [qpu.run(PAYLOAD) for _ in range(1000)]
    wait(tasks, 5.5)
    assert vendor.calls["task_statuses"] <= 7
    done, _ = wait(tasks)
    assert done == tasks
    assert clock() < 8.5


def test_tasks_of_several_resources_are_waited_for_in_one_loop() -> None:
    clock = FakeClock()
    vendors = [TimedVendor(clock, 5), TimedVendor(clock, 5)]
    tasks = [resource(vendor, clock).run(PAYLOAD) for vendor in vendors]
    done, _ = wait(tasks)
    assert done == tasks
    assert clock() < 6, "one after the other would take no longer, but look at each in turn"
    assert vendors[0].calls == vendors[1].calls


def test_wait_tells_what_is_done_and_what_is_not() -> None:
    clock = FakeClock()
    qpu = resource(TimedVendor(clock, 1, 100), clock)
    tasks = [qpu.run(PAYLOAD) for _ in range(4)]
    done, pending = wait(tasks, 10)
    assert done == [tasks[0], tasks[2]]
    assert pending == [tasks[1], tasks[3]]
    assert wait([], 0) == ([], [])


def test_as_completed_raises_when_the_time_is_up_and_can_be_left_early() -> None:
    clock = FakeClock()
    qpu = resource(TimedVendor(clock, 1, 100), clock)
    tasks = [qpu.run(PAYLOAD) for _ in range(2)]
    ended: Iterator[Task] = as_completed(tasks, 10)
    assert next(ended) is tasks[0]
    with pytest.raises(WaitTimeoutError):
        next(ended)
    early = as_completed(tasks, 10)
    next(early)
    early.close()  # type: ignore[attr-defined]


def test_tasks_already_finished_cost_nothing() -> None:
    clock = FakeClock()
    vendor = TimedVendor(clock, 1)
    task = resource(vendor, clock).run(PAYLOAD)
    task.wait()
    before = vendor.calls.copy()
    assert list(as_completed([task, task])) == [task]
    assert vendor.calls == before


@pytest.mark.parametrize("order", [1, -1])
def test_tasks_of_several_resources_are_polled_at_the_pace_of_the_slowest(order: int) -> None:
    clock = FakeClock()
    vendors = [TimedVendor(clock, 1.0), TimedVendor(clock, 1.0)]
    drivers = [vendor.driver() for vendor in vendors]
    drivers[0].min_pause_seconds = 0.004
    tasks = [
        QuantumResource(
            "fake", "fake", {}, driver_class=driver, clock=clock, sleep=clock.sleep
        ).run(PAYLOAD)
        for driver in drivers
    ]
    assert len(list(as_completed(tasks[::order]))) == 2
    assert max(vendor.calls["task_status"] for vendor in vendors) <= 6


@given(st.floats(0, 1e6), st.none() | st.floats(0, 100))
def test_a_pause_keeps_its_bounds(waited: float, retry_after: float | None) -> None:
    policy = PollingPolicy()
    pause = policy.pause(waited, retry_after)
    assert 0.2 <= pause <= max(15 * 1.1, retry_after or 0)
    assert pause >= (retry_after or 0)


@pytest.mark.parametrize(("policy", "seen"), [(None, 0.06), (PollingPolicy(), 0.2)])
def test_a_driver_sets_the_shortest_pause_unless_the_user_does(
    policy: PollingPolicy | None, seen: float
) -> None:
    clock = FakeClock()
    vendor = TimedVendor(clock, 0.05)
    near = type("Near", (vendor.driver(),), {"min_pause_seconds": 0.01})
    qpu = QuantumResource(
        *("fake", "fake", {}), polling=policy, driver_class=near, clock=clock, sleep=clock.sleep
    )
    qpu.run(PAYLOAD).wait()
    assert seen * 0.8 <= clock() <= seen * 1.1


def test_a_busy_resource_is_asked_again_until_it_is_free() -> None:
    clock = FakeClock()
    answers = itertools.chain([ResourceBusyError("all lanes taken", retry_after=3)] * 3, ["id"])
    told: list[tuple[str, float]] = []

    def attempt() -> str:
        answer = next(answers)
        if isinstance(answer, ResourceBusyError):
            raise answer
        return answer

    channel = fake_channel(clock, lambda reason, seconds: told.append((reason, seconds)))
    found = until_free(channel, attempt, 60)
    assert found == "id"
    assert told == [("all lanes taken", 3)] * 3


@pytest.mark.parametrize(("timeout", "attempts"), [(0, 1), (1, 6)])
def test_a_resource_that_stays_busy_is_an_error_in_time(timeout: float, attempts: int) -> None:
    clock = FakeClock()
    count = 0

    def attempt() -> None:
        nonlocal count
        count += 1
        assert not current().passed(), "a request would find no time left and not say why"
        raise ResourceBusyError("taken")

    with pytest.raises(ResourceBusyError, match="taken"):
        until_free(fake_channel(clock), attempt, timeout)
    assert clock() <= timeout
    assert attempts - 1 <= count <= attempts


def hanging(clock: FakeClock) -> FakeVendor:
    """Return a vendor that uses all the time of a call and never responds."""
    vendor = FakeVendor()

    def hang(function: str) -> None:
        if function.startswith("task_status"):
            left = current().remaining()
            clock.advance(60 if left is None else left)
            raise CallTimeoutError("no answer")

    vendor.on_call = hang
    return vendor


@pytest.mark.parametrize("hung_first", [True, False])
def test_a_vendor_that_hangs_does_not_starve_another(hung_first: bool) -> None:
    clock = FakeClock()
    good = TimedVendor(clock, 0)
    tasks = [resource(vendor, clock).run(PAYLOAD) for vendor in (hanging(clock), good)]
    done, pending = wait(tasks if hung_first else tasks[::-1], 3)
    assert (done, pending) == ([tasks[1]], [tasks[0]])
    assert clock() <= 3 + 1e-6


def test_a_vendor_that_hangs_delays_another_by_seconds_and_not_by_minutes() -> None:
    clock = FakeClock()
    good = TimedVendor(clock, 8)
    tasks = [resource(vendor, clock).run(PAYLOAD) for vendor in (hanging(clock), good)]
    assert next(as_completed(tasks)) is tasks[1]
    assert clock() < 40


@pytest.mark.parametrize(
    "error",
    [
        ServiceError("broken", status_code=503, retryable=True),
        TransportError("reset"),
        TaskNotFoundError("no such task"),
    ],
    ids=["503", "reset", "not found"],
)
@pytest.mark.parametrize("batched", [True, False])
def test_a_task_that_cannot_be_looked_at_does_not_starve_another(
    error: QrmiError, batched: bool
) -> None:
    clock = FakeClock()

    class Vendor(TimedVendor):
        def report(self, task_id: str) -> Observation:
            if task_id == "task-1":
                raise error
            return super().report(task_id)

    vendor = Vendor(clock, 0)
    qpu = resource(vendor, clock, batched=batched)
    bad, good = qpu.run(PAYLOAD), qpu.run(PAYLOAD)
    if batched:
        del vendor.tasks[bad.id]
    ended = as_completed([bad, good], 60)
    assert next(ended) is good
    with pytest.raises(QrmiError):
        next(ended)


def test_a_caller_that_takes_its_time_still_gets_a_last_look() -> None:
    clock = FakeClock()
    vendor = TimedVendor(clock, 1, 2)
    qpu = resource(vendor, clock)
    tasks = [qpu.run(PAYLOAD) for _ in range(2)]
    ended = as_completed(tasks, 3)
    assert next(ended) is tasks[0]
    clock.advance(5)
    assert next(ended) is tasks[1]


def test_tasks_may_come_from_a_generator() -> None:
    clock = FakeClock()
    qpu = resource(FakeVendor(), clock)
    done, pending = wait(qpu.run(PAYLOAD) for _ in range(3))
    assert (len(done), pending) == (3, [])


@pytest.mark.parametrize(
    "figure",
    [{"min_pause_seconds": 0}, {"growth": -1}, {"jitter": "x"}, {"max_pause_seconds": None}],
)
def test_a_policy_that_makes_no_sense_is_refused(figure: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match=next(iter(figure))):
        PollingPolicy(**figure)


def test_a_timeout_tells_why_nothing_was_seen() -> None:
    clock = FakeClock()
    vendor = FakeVendor()
    vendor.faults["task_status"] = [TransportError("connection refused")]
    with pytest.raises(WaitTimeoutError, match="connection refused") as caught:
        resource(vendor, clock).run(PAYLOAD).wait(0)
    assert "it goes on" not in str(caught.value)


def test_ctrl_c_ends_a_wait_at_once() -> None:
    script = """
import time
from qrmi_core import Observation, Payload, PollingPolicy, QuantumResource, TaskStatus
from qrmi_core.testing import FakeVendor
vendor = FakeVendor(reports=[Observation(TaskStatus.Running)])
def pause(seconds):
    print(f"pausing for {seconds:.0f} s", flush=True)
    time.sleep(seconds)
qpu = QuantumResource("fake", "fake", {}, driver_class=vendor.driver(), sleep=pause,
                      polling=PollingPolicy(min_pause_seconds=300, max_pause_seconds=300, jitter=0))
task = qpu.run(Payload.QiskitPrimitive(input="{}", program_id="sampler"))
try:
    task.wait()
except KeyboardInterrupt:
    print("interrupted")
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "pausing for 300 s\n"
            process.send_signal(signal.SIGINT)
            # The pause is far longer than this.
            assert process.communicate(timeout=60)[0] == "interrupted\n"
        finally:
            process.kill()
