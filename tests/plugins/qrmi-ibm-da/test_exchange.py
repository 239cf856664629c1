"""Requests over real sockets: their number and connections, single submission, and faults."""

from __future__ import annotations

import itertools
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from qrmi_core import (
    AuthenticationFailedError,
    ConfigError,
    InvalidInputError,
    InvalidResponseError,
    Payload,
    PermissionDeniedError,
    QrmiError,
    QuantumResource,
    ResourceBusyError,
    ResourceNotFoundError,
    ResourceProvider,
    ResourceStatusCode,
    ServiceError,
    SubmissionUncertainError,
    TaskCancelledError,
    TaskFailedError,
    TaskNotFoundError,
    TaskNotReadyError,
    TaskStatus,
    TransportError,
    as_completed,
    poll,
)
from qrmi_core.testing import Fault, VendorRequest, VendorResponse
from qrmi_ibm_da.storage import Store
from support.faulty_server import (
    bad_gateway_after,
    cut_after,
    cut_before,
    silent_after,
    status,
    truncated,
)
from support.growth import check_that_few_tasks_are_remembered
from support.ibm_service import CRN, sampler
from support.resources import Make
from support.system_service import (
    NO_LANE,
    RESERVED,
    RESULT,
    SystemService,
    s3_error,
    vendor_error,
)

PATIENT = {"QRMI_HTTP_READ_TIMEOUT_SECONDS": "0.1", "QRMI_HTTP_TRANSFER_TIMEOUT_SECONDS": "0.1"}


# --- how many ---


def test_what_each_operation_costs(service: SystemService, make: Make) -> None:
    service.looks = 3
    qpu = make()
    qpu.is_accessible()  # fetches the token
    made: list[str] = []
    start = {"S3 PUT input": 1, "POST jobs": 1}
    assert service.cost(lambda: made.append(qpu.acquire())) == {}
    assert service.cost(lambda: made.append(qpu.task_start(sampler()))) == start
    token, task_id = made
    assert service.cost(lambda: qpu.task_status(task_id)) == {"GET jobs/*": 1}
    service.finish_all()
    qpu.task(task_id).wait(10)
    assert service.cost(lambda: qpu.task_result(task_id)) == {"S3 GET results": 1}
    assert service.cost(lambda: qpu.task_logs(task_id)) == {"S3 GET logs": 1}
    assert service.cost(lambda: qpu.task_usage(task_id)) == {"GET jobs/*": 1}
    stop = {"POST jobs/*/cancel": 1, "DELETE jobs/*": 1}
    assert service.cost(lambda: qpu.task_stop(task_id)) == stop
    assert service.cost(lambda: qpu.task_stop(task_id)) == {"POST jobs/*/cancel": 1}
    endless = qpu.task_start(sampler("endless"))
    assert service.cost(lambda: qpu.task_stop(endless)) == stop
    assert service.cost(lambda: qpu.release(token)) == {}
    looks = {"GET backends/*": 1, "GET backends/*/lanes": 1, "GET jobs": 1}
    assert service.cost(qpu.status) == looks
    target = {"GET backends/*/configuration": 1, "GET backends/*/properties": 1}
    assert service.cost(qpu.target) == target


def test_one_connection_a_host(service: SystemService, make: Make) -> None:
    qpu = make()
    task = qpu.run(sampler())
    task.wait(10)
    assert task.result(0).value == RESULT.decode()
    task.logs()
    task.stop()
    assert service.connections == 1, "IAM and the API are on one host here"
    assert service.store.connections == 1


def test_many_tasks_are_looked_at_in_one_request(service: SystemService, make: Make) -> None:
    qpu = make()
    tasks = [qpu.run(sampler()) for _ in range(4)]
    service.finish_all()
    tasks[0].stop()
    assert service.cost(lambda: poll(tasks[1:])) == {"GET jobs": 1}
    assert {task.history[-1].status for task in tasks[1:]} == {TaskStatus.Completed}
    assert len(list(as_completed(tasks[1:], 5))) == 3


def test_a_large_input_goes_in_parts(service: SystemService, make: Make) -> None:
    text = "x" * 12_000_000
    qpu = make(S3_PART_BYTES=str(5 << 20))
    task_id = qpu.task_start(sampler(text))
    assert service.counted()["S3 PUT input"] == 3
    assert service.counted()["S3 POST input"] == 2
    (content,) = service.objects.values()
    assert json.loads(content)["pubs"][0][0] == text
    assert task_id in service.jobs
    assert not service.uploads


def test_objects_are_kept_and_removed_as_set(service: SystemService, make: Make) -> None:
    for delete, left in (("false", 3), ("true", 0)):
        qpu = make(S3_DELETE_OBJECTS=delete)
        task = qpu.run(sampler())
        task.wait(10)
        task.stop()
        assert len(service.objects) == left
        service.objects.clear()


def test_a_finished_task_frees_its_lane_when_set(service: SystemService, make: Make) -> None:
    service.lanes = 1
    qpu = make(DELETE_FINISHED="true")
    for _ in range(3):
        task = qpu.run(sampler(), timeout=0)
        assert task.result(10).value == RESULT.decode()
        assert not service.jobs
    assert task.result(0).value == RESULT.decode(), "the object is still there"


def test_a_lane_that_cannot_be_freed_does_not_cost_the_result(
    service: SystemService, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    service.fail("DELETE jobs/*", *[status(500)] * 8)
    task = make(DELETE_FINISHED="true").run(sampler())
    assert task.result(10).value == RESULT.decode()
    assert "still holds its lane" in caplog.text


def test_what_was_read_gives_its_lane_up_when_none_is_free(
    service: SystemService, make: Make
) -> None:
    service.lanes = 2
    qpu = make()
    tasks = []
    for _ in range(5):
        tasks.append(qpu.run(sampler(), timeout=0))
        assert tasks[-1].result(10).value == RESULT.decode()
    assert list(service.jobs) == [task.id for task in tasks[-2:]], "not before a lane is needed"
    assert service.counted()["DELETE jobs/*"] == 3


def test_what_was_not_read_keeps_its_lane(service: SystemService, make: Make) -> None:
    service.lanes = 2
    others, qpu = make(), make()
    others.run(sampler()).result(10)
    task = qpu.run(sampler())
    task.wait(10)
    with pytest.raises(ResourceBusyError):
        qpu.run(sampler(), timeout=0)
    assert len(service.jobs) == 2
    task.result(10)
    qpu.run(sampler(), timeout=0)


def test_what_failed_gives_its_lane_up_when_none_is_free(
    service: SystemService, make: Make
) -> None:
    service.lanes = 1
    qpu = make()
    for _ in range(3):
        with pytest.raises(TaskFailedError):
            qpu.run(sampler("fail"), timeout=0).result(10)


# --- what is sent ---


def test_the_time_limit_of_a_task_wins_over_that_of_the_scheduler(
    service: SystemService, make: Make
) -> None:
    make(QRMI_JOB_TIMEOUT_SECONDS="900").task_start(sampler(), max_seconds=29.5)
    assert json.loads(service.bodies[0])["timeout_secs"] == 30


def test_the_job_and_its_urls(service: SystemService, make: Make) -> None:
    qpu = make(
        QRMI_JOB_TIMEOUT_SECONDS="900",
        LOG_LEVEL="Info",
        S3_ENDPOINT_FOR_QSAPI=service.store_url.replace("127.0.0.1", "localhost"),
    )
    qpu.status()
    content = '{"version": 2,   "pubs": [["\u00e9", null, 123456789012345678901234567890]]}'
    task_id = qpu.task_start(Payload.QiskitPrimitive(content, "sampler"))
    body = json.loads(service.bodies[0])
    urls = {name: it.pop("presigned_url") for name, it in body["storage"].items()}
    assert body == {
        "id": task_id,
        "backend": "ibm_rensselaer",
        "program_id": "sampler",
        "log_level": "info",
        "timeout_secs": 900,
        "storage": {name: {"type": "s3_compatible"} for name in ("input", "results", "logs")},
    }
    for name, url in urls.items():
        parts = urlsplit(url)
        assert parts.path == f"/tasks/{name}_{task_id}.json"
        assert parts.netloc == service.store_url.replace("http://127.0.0.1", "localhost")
        assert parse_qs(parts.query)["X-Amz-Expires"] == ["87300"]
        assert parse_qs(parts.query)["X-Amz-SignedHeaders"] == ["host"]
    assert service.objects[f"input_{task_id}.json"] == content.encode(), "byte for byte"
    assert task_id in service.jobs, "the service could read the input"
    for headers in service.headers:
        assert headers["service-crn"] == CRN
        assert headers["ibm-api-version"] == "2025-08-15"
        assert "qrmi-ibm-da/" in headers["user-agent"]


def test_the_store_sees_neither_the_token_nor_the_instance(service: SystemService) -> None:
    seen: list[dict[str, str]] = []

    def look(request: VendorRequest, respond: Callable[[], VendorResponse]) -> VendorResponse:
        seen.append({k.lower(): v for k, v in request.headers.items()})
        return respond()

    service.fail("S3 PUT input", look)
    QuantumResource("ibm_rensselaer", "direct-access", service.settings()).task_start(sampler())
    assert not {"authorization", "service-crn"} & set(seen[0])


def test_what_is_wrong_is_found_before_the_upload(service: SystemService, make: Make) -> None:
    wrong = [
        (make(), Payload.QiskitPrimitive("{}", "sampler"), InvalidInputError),
        (make(), Payload.QiskitPrimitive('{"pubs": []', "sampler"), InvalidInputError),
        (make(), Payload.QiskitPrimitive('{"pubs": []}', "vqe"), InvalidInputError),
        (make(), Payload.QiskitPrimitive('{"circuits": []}', "noise-learner"), InvalidInputError),
        (make(S3_URL_LIFETIME_SECONDS="60"), sampler(), ConfigError),
    ]
    for qpu, payload, kind in wrong:
        with pytest.raises(kind):
            qpu.task_start(payload)
    assert not service.requests


def test_without_a_store_the_rest_works(service: SystemService) -> None:
    keys = {
        key: text
        for key, text in service.settings().items()
        if not any(word in key for word in ("AWS", "S3"))
    }
    qpu = QuantumResource("ibm_rensselaer", "ibm-quantum-system", keys)
    assert qpu.is_accessible()
    with pytest.raises(ConfigError, match="missing QRMI_IBM_QS_AWS_ACCESS_KEY_ID"):
        qpu.task_start(sampler())


# --- what the answers mean ---


def test_the_status_counts_every_job_that_holds_a_lane(service: SystemService, make: Make) -> None:
    qpu = make()
    for text in ("", "endless", "fail"):
        qpu.run(sampler(text))
    service.finish_all()
    make("ibm_sim").run(sampler())
    told = qpu.status()
    assert told.capacity
    assert (told.capacity.available_slots, told.capacity.max_slots) == (2, 5)
    assert (told.status, told.busy) == (ResourceStatusCode.Online, False)
    paused = make("ibm_paused").status()
    assert (paused.status, paused.status_reason) == (ResourceStatusCode.Paused, "calibration")


def test_a_reservation_shows_in_the_status(
    service: SystemService, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"name": "ibm_rensselaer", "status": "online", "locked": True}
    service.fail("GET backends/*", status(200, body), status(200, body))
    qpu = make()
    assert qpu.status().busy is True
    assert qpu.is_accessible()


def test_an_older_service_without_lanes(service: SystemService, make: Make) -> None:
    service.fail("GET backends/*/lanes", status(404))
    assert make().status().capacity is None


@pytest.mark.parametrize("call", [QuantumResource.status, QuantumResource.target])
def test_an_unknown_backend(make: Make, call: Callable[[QuantumResource], object]) -> None:
    with pytest.raises(ResourceNotFoundError, match="1216"):
        call(make("nope"))
    with pytest.raises(ResourceNotFoundError, match="name of a backend"):
        make("nope").task_start(sampler())


@pytest.mark.parametrize("what", ["configuration", "properties"])
def test_a_target_that_cannot_be_read_is_an_error(
    service: SystemService, make: Make, what: str
) -> None:
    described = json.loads(make().target().value)
    assert described["configuration"]["n_qubits"] == 127
    for fault, kind in (
        (status(500), ServiceError),
        (status(200, b"<html>"), InvalidResponseError),
    ):
        service.fail(f"GET backends/*/{what}", *[fault] * 4)
        with pytest.raises(kind):
            make().target()


def test_a_failed_task_tells_code_message_and_solution(service: SystemService, make: Make) -> None:
    qpu = make()
    task_id = qpu.task_start(sampler("fail"))
    service.finish_all()
    for read in (lambda: qpu.task_result(task_id), lambda: list(qpu._driver.task_result(task_id))):
        with pytest.raises(TaskFailedError) as caught:
            read()
        assert caught.value.vendor_code == "1517"
        assert "not in the target; transpile the circuit" in str(caught.value)
    assert qpu.task_logs(task_id) == "a line of the log\n"


def test_the_reason_of_a_failed_task_shows_no_presigned_url(
    service: SystemService, make: Make
) -> None:
    qpu = make()
    task = qpu.run(sampler("fail"))
    service.finish_all()
    url = f"{service.store_url}/tasks/input_1.json?X-Amz-Credential=abc&X-Amz-Signature=feed"
    told = service.jobs[task.id]["told"]
    told["reason_message"] = f"GET '{url}' failed."
    told["reason_solution"] = f"look at {url}"
    with pytest.raises(TaskFailedError) as caught:
        task.result(5)
    said = f"{caught.value} {task!r} {qpu._driver.task_status(task.id)!r}"
    assert "X-Amz-" not in said
    assert "/tasks/input_1.json?***' failed; look at" in str(caught.value)


def test_a_running_task_has_neither_result_nor_logs(make: Make) -> None:
    qpu = make()
    task_id = qpu.task_start(sampler("endless"))
    with pytest.raises(TaskNotReadyError):
        list(qpu._driver.task_result(task_id))
    with pytest.raises(TaskNotReadyError):
        qpu.task_logs(task_id)


def test_a_result_that_is_gone_says_so(service: SystemService, make: Make) -> None:
    task = make().run(sampler())
    task.wait(10)
    service.objects.clear()
    with pytest.raises(ServiceError, match="NoSuchKey.*was removed") as caught:
        task.result(0)
    assert caught.value.vendor_code == "NoSuchKey"


def test_a_store_that_hides_what_is_not_there(service: SystemService, make: Make) -> None:
    qpu = make()
    task_id = qpu.task_start(sampler("fail"))
    service.finish_all()
    service.fail("S3 GET results", s3_error(403, "AccessDenied"))
    with pytest.raises(TaskFailedError):
        list(qpu._driver.task_result(task_id))


def test_usage_and_the_list_of_tasks(service: SystemService, make: Make) -> None:
    qpu = make()
    first, second = qpu.task_start(sampler()), qpu.task_start(sampler())
    make("ibm_sim").task_start(sampler())
    service.jobs[second]["told"]["created_time"] = "2026-01-01T13:00:00Z"
    service.finish_all()
    assert [info.id for info in qpu.task_list()] == [second, first]
    usage = qpu.task_usage(first)
    assert usage.quantum_seconds == 2.5
    assert usage.finished_at == datetime(2026, 1, 1, 12, 0, 3, tzinfo=UTC)


def test_odd_answers_do_no_harm(service: SystemService, make: Make) -> None:
    qpu = make()
    task = qpu.run(sampler("endless"))
    told = service.jobs[task.id]["told"]
    service.jobs["other"] = {
        "told": {"id": "other", "backend": "ibm_rensselaer", "status": "Paused?", "x": 1},
        "end": "Running",
        "looks": 1,
    }
    told |= {"program_id": "unheard-of", "reason_code": "text", "usage": None, "metrics": 7}
    assert qpu.status().capacity
    assert task.status() is TaskStatus.Running
    assert qpu.task_status("other") is TaskStatus.Running
    assert qpu.task_usage(task.id).quantum_seconds is None
    service.fail("GET jobs", status(200, {"jobs": None}), status(200, {"jobs": "none"}))
    assert qpu.task_list() == []
    with pytest.raises(InvalidResponseError, match="`jobs` of the response is not a list"):
        qpu.task_list()


def test_an_id_cannot_lead_elsewhere(service: SystemService, make: Make) -> None:
    for odd in ("a/b?c=d#e", "..", "a b"):
        with pytest.raises(TaskNotFoundError):
            make().task_status(odd)
    assert set(service.requests) <= {"token", "GET jobs/*"}


def test_discovery(service: SystemService) -> None:
    provider = ResourceProvider("ibm-quantum-system", service.settings())
    before = dict(os.environ)
    found = {info.resource_id: info for info in provider.infos()}
    names = [qpu.resource_id() for qpu in provider.resources()]
    assert names == ["ibm_rensselaer", "ibm_paused", "ibm_sim"]
    assert [q.resource_id() for q in provider.resources("is_simulator=true")] == ["ibm_sim"]
    assert (found["ibm_rensselaer"].num_qubits, found["ibm_rensselaer"].max_shots) == (127, 100000)
    assert found["ibm_paused"].status is ResourceStatusCode.Paused
    service.forget_requests()
    least = provider.least_busy("name=ibm_r*&num_qubits=100")
    assert least
    assert least.resource_id() == "ibm_rensselaer"
    assert service.counted()["GET backends/*/configuration"] == 1
    assert dict(os.environ) == before


def test_discovery_tells_of_a_backend_without_details(
    service: SystemService, caplog: pytest.LogCaptureFixture
) -> None:
    service.fail("GET backends/*/configuration", vendor_error(404, "1216", "no such thing"))
    provider = ResourceProvider("direct-access", service.settings())
    assert len(provider.resources()) == 3
    assert "ibm_rensselaer is listed without its details" in caplog.text


# --- exactly once ---

LOST: dict[str, Fault] = {
    "cut before": cut_before,
    "cut after": cut_after,
    "silent after": silent_after,
    "502 after": bad_gateway_after,
    "503": status(503),
    "500": status(500),
    "a page": status(200, b"<html>welcome</html>"),
    "odd success": status(201, {"id": "x"}),
}


@pytest.mark.parametrize("fault", LOST.values(), ids=LOST)
def test_a_submission_without_an_answer_is_repeated_as_the_same_task(
    service: SystemService, make: Make, fault: Fault
) -> None:
    service.fail("POST jobs", fault)
    task_id = make(**PATIENT).task_start(sampler())
    assert list(service.jobs) == [task_id]
    assert service.counted()["S3 PUT input"] == 1, "the input is there already"


def test_a_task_that_took_the_last_lane_itself_is_found(service: SystemService, make: Make) -> None:
    service.lanes = 1
    service.fail("POST jobs", cut_after)
    task_id = make().task_start(sampler(), timeout=0)
    assert list(service.jobs) == [task_id]
    assert service.counted()["GET jobs/*"] == 1


def test_a_lane_of_others_is_waited_for_after_a_lost_answer(
    service: SystemService, make: Make
) -> None:
    service.fail("POST jobs", cut_before, NO_LANE)
    task_id = make().task_start(sampler(), timeout=5)
    assert list(service.jobs) == [task_id]


def test_what_stays_uncertain_keeps_its_input(service: SystemService, make: Make) -> None:
    service.fail("POST jobs", *[cut_after] * 4)
    with pytest.raises(SubmissionUncertainError):
        make().task_start(sampler())
    (task_id,) = service.jobs
    assert f"input_{task_id}.json" in service.objects


REFUSALS: dict[str, tuple[Fault, type[QrmiError]]] = {
    "400": (vendor_error(400, "1337", "input invalid"), InvalidInputError),
    "401": (vendor_error(401, "1201", "invalid credentials"), AuthenticationFailedError),
    "403": (vendor_error(403, "", "not allowed"), PermissionDeniedError),
    "404": (vendor_error(404, "1216", "no such backend"), ResourceNotFoundError),
    "409": (vendor_error(409, "9999", "some conflict"), InvalidInputError),
    "413": (status(413, b"too large"), InvalidInputError),
    "422": (status(422, {"detail": "no"}), InvalidInputError),
    "423": (RESERVED, ResourceBusyError),
    "429": (NO_LANE, ResourceBusyError),
}


@pytest.mark.parametrize(("fault", "kind"), REFUSALS.values(), ids=REFUSALS)
def test_the_upload_of_a_refused_task_is_removed(
    service: SystemService, make: Make, fault: Fault, kind: type[QrmiError]
) -> None:
    qpu = make()
    service.fail("POST jobs", fault, fault)
    with pytest.raises(kind):
        qpu.task_start(sampler(), timeout=0)
    assert not service.objects
    assert not service.jobs
    assert not qpu._driver._unsettled  # type: ignore[attr-defined]


def test_an_upload_that_cannot_be_removed_hides_no_error(
    service: SystemService, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    service.fail("POST jobs", vendor_error(400, "1337", "input invalid"))
    service.fail("S3 DELETE input", *[s3_error(403, "AccessDenied")] * 4)
    with pytest.raises(InvalidInputError, match="input invalid"):
        make().task_start(sampler())
    assert "may still be in the bucket" in caplog.text


def test_an_upload_that_may_have_been_stored_is_removed(service: SystemService, make: Make) -> None:
    qpu = make(**PATIENT)
    service.fail("S3 PUT input", *[cut_after] * 8)
    with pytest.raises(TransportError):
        qpu.task_start(sampler())
    assert service.counted()["S3 PUT input"] > 1
    assert not service.objects
    assert not qpu._driver._unsettled  # type: ignore[attr-defined]


def test_an_upload_that_was_interrupted_is_removed(
    service: SystemService, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = Store.put

    def interrupted(store: Store, key: str, content: bytes) -> None:
        put(store, key, content)
        raise KeyboardInterrupt

    monkeypatch.setattr(Store, "put", interrupted)
    qpu = make()
    with pytest.raises(KeyboardInterrupt):
        qpu.task_start(sampler())
    assert not service.objects
    assert not qpu._driver._unsettled  # type: ignore[attr-defined]


# --- waiting for a lane ---


@pytest.mark.parametrize("fault", [NO_LANE, RESERVED], ids=["429", "423"])
def test_a_lane_is_waited_for_and_told(
    service: SystemService,
    make: Make,
    fault: Fault,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.INFO)
    seconds = itertools.count()
    monkeypatch.setattr(
        "botocore.auth.get_current_datetime",
        lambda: datetime.now(UTC) + timedelta(seconds=next(seconds)),
    )
    waits: list[str] = []
    qpu = make(on_wait=lambda why, _seconds: waits.append(why))
    service.fail("POST jobs", *[fault] * 3)
    task_id = qpu.task_start(sampler(), timeout=60)
    assert list(service.jobs) == [task_id]
    assert len(waits) == 3
    assert caplog.text.count("trying again") == 3
    assert service.counted() == {"token": 1, "S3 PUT input": 1, "POST jobs": 4}
    storages = [json.loads(body)["storage"] for body in service.bodies]
    assert len({it["results"]["presigned_url"] for it in storages}) == 4, "signed anew"


def test_a_lane_is_waited_for_only_until_the_deadline(service: SystemService) -> None:
    service.lanes = 0
    qpu = QuantumResource("ibm_rensselaer", "ibm-quantum-system", service.settings())
    start = time.monotonic()
    with pytest.raises(ResourceBusyError, match="stop what has ended") as caught:
        qpu.task_start(sampler(), timeout=0.5)
    assert time.monotonic() - start < 5
    assert (caught.value.vendor_code, caught.value.status_code) == ("1232", 429)
    assert caught.value.details["solution"] == "delete finished jobs"
    assert not service.objects


def test_other_calls_go_on_while_a_lane_is_waited_for(service: SystemService, make: Make) -> None:
    service.lanes = 0
    qpu = make()
    threads = [threading.Thread(target=qpu.task_start, args=(sampler(),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert qpu.is_accessible()
    service.lanes = 2
    for thread in threads:
        thread.join(30)
    assert len(service.jobs) == 2


_WAITER = """
import sys, logging
from qrmi_core import Payload, QuantumResource
import json
qpu = QuantumResource(
    "ibm_rensselaer",
    "ibm-quantum-system",
    json.loads(sys.argv[1]),
    on_wait=lambda *_: print("waiting", flush=True),
)
qpu.task_start(Payload.QiskitPrimitive('{"pubs": []}', "sampler"))
"""


def test_ctrl_c_ends_a_wait_at_once_and_removes_the_upload(service: SystemService) -> None:
    service.lanes = 0
    child = subprocess.Popen(
        [sys.executable, "-c", _WAITER, json.dumps(service.settings())],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout
    assert child.stdout.readline() == "waiting\n"
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=10)
    assert "KeyboardInterrupt" in errors
    assert not service.objects


@pytest.mark.slow
def test_qrmi_run_shows_the_wait(service: SystemService, tmp_path: Path) -> None:
    service.fail("POST jobs", NO_LANE)
    file = tmp_path / "input.json"
    file.write_text('{"program_id": "sampler", "parameters": {"pubs": []}}')
    config = {"resources": [{"name": "ibm_rensselaer", "type": "direct-access"}]}
    config["resources"][0]["environment"] = service.settings()  # type: ignore[assignment]
    (tmp_path / "config.json").write_text(json.dumps(config))
    output = tmp_path / "result.json"
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from qrmi_core.cli import run; run()",
            "run",
            "--config",
            str(tmp_path / "config.json"),
            "ibm_rensselaer",
            str(file),
            str(output),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert output.read_bytes() == RESULT
    assert "lanes are taken" in done.stderr


# --- stopping ---


def test_a_cancel_that_fails_says_so_and_nothing_is_deleted(
    service: SystemService, make: Make
) -> None:
    task = make().run(sampler("endless"))
    service.fail("POST jobs/*/cancel", *[vendor_error(500, "", "broken")] * 4)
    with pytest.raises(ServiceError, match="could not be cancelled, and still holds its lane") as c:
        task.stop()
    assert c.value.status_code == 500
    assert task.id in service.jobs
    task.stop()
    assert not service.jobs


@pytest.mark.parametrize("deletion", [[], [status(500)] * 4], ids=["409", "500"])
def test_a_cancel_that_is_refused_is_not_taken_for_done(
    service: SystemService, make: Make, deletion: list[Fault]
) -> None:
    qpu = make()
    task = qpu.run(sampler("endless"))
    service.fail("DELETE jobs/*", *deletion)
    service.fail("POST jobs/*/cancel", vendor_error(409, "1999", "the job is being calibrated"))
    with pytest.raises(ServiceError) as caught:
        task.stop()
    assert "could not be cancelled, and still holds its lane" in str(caught.value)
    assert "the job is being calibrated" in str(caught.value)
    assert (caught.value.status_code, caught.value.vendor_code) == (409, "1999")
    assert caught.value.request_id == "trace-1"
    assert task.id in service.jobs
    assert task.status() is TaskStatus.Running
    task.stop()
    assert not service.jobs


def test_a_refused_cancel_does_not_matter_where_the_task_can_be_deleted(
    service: SystemService, make: Make
) -> None:
    task = make().run(sampler())
    service.finish_all()
    service.fail("POST jobs/*/cancel", vendor_error(409, "1999", "no"))
    task.stop()
    assert not service.jobs


@pytest.mark.parametrize(("text", "gone"), [("endless", False), ("", True)])
def test_a_cancel_whose_answer_was_lost_is_known_by_its_effect(
    service: SystemService, make: Make, text: str, gone: bool
) -> None:
    qpu = make()
    task_id = qpu.task_start(sampler(text))
    service.finish_all()
    service.fail("POST jobs/*/cancel", cut_after)
    calls = {"POST jobs/*/cancel": 2, "GET jobs/*": 1, "DELETE jobs/*": 1}
    assert service.cost(lambda: qpu.task_stop(task_id)) == calls
    assert not service.jobs
    if gone:
        with pytest.raises(TaskNotFoundError):
            qpu.task_status(task_id)
    else:
        assert qpu.task_status(task_id) is TaskStatus.Cancelled


def test_a_look_that_fails_after_a_lost_cancel_does_not_keep_the_lane(
    service: SystemService, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    task = make().run(sampler("endless"))
    service.fail("POST jobs/*/cancel", cut_after)
    service.fail("GET jobs/*", *[status(500)] * 4)
    task.stop()
    assert not service.jobs
    assert "is not known" in caplog.text


def test_a_task_that_has_ended_and_cannot_be_deleted_was_not_cancelled(
    service: SystemService, make: Make
) -> None:
    task = make().run(sampler())
    service.finish_all()
    service.settle = 10
    with pytest.raises(TaskNotReadyError, match="until task_stop is called again") as caught:
        task.stop()
    assert "cancelled" not in str(caught.value)
    assert (caught.value.status_code, caught.value.retryable) == (409, True)


@pytest.mark.parametrize("odd", ["a/b", "..", "x/../../other/y", "a..b", ""])
def test_objects_of_what_is_no_id_are_left_alone(
    service: SystemService, make: Make, odd: str
) -> None:
    qpu = make(S3_DELETE_OBJECTS="true")
    for call in (qpu.task_stop, qpu.task_logs, lambda id: qpu.task_result(id, timeout=1)):
        with pytest.raises((TaskNotFoundError, InvalidInputError)):
            call(odd)
    assert not any(line.startswith("S3") for line in service.requests)


def test_a_deletion_is_repeated_until_the_task_has_ended(
    service: SystemService, make: Make
) -> None:
    service.settle = 2
    task = make().run(sampler("endless"))
    task.stop()
    assert not service.jobs
    service.settle = 10
    task = make().run(sampler("endless"))
    with pytest.raises(TaskNotReadyError, match="was cancelled.*until task_stop is called again"):
        task.stop()
    service.settle = 0
    task.stop()
    assert not service.jobs


def test_a_page_of_a_gateway_is_not_taken_for_a_task_that_is_gone(
    service: SystemService, make: Make
) -> None:
    task = make().run(sampler("endless"))
    page = status(404, b"<html>404</html>", Content_Type="text/html")
    for call, line in ((task.stop, "POST jobs/*/cancel"), (task.status, "GET jobs/*")):
        service.fail(line, page)
        with pytest.raises(InvalidResponseError, match="page of a proxy"):
            call()


def test_the_result_is_there_after_a_stop(service: SystemService, make: Make) -> None:
    task = make().run(sampler())
    task.wait(10)
    task.stop()
    assert task.result(0).value == RESULT.decode()


def test_a_task_stopped_here_is_cancelled_and_elsewhere_gone(make: Make) -> None:
    qpu = make()
    tasks = [qpu.run(sampler("endless")) for _ in range(2)]
    for task in tasks:
        task.stop()
    assert list(as_completed(tasks, 10))
    with pytest.raises(TaskCancelledError, match="it was stopped"):
        tasks[0].result(0)
    with pytest.raises(TaskNotFoundError):
        make().task_status(tasks[0].id)


def test_a_fault_of_the_store_is_typed_and_says_what_to_do(
    service: SystemService, make: Make
) -> None:
    expected: list[tuple[Fault, type[QrmiError], str]] = [
        (s3_error(404, "NoSuchBucket"), ConfigError, "S3_BUCKET"),
        (s3_error(403, "AccessDenied"), PermissionDeniedError, "read, write and delete"),
        (s3_error(403, "InvalidAccessKeyId"), AuthenticationFailedError, "AWS_ACCESS_KEY_ID"),
        (s3_error(403, "SignatureDoesNotMatch"), AuthenticationFailedError, "SECRET_ACCESS_KEY"),
        (s3_error(403, "RequestTimeTooSkewed"), PermissionDeniedError, "clock"),
        (s3_error(503, "SlowDown"), ServiceError, "SlowDown"),
        (cut_before, TransportError, "lost"),
        (silent_after, TransportError, "nothing came"),
    ]
    for fault, kind, word in expected:
        service.fail("S3 PUT input", *[fault] * 20)
        with pytest.raises(kind, match=word):
            make(**PATIENT).task_start(sampler())
        service.faults.clear()
        assert not service.jobs


@pytest.mark.parametrize(
    "message", ["Request has expired", "Request is not yet valid", "Request is not valid yet"]
)
def test_a_wrong_clock_is_neither_a_wrong_key_nor_a_missing_object(
    service: SystemService, make: Make, message: str
) -> None:
    qpu = make()
    task_id = qpu.task_start(sampler("fail"))
    service.finish_all()
    fault = s3_error(403, "AccessDenied", message)
    for what, call in (
        ("S3 GET results", lambda: list(qpu._driver.task_result(task_id))),
        ("S3 GET logs", lambda: qpu.task_logs(task_id)),
        ("S3 PUT input", lambda: qpu.task_start(sampler())),
    ):
        service.fail(what, fault)
        with pytest.raises(PermissionDeniedError, match="set this machine's clock") as caught:
            call()
        assert "access key" not in str(caught.value)
        assert "was removed" not in str(caught.value)


def test_a_wrong_secret_and_a_missing_bucket(service: SystemService, make: Make) -> None:
    with pytest.raises(AuthenticationFailedError, match="SignatureDoesNotMatch"):
        make(AWS_SECRET_ACCESS_KEY="another").task_start(sampler())
    with pytest.raises(ConfigError, match="NoSuchBucket"):
        make(S3_BUCKET="another").task_start(sampler())


def test_a_result_that_breaks_off_is_read_again(service: SystemService, make: Make) -> None:
    service.result = b'"' + b"r" * 1_000_000 + b'"'
    task = make().run(sampler())
    task.wait(10)
    service.fail("S3 GET results", truncated, truncated)
    assert task.result(0).value.encode() == service.result


def test_a_token_that_is_no_longer_taken_is_renewed(service: SystemService, make: Make) -> None:
    qpu = make()
    qpu.status()
    service.tokens.clear()
    qpu.task_start(sampler())
    assert service.counted()["token"] == 2


def test_an_unknown_key_is_the_vendors_message(make: Make) -> None:
    with pytest.raises(AuthenticationFailedError, match="BXNIM0415E"):
        make(IAM_APIKEY="another").status()


def test_few_of_many_tasks_are_remembered(
    service: SystemService, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    qpu = make()
    service.fail("POST jobs", *[cut_after] * 10)
    check_that_few_tasks_are_remembered(qpu, sampler(), monkeypatch, use=qpu._driver.task_stop)
