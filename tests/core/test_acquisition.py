"""One acquisition per resource object, with a count of its holders."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from qrmi_core import (
    AuthenticationFailedError,
    InvalidArgumentError,
    NotAcquiredError,
    QuantumResource,
    ResourceBusyError,
    TransportError,
    UnsupportedFunctionError,
)
from qrmi_core.testing import FakeClock, FakeVendor
from support.fakes import PAYLOAD, fake_resource
from support.forked import Forked


def ends_inside(qpu: QuantumResource, error: BaseException | None) -> None:
    with qpu:
        if error:
            raise error


@pytest.mark.parametrize("error", [None, ValueError("mine")], ids=["ended", "failed"])
def test_the_first_thread_to_leave_keeps_the_acquisition_open(error: Exception | None) -> None:
    vendor = FakeVendor()
    qpu = fake_resource(vendor)
    inside, left = threading.Event(), threading.Event()

    def stay() -> tuple[str, list[str]]:
        with qpu:
            inside.set()
            assert left.wait(20)
            return qpu.run(PAYLOAD).id, list(vendor.tokens)

    with ThreadPoolExecutor() as pool:
        staying = pool.submit(stay)
        assert inside.wait(20)
        try:
            if error is None:
                ends_inside(qpu, None)
            else:
                with pytest.raises(ValueError, match="mine"):
                    ends_inside(qpu, error)
        finally:
            left.set()
        task_id, tokens = staying.result(20)
    assert vendor.tasks[task_id].acquisition == tokens[0] == "token-1"
    assert vendor.tokens == []
    assert (vendor.calls["acquire"], vendor.calls["release"]) == (1, 1)


def test_nested_blocks_and_calls_share_one_acquisition() -> None:
    vendor = FakeVendor()
    qpu = fake_resource(vendor)
    with qpu:
        with qpu:
            pass
        token = qpu.acquire()
        assert vendor.tokens == [token]
    assert vendor.tokens == [token], "the call's is left"
    assert vendor.tasks[qpu.run(PAYLOAD).id].acquisition == token
    qpu.release(token)
    assert vendor.tokens == []
    assert vendor.tasks[qpu.run(PAYLOAD).id].acquisition is None
    qpu.release(token)
    assert (vendor.calls["acquire"], vendor.calls["release"]) == (1, 2)


def test_a_task_of_a_helper_thread_runs_under_the_acquisition() -> None:
    vendor = FakeVendor()
    with ThreadPoolExecutor() as pool, fake_resource(vendor) as qpu:
        task_id = pool.submit(qpu.task_start, PAYLOAD).result(20)
    assert vendor.tasks[task_id].acquisition == "token-1"


def test_releasing_the_acquisition_of_another_leaves_ones_own() -> None:
    vendor = FakeVendor(holders=2)
    qpu, other = fake_resource(vendor), fake_resource(vendor)
    own, token = qpu.acquire(), other.acquire()
    qpu.release(token)
    assert vendor.tokens == [own]
    assert vendor.tasks[qpu.run(PAYLOAD).id].acquisition == own


def waiting_thread(
    vendor: FakeVendor, outcome: BaseException | None, second: Callable[[QuantumResource], Any]
) -> Any:
    """Hold one thread in the driver's `acquire` until another one calls the second function."""
    entered, called = threading.Event(), threading.Event()
    clock = FakeClock()

    def noticing() -> float:
        if threading.current_thread().name == "second":
            called.set()  # it is in `acquire`
        return clock()

    def on_call(name: str) -> None:
        if name == "acquire" and not entered.is_set():
            entered.set()
            assert called.wait(20)
            if outcome:
                raise outcome

    vendor.on_call = on_call
    qpu = QuantumResource("x", "fake", {}, driver_class=vendor.driver(), clock=noticing)
    results: list[Any] = []

    def run_second() -> None:
        assert entered.wait(20)
        results.append(second(qpu))

    thread = threading.Thread(target=run_second, name="second", daemon=True)
    thread.start()
    try:
        results.append(qpu.acquire())
    except AuthenticationFailedError as error:
        results.append(error)
    thread.join(20)
    return results


def test_a_thread_that_waits_for_another_gets_its_acquisition() -> None:
    vendor = FakeVendor()
    assert waiting_thread(vendor, None, lambda qpu: qpu.acquire()) == ["token-1", "token-1"]
    assert vendor.calls["acquire"] == 1


def test_a_thread_that_waits_for_another_that_fails_tries_itself() -> None:
    vendor = FakeVendor()
    refused = AuthenticationFailedError("no")
    results = waiting_thread(vendor, refused, lambda qpu: qpu.acquire())
    assert set(results) == {refused, "token-1"}
    assert vendor.calls["acquire"] == 2


def test_waiting_for_another_thread_ends_with_the_timeout() -> None:
    vendor, begun, go_on = FakeVendor(), threading.Event(), threading.Event()
    qpu = QuantumResource("x", "fake", {}, driver_class=vendor.driver())

    def on_call(name: str) -> None:
        if name == "acquire":
            begun.set()
            assert go_on.wait(20)

    vendor.on_call = on_call
    with ThreadPoolExecutor() as pool:
        first = pool.submit(qpu.acquire)
        assert begun.wait(20)
        with pytest.raises(ResourceBusyError, match="another thread"):
            qpu.acquire(timeout=0.05)
        go_on.set()
        assert first.result(20) == "token-1"


def test_many_threads_never_submit_outside_of_the_acquisition() -> None:
    vendor = FakeVendor()
    outside: list[str | None] = []

    class Watching(vendor.driver()):  # type: ignore[misc]
        def task_start(self, *args: Any, acquisition: str | None, **how: Any) -> str:
            if acquisition not in self.vendor.tokens:
                outside.append(acquisition)
            return str(super().task_start(*args, acquisition=acquisition, **how))

    qpu = QuantumResource("x", "fake", {}, driver_class=Watching)

    def work(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(50):
            if chance.random() < 0.5:
                with qpu:
                    qpu.run(PAYLOAD)
            else:
                token = qpu.acquire()
                qpu.run(PAYLOAD)
                qpu.release(token)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8), timeout=60))
    assert outside == []
    assert vendor.tokens == []
    assert len(vendor.tasks) == 400


def test_a_release_that_failed_is_made_up_for_before_the_next_acquisition() -> None:
    vendor = FakeVendor()
    qpu = fake_resource(vendor)
    token = qpu.acquire()
    vendor.faults["release"] = [TransportError("down"), TransportError("down")]
    with pytest.raises(TransportError):
        qpu.release(token)
    assert vendor.tasks[qpu.run(PAYLOAD).id].acquisition is None
    with pytest.raises(TransportError):
        qpu.acquire()
    assert vendor.tokens == [token]
    with qpu:
        assert vendor.tokens != [token]
    assert vendor.tokens == []


def test_an_acquisition_that_has_ended_at_the_vendor_can_be_made_anew() -> None:
    vendor = FakeVendor()
    qpu = fake_resource(vendor)
    with qpu:
        vendor.tokens.clear()
        for _ in range(2):
            vendor.faults["task_start"] = [NotAcquiredError("session token-1 is closed")]
            with pytest.raises(NotAcquiredError):
                qpu.run(PAYLOAD)
        assert vendor.tasks[qpu.run(PAYLOAD).id].acquisition == "token-1", "never in another queue"
        token = qpu.acquire()
        assert vendor.tokens == [token]
        assert vendor.tasks[qpu.run(PAYLOAD).id].acquisition == token
    assert vendor.tokens == [token]
    qpu.release(token)
    assert vendor.tokens == []


def test_a_submission_whose_acquisition_was_released_meanwhile_goes_without() -> None:
    vendor = FakeVendor()
    qpu = fake_resource(vendor)
    token = qpu.acquire()

    def release_first(name: str) -> None:
        # Another thread may do so between the choice of the token and the request.
        if name == "task_start" and token in vendor.tokens:
            qpu.release(token)
            raise NotAcquiredError("session token-1 is closed")

    vendor.on_call = release_first
    assert vendor.tasks[qpu.run(PAYLOAD).id].acquisition is None
    assert vendor.calls["task_start"] == 2


def test_slots_reach_a_driver_that_counts_them_and_are_refused_by_others() -> None:
    vendor = FakeVendor(holders=9)
    given: list[int | None] = []

    class Watching(vendor.driver()):  # type: ignore[misc]
        def acquire(self, *, detached: bool, slots: int | None) -> str:
            given.append(slots)
            return str(super().acquire(detached=detached, slots=slots))

    class Single(Watching):
        counts_slots = False

    QuantumResource("x", "fake", {}, driver_class=Watching).acquire()
    QuantumResource("x", "fake", {}, driver_class=Watching).acquire(slots=3)
    single = QuantumResource("x", "fake", {}, driver_class=Single)
    single.acquire()
    with pytest.raises(UnsupportedFunctionError, match="slots"):
        single.acquire(slots=3)
    assert given == [None, 3, None]


@pytest.mark.parametrize(
    ("first", "second"),
    [({}, {"slots": 3}), ({"slots": 2}, {"slots": 3}), ({}, {"detached": True})],
    ids=str,
)
def test_another_kind_of_acquisition_is_refused_while_one_is_held(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    qpu = fake_resource(FakeVendor(holders=2))
    token = qpu.acquire(**first)
    with pytest.raises(InvalidArgumentError, match="second object"):
        qpu.acquire(**second)
    assert qpu.acquire(**first) == token == qpu.acquire()


def test_a_forked_child_uses_the_acquisition_and_does_not_end_it(tmp_path: Path) -> None:
    vendor = FakeVendor()
    qpu = fake_resource(vendor)

    def child() -> int:
        with qpu:
            pass
        qpu.release("token-1")
        qpu.__exit__(None, None, None)  # the parent's block
        print(vendor.tasks[qpu.run(PAYLOAD).id].acquisition, qpu.acquire(), vendor.calls["release"])
        return 0

    with qpu:
        ended = Forked(child, tmp_path, os.environ).wait()
    assert (ended.status, ended.output) == (0, "token-1 token-1 0\n"), ended.errors
    assert vendor.tokens == []


def test_a_release_of_a_block_that_is_repeated_leaves_the_holds_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vendor = FakeVendor()
    qpu = fake_resource(vendor)
    token = qpu.acquire()
    release = qpu._acquisitions.release
    interrupts = [KeyboardInterrupt()]

    def interrupted(*given: Any, **how: Any) -> None:
        release(*given, **how)
        if interrupts:
            raise interrupts.pop()

    monkeypatch.setattr(qpu._acquisitions, "release", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ends_inside(qpu, None)
    assert vendor.tokens == [token]
    qpu.release(token)
    assert vendor.tokens == []
