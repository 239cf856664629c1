"""The task state machine."""

from __future__ import annotations

import datetime
import itertools
import logging

import pytest
from hypothesis import given, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from qrmi_core import Observation, QuantumResource, TaskStatus
from qrmi_core.states import FINAL, TRANSITIONS, TaskState
from qrmi_core.testing import FakeClock, FakeVendor

reports = st.builds(
    Observation,
    status=st.sampled_from([*TaskStatus, None]),
    raw=st.sampled_from(["QUEUED", "PAUSED", "???", None]),
    queue_position=st.none() | st.integers(0, 9),
)


def ticking() -> object:
    times = itertools.count()
    return lambda: datetime.datetime.fromtimestamp(next(times), datetime.UTC)


class Observations(RuleBasedStateMachine):
    """Reports in any order: late, repeated, backwards, unknown."""

    def __init__(self) -> None:
        super().__init__()
        self.state = TaskState("task t", ticking())
        self.seen: list[TaskStatus | None] = []
        self.moves: list[tuple[TaskStatus | None, TaskStatus]] = []

    @rule(report=reports)
    def observe(self, report: Observation) -> None:
        before = self.state.last_status
        moved = self.state.observe(report)
        self.seen.append(report.status)
        believed = TaskStatus.Running if report.status is None else report.status
        if before in FINAL:
            assert moved is None
            assert self.state.last_status is before
        elif believed is before:
            assert moved is None
        else:
            assert moved is not None
            old, move = moved
            assert old is before
            assert move.status is believed is self.state.last_status
            self.moves.append((old, move.status))

    @invariant()
    def every_move_is_in_the_table(self) -> None:
        assert all(new in TRANSITIONS[old] for old, new in self.moves)

    @invariant()
    def history_is_the_moves_in_the_order_of_time(self) -> None:
        history = self.state.history
        assert [move.status for move in history] == [new for _, new in self.moves]
        assert [move.at for move in history] == sorted({move.at for move in history})

    @invariant()
    def only_the_last_state_is_final_and_the_first_final_report_decides(self) -> None:
        statuses = [move.status for move in self.state.history]
        assert not FINAL & set(statuses[:-1])
        first_end = next((status for status in self.seen if status in FINAL), None)
        assert self.state.done == (first_end is not None)
        if first_end is not None:
            assert self.state.last_status is first_end

    @invariant()
    def an_unknown_word_never_ends_a_task(self) -> None:
        if not FINAL & set(self.seen):
            assert not self.state.done


TestObservations = Observations.TestCase


def test_the_final_states_are_those_without_a_way_out() -> None:
    assert {TaskStatus.Completed, TaskStatus.Failed, TaskStatus.Cancelled} == FINAL
    assert set(TRANSITIONS) == {None, *TaskStatus}


def test_a_requeued_task_is_queued_again() -> None:
    state = TaskState("task t")
    for status in (TaskStatus.Queued, TaskStatus.Running, TaskStatus.Queued):
        state.observe(Observation(status))
    assert [move.status.name for move in state.history] == ["Queued", "Running", "Queued"]


def test_an_unknown_word_is_running_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    state = TaskState("task t on q")
    for _ in range(5):
        state.observe(Observation(None, raw="Calibrating"))
    assert state.last_status is TaskStatus.Running
    assert state.last_report == Observation(TaskStatus.Running, raw="Calibrating")
    (record,) = caplog.records
    assert "task t on q" in record.getMessage()
    assert "'Calibrating'" in record.getMessage()


def test_a_report_after_the_end_is_logged_and_ignored(caplog: pytest.LogCaptureFixture) -> None:
    state = TaskState("task t")
    state.observe(Observation(TaskStatus.Failed, reason="it broke"))
    state.observe(Observation(TaskStatus.Running))
    assert state.last_report == Observation(TaskStatus.Failed, reason="it broke")
    assert "ignored the report TaskStatus.Running" in caplog.text


@given(st.lists(reports, max_size=8))
def test_on_transition_is_told_every_move_once(sequence: list[Observation]) -> None:
    told: list[tuple[TaskStatus | None, TaskStatus]] = []
    resource = make_resource(FakeVendor())
    task = resource.task("t", on_transition=lambda _task, old, new, _at: told.append((old, new)))
    for report in sequence:
        task.observe(report)
    statuses = [move.status for move in task.history]
    assert told == list(zip([None, *statuses], statuses, strict=False))


def test_an_exception_of_on_transition_is_logged_and_harms_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(*_args: object) -> None:
        raise ValueError("mine")

    qpu = make_resource(FakeVendor())
    task = qpu.task(qpu.task_start(payload()), on_transition=broken)
    assert task.wait() is TaskStatus.Completed
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 3
    assert all("on_transition" in record.getMessage() for record in errors)


@pytest.mark.parametrize(
    "finish",
    [
        lambda task, _qpu: task.result(),
        lambda task, _qpu: task.wait(),
        lambda task, _qpu: [task.status() for _ in range(3)],
        lambda task, qpu: qpu.task_result(task.id),
    ],
    ids=["result", "wait", "status", "by id"],
)
def test_on_transition_is_told_whichever_way_the_task_is_looked_at(finish: object) -> None:
    told: list[str] = []
    qpu = make_resource(FakeVendor())
    task = qpu.run(payload(), on_transition=lambda _task, _old, new, _at: told.append(new.name))
    finish(task, qpu)  # type: ignore[operator]
    assert told == ["Queued", "Running", "Completed"]
    assert qpu.task(task.id) is task


def make_resource(vendor: FakeVendor) -> QuantumResource:
    clock = FakeClock()
    return QuantumResource(
        "fake", "fake", {}, driver_class=vendor.driver(), clock=clock, sleep=clock.sleep
    )


def payload() -> object:
    from qrmi_core import Payload

    return Payload.QiskitPrimitive(input="{}", program_id="sampler")
