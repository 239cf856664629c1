"""Submitting exactly once, with a fake driver of each kind."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given, strategies as st

from qrmi_core import (
    AuthenticationFailedError,
    CallTimeoutError,
    InvalidInputError,
    InvalidResponseError,
    QrmiError,
    QuantumResource,
    ResourceBusyError,
    ServiceError,
    SubmissionUncertainError,
    TaskInfo,
    TransportError,
)
from qrmi_core.deadline import current
from qrmi_core.driver import Prepares
from qrmi_core.testing import FakeClock, FakeVendor
from support.fakes import PAYLOAD, fake_resource

CLIENT = {"chooses_ids": True}
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
    vendor.lost_responses["task_start"] = [reset(), reset()]
    task_id = fake_resource(vendor, **CLIENT).task_start(PAYLOAD)
    assert list(vendor.tasks) == [task_id]
    assert vendor.calls == {"task_start": 3}


def test_a_task_whose_answer_was_lost_is_found_by_its_tag_and_not_submitted_again() -> None:
    vendor = FakeVendor()
    vendor.lost_responses["task_start"] = [reset()]
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
    vendor.lost_responses["task_start"] = [reset()]
    vendor.faults["find_submission"] = [AuthenticationFailedError("token revoked")]
    with pytest.raises(SubmissionUncertainError) as caught:
        fake_resource(vendor, **FINDABLE).task_start(PAYLOAD)
    (task,) = vendor.tasks.values()
    assert caught.value.submission == task.submission
    assert isinstance(caught.value.__cause__, AuthenticationFailedError)


def test_a_search_outlives_a_short_outage() -> None:
    vendor = FakeVendor()
    vendor.lost_responses["task_start"] = [reset()]
    vendor.faults["find_submission"] = [TransportError("down"), TransportError("down")]
    task_id = fake_resource(vendor, **FINDABLE).task_start(PAYLOAD)
    assert list(vendor.tasks) == [task_id]


def test_candidates_are_looked_for_among_the_newest_only() -> None:
    class Endless(FakeVendor().driver()):  # type: ignore[misc]
        def task_list(self) -> Iterator[TaskInfo]:
            long_ago = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
            yield TaskInfo("new", created_at=datetime.datetime.now(datetime.UTC))
            yield TaskInfo("old", created_at=long_ago)
            raise AssertionError("each page is a request")

    Endless.vendor.lost_responses["task_start"] = [reset()]
    resource = QuantumResource("fake", "fake", {}, driver_class=Endless)
    with pytest.raises(SubmissionUncertainError) as caught:
        resource.task_start(PAYLOAD)
    assert caught.value.candidates == ("new",)


def test_a_vendor_without_times_gives_its_newest_tasks_as_candidates() -> None:
    class Timeless(FakeVendor().driver()):  # type: ignore[misc]
        def task_list(self) -> Iterator[TaskInfo]:
            return (TaskInfo(str(number)) for number in itertools.count())

    Timeless.vendor.lost_responses["task_start"] = [reset()]
    resource = QuantumResource("fake", "fake", {}, driver_class=Timeless)
    with pytest.raises(SubmissionUncertainError) as caught:
        resource.task_start(PAYLOAD)
    assert caught.value.candidates[:2] == ("0", "1")
    assert len(caught.value.candidates) == 100


def test_a_garbled_answer_to_a_search_is_asked_for_again() -> None:
    vendor = FakeVendor()
    vendor.lost_responses["task_start"] = [reset()]
    vendor.faults["find_submission"] = [InvalidResponseError("a page of a proxy")]
    task_id = fake_resource(vendor, **FINDABLE).task_start(PAYLOAD)
    assert list(vendor.tasks) == [task_id]


def test_a_search_that_was_never_answered_does_not_lead_to_a_second_task() -> None:
    vendor = FakeVendor()
    vendor.lost_responses["task_start"] = [reset()]
    vendor.faults["find_submission"] = [TransportError("down") for _ in range(4)]
    with pytest.raises(SubmissionUncertainError, match="down"):
        fake_resource(vendor, **FINDABLE).task_start(PAYLOAD)
    assert vendor.calls["task_start"] == 1
    assert len(vendor.tasks) == 1


def test_where_nothing_can_be_done_the_uncertainty_is_told_with_candidates() -> None:
    vendor = FakeVendor()
    old = fake_resource(vendor).task_start(PAYLOAD)
    vendor.tasks[old].created_at -= datetime.timedelta(hours=1)
    vendor.lost_responses["task_start"] = [reset()]
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
    vendor.lost_responses["task_start"] = [KeyError("id")]
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
    vendor.lost_responses["task_start"] = [reset()]
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
    assert 1.5 < clock() <= 2
    assert vendor.tasks == {}


def test_ctrl_c_while_submitting_tells_the_tag() -> None:
    vendor = FakeVendor()
    vendor.lost_responses["task_start"] = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt) as caught:
        fake_resource(vendor).task_start(PAYLOAD)
    (task,) = vendor.tasks.values()
    assert task.submission in caught.value.__notes__[0]


def test_a_callback_that_fails_after_a_lost_answer_tells_the_tag() -> None:
    vendor = FakeVendor()
    vendor.lost_responses["task_start"] = [reset()]

    def full(function: str) -> None:
        if vendor.calls["task_start"] == 2:
            raise ResourceBusyError("full")

    vendor.on_call = full

    def fail(_reason: str, _seconds: float) -> None:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine") as caught:
        fake_resource(vendor, on_wait=fail, **CLIENT).task_start(PAYLOAD)
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
                vendor.lost_responses[function].append(reset())
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


@pytest.mark.parametrize("function", ["find_submission", "task_list"])
def test_a_defect_while_looking_leaves_the_submission_uncertain(function: str) -> None:
    vendor = FakeVendor()
    vendor.lost_responses["task_start"] = [reset()]
    vendor.faults[function] = [KeyError("x") for _ in range(9)]
    if function == "task_list":
        vendor.faults["find_submission"] = [AuthenticationFailedError("token revoked")]
    with pytest.raises(SubmissionUncertainError):
        fake_resource(vendor, **FINDABLE).task_start(PAYLOAD)


@pytest.mark.parametrize("minutes", [-2, 2])
@pytest.mark.parametrize("aware", [True, False])
def test_candidates_survive_the_vendors_clock(minutes: int, aware: bool) -> None:
    vendor = FakeVendor()
    vendor.lost_responses["task_start"] = [reset()]

    def skew(function: str) -> None:
        for task in vendor.tasks.values() if function == "task_list" else ():
            created = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=minutes)
            task.created_at = created if aware else created.replace(tzinfo=None)

    vendor.on_call = skew
    with pytest.raises(SubmissionUncertainError) as caught:
        fake_resource(vendor, **NEITHER).task_start(PAYLOAD)
    assert caught.value.candidates == tuple(vendor.tasks)


@pytest.mark.parametrize("answer", [None, 5, ""])
def test_an_answer_that_is_no_id_is_an_uncertain_submission(answer: object) -> None:
    vendor = FakeVendor()
    members = {"task_start": lambda _self, _payload, **_how: answer}
    driver = type("D", (vendor.driver(),), members)
    qpu = QuantumResource("x", "fake", {}, driver_class=driver)
    with pytest.raises(SubmissionUncertainError, match="for task_start"):
        qpu.run(PAYLOAD)


@pytest.mark.parametrize("kind", [CLIENT, FINDABLE], ids=["client", "findable"])
def test_a_place_is_waited_for_after_a_lost_answer_too(kind: dict[str, bool]) -> None:
    vendor = FakeVendor()
    vendor.faults["task_start"] = [reset(), ResourceBusyError("full"), ResourceBusyError("full")]
    task_id = fake_resource(vendor, **kind).task_start(PAYLOAD)
    assert list(vendor.tasks) == [task_id]


def test_a_vendor_that_stays_busy_after_a_lost_answer_leaves_it_uncertain() -> None:
    vendor = FakeVendor()
    vendor.faults["task_start"] = [reset(), *(ResourceBusyError("full") for _ in range(99))]
    with pytest.raises(SubmissionUncertainError, match="full"):
        fake_resource(vendor, **CLIENT).task_start(PAYLOAD, timeout=3)


def test_no_attempt_is_made_that_the_callers_time_does_not_reach() -> None:
    vendor = FakeVendor()
    vendor.lost_responses["task_start"] = [reset() for _ in range(9)]
    clock = FakeClock()
    with pytest.raises(SubmissionUncertainError, match="reset"):
        fake_resource(vendor, clock, **CLIENT).task_start(PAYLOAD, timeout=2)
    assert vendor.calls["task_start"] == 3
    assert clock() <= 2


def test_there_is_time_to_search_when_the_callers_is_spent() -> None:
    vendor = FakeVendor()
    vendor.lost_responses["task_start"] = [reset()]
    clock = FakeClock()
    left: list[float | None] = []

    def spend(function: str) -> None:
        clock.advance(10 if function == "task_start" else 0)
        if function == "find_submission":
            left.append(current().remaining())

    vendor.on_call = spend
    task_id = fake_resource(vendor, clock, **FINDABLE).task_start(PAYLOAD, timeout=5)
    assert list(vendor.tasks) == [task_id]
    assert left[0] == pytest.approx(30, abs=1)


class _Uploading:
    """Calls to a driver that prepares a submission, by an upload for example."""

    def __init__(self, vendor: FakeVendor) -> None:
        self.given_up: list[str] = []
        outer = self

        class Uploading(vendor.driver(), Prepares):  # type: ignore[misc]
            def give_up(self, submission: str) -> None:
                outer.given_up.append(submission)

        clock = FakeClock()
        self.resource = QuantumResource(
            "fake", "fake", {}, driver_class=Uploading, clock=clock, sleep=clock.sleep
        )


@pytest.mark.parametrize(
    "error",
    [ResourceBusyError("taken"), InvalidInputError("wrong"), KeyboardInterrupt(), ValueError()],
    ids=lambda error: type(error).__name__,
)
def test_a_driver_is_told_when_a_submission_ends_without_a_task(error: BaseException) -> None:
    vendor = FakeVendor()
    vendor.faults["task_start"] = [error]
    uploading = _Uploading(vendor)
    with pytest.raises((QrmiError, KeyboardInterrupt)):
        uploading.resource.task_start(PAYLOAD, timeout=0)
    assert len(uploading.given_up) == 1


def test_a_driver_is_not_told_of_attempts_that_are_repeated() -> None:
    vendor = FakeVendor()
    vendor.faults["task_start"] = [ResourceBusyError("taken")]
    uploading = _Uploading(vendor)
    assert uploading.resource.task_start(PAYLOAD) in vendor.tasks
    assert not uploading.given_up


def test_a_driver_that_cannot_give_up_hides_no_error(caplog: pytest.LogCaptureFixture) -> None:
    vendor = FakeVendor()
    vendor.faults["task_start"] = [InvalidInputError("wrong")]

    class Broken(vendor.driver(), Prepares):  # type: ignore[misc]
        def give_up(self, submission: str) -> None:
            raise ValueError(submission)

    with pytest.raises(InvalidInputError, match="wrong"):
        QuantumResource("fake", "fake", {}, driver_class=Broken).task_start(PAYLOAD)
    assert "could not clean up after submission" in caplog.text


@pytest.mark.parametrize(("slots", "starts"), [(0, 1), (1, 2), (9, 2)])
def test_a_driver_that_can_make_room_does_so_once_and_the_task_is_submitted_again(
    slots: int, starts: int
) -> None:
    vendor = FakeVendor()
    vendor.faults["task_start"] = [ResourceBusyError("taken")] * (1 if slots else 9)
    left = slots

    class Tidy(vendor.driver(), Prepares):  # type: ignore[misc]
        def give_up(self, submission: str) -> None:
            pass

        def make_room(self, busy: ResourceBusyError) -> bool:
            nonlocal left
            assert busy.message == "taken"
            left -= 1
            return left >= 0

    clock = FakeClock()
    qpu = QuantumResource("x", "fake", {}, driver_class=Tidy, clock=clock, sleep=clock.sleep)
    if slots:
        assert qpu.task_start(PAYLOAD, timeout=0) in vendor.tasks
    else:
        with pytest.raises(ResourceBusyError, match="taken"):
            qpu.task_start(PAYLOAD, timeout=0)
    assert vendor.calls["task_start"] == starts
    assert not clock.pauses


def test_a_driver_that_makes_room_in_vain_is_asked_once_for_each_attempt() -> None:
    vendor = FakeVendor()
    vendor.faults["task_start"] = [ResourceBusyError("taken")] * 99
    asked = 0

    class Hopeful(vendor.driver(), Prepares):  # type: ignore[misc]
        def give_up(self, submission: str) -> None:
            pass

        def make_room(self, busy: ResourceBusyError) -> bool:
            nonlocal asked
            asked += 1
            return True

    with pytest.raises(ResourceBusyError):
        QuantumResource("x", "fake", {}, driver_class=Hopeful).task_start(PAYLOAD, timeout=0)
    assert (asked, vendor.calls["task_start"]) == (1, 2)


def test_the_whole_search_has_one_bound_beyond_the_callers_time() -> None:
    vendor = FakeVendor()
    vendor.lost_responses["task_start"] = [reset()]
    vendor.faults["find_submission"] = [TransportError("down")] * 99
    clock = FakeClock()

    def hang(function: str) -> None:
        clock.advance({"find_submission": 20, "task_list": 20}.get(function, 0))

    vendor.on_call = hang
    with pytest.raises(SubmissionUncertainError):
        fake_resource(vendor, clock, **FINDABLE).task_start(PAYLOAD, timeout=5)
    assert clock() <= 5 + 30 + 2 * 20, "only a call that ignores its deadline takes longer"
    assert vendor.calls["find_submission"] == 2
