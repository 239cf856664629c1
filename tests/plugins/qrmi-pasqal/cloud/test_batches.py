"""Batches that are left open: tasks are their jobs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from qrmi_core import (
    InvalidInputError,
    Payload,
    QuantumResource,
    ServiceError,
    SubmissionUncertainError,
    TaskCancelledError,
    TaskFailedError,
    TaskNotFoundError,
    TaskStatus,
    UnsupportedFunctionError,
)
from qrmi_emulator import Emulator
from qrmi_pasqal.cloud.api import CloudApi
from support.pulses import program, sequence

Connect = Callable[[], QuantumResource]
JOBS = "*/v2/batches/*/jobs"


@pytest.fixture(scope="module")
def running() -> Iterator[Emulator]:
    with Emulator(["pasqal-cloud"], seed=7) as running:
        yield running


@pytest.fixture
def emulator(running: Emulator) -> Iterator[Emulator]:
    running.clear_requests()
    yield running
    running.clear_faults()


@pytest.fixture
def connect(emulator: Emulator) -> Iterator[Connect]:
    made: list[QuantumResource] = []

    def new() -> QuantumResource:
        settings = emulator.settings_for("pasqal-cloud") | {"QRMI_HTTP_FIRST_PAUSE_SECONDS": "0.01"}
        made.append(
            QuantumResource(
                "EMU_FREE",
                "pasqal-cloud",
                settings,
                sleep=lambda seconds: time.sleep(min(seconds, 0.05)),
            )
        )
        return made[-1]

    yield new
    for qpu in made:
        qpu.close()


@pytest.fixture
def qpu(connect: Connect) -> QuantumResource:
    return connect()


def pulse(runs: int = 10) -> Payload.PasqalCloud:
    return Payload.PasqalCloud(sequence=sequence(), job_runs=runs)


def counted(text: str) -> int:
    counter: dict[str, int] = json.loads(text)["counter"]
    return sum(counter.values())


def calls(emulator: Emulator, method: str, path: str) -> list[dict[str, Any]]:
    return [
        each
        for each in emulator.requests()
        if each["method"] == method and each["path"].endswith(path)
    ]


@pytest.mark.slow
def test_tasks_of_an_open_batch_share_it(
    emulator: Emulator, qpu: QuantumResource, connect: Connect
) -> None:
    batch_id = qpu.batch_open()
    assert qpu.batch_tasks(batch_id) == []
    first = qpu.batch_add(batch_id, [pulse(11)])
    further = qpu.batch_add(batch_id, [pulse(12), pulse(13)])
    qpu.batch_close(batch_id)
    assert len(calls(emulator, "POST", "/v1/batches")) == 1
    assert len(calls(emulator, "POST", "/jobs")) == 2, "one for all that are added together"
    assert qpu.batch_tasks(batch_id) == [*first, *further]
    other = connect()
    assert other.batch_tasks(batch_id) == [*first, *further]
    results = [other.task_result(task_id, 60).value for task_id in (*first, *further)]
    assert [counted(text) for text in results] == [11, 12, 13]
    assert other.task_input(further[1]) == sequence()
    assert other.task_usage(first[0]).finished_at is not None
    assert other.task_logs(first[0]) == ""


def test_a_closed_batch_takes_no_more(emulator: Emulator, qpu: QuantumResource) -> None:
    batch_id = qpu.batch_open()
    qpu.batch_close(batch_id)
    with pytest.raises(InvalidInputError, match="closed"):
        qpu.batch_add(batch_id, [pulse()])
    assert qpu.batch_tasks(batch_id) == []


@pytest.mark.slow
def test_one_task_is_stopped_and_the_others_go_on(emulator: Emulator, qpu: QuantumResource) -> None:
    emulator.fault("job-queued", count=1)
    batch_id = qpu.batch_open()
    stopped, goes_on = qpu.batch_add(batch_id, [pulse(), pulse(20)])
    qpu.task_stop(stopped)
    with pytest.raises(TaskCancelledError):
        qpu.task_result(stopped, 60)
    assert counted(qpu.task_result(goes_on, 60).value) == 20
    qpu.task_stop(goes_on)
    assert qpu.task_status(goes_on) is TaskStatus.Completed
    qpu.batch_close(batch_id)


def test_why_a_task_failed_is_told(emulator: Emulator, qpu: QuantumResource) -> None:
    emulator.fault("job-failed", reason="the laser is off", count=1)
    batch_id = qpu.batch_open()
    (task_id,) = qpu.batch_add(batch_id, [pulse()])
    with pytest.raises(TaskFailedError, match="the laser is off"):
        qpu.task_result(task_id, 60)
    qpu.batch_close(batch_id)


def test_a_task_of_its_own_is_the_one_of_its_batch(qpu: QuantumResource, connect: Connect) -> None:
    task_id = qpu.task_start(pulse())
    assert connect().batch_tasks(task_id) == [task_id]
    assert connect().task_input(task_id) == sequence()


def test_a_batch_of_several_jobs_is_no_task(qpu: QuantumResource) -> None:
    batch_id = qpu.batch_open()
    qpu.batch_add(batch_id, [pulse(), pulse()])
    qpu.batch_close(batch_id)
    for task_id in qpu.batch_tasks(batch_id):
        qpu.task(task_id).wait(60)
    with pytest.raises(ServiceError, match="batch_tasks"):
        qpu.task_result(batch_id, 60)


def test_one_wrong_task_keeps_all_out(emulator: Emulator, qpu: QuantumResource) -> None:
    batch_id = qpu.batch_open()
    cudaq = Payload.PasqalCloud(sequence=program(), job_runs=10)
    with pytest.raises(UnsupportedFunctionError, match="CUDA-Q"):
        qpu.batch_add(batch_id, [pulse(), cudaq])
    with pytest.raises(InvalidInputError):
        qpu.batch_add(batch_id, [pulse(), Payload.PasqalCloud(sequence="no", job_runs=10)])
    assert not calls(emulator, "POST", "/jobs")
    qpu.batch_close(batch_id)


def test_an_unknown_batch_is_an_error(qpu: QuantumResource) -> None:
    unknown = "00000000-0000-4000-8000-000000000000"
    for call in (qpu.batch_tasks, qpu.batch_close, lambda it: qpu.batch_add(it, [pulse()])):
        with pytest.raises(TaskNotFoundError):
            call(unknown)


def test_tasks_whose_answer_was_lost_are_told_and_not_sent_again(
    emulator: Emulator, qpu: QuantumResource
) -> None:
    batch_id = qpu.batch_open()
    emulator.fault("reset-after", path=JOBS, method="POST", count=1)
    with pytest.raises(SubmissionUncertainError, match=batch_id) as caught:
        qpu.batch_add(batch_id, [pulse()])
    assert "batch_tasks" in str(caught.value)
    assert len(qpu.batch_tasks(batch_id)) == 1
    qpu.batch_close(batch_id)


def test_tasks_that_cannot_be_told_from_others_are_uncertain(
    qpu: QuantumResource, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = iter([["a"], ServiceError("not now"), ["a"], ["a", "b", "c"]])

    def job_ids(_api: CloudApi, _batch_id: str) -> list[str]:
        found = next(listed)
        if isinstance(found, ServiceError):
            raise found
        return found

    batch_id = qpu.batch_open()
    monkeypatch.setattr(CloudApi, "job_ids", job_ids)
    with pytest.raises(SubmissionUncertainError, match="not now"):
        qpu.batch_add(batch_id, [pulse()])
    with pytest.raises(SubmissionUncertainError, match="2 are new"):
        qpu.batch_add(batch_id, [pulse()])
    qpu.batch_close(batch_id)
