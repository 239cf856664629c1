"""Exchanges with the service on a real socket: how many, what is in them, with faults."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from qrmi_core import (
    InvalidInputError,
    InvalidResponseError,
    Payload,
    QrmiError,
    ServiceError,
    SubmissionUncertainError,
    TaskCancelledError,
    TaskFailedError,
    TaskNotFoundError,
    TaskNotReadyError,
    TaskStatus,
    UnsupportedFunctionError,
)
from qrmi_core.testing import Fault, VendorRequest, VendorResponse
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
from support.pasqal_service import PROJECT, RESULT, SIGNATURE, PasqalService, refusal
from support.processes import said
from support.resources import SHORT, Make

TOKEN = {"POST oauth/token": 1}


def pulse(name: str = "short", **members: object) -> Payload:
    return Payload.PasqalCloud({"version": "1", "name": name, **members}, 100)


def program(name: str = "short") -> Payload:
    return Payload.PasqalCloud({"setup": {"name": name}, "hamiltonian": {}}, 100)


def moved(service: PasqalService, word: str) -> None:
    """Every task is in this state, and stays there."""
    for task in service.tasks():
        task["status"] = task["end"] = word


# --- how many ---


def test_the_life_of_one_batch(service: PasqalService, make: Make) -> None:
    service.looks = 2
    qpu = make()
    with qpu:
        task = qpu.run(pulse())
        assert task.wait(30) is TaskStatus.Completed
        assert task.result(0).value == RESULT
        task.stop()
    looks = service.counted()["GET v2/batches/*"] - 1
    assert looks >= 4
    assert service.counted() == {
        **TOKEN,
        "POST v1/batches": 1,
        "GET v2/batches/*": looks + 1,  # a stop that is refused asks for the state
        "GET v1/batches/*/full_results": 1,
        "PATCH v2/batches/*/cancel": 1,
    }
    assert service.connections == 1


def test_each_operation_costs_one_exchange(service: PasqalService, make: Make) -> None:
    qpu = make()
    running, task = qpu.run(pulse("endless")), qpu.run(pulse())
    service.finish_all()
    task.wait(10)
    operations: dict[str, Callable[[], object]] = {
        "is_accessible": qpu.is_accessible,
        "status": qpu.status,
        "target": qpu.target,
        "target of an emulator": make("EMU_FREE").target,
        "task_start": lambda: qpu.task_start(pulse()),
        "a poll": lambda: running.status(),
        "task_result": lambda: qpu.task_result(task.id),
        "task_stop": running.stop,
        "task_list": qpu.task_list,
    }
    cost = {name: service.cost(operation).total() for name, operation in operations.items()}
    assert cost == dict.fromkeys(operations, 1)


def test_usage_and_logs_cost_a_look_at_the_batch_and_one_at_its_job(
    service: PasqalService, make: Make
) -> None:
    qpu = make()
    task = qpu.run(pulse("fail"))
    service.finish_all()
    service.forget_requests()
    usage = task.usage()
    assert usage.quantum_seconds is None, "the service does not tell"
    assert usage.started_at is not None
    assert usage.finished_at is not None
    assert (usage.finished_at - usage.started_at).total_seconds() == 2
    assert task.logs() == "the laser is off\ntry later\n"
    assert service.counted() == {"GET v2/batches/*": 2, "GET v2/jobs/*": 2}


def test_the_status_of_a_finished_task_costs_nothing(service: PasqalService, make: Make) -> None:
    task = make().run(pulse())
    task.wait(10)
    service.forget_requests()
    assert task.status() is TaskStatus.Completed
    assert not service.requests


# --- what is sent ---


@pytest.mark.parametrize("form", ["text", "bytes", "mapping", "path", "encoded twice"])
def test_a_sequence_is_sent_once_in_its_string_form(
    service: PasqalService, make: Make, tmp_path: Path, form: str
) -> None:
    mapping = {"version": "1", "name": "Rydberg é"}
    text = json.dumps(mapping, ensure_ascii=False)
    path = tmp_path / "sequence.json"
    path.write_text(text, encoding="utf-8")
    forms: dict[str, Any] = {
        "text": text,
        "bytes": text.encode(),
        "mapping": mapping,
        "path": path,
        "encoded twice": json.dumps(text),
    }
    task_id = make("fresnel").task_start(Payload.PasqalCloud(forms[form], 7))
    (body,) = service.bodies
    assert json.loads(body.pop("sequence_builder")) == mapping
    assert body == {
        "jobs": [{"runs": 7}],
        "device_type": "FRESNEL",
        "project_id": PROJECT,
        "tags": service.batches[task_id]["tags"],
    }


def test_tags_are_put_on_a_batch_and_refused_for_cudaq(service: PasqalService, make: Make) -> None:
    task_id = make().task_start(pulse(), tags=["night", "bell"])
    assert service.batches[task_id]["tags"][1:] == ["night", "bell"]
    with pytest.raises(UnsupportedFunctionError, match="CUDA-Q carry no tags"):
        make("emu_mps").task_start(program(), tags=["night"])
    assert not service.cudaq


def test_a_program_of_cudaq_is_sent_as_an_object(service: PasqalService, make: Make) -> None:
    make("emu_mps").task_start(program())
    assert service.bodies == [
        {
            "machine": "EMU_MPS",
            "project_id": PROJECT,
            "sequence": {"setup": {"name": "short"}, "hamiltonian": {}},
            "shots": 100,
        }
    ]
    assert service.counted() == {**TOKEN, "POST v1/cudaq/job": 1}


@pytest.mark.parametrize(
    ("sequence", "told"),
    [
        ("", "not JSON"),
        ("{'single': 1}", "not JSON"),
        ('{"a": NaN}', "NaN"),
        ("[]", "JSON object"),
        ('"text"', "not JSON"),
        (b"\xff{}", "UTF-8"),
        (Path("/nowhere/sequence.json"), "/nowhere/sequence.json"),
        ("[" * 100_000, "nested"),
        ({"variables": {"amp": {}}, "operations": [{"variable": "amp"}]}, r"\(amp\).*build"),
        ({"device": {"max_runs": 99}}, "at most 99"),
    ],
)
def test_a_wrong_payload_is_refused_before_anything_is_sent(
    service: PasqalService, make: Make, sequence: Any, told: str
) -> None:
    with pytest.raises(InvalidInputError, match=told):
        make().task_start(Payload.PasqalCloud(sequence, 100))
    assert not service.requests


def test_an_emulator_may_run_more_often_than_the_device_of_the_sequence(
    service: PasqalService, make: Make
) -> None:
    make("EMU_FREE").task_start(pulse(device={"max_runs": 99}))
    assert len(service.batches) == 1


def test_a_device_type_that_is_not_known_here_is_the_services_business(
    service: PasqalService, make: Make
) -> None:
    with pytest.raises(InvalidInputError, match=r"FRESNEL9 is not known.*EMU_MPS") as caught:
        make("Fresnel9").task_start(pulse())
    assert caught.value.vendor_code == "422"
    with pytest.raises(QrmiError, match="no device FRESNEL9.*EMU_MPS"):
        make("Fresnel9").status()
    service.devices = [*service.devices, {**service.devices[0], "device_type": "FRESNEL9"}]
    qpu = make("Fresnel9")
    assert qpu.is_accessible()
    qpu.task_start(pulse())


# --- states ---


@pytest.mark.parametrize("start", [pulse, program])
@pytest.mark.parametrize(
    ("word", "expected"),
    {
        "PENDING": TaskStatus.Queued,
        "PAUSED": TaskStatus.Queued,
        "RUNNING": TaskStatus.Running,
        "CANCELING": TaskStatus.Running,
        "DONE": TaskStatus.Completed,
        "ERROR": TaskStatus.Failed,
        "TIMED_OUT": TaskStatus.Failed,
        "CANCELED": TaskStatus.Cancelled,
        "REBOOTING": TaskStatus.Running,
    }.items(),
)
def test_the_services_states(
    service: PasqalService,
    make: Make,
    caplog: pytest.LogCaptureFixture,
    start: Callable[[], Payload],
    word: str,
    expected: TaskStatus,
) -> None:
    task = make().run(start())
    moved(service, word)
    assert [task.status(), task.status()] == [expected, expected]
    warnings = [record for record in caplog.records if word in record.getMessage()]
    assert len(warnings) == (word == "REBOOTING")


def test_a_task_without_a_result_says_why(service: PasqalService, make: Make) -> None:
    qpu = make()
    failed, late, stopped = (qpu.run(pulse(name)) for name in ("fail", "late", "endless"))
    with pytest.raises(TaskFailedError, match="the laser is off; try later"):
        failed.result(10)
    with pytest.raises(TaskFailedError, match="time was up") as caught:
        late.result(10)
    assert caught.value.vendor_code == "TIMED_OUT"
    with pytest.raises(TaskNotReadyError):
        stopped.result(0)
    stopped.stop()
    with pytest.raises(TaskCancelledError):
        stopped.result(10)


def test_a_batch_of_several_jobs_is_not_a_task(service: PasqalService, make: Make) -> None:
    task = make().run(pulse())
    batch = service.batches[task.id]
    batch["jobs"].append({"id": "another"})
    batch["job_ids"].append("another")
    service.finish_all()
    for with_route in (True, False):
        service.full_results = with_route
        with pytest.raises(ServiceError, match="2 jobs"):
            task.result(10)


# --- results ---


def test_a_file_of_results_is_fetched_without_credentials(
    service: PasqalService, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    service.full_results = False
    task = make().run(pulse())
    service.finish_all()
    assert task.result(10).value == RESULT
    assert "authorization" not in service.headers[-1]
    assert service.requests[-1].startswith("GET files/")
    assert SIGNATURE not in caplog.text
    # The store repeats the link in what it answers to a wrong one.
    refused = status(403, f"<Error>{service.requests[-1]}</Error>".encode())
    service.fail("GET files/*", *[refused] * 2 * 4)
    with pytest.raises(QrmiError, match="store of results.*refused a new link too") as caught:
        task.result(0)
    assert caught.value.retryable
    assert SIGNATURE not in str(caught.value)
    assert not service.faults["GET files/*"]


@pytest.mark.parametrize("fault", [cut_before, truncated, status(503), status(500), status(403)])
def test_a_file_that_breaks_off_is_fetched_with_a_new_link(
    service: PasqalService, make: Make, fault: Fault
) -> None:
    service.full_results = False
    task = make().run(pulse())
    service.finish_all()
    service.fail("GET files/*", fault)
    assert task.result(10).value == RESULT
    assert service.counted()["GET v1/jobs/*/results_link"] == 2


def test_an_empty_answer_has_the_file_as_second_source(service: PasqalService, make: Make) -> None:
    task = make().run(pulse())
    service.finish_all()
    service.files[service.job_of(task.id)["id"]] = {"raw": ["01", "00", "01"]}
    service.result = None
    assert json.loads(task.result(10).value) == {
        "counter": {"00": 1, "01": 2},
        "raw": ["01", "00", "01"],
    }


# --- which kind of task, in another process ---

_ELSEWHERE = """
import json, sys
from qrmi_core import QuantumResource
task_id, operation, settings = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
task = QuantumResource("FRESNEL", "pasqal-cloud", settings).task(task_id)
match operation:
    case "status": print(task.status(), task.status())
    case "result": print(task.result(20).value)
    case "stop": task.stop()
    case "logs": print(repr(task.logs()))
"""


def elsewhere(service: PasqalService, task_id: str, operation: str) -> str:
    settings = json.dumps(service.settings())
    return said(sys.executable, "-c", _ELSEWHERE, task_id, operation, settings).strip()


@pytest.mark.slow
def test_a_batch_is_known_in_another_process(service: PasqalService, make: Make) -> None:
    running, done = (make().task_start(pulse(name)) for name in ("endless", "short"))
    service.forget_requests()
    assert elsewhere(service, running, "status") == "TaskStatus.Queued TaskStatus.Running"
    assert service.counted() == {**TOKEN, "GET v2/batches/*": 2}
    assert elsewhere(service, done, "result") == RESULT
    elsewhere(service, running, "stop")
    assert service.batches[running]["status"] == "CANCELED"


@pytest.mark.slow
def test_a_job_of_cudaq_is_known_in_another_process_by_asking_once(
    service: PasqalService, make: Make
) -> None:
    running, done = (make().task_start(program(name)) for name in ("endless", "short"))
    service.forget_requests()
    assert elsewhere(service, running, "status") == "TaskStatus.Queued TaskStatus.Running"
    assert service.counted() == {**TOKEN, "GET v2/batches/*": 1, "GET v1/cudaq/job/*": 2}
    assert elsewhere(service, done, "result") == RESULT
    assert elsewhere(service, done, "logs") == "''"
    elsewhere(service, running, "stop")
    assert service.cudaq[running]["status"] == "CANCELED"


def test_a_job_of_cudaq_is_read_with_one_request_a_look(service: PasqalService, make: Make) -> None:
    qpu = make()
    task = qpu.run(program())
    assert task.result(10).value == RESULT
    counted = service.counted()
    assert counted.keys() == {*TOKEN, "POST v1/cudaq/job", "GET v1/cudaq/job/*"}


def test_a_job_of_cudaq_is_stopped_through_its_batch_or_not_at_all(
    service: PasqalService, make: Make
) -> None:
    service.cancels_cudaq = False
    qpu = make()
    task = qpu.run(program("endless"))
    with pytest.raises(UnsupportedFunctionError, match="does not cancel"):
        task.stop()
    batch_id = qpu.task_start(pulse("endless"))
    service.cudaq[task.id]["batch_id"] = batch_id
    task.stop()
    assert service.batches[batch_id]["status"] == "CANCELED"
    service.finish_all()
    moved(service, "DONE")
    task.stop()


def test_a_stop_that_is_refused_while_the_task_runs_is_an_error(
    service: PasqalService, make: Make
) -> None:
    task = make().run(pulse("endless"))
    service.fail("PATCH v2/batches/*/cancel", refusal(409, "not now", "B0409"))
    with pytest.raises(ServiceError, match="not now") as caught:
        task.stop()
    assert caught.value.vendor_code == "B0409"
    with pytest.raises(TaskNotFoundError):
        make().task("00000000-0000-4000-8000-00000000dead").stop()


# --- submitting exactly once ---


@pytest.mark.parametrize(
    "fault", [cut_after, cut_before, bad_gateway_after, malformed, status(503), truncated]
)
def test_a_submission_without_an_answer_is_one_batch(
    service: PasqalService, make: Make, fault: Fault
) -> None:
    service.fail("POST v1/batches", fault)
    task = make().run(pulse())
    assert list(service.batches) == [task.id]
    assert task.result(10).value == RESULT


def test_a_lost_submission_is_looked_for_on_every_page(service: PasqalService, make: Make) -> None:
    qpu = make()
    for _ in range(5):
        qpu.task_start(pulse())
    service.page = 2
    service.fail("POST v1/batches", cut_after)

    def unfiltered(request: VendorRequest, _respond: object) -> VendorResponse:
        return service.respond(attrs.evolve(request, query_string=f"project_id={PROJECT}"))

    service.fail("GET v1/batches", unfiltered)
    task_id = qpu.task_start(pulse())
    assert task_id == list(service.batches)[-1]
    assert len(service.batches) == 6


def test_a_list_that_does_not_tell_tags_settles_nothing(service: PasqalService, make: Make) -> None:
    service.fail("POST v1/batches", cut_before)
    listed = {"data": [{"id": "b-1", "status": "DONE"}]}
    service.fail("GET v1/batches", *[status(200, listed)] * 9)
    with pytest.raises(SubmissionUncertainError) as caught:
        make().task_start(pulse())
    assert caught.value.candidates == ("b-1",)


def test_a_service_that_is_still_at_work_is_not_given_the_batch_again(
    service: PasqalService, make: Make
) -> None:
    qpu = make(QRMI_HTTP_TRANSFER_TIMEOUT_SECONDS="0.2")
    service.fail("POST v1/batches", silent_after)
    assert qpu.task_start(pulse()) == next(iter(service.batches))
    assert len(service.batches) == 1


@pytest.mark.parametrize("fault", [cut_after, bad_gateway_after, truncated, status(500)])
def test_a_lost_job_of_cudaq_is_not_submitted_again(
    service: PasqalService, make: Make, fault: Fault
) -> None:
    qpu = make()
    known = qpu.task_start(pulse())
    service.fail("POST v1/cudaq/job", fault)
    with pytest.raises(SubmissionUncertainError) as caught:
        qpu.task_start(program())
    assert service.counted()["POST v1/cudaq/job"] == 1
    assert known in caught.value.candidates


NO_IDS = ["", 17, None, True, ["x"], {"id": "x"}]


@pytest.mark.parametrize("value", NO_IDS)
def test_a_response_without_a_usable_id_is_a_lost_one(
    service: PasqalService, make: Make, value: object
) -> None:
    reply = replaced({"status": "success", "data": {"id": value}})
    service.fail("POST v1/batches", reply)
    assert [make().task_start(pulse())] == list(service.batches)
    service.fail("POST v1/cudaq/job", reply)
    with pytest.raises(SubmissionUncertainError):
        make().task_start(program())
    assert len(service.cudaq) == 1


@pytest.mark.parametrize("value", NO_IDS)
def test_a_batch_whose_jobs_have_no_usable_id_is_not_read(
    service: PasqalService, make: Make, value: object
) -> None:
    batch = make().task_start(pulse("many"))
    service.fail("GET v2/jobs", replaced({"status": "success", "data": [{"id": value}]}))
    with pytest.raises(InvalidResponseError, match="a job in the response has no `id`"):
        make()._driver._api.job_ids(batch)


# --- tokens ---


def test_a_token_that_is_refused_is_renewed_once(service: PasqalService, make: Make) -> None:
    qpu = make()
    task = qpu.run(pulse("endless"))
    service.tokens.clear()
    assert task.status() is TaskStatus.Queued
    assert len(service.forms) == 2
    service.fail("GET v2/batches/*", *[refusal(401, "go away")] * 2)
    with pytest.raises(QrmiError, match="go away"):
        task.status()
    assert len(service.forms) == 3


def test_resources_with_the_same_credentials_share_a_token(
    service: PasqalService, make: Make
) -> None:
    for device in ("FRESNEL", "EMU_FREE"):
        make(device).task_start(pulse())
    assert len(service.forms) == 1
    make(AUTH_AUDIENCE="another").task_start(pulse())
    assert len(service.forms) == 2


UNUSABLE: dict[str, Fault] = {
    "500": status(500),
    "lost": cut_before,
    "silent": silent_after,
    "a page": status(200, b"<html>login</html>"),
    "another list": status(200, {"data": [1]}),
    "403": refusal(403, "not yours"),
    "404": refusal(404, "not here"),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", UNUSABLE)
def test_a_lost_answer_that_cannot_be_looked_for_is_uncertain(
    service: PasqalService, make: Make, fault: str
) -> None:
    qpu = make(**(SHORT if fault == "silent" else {}))
    service.fail("POST v1/batches", cut_after)
    service.fail("GET v1/batches", *[UNUSABLE[fault]] * 40)
    with pytest.raises(SubmissionUncertainError):
        qpu.task_start(pulse(), timeout=1)
    assert service.counted()["POST v1/batches"] == 1
    assert len(service.batches) == 1


def test_errors_keep_what_the_envelope_says(service: PasqalService, make: Make) -> None:
    service.fail("POST v1/batches", refusal(403, "The project has no credit left", "P0403"))
    with pytest.raises(ServiceError, match="no credit left") as caught:
        make().task_start(pulse())
    error = caught.value
    assert (error.status_code, error.vendor_code) == (403, "P0403")
    assert error.details == {
        "status": "fail",
        "message": "Something is wrong.",
        "data.description": "The project has no credit left",
    }
    body = {"detail": [{"loc": ["body", "jobs"], "msg": "wrong", "input": "a-secret-input"}]}
    service.fail("POST v1/batches", status(422, body))
    with pytest.raises(InvalidInputError, match="body.jobs: wrong") as refused:
        make().task_start(pulse())
    assert "a-secret-input" not in f"{refused.value} {refused.value.details}"


def test_a_damaged_result_is_an_error(service: PasqalService, make: Make) -> None:
    task = make().run(pulse())
    service.finish_all()
    for damaged in ({"counter": {"00": -1}}, {"counter": {"0x": 1}}, {"counter": 7}, 5, [["00"]]):
        service.result = damaged
        with pytest.raises(InvalidResponseError):
            task.result(10)


def test_few_of_many_tasks_are_remembered(
    service: PasqalService, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    qpu = make()
    service.fail("POST v1/cudaq/job", *[cut_after] * 10)
    check_that_few_tasks_are_remembered(qpu, program(), monkeypatch, use=qpu._driver.task_status)
