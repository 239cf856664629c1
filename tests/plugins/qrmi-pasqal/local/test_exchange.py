"""Exchanges with Warden on a real socket: how many, with which credentials, and with faults."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from qrmi_core import (
    AuthenticationFailedError,
    InvalidInputError,
    InvalidResponseError,
    NotAcquiredError,
    Payload,
    PermissionDeniedError,
    QuantumResource,
    ResourceBusyError,
    ResourceNotFoundError,
    ResourceStatusCode,
    ServiceError,
    SubmissionUncertainError,
    TaskFailedError,
    TaskNotFoundError,
    TaskNotReadyError,
    TaskStatus,
    UnsupportedFunctionError,
    poll,
)
from qrmi_core.testing import Fault
from support.faulty_server import (
    bad_gateway_after,
    cut_after,
    cut_before,
    malformed,
    replaced,
    silent_after,
    status,
    truncated,
)
from support.growth import check_that_few_tasks_are_remembered
from support.munged import MISSING, munged
from support.resources import Make
from support.warden import RESULT, SPECS, Warden, detail

STRANGER = os.geteuid() + 1


def sequence(what: str = "completes", runs: int = 100) -> Payload:
    return Payload.PasqalCloud({"name": what}, runs)


@pytest.fixture
def inside(warden: Warden, make: Make) -> Make:
    """Makes resources as a job has them, for which the scheduler has acquired."""
    return lambda **settings: make(
        QRMI_JOB_ACQUISITION_TOKEN=warden.session_for(os.geteuid()), **settings
    )


# --- how many, and what is in them ---


def polled(warden: Warden, qpu: QuantumResource, ids: list[str]) -> dict[str, int]:
    """Poll tasks together, and return the requests by kind."""
    tasks = [qpu.task(task_id) for task_id in ids]
    return dict(warden.cost(lambda: poll(tasks)))


def test_the_list_is_read_where_it_costs_less_than_it_saves(warden: Warden, inside: Make) -> None:
    qpu = inside()
    ids = [qpu.task_start(sequence("endless")) for _ in range(4)]
    assert polled(warden, qpu, ids) == {"GET jobs": 1}
    done = {"id": 99, "status": "DONE", "end": "DONE", "results": "x" * 30_000}
    warden.jobs["99"] = warden.jobs["1"] | done
    assert polled(warden, qpu, ids[:2]) == {"GET jobs": 1}
    assert polled(warden, qpu, ids) == {"GET jobs": 1}
    assert polled(warden, qpu, ids[:2]) == {"GET jobs/*": 2}, "it was long for so few"


def test_a_list_that_is_too_large_is_read_once(warden: Warden, inside: Make) -> None:
    qpu = inside(QRMI_HTTP_MAX_RESPONSE_BYTES="1000")
    ids = [qpu.task_start(sequence("endless")) for _ in range(40)]
    assert polled(warden, qpu, ids) == {"GET jobs": 1, "GET jobs/*": 40}
    assert polled(warden, qpu, ids) == {"GET jobs/*": 40}


def test_a_list_that_is_lost_is_read_again(warden: Warden, inside: Make) -> None:
    qpu = inside(QRMI_HTTP_ATTEMPTS="1")
    ids = [qpu.task_start(sequence("endless")) for _ in range(2)]
    warden.fail("GET jobs", cut_before)
    assert polled(warden, qpu, ids) == {"GET jobs": 1}
    assert polled(warden, qpu, ids) == {"GET jobs": 1}


def test_the_life_of_one_task(warden: Warden, make: Make) -> None:
    qpu = make()
    token = qpu.acquire()
    text = json.dumps({"name": "\N{GREEK SMALL LETTER OMEGA}"}, ensure_ascii=False)
    task = qpu.run(Payload.PasqalCloud(text, 40))
    assert task.wait(10) is TaskStatus.Completed
    assert task.result(0).value == RESULT, "as it came, although it is no JSON"
    qpu.release(token)
    looks = warden.counted()["GET jobs/*"]
    assert warden.counted() == {
        "POST sessions": 1,
        "POST jobs": 1,
        "GET jobs/*": looks,
        "DELETE sessions/*": 1,
    }
    assert warden.connections == 1
    assert warden.bodies == [
        {"user_id": str(os.geteuid()), "slurm_job_id": "777"},
        {"sequence": text, "shots": 40},
    ]
    assert task.id == "1"
    assert warden.sessions[token]["revoked_at"]


def test_each_operation_is_one_exchange(warden: Warden, inside: Make, make: Make) -> None:
    qpu = inside()
    task = qpu.run(sequence())
    qpu.status()
    operations: dict[str, Callable[[], object]] = {
        "status": qpu.status,
        "is_accessible": qpu.is_accessible,
        "target": qpu.target,
        "task_start": lambda: qpu.task_start(sequence()),
        "task_status": lambda: qpu.task_status("2"),
        "task_stop": lambda: qpu.task_stop("2"),
        "task_logs": lambda: qpu.task_logs(task.id),
        "task_list": qpu.task_list,
        "acquire": make().acquire,
        "release": lambda: make().release(warden.session_for(0)),
    }
    cost = {name: warden.cost(operation).total() for name, operation in operations.items()}
    assert cost == dict.fromkeys(operations, 1)


def test_the_status_of_a_finished_task_costs_nothing(warden: Warden, inside: Make) -> None:
    task = inside().run(sequence())
    task.wait(10)
    warden.forget_requests()
    assert task.status() is TaskStatus.Completed
    assert not warden.requests


def test_what_asks_for_no_credential_gets_none(warden: Warden, make: Make) -> None:
    qpu = make(QRMI_MUNGE_SOCKET="/nowhere")
    assert qpu.is_accessible()
    assert json.loads(qpu.target().value) == [{"device_type": "FRESNEL", "specs": SPECS}]
    assert not warden.credentials()
    with pytest.raises(AuthenticationFailedError, match="start munged"):
        qpu.acquire()
    assert not warden.sessions


def test_the_session_goes_only_where_it_is_needed(warden: Warden, make: Make) -> None:
    with make() as qpu:
        qpu.run(sequence()).result(10)
        qpu.task_list()
    with_session = {
        line.partition("/")[0]
        for line, headers in zip(warden.requests, warden.headers, strict=True)
        if "x-warden-session" in headers
    }
    assert with_session == {"POST jobs", "DELETE sessions"}


@pytest.mark.parametrize("fault", [status(503), cut_before, cut_after, truncated])
def test_every_attempt_has_a_credential_of_its_own(
    warden: Warden, inside: Make, fault: Fault
) -> None:
    qpu = inside()
    task_id = qpu.task_start(sequence())
    warden.fail("GET jobs", fault, fault)
    assert qpu.task_status(task_id) is not None
    made = warden.credentials()
    assert len(made) == 4
    assert len(set(made)) == 4


# --- what Warden says ---


def test_a_qpu_that_is_closed_for_now_says_why(warden: Warden, make: Make) -> None:
    warden.accessible = {"is_accessible": False, "message": "calibration until noon"}
    told = make().status()
    assert told.status is ResourceStatusCode.Paused
    assert told.status_reason == "calibration until noon"
    assert not make().is_accessible()


def test_tasks_are_listed_newest_first(warden: Warden, inside: Make) -> None:
    qpu = inside()
    started = [qpu.task_start(sequence()) for _ in range(11)]
    warden.jobs["99"] = warden.jobs["1"] | {"id": 99, "user_id": str(STRANGER)}
    listed = qpu.task_list()
    assert [info.id for info in listed] == started[::-1]
    assert all(info.created_at and info.created_at.tzinfo for info in listed)


def test_a_state_that_is_not_known_ends_nothing(
    warden: Warden, inside: Make, caplog: pytest.LogCaptureFixture
) -> None:
    qpu = inside()
    task = qpu.run(sequence())
    warden.jobs[task.id]["status"] = warden.jobs[task.id]["end"] = "ALIGNING"
    assert task.status() is TaskStatus.Running
    assert task.status() is TaskStatus.Running
    assert caplog.text.count("ALIGNING") == 1
    with pytest.raises(TaskNotReadyError):
        task.result(0)


@pytest.mark.parametrize("results", [None, {"counter": {}}])
def test_an_end_without_a_result_is_not_a_result(
    warden: Warden, inside: Make, results: object
) -> None:
    qpu = inside()
    task_id = qpu.task_start(sequence())
    done = {"id": 1, "status": "DONE", "results": results}
    warden.fail("GET jobs", *[status(200, done)] * 9)
    with pytest.raises(TaskNotReadyError, match="has no result; its state is DONE"):
        qpu.task_result(task_id, 0)


def test_a_failed_task_has_its_logs_as_the_reason(inside: Make) -> None:
    with pytest.raises(TaskFailedError, match="lasers were unlocked") as caught:
        inside().run(sequence("fail")).result(10)
    assert caught.value.task_id == "1"


@pytest.mark.parametrize("task_id", ["abc", "-1", "1.5", "../sessions", "9" * 19, "\u0663"])
def test_what_cannot_be_a_task_is_not_asked_for(warden: Warden, make: Make, task_id: str) -> None:
    for call in (make().task_status, make().task_stop, make().task_logs):
        with pytest.raises(TaskNotFoundError, match="numbers"):
            call(task_id)
    assert not warden.requests


def test_a_task_of_another_user_is_not_found(warden: Warden, inside: Make) -> None:
    qpu = inside()
    task_id = qpu.task_start(sequence())
    warden.jobs[task_id]["user_id"] = str(STRANGER)
    for call in (qpu.task_status, qpu.task_stop, qpu.task_logs):
        with pytest.raises(TaskNotFoundError, match="Job not found"):
            call(task_id)


def test_an_address_with_a_path_too_much_is_not_a_missing_task(warden: Warden, make: Make) -> None:
    qpu = make(QRMI_WARDEN_URL=f"{warden.host}/api")
    with pytest.raises(ResourceNotFoundError, match="QRMI_WARDEN_URL"):
        qpu.task_status("1")
    with pytest.raises(ResourceNotFoundError, match="QRMI_WARDEN_URL"):
        qpu.acquire()


def test_what_is_wrong_with_the_sequence_is_said_before_anything_is_sent(
    warden: Warden, inside: Make
) -> None:
    qpu = inside()
    for content in ("no json", b"\xff", "[1]", '{"device": {"max_runs": 10}}'):
        with pytest.raises(InvalidInputError):
            qpu.task_start(Payload.PasqalCloud(content, 11))
    assert not warden.requests


# --- generations of Warden ---


def test_a_warden_that_can_neither_cancel_nor_log_says_so(warden: Warden, inside: Make) -> None:
    warden.later = False
    qpu = inside()
    task = qpu.run(sequence("fail"))
    with pytest.raises(UnsupportedFunctionError, match="cannot cancel jobs") as caught:
        task.stop()
    assert caught.value.task_id == task.id
    assert caught.value.resource_id == "PASQAL_LOCAL"
    with pytest.raises(UnsupportedFunctionError, match="logs"):
        task.logs()
    with pytest.raises(TaskFailedError, match="logs could not be read"):
        task.result(10)
    assert qpu.status().capacity is None


def test_stopping_reaches_a_finished_task_too_and_is_no_error(warden: Warden, inside: Make) -> None:
    task = inside().run(sequence())
    task.wait(10)
    task.stop()
    assert warden.counted()["POST jobs/*/cancel"] == 1
    assert warden.jobs[task.id]["status"] == "DONE"


@pytest.mark.parametrize("slots", [None, 3])
def test_a_session_is_released_once_and_again(
    warden: Warden, make: Make, slots: int | None
) -> None:
    warden.slots = slots
    token = make().acquire()
    for _ in range(2):
        make().release(token)
        assert warden.sessions[token]["revoked_at"]
    del warden.sessions[token]
    make().release(token)


def test_slots_are_told_taken_and_waited_for(warden: Warden, make: Make) -> None:
    warden.slots = 3
    qpu = make(QRMI_WARDEN_QPU_SLOTS="2")
    token = qpu.acquire()
    assert warden.bodies[-1]["qpu_slots"] == 2
    capacity = qpu.status().capacity
    assert capacity
    assert (capacity.available_slots, capacity.max_slots) == (1, 3)
    with pytest.raises(ResourceBusyError, match="Not enough QPU slots"):
        make(QRMI_WARDEN_QPU_SLOTS="2").acquire(timeout=0)
    qpu.release(token)
    make(QRMI_WARDEN_QPU_SLOTS="2").acquire(timeout=0)
    make(QRMI_WARDEN_QPU_SLOTS="2").acquire(timeout=0, slots=1)
    assert warden.bodies[-1]["qpu_slots"] == 1


def test_slots_that_are_not_counted_are_said_to_have_no_effect(
    warden: Warden, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    make(QRMI_WARDEN_QPU_SLOTS="2").acquire()
    assert "QRMI_WARDEN_QPU_SLOTS has no effect" in caplog.text


def test_a_qpu_without_slots_is_asked_for_them_once(warden: Warden, make: Make) -> None:
    qpu = make()
    qpu.status()
    qpu.status()
    assert warden.counted() == {"GET accessible": 2, "GET qpu-slots": 1}


# --- who may do what ---


def test_only_an_administrator_opens_and_revokes_sessions(warden: Warden, make: Make) -> None:
    warden.admins = {STRANGER}
    for call in (make().acquire, lambda: make().release(warden.session_for(0))):
        with pytest.raises(PermissionDeniedError, match="the scheduler") as caught:
            call()
        assert f"user id {os.geteuid()}" in str(caught.value)
        assert caught.value.status_code == 403
        assert not caught.value.retryable


def test_a_user_who_is_not_on_the_list_is_told_whom_to_ask(warden: Warden, make: Make) -> None:
    warden.authorized = {str(STRANGER)}
    with pytest.raises(PermissionDeniedError, match="authorized_users"):
        make().acquire()
    make(QRMI_JOB_UID=str(STRANGER)).acquire()


def test_the_largest_user_id_reaches_warden(warden: Warden, make: Make) -> None:
    make(QRMI_JOB_UID="4294967294").acquire()
    assert warden.bodies == [{"user_id": "4294967294", "slurm_job_id": "777"}]


def test_a_session_of_another_user_is_refused(warden: Warden, make: Make) -> None:
    qpu = make(QRMI_JOB_ACQUISITION_TOKEN=warden.session_for(STRANGER))
    with pytest.raises(PermissionDeniedError, match="QRMI_JOB_UID") as caught:
        qpu.task_start(sequence())
    assert f"user id {os.geteuid()}" in str(caught.value)
    assert not warden.jobs


@pytest.mark.parametrize("which", ["revoked", "unknown"])
def test_a_session_that_is_not_alive_is_not_acquired(
    warden: Warden, make: Make, which: str
) -> None:
    session = warden.session_for(os.geteuid())
    if which == "revoked":
        warden.sessions[session]["revoked_at"] = "now"
    else:
        del warden.sessions[session]
    with pytest.raises(NotAcquiredError, match="acquire the resource anew") as caught:
        make(QRMI_JOB_ACQUISITION_TOKEN=session).task_start(sequence())
    assert session not in str(caught.value)
    assert not warden.jobs


def test_a_credential_of_another_key_creates_nothing_and_says_why(
    warden: Warden, inside: Make
) -> None:
    with munged() as foreign:
        qpu = inside(QRMI_MUNGE_SOCKET=str(foreign), QRMI_HTTP_ATTEMPTS="2")
        for call in (
            lambda: qpu.task_start(sequence()),
            lambda: qpu.task_status("1"),
            lambda: qpu.task_list(),
        ):
            with pytest.raises(AuthenticationFailedError, match="same key"):
                call()
    assert not warden.jobs
    assert warden.counted()["POST jobs"] == 1


def test_an_expired_credential_points_to_the_clocks(warden: Warden, make: Make) -> None:
    warden.fail("GET jobs", detail(401, "MUNGE credential expired"))
    with pytest.raises(AuthenticationFailedError, match=r"expired.*clocks"):
        make().task_status("1")


def test_what_a_validation_error_repeats_of_the_request_is_not_shown(
    warden: Warden, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    token = "a-token-that-is-secret"
    qpu = make(QRMI_JOB_ACQUISITION_TOKEN=token)
    told = "X-Warden-Session: Input should be.*acquire the resource anew"
    with pytest.raises(NotAcquiredError, match=told) as caught:
        qpu.task_start(sequence())
    assert caught.value.status_code == 422
    assert not warden.jobs
    # What is released is another session, and stays open.
    with pytest.raises(InvalidInputError, match="id: Input should be") as again:
        make().release(token)
    assert token not in f"{caught.value} {again.value} {caplog.text}"


@pytest.mark.skipif(bool(MISSING), reason=MISSING)
def test_a_wait_outlives_a_munged_that_is_started_anew() -> None:
    with tempfile.TemporaryDirectory(prefix="qrmi-munge-") as name, ExitStack() as stack:
        Path(name).chmod(0o755)
        where = Path(name, "socket")
        daemon = stack.enter_context(ExitStack())
        daemon.enter_context(munged(where))
        warden = stack.enter_context(Warden(where))
        restarted = 0

        def sleep(_seconds: float) -> None:
            nonlocal restarted
            restarted += 1
            if restarted == 2:
                daemon.enter_context(munged(where))

        qpu = QuantumResource("PASQAL_LOCAL", "pasqal-local", warden.settings(), sleep=sleep)
        qpu.acquire()
        task = qpu.run(sequence())
        daemon.close()
        with pytest.raises(AuthenticationFailedError, match="start munged"):
            task.status()
        assert task.wait(30) is TaskStatus.Completed
        assert restarted >= 2
        qpu.close()


# --- submitting exactly once ---


@pytest.mark.parametrize(
    "fault", [cut_after, silent_after, bad_gateway_after, malformed, truncated, status(500)]
)
def test_a_submission_without_an_answer_names_the_candidates(
    warden: Warden, inside: Make, fault: Fault
) -> None:
    qpu = inside(QRMI_HTTP_TRANSFER_TIMEOUT_SECONDS="0.3")
    first = qpu.task_start(sequence())
    warden.jobs[first]["created_at"] = "2001-01-01T12:00:00.544486"
    warden.fail("POST jobs", fault)
    with pytest.raises(SubmissionUncertainError) as caught:
        qpu.task_start(sequence())
    assert caught.value.candidates == tuple(set(warden.jobs) - {first})
    assert warden.counted()["POST jobs"] == 2, "nothing is submitted twice"
    assert not caught.value.retryable


@pytest.mark.parametrize("value", ["", "17", None, True, 1.5, [17]])
def test_a_response_without_a_usable_id_is_a_lost_one(
    warden: Warden, inside: Make, value: object
) -> None:
    warden.fail("POST jobs", replaced({"id": value}))
    with pytest.raises(SubmissionUncertainError) as caught:
        inside().task_start(sequence())
    assert caught.value.candidates == tuple(warden.jobs)
    assert len(warden.jobs) == 1


@pytest.mark.parametrize("value", ["", 17, None, True])
def test_a_response_without_a_usable_session_is_an_error(
    warden: Warden, make: Make, value: object
) -> None:
    warden.fail("POST sessions", *[replaced({"id": value})] * 9)
    with pytest.raises(InvalidResponseError, match="the response has no session"):
        make().acquire()


def test_a_submission_that_was_surely_not_taken_is_repeated(warden: Warden, inside: Make) -> None:
    warden.fail("POST jobs", status(429), status(503, Retry_After="0"))
    assert inside().task_start(sequence()) == "1"
    assert len(warden.jobs) == 1


def test_an_analog_program_that_could_not_be_converted_is_not_uncertain(
    warden: Warden, inside: Make
) -> None:
    program = Payload.PasqalCloud({"setup": {}, "hamiltonian": {}}, 1)
    warden.fail("POST jobs", detail(503, "Failed to fetch QPU specs."))
    with pytest.raises(ServiceError, match="QPU specs") as caught:
        inside().task_start(program)
    assert caught.value.retryable
    assert not caught.value.uncertain


def test_few_of_many_tasks_are_remembered(
    warden: Warden, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    qpu = make()
    session = warden.session_for(os.geteuid())
    check_that_few_tasks_are_remembered(
        qpu, sequence(), monkeypatch, acquisition=session, use=qpu._driver.task_status
    )
