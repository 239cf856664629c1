"""Submitting many tasks side by side."""

from __future__ import annotations

import itertools
import logging
import math
import signal
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from types import CodeType
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

import qrmi_core
from qrmi_core import (
    BatchInterruptedError,
    BatchSubmissionError,
    InvalidArgumentError,
    InvalidInputError,
    Observation,
    Payload,
    QrmiError,
    QuantumResource,
    ResourceBusyError,
    ServiceError,
    Task,
    TaskStatus,
    TransportError,
    WaitTimeoutError,
)
from qrmi_core.bulk import _Pool
from qrmi_core.plugin import HttpClient, QiskitPrimitive, current, read_content
from qrmi_core.testing import FakeClock, FakeVendor
from support.fakes import fake_resource
from support.socket_server import SocketServer, answer

SECONDS = 10.0
"""How long a test waits for another thread; only one that fails takes as long."""


def payload(number: int) -> Payload:
    return Payload.QiskitPrimitive(str(number), "sampler")


def number_of(given: Payload) -> int:
    assert isinstance(given, QiskitPrimitive)
    return int(read_content(given.input))


class Site:
    """A vendor that does something for each payload, by its number, and a resource of it."""

    def __init__(self, on_payload: Callable[[int], object], **kind: bool) -> None:
        self.clock = FakeClock()
        self.vendor = FakeVendor()
        self.submitted: Counter[int] = Counter()
        submitted = self.submitted

        class Acting(self.vendor.driver(**kind)):  # type: ignore[misc]
            def task_start(self, payload: Payload, **how: Any) -> str:
                on_payload(number_of(payload))
                submitted[number_of(payload)] += 1
                return str(super().task_start(payload, **how))

        self.qpu = QuantumResource(
            "fake",
            "fake",
            {},
            driver_class=Acting,
            clock=self.clock,
            sleep=self.clock.sleep,
        )

    def numbers(self, tasks: Iterable[Task]) -> list[int]:
        """Return the numbers of the payloads of tasks."""
        return [number_of(self.vendor.tasks[task.id].payload) for task in tasks]


def nothing(_number: int) -> None:
    pass


@settings(max_examples=40)
@given(
    count=st.integers(0, 12),
    concurrency=st.integers(1, 5),
    bad=st.sets(st.integers(0, 14), max_size=2),
    lazily=st.booleans(),
)
def test_every_payload_is_submitted_once_and_in_order_or_the_error_says_which_were_not(
    count: int, concurrency: int, bad: set[int], lazily: bool
) -> None:
    def refuse(number: int) -> None:
        if number in bad:
            raise ServiceError(f"no to {number}")

    site = Site(refuse)
    read: list[int] = []

    def lazy() -> Iterator[Payload]:
        for number in range(count):
            read.append(number)
            yield payload(number)

    payloads = lazy() if lazily else [payload(number) for number in range(count)]
    refused = {number for number in bad if number < count}
    try:
        tasks = site.qpu.run_all(payloads, concurrency=concurrency)
    except BatchSubmissionError as error:
        assert error.failed_index in refused
        assert str(error.__cause__) == f"no to {error.failed_index} [resource fake]"
        assert site.numbers(error.tasks) == error.indexes == sorted(site.submitted)
        assert set(range(min(refused))) <= {*error.indexes}
        for task in error.tasks:
            assert task.id in str(error)
        if lazily:
            assert sorted([*error.indexes, *error.errors]) == read
    else:
        assert not refused
        assert site.numbers(tasks) == list(range(count))
    assert set(site.submitted.values()) <= {1}
    assert read == list(range(len(read)))


def test_payloads_are_read_in_the_callers_thread_when_a_thread_is_free() -> None:
    site = Site(nothing)

    def lazy() -> Iterator[Payload]:
        for number in range(40):
            assert threading.current_thread() is caller
            assert number - len(site.vendor.tasks) < 3
            yield payload(number)

    caller = threading.current_thread()
    assert len(site.qpu.run_all(lazy(), concurrency=3)) == 40


def test_as_many_threads_as_asked_for_submit_side_by_side_and_all_end() -> None:
    together = threading.Barrier(4)
    underway = threading.BoundedSemaphore(4)

    def meet(_number: int) -> None:
        assert underway.acquire(blocking=False)
        together.wait(SECONDS)
        underway.release()

    before = threading.active_count()
    Site(meet).qpu.run_all(map(payload, range(12)), concurrency=4)
    assert threading.active_count() == before


def test_no_more_threads_are_started_than_there_are_payloads() -> None:
    most: list[int] = []
    site = Site(lambda _number: most.append(threading.active_count()))
    before = threading.active_count()
    site.qpu.run_all([payload(0), payload(1)])
    assert max(most) <= before + 2


def test_after_an_error_nothing_more_is_read_and_requests_under_way_end() -> None:
    failed = threading.Event()
    begun = threading.Event()

    def act(number: int) -> None:
        if number == 0:
            begun.set()
            assert failed.wait(SECONDS)
        else:
            assert begun.wait(SECONDS)
            failed.set()
            raise ServiceError("no")

    site = Site(act)
    numbers = itertools.count()
    with pytest.raises(
        BatchSubmissionError, match=r"payloads\[1\] was not submitted: no"
    ) as raised:
        site.qpu.run_all(map(payload, numbers), concurrency=2)
    assert (raised.value.failed_index, raised.value.indexes) == (1, [0])
    assert next(numbers) == 2
    assert not raised.value.retryable


def test_an_iterable_that_fails_loses_no_task() -> None:
    def failing() -> Iterator[Payload]:
        yield payload(0)
        yield payload(1)
        raise LookupError("the third is missing")

    site = Site(nothing)
    with pytest.raises(BatchSubmissionError, match="LookupError: the third is missing") as raised:
        site.qpu.run_all(failing())
    assert raised.value.failed_index == 2
    assert site.numbers(raised.value.tasks) == [0, 1]
    assert isinstance(raised.value.__cause__, LookupError)


def test_a_payload_that_is_read_while_another_fails_is_among_the_errors() -> None:
    def refuse(_number: int) -> None:
        raise ServiceError("no")

    def lazy() -> Iterator[Payload]:
        yield payload(0)
        while not pool.failures:
            time.sleep(0.001)
        yield payload(1)

    pool = _Pool(Site(refuse).qpu, 2, None)
    with pytest.raises(QrmiError, match="another payload failed") as raised:
        pool.feed(lazy())
    pool.abort(raised.value)
    with pytest.raises(BatchSubmissionError, match=r"payloads\[0\] was not submitted: no") as batch:
        pool.fail()
    assert [*batch.value.errors] == [0, 1]


@pytest.mark.parametrize("wrong", [None, "text", 3])
def test_an_element_that_is_no_payload_is_named(wrong: Any) -> None:
    with pytest.raises(BatchSubmissionError, match=r"payloads\[1\].*TypeError") as raised:
        Site(nothing).qpu.run_all([payload(0), wrong, payload(2)], concurrency=1)
    assert raised.value.indexes == [0]


def test_a_second_error_and_an_uncertain_one_are_told_too() -> None:
    both = threading.Barrier(2)

    def act(number: int) -> None:
        both.wait(SECONDS)
        raise TransportError("reset", uncertain=True) if number else ServiceError("no")

    with pytest.raises(BatchSubmissionError, match="no task was started") as raised:
        Site(act).qpu.run_all([payload(0), payload(1)])
    told = [str(raised.value), *raised.value.__notes__]
    assert len(told) == 2
    assert any(f"payloads[0] was not submitted: {ServiceError('no')}" in text for text in told)
    assert any("payloads[1] may have been submitted: the response to" in text for text in told)
    assert raised.value.uncertain


class Slots:
    """A vendor with two slots; a task holds one for a second."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.ends: list[float] = []
        self.attempts = 0
        self._lock = threading.Lock()

    def __call__(self, _number: int) -> None:
        with self._lock:
            self.attempts += 1
            self.ends = [end for end in self.ends if end > self.clock()]
            if len(self.ends) == 2:
                raise ResourceBusyError("both slots are taken")
            self.ends.append(self.clock() + 1.0)


def test_a_vendor_without_a_free_slot_is_waited_for_by_one_thread_at_a_time() -> None:
    def sleep(seconds: float) -> None:
        if seconds:
            assert pausing.acquire(blocking=False)
            time.sleep(0.0005)  # so that another thread has its turn
            site.clock.sleep(seconds)
            pausing.release()

    pausing = threading.Lock()
    site = Site(lambda number: slots(number))
    site.qpu._channel.sleep = sleep
    slots = Slots(site.clock)
    tasks = site.qpu.run_all(map(payload, range(20)), concurrency=8)
    assert site.numbers(tasks) == list(range(20))
    # One attempt after each pause of 0.2 s or more in 10 s, and one for each task at once.
    assert slots.attempts <= 20 + 50


@pytest.mark.parametrize(("timeout", "started"), [(0, 2), (3.5, 8)])
def test_slots_are_waited_for_until_the_time_is_up(timeout: float, started: int) -> None:
    site = Site(lambda number: slots(number))
    slots = Slots(site.clock)
    with pytest.raises(BatchSubmissionError, match="both slots are taken") as raised:
        site.qpu.run_all(map(payload, range(20)), concurrency=4, timeout=timeout)
    assert isinstance(raised.value.__cause__, ResourceBusyError)
    assert started - 2 < len(raised.value.tasks) <= started
    assert site.clock() <= timeout


def test_threads_that_wait_for_a_slot_give_up_after_an_error() -> None:
    waiting = threading.Event()

    def act(number: int) -> None:
        if number == 1:
            assert waiting.wait(SECONDS)
            raise ServiceError("no")
        raise ResourceBusyError("full")

    site = Site(act)
    site.qpu._channel.on_wait = lambda *_: waiting.set()
    with pytest.raises(
        BatchSubmissionError, match=r"payloads\[1\] was not submitted: no"
    ) as raised:
        site.qpu.run_all([payload(0), payload(1)])
    assert raised.value.__notes__ == ["payloads[0] was not submitted: full [resource fake]"]


def test_the_time_is_for_all_together() -> None:
    site = Site(lambda _number: site.clock.advance(1.0))
    with pytest.raises(BatchSubmissionError, match="the time for submitting, 5 s, is up") as raised:
        site.qpu.run_all(map(payload, itertools.count()), concurrency=1, timeout=5)
    assert isinstance(raised.value.__cause__, WaitTimeoutError)
    assert raised.value.failed_index == len(raised.value.tasks) == 5


@pytest.mark.parametrize("timeout", [None, math.inf])
def test_without_a_limit_a_slot_is_waited_for_longer_than_for_a_submission(
    timeout: float | None,
) -> None:
    def act(_number: int) -> None:
        if site.clock() < 100:
            raise ResourceBusyError("full")

    site = Site(act)
    assert len(site.qpu.run_all([payload(0)], timeout=timeout)) == 1


def test_a_submission_at_the_end_of_the_time_is_not_torn() -> None:
    limits: list[float | None] = []
    site = Site(lambda _number: limits.append(current().remaining()))

    def late() -> Iterator[Payload]:
        site.clock.advance(4.7)
        yield payload(0)

    site.qpu.run_all(late(), timeout=5)
    assert limits == [10.0]


def test_wrong_arguments_are_refused_before_anything_is_read() -> None:
    site = Site(nothing)
    numbers = itertools.count()
    for wrong in (0, -1, True, 2.5, "4"):
        with pytest.raises(InvalidArgumentError, match="concurrency must be"):
            site.qpu.run_all(map(payload, numbers), concurrency=wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="a timeout is"):
        site.qpu.run_all(map(payload, numbers), timeout=-1)
    with pytest.raises(TypeError):
        site.qpu.run_all(payload(0))  # type: ignore[arg-type]
    assert next(numbers) == 0


def test_the_function_does_as_the_method() -> None:
    site = Site(nothing)
    assert site.numbers(qrmi_core.run_all(site.qpu, [payload(7)], timeout=0)) == [7]


# Blocks and interrupts


def test_tasks_run_under_the_callers_acquisition() -> None:
    site = Site(nothing)
    with site.qpu:
        site.qpu.run_all(map(payload, range(5)))
        tokens = {task.acquisition for task in site.vendor.tasks.values()}
        assert tokens == {*site.vendor.tokens}
    assert site.vendor.tokens == []


class Running(Site):
    """A vendor whose tasks do not end."""

    def __init__(self, on_payload: Callable[[int], object]) -> None:
        super().__init__(on_payload)
        self.vendor.reports = [Observation(TaskStatus.Running)]


def test_an_interrupt_stops_the_tasks_of_the_callers_block() -> None:
    def interrupted() -> Iterator[Payload]:
        yield payload(0)
        yield payload(1)
        raise KeyboardInterrupt

    site = Running(nothing)
    with pytest.raises(BatchInterruptedError) as raised, site.qpu:
        site.qpu.run_all(interrupted())
    assert isinstance(raised.value, KeyboardInterrupt)
    assert isinstance(raised.value.__cause__, KeyboardInterrupt)
    assert site.numbers(raised.value.tasks) == [0, 1]
    assert raised.value.failed_index == 2
    assert site.vendor.calls["task_stop"] == 2


def test_tasks_do_not_belong_to_the_block_of_another_thread() -> None:
    site = Running(nothing)
    opened, submitted = threading.Event(), threading.Event()

    def other() -> None:
        with pytest.raises(KeyboardInterrupt), site.qpu:
            site.qpu.run(payload(9))
            opened.set()
            assert submitted.wait(SECONDS)
            raise KeyboardInterrupt

    thread = threading.Thread(target=other)
    thread.start()
    assert opened.wait(SECONDS)
    with site.qpu:
        site.qpu.run_all(map(payload, range(3)))
        submitted.set()
        thread.join()
        assert site.vendor.calls["task_stop"] == 1


class Interrupts:
    """Interrupts the main thread from another one, and waits until that has taken effect."""

    def __init__(self) -> None:
        self._raised = threading.Event()

    def handle(self, *_: object) -> None:
        if not self._raised.is_set():
            self._raised.set()
            raise KeyboardInterrupt

    def send(self) -> None:
        self._raised.clear()
        main = threading.main_thread().ident
        assert main is not None
        # A signal that comes just before a blocking call takes effect with the next one.
        for _ in range(int(SECONDS / 0.02)):
            signal.pthread_kill(main, signal.SIGUSR1)
            if self._raised.wait(0.02):
                return
        raise AssertionError("the main thread was not interrupted")


@pytest.fixture
def interrupts() -> Iterator[Interrupts]:
    sender = Interrupts()
    former = signal.signal(signal.SIGUSR1, sender.handle)
    yield sender
    signal.signal(signal.SIGUSR1, former)


@pytest.mark.parametrize("count", [2, 100])
def test_requests_under_way_end_after_an_interrupt(interrupts: Interrupts, count: int) -> None:
    both = threading.Barrier(2)

    def act(number: int) -> None:
        both.wait(SECONDS)
        if number == 1:
            interrupts.send()
        both.wait(SECONDS)

    site = Site(act)
    with pytest.raises(BatchInterruptedError, match="interrupted before") as raised:
        site.qpu.run_all(map(payload, range(count)), concurrency=2)
    assert site.numbers(raised.value.tasks) == [0, 1]
    assert not raised.value.uncertain


def main_thread_is_in(code: CodeType) -> bool:
    frame = sys._current_frames()[threading.main_thread().ident or 0]
    return any(found.f_code is code for found, _ in traceback.walk_stack(frame))


def test_an_interrupt_while_requests_end_stays_one_and_waits_for_them(
    interrupts: Interrupts,
) -> None:
    begun, left = threading.Event(), threading.Event()

    def act(_number: int) -> None:
        begun.set()
        while not main_thread_is_in(_Pool.end.__code__):
            time.sleep(0.001)
        interrupts.send()
        assert not left.wait(0.05)

    def lazy() -> Iterator[Payload]:
        yield payload(0)
        assert begun.wait(SECONDS)
        raise LookupError("the second is missing")

    site = Site(act)
    with pytest.raises(BatchInterruptedError) as raised:
        site.qpu.run_all(lazy())
    left.set()
    assert site.numbers(raised.value.tasks) == [0]
    assert not raised.value.uncertain


def test_a_second_interrupt_leaves_at_once_and_names_what_is_uncertain(
    interrupts: Interrupts,
) -> None:
    end = threading.Event()
    threads: list[threading.Thread] = []

    def act(number: int) -> None:
        if number == 1:
            threads.append(threading.current_thread())
            interrupts.send()
            interrupts.send()
            assert end.wait(SECONDS)

    site = Site(act)
    with pytest.raises(BatchInterruptedError) as raised:
        site.qpu.run_all(map(payload, range(2)), concurrency=1)
    (note,) = raised.value.__notes__
    assert note.startswith("payloads[1] may have been submitted: its submission was under way")
    assert raised.value.uncertain
    assert (raised.value.indexes, raised.value.failed_index) == ([0], 2)
    end.set()
    threads[0].join(SECONDS)


def test_an_exit_stays_one_and_names_the_tasks() -> None:
    def leaving() -> Iterator[Payload]:
        yield payload(0)
        raise SystemExit(143)

    with pytest.raises(SystemExit) as raised:
        Site(nothing).qpu.run_all(leaving())
    assert "go on: task-1;" in raised.value.__notes__[0]


# Connections and known tasks


def test_each_thread_keeps_its_connection(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with SocketServer([answer()]) as server:
        client = HttpClient(f"http://127.0.0.1:{server.port}")
        Site(lambda _number: client.request("POST", "/jobs", submission=True)).qpu.run_all(
            map(payload, range(30)), concurrency=3
        )
        assert len(server.requests) == 30
        assert server.connections <= 3
    assert "discarding" not in caplog.text


def test_known_tasks_are_polled_together() -> None:
    vendor = FakeVendor([Observation(TaskStatus.Completed)])
    started = fake_resource(vendor).run_all(map(payload, range(4)))
    qpu = fake_resource(vendor, batched=True)
    tasks = qpu.tasks(task.id for task in started)
    assert [task.id for task in tasks] == [task.id for task in started]
    done, _ = qrmi_core.wait(tasks)
    assert done == tasks
    assert (vendor.calls["task_statuses"], vendor.calls["task_status"]) == (1, 0)
    with pytest.raises(TypeError, match="not one string"):
        qpu.tasks("task-1")
