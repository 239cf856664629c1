"""Submitting exactly once, with a fake driver of each kind."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

import pytest
from fakes import PAYLOAD, fake_resource
from hypothesis import given, strategies as st

from qrmi_core import (
    AuthenticationFailedError,
    CallTimeoutError,
    QrmiError,
    QuantumResource,
    ResourceBusyError,
    ServiceError,
    SubmissionUncertainError,
    TaskInfo,
    TransportError,
)
from qrmi_core.testing import FakeClock, FakeVendor

CLIENT = {"client_chooses_id": True}
FINDABLE = {"findable": True}
NEITHER: dict[str, bool] = {}


def reset() -> TransportError:
    return TransportError("the connection was reset", uncertain=True)


@pytest.mark.parametrize("kind", [CLIENT, FINDABLE, NEITHER], ids=["client", "findable", "neither"])
def test_an_answered_submission_is_one_call(kind: dict[str, bool]) -> None:
    vendor = FakeVendor()
    task_id = fake_resource(vendor, **kind).task_start(PAYLOAD)
    assert list(vendor.tasks) == [task_id]
    assert vendor.calls == {"task_start": 1}


def test_where_the_client_chooses_the_id_a_lost_answer_is_asked_for_again() -> None:
    vendor = FakeVendor()
    vendor.lost_answers["task_start"] = [reset(), reset()]
    task_id = fake_resource(vendor, **CLIENT).task_start(PAYLOAD)
    assert list(vendor.tasks) == [task_id]
    assert vendor.calls == {"task_start": 3}


def test_a_task_whose_answer_was_lost_is_found_by_its_tag_and_not_submitted_again() -> None:
    vendor = FakeVendor()
    vendor.lost_answers["task_start"] = [reset()]
    task_id = fake_resource(vendor, **FINDABLE).task_start(PAYLOAD)
    assert list(vendor.tasks) == [task_id]
    assert vendor.calls == {"task_start": 1, "find_submission": 1}


def test_a_request_lost_before_its_effect_is_repeated_after_looking_for_the_task() -> None:
    vendor = FakeVendor()
    vendor.faults["task_start"] = [reset()]
    clock = FakeClock()
    task_id = fake_resource(vendor, clock, **FINDABLE).task_start(PAYLOAD)
    assert list(vendor.tasks) == [task_id]
    assert vendor.calls == {"task_start": 2, "find_submission": 4}
    assert clock() > 3, "the vendor's list may lag behind, so it is given time"


@pytest.mark.parametrize(
    "error",
    [
        CallTimeoutError("no answer in 300 s", uncertain=True),
        ServiceError("gateway timeout", status_code=504, uncertain=True),
    ],
    ids=["timeout", "504"],
)
def test_a_vendor_that_may_still_be_at_work_is_not_asked_twice(error: QrmiError) -> None:
    vendor = FakeVendor()
    vendor.faults["task_start"] = [error]
    with pytest.raises(SubmissionUncertainError):
        fake_resource(vendor, **FINDABLE).task_start(PAYLOAD)
    assert vendor.calls["task_start"] == 1


def test_a_failing_search_leaves_the_submission_uncertain() -> None:
    vendor = FakeVendor()
    vendor.lost_answers["task_start"] = [reset()]
    vendor.faults["find_submission"] = [AuthenticationFailedError("token revoked")]
    with pytest.raises(SubmissionUncertainError) as caught:
        fake_resource(vendor, **FINDABLE).task_start(PAYLOAD)
    (task,) = vendor.tasks.values()
    assert caught.value.submission == task.submission
    assert isinstance(caught.value.__cause__, AuthenticationFailedError)


def test_a_search_outlives_a_short_outage() -> None:
    vendor = FakeVendor()
    vendor.lost_answers["task_start"] = [reset()]
    vendor.faults["find_submission"] = [TransportError("down"), TransportError("down")]
    task_id = fake_resource(vendor, **FINDABLE).task_start(PAYLOAD)
    assert list(vendor.tasks) == [task_id]


def test_a_search_that_was_never_answered_does_not_lead_to_a_second_task() -> None:
    vendor = FakeVendor()
    vendor.lost_answers["task_start"] = [reset()]
    vendor.faults["find_submission"] = [TransportError("down") for _ in range(4)]
    with pytest.raises(SubmissionUncertainError, match="down"):
        fake_resource(vendor, **FINDABLE).task_start(PAYLOAD)
    assert vendor.calls["task_start"] == 1
    assert len(vendor.tasks) == 1


def test_candidates_are_looked_for_among_the_newest_only() -> None:
    class Endless(FakeVendor().driver()):  # type: ignore[misc]
        def task_list(self) -> Iterator[TaskInfo]:
            long_ago = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
            yield TaskInfo("new", created_at=datetime.datetime.now(datetime.UTC))
            yield TaskInfo("old", created_at=long_ago)
            raise AssertionError("each page is a request")

    Endless.vendor.lost_answers["task_start"] = [reset()]
    resource = QuantumResource("fake", "fake", {}, driver_class=Endless)
    with pytest.raises(SubmissionUncertainError) as caught:
        resource.task_start(PAYLOAD)
    assert caught.value.candidates == ("new",)


def test_where_nothing_can_be_done_the_uncertainty_is_told_with_candidates() -> None:
    vendor = FakeVendor()
    fake_resource(vendor).task_start(PAYLOAD)
    vendor.lost_answers["task_start"] = [reset()]
    with pytest.raises(SubmissionUncertainError) as caught:
        fake_resource(vendor, **NEITHER).task_start(PAYLOAD)
    assert vendor.calls["task_start"] == 2, "one for each, none repeated"
    error = caught.value
    assert error.candidates == ("task-2",)
    assert "task-2" in str(error)
    assert "task-1" not in str(error)
    assert error.submission in str(error)
    assert error.resource_id == "fake"
    assert not error.retryable
    assert isinstance(error.__cause__, TransportError)


def test_a_defect_of_the_driver_is_as_uncertain_as_a_lost_answer() -> None:
    vendor = FakeVendor()
    vendor.lost_answers["task_start"] = [KeyError("id")]
    with pytest.raises(SubmissionUncertainError, match="'id'"):
        fake_resource(vendor, **NEITHER).task_start(PAYLOAD)


def test_a_refusal_creates_nothing_and_is_raised_as_it_is() -> None:
    vendor = FakeVendor()
    vendor.faults["task_start"] = [ServiceError("no such program", status_code=422)]
    with pytest.raises(ServiceError, match="no such program"):
        fake_resource(vendor, **CLIENT).task_start(PAYLOAD)
    assert vendor.calls == {"task_start": 1}


def test_a_refusal_after_a_lost_answer_settles_nothing() -> None:
    vendor = FakeVendor()
    vendor.lost_answers["task_start"] = [reset()]
    vendor.faults["task_start"] = []
    qpu = fake_resource(vendor, **CLIENT)
    vendor.on_call = lambda _function: vendor.faults["task_start"].append(
        AuthenticationFailedError("token revoked")
    )
    with pytest.raises(SubmissionUncertainError, match="token revoked"):
        qpu.task_start(PAYLOAD)


def test_a_busy_vendor_is_waited_for_under_the_same_tag() -> None:
    vendor = FakeVendor()
    vendor.faults["task_start"] = [ResourceBusyError("no free lane") for _ in range(5)]
    clock = FakeClock()
    fake_resource(vendor, clock, **NEITHER).task_start(PAYLOAD)
    assert len(vendor.tasks) == 1
    assert vendor.calls == {"task_start": 6}
    assert len(clock.pauses) == 5


def test_a_vendor_that_stays_busy_is_an_error_in_time() -> None:
    vendor = FakeVendor()
    vendor.faults["task_start"] = [ResourceBusyError("no free lane") for _ in range(50)]
    clock = FakeClock()
    with pytest.raises(ResourceBusyError):
        fake_resource(vendor, clock).task_start(PAYLOAD, timeout=2)
    assert clock() == pytest.approx(2, abs=0.3)
    assert vendor.tasks == {}


def test_ctrl_c_while_submitting_tells_the_tag() -> None:
    vendor = FakeVendor()
    vendor.lost_answers["task_start"] = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt) as caught:
        fake_resource(vendor).task_start(PAYLOAD)
    (task,) = vendor.tasks.values()
    assert task.submission in caught.value.__notes__[0]


@given(
    kind=st.sampled_from([CLIENT, FINDABLE, NEITHER]),
    outcomes=st.lists(st.sampled_from(["before", "after", "refused", "busy"]), max_size=6),
)
def test_no_task_is_lost_or_doubled_whatever_happens(
    kind: dict[str, bool], outcomes: list[str]
) -> None:
    vendor = FakeVendor()
    script = iter(outcomes)

    def next_outcome(function: str) -> None:
        if function != "task_start":
            return
        match next(script, "ok"):
            case "before":
                vendor.faults[function].append(reset())
            case "after":
                vendor.lost_answers[function].append(reset())
            case "refused":
                vendor.faults[function].append(ServiceError("no"))
            case "busy":
                vendor.faults[function].append(ResourceBusyError("full"))
        if vendor.faults[function]:
            raise vendor.faults[function].pop()

    vendor.on_call = next_outcome
    try:
        task_id = fake_resource(vendor, **kind).task_start(PAYLOAD)
    except SubmissionUncertainError as error:
        assert len(vendor.tasks) <= 1
        assert set(error.candidates) == set(vendor.tasks)
    except QrmiError:
        assert vendor.tasks == {}
    else:
        assert list(vendor.tasks) == [task_id]
