"""Each method of the driver: the request it sends, and its result from the response."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import responses
from responses import matchers

from qrmi_core import (
    AcquisitionUsage,
    ConfigError,
    InvalidInputError,
    InvalidResponseError,
    NotAcquiredError,
    Payload,
    PermissionDeniedError,
    QrmiError,
    ResourceBusyError,
    ResourceNotFoundError,
    ResourceStatusCode,
    ServiceError,
    TaskCancelledError,
    TaskFailedError,
    TaskNotFoundError,
    TaskNotReadyError,
    TaskStatus,
)
from qrmi_core.channel import Channel
from qrmi_core.driver import Acquires, offers
from qrmi_core.notes import TaskNotes
from qrmi_core.options import TaskOptions
from qrmi_core.polling import poll
from qrmi_core.task import Task
from qrmi_ibm_runtime import driver as driver_module
from qrmi_ibm_runtime.driver import RuntimeDriver
from qrmi_ibm_runtime.settings import RuntimeSettings

IAM = "https://iam.example"
API = "https://quantum.example/api/v1"
CRN = "crn:v1:x"
TAG = "0123456789abcdef0123456789abcdef"
SETTINGS = {
    "QRMI_IBM_QCS_ENDPOINT": "https://quantum.example/api/",
    "QRMI_IBM_QCS_IAM_ENDPOINT": IAM,
    "QRMI_IBM_QCS_IAM_APIKEY": "key-of-the-user",
    "QRMI_IBM_QCS_SERVICE_CRN": CRN,
    "QRMI_HTTP_ATTEMPTS": "1",
}
COMMON = {"Authorization": "Bearer tok-1", "Service-CRN": CRN, "IBM-API-Version": "2026-04-15"}
QUERY = {"limit": "200", "offset": "0", "sort": "DESC", "exclude_params": "true"}


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[responses.RequestsMock]:
    """Fake the service: accept only the requests that a test expects, all headers included."""
    # Ids from one test are not those of another.
    monkeypatch.setattr(driver_module, "_started", TaskNotes())
    with responses.RequestsMock(assert_all_requests_are_fired=False) as web:
        web.post(f"{IAM}/identity/token", json={"access_token": "tok-1", "expires_in": 3600})
        yield web
        unsent = [it for it in web.registered() if not it.call_count and IAM not in str(it.url)]
        assert not unsent


def driver(**settings: str) -> RuntimeDriver:
    keys = {f"QRMI_IBM_QCS_{name}": text for name, text in settings.items()}
    kind = "ibm-quantum-compute-service"
    return RuntimeDriver("ibm_fez", kind, RuntimeSettings.from_mapping(SETTINGS | keys))


def on(web: responses.RequestsMock, method: str, path: str, *match: Any, **how: Any) -> None:
    """Expect a request with the headers that every request has."""
    web.add(method, f"{API}{path}", match=[matchers.header_matcher(COMMON), *match], **how)


def problem(code: object, message: str = "the message", **more: str) -> dict[str, Any]:
    return {"errors": [{"code": code, "message": message, **more}], "trace": "trace-1"}


def job(word: str, **state: Any) -> dict[str, Any]:
    return {"id": "d1", "status": word, "state": {"status": word.partition(" ")[0], **state}}


def asked(web: responses.RequestsMock) -> int:
    """Return the number of requests, without those for a token."""
    return sum(not str(call.request.url).startswith(IAM) for call in web.calls)


def body_of(web: responses.RequestsMock, number: int = -1) -> dict[str, Any]:
    body = web.calls[number].request.body
    data = body if isinstance(body, bytes | str) else b"".join(body)  # type: ignore[arg-type]
    value: dict[str, Any] = json.loads(data)
    return value


SAMPLER = Payload.QiskitPrimitive('{"pubs": [["OPENQASM 3.0;"]], "version": 2}', "sampler")


# --- tasks ---


def start(
    it: RuntimeDriver,
    payload: Payload = SAMPLER,
    acquisition: str | None = None,
    options: TaskOptions | None = None,
) -> str:
    assert isinstance(payload, Payload.QiskitPrimitive)
    return it.task_start(
        payload, submission=TAG, acquisition=acquisition, options=options or TaskOptions()
    )


def test_task_start_in_job_mode(web: responses.RequestsMock) -> None:
    on(web, "POST", "/jobs", json={"id": "d1", "backend": "ibm_fez"})
    assert start(driver()) == "d1"
    body = body_of(web)
    own, group = body.pop("tags")
    assert own == f"qrmi-{TAG}"
    assert group.startswith("qrmi-group-")
    assert body == {
        "program_id": "sampler",
        "backend": "ibm_fez",
        "log_level": "debug",
        "params": {"pubs": [["OPENQASM 3.0;"]], "version": 2},
    }
    assert web.calls[-1].request.headers["Content-Type"] == "application/json"


def test_task_start_with_everything_set(web: responses.RequestsMock) -> None:
    on(web, "POST", "/jobs", json={"id": "d1"})
    it = driver(
        TIMEOUT_SECONDS="99999",
        CALIBRATION_ID="c-1",
        LOG_LEVEL="Warning",
        PRIVATE="yes",
        TAGS="project-x, night",
    )
    start(it, acquisition="s-1")
    body = body_of(web)
    assert body["tags"][2:] == ["project-x", "night"]
    assert {key: body[key] for key in ("cost", "session_id", "calibration_id")} == {
        "cost": 10800,
        "session_id": "s-1",
        "calibration_id": "c-1",
    }
    assert (body["log_level"], body["private"]) == ("warning", True)


@pytest.mark.parametrize(("seconds", "cost"), [(0.2, 1), (90, 90), (99999.5, 10800)])
def test_options_of_a_task_win_over_settings_and_tags_are_added(
    web: responses.RequestsMock, seconds: float, cost: int
) -> None:
    on(web, "POST", "/jobs", json={"id": "d1"})
    it = driver(TIMEOUT_SECONDS="500", TAGS="night")
    start(it, options=TaskOptions(tags=("a, b",), max_seconds=seconds))
    body = body_of(web)
    assert body["tags"][2:] == ["night", "a, b"]
    assert body["cost"] == cost


@pytest.mark.parametrize("tags", [("x" * 87,), tuple("abcdef")], ids=["long", "many"])
def test_tags_that_the_service_refuses_are_not_sent(tags: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInputError, match="at most 6 tags of at most 86"):
        start(driver(TAGS="night"), options=TaskOptions(tags=tags))


@pytest.mark.parametrize(
    ("acquisition", "settings", "session"),
    [
        (None, {}, None),
        ("acquired", {}, "acquired"),
        (None, {"SESSION_ID": "joined"}, "joined"),
        ("acquired", {"SESSION_ID": "joined"}, "acquired"),
        ("scheduler", {"SESSION_ID": "joined"}, "joined"),
        ("scheduler", {}, "scheduler"),
        (None, {"SESSION_ID": "joined", "SESSION_MODE": "job"}, None),
        ("scheduler", {"SESSION_ID": "joined", "SESSION_MODE": "job"}, None),
    ],
)
def test_the_session_of_a_task(
    web: responses.RequestsMock,
    acquisition: str | None,
    settings: dict[str, str],
    session: str | None,
) -> None:
    on(web, "POST", "/jobs", json={"id": "d1"})
    keys = {f"QRMI_IBM_QCS_{name}": text for name, text in settings.items()}
    keys["QRMI_JOB_ACQUISITION_TOKEN"] = "scheduler"
    it = RuntimeDriver("ibm_fez", "t", RuntimeSettings.from_mapping(SETTINGS | keys))
    start(it, acquisition=acquisition)
    assert body_of(web).get("session_id") == session


def test_the_time_limit_of_the_schedulers_job_is_that_of_the_task(
    web: responses.RequestsMock,
) -> None:
    on(web, "POST", "/jobs", json={"id": "d1"})
    keys = SETTINGS | {"QRMI_JOB_TIMEOUT_SECONDS": "120"}
    start(RuntimeDriver("ibm_fez", "t", RuntimeSettings.from_mapping(keys)))
    assert body_of(web)["cost"] == 120


@pytest.mark.parametrize(
    ("status", "code", "kind", "words"),
    [
        (400, 1217, NotAcquiredError, "session s-1 is closed"),
        (400, 4001, NotAcquiredError, "acquire again"),
        (404, 1216, ResourceNotFoundError, "the message"),
        (400, 1208, InvalidInputError, "the message"),
        (413, 5302, InvalidInputError, "the message"),
        (400, 1279, ConfigError, "region"),
        (409, "1213", ServiceError, "the message"),
        (403, 1200, QrmiError, "API key"),
        (429, 1202, ResourceBusyError, "limits submissions"),
        (423, 1233, ResourceBusyError, "the message"),
    ],
)
def test_task_start_refused(
    web: responses.RequestsMock, status: int, code: object, kind: type[QrmiError], words: str
) -> None:
    on(web, "POST", "/jobs", json=problem(code, solution="do this"), status=status)
    with pytest.raises(kind, match=words) as caught:
        start(driver(), acquisition="s-1")
    error = caught.value
    assert "the message; do this" in error.message
    assert (error.status_code, error.vendor_code, error.request_id) == (
        status,
        str(code),
        "trace-1",
    )
    assert error.details["solution"] == "do this"
    assert not error.uncertain


@pytest.mark.parametrize("session", [None, "s-1"])
@pytest.mark.parametrize("status", [400, 409])
def test_a_spent_limit_is_not_a_closed_session(
    web: responses.RequestsMock, status: int, session: str | None
) -> None:
    message = "The instance has reached its usage limit."
    on(web, "POST", "/jobs", json=problem(1217, message), status=status)
    with pytest.raises(PermissionDeniedError, match=r"its usage limit; .*more usage") as caught:
        start(driver(), acquisition=session)
    assert "session" not in caught.value.message
    assert "acquire" not in caught.value.message
    assert (caught.value.vendor_code, caught.value.retryable) == ("1217", False)


def test_a_session_that_the_service_does_not_know(web: responses.RequestsMock) -> None:
    body = problem("not_found", "Session not found")
    on(web, "POST", "/jobs", json=body, status=404)
    with pytest.raises(NotAcquiredError, match="not know session s-1; acquire again") as caught:
        start(driver(SESSION_ID="s-1"))
    assert (caught.value.status_code, caught.value.vendor_code) == (404, "not_found")
    with pytest.raises(ResourceNotFoundError):
        start(driver())


@pytest.mark.parametrize("code", [1217, 4001])
def test_without_a_session_none_is_closed(web: responses.RequestsMock, code: int) -> None:
    on(web, "POST", "/jobs", json=problem(code), status=400)
    with pytest.raises(ServiceError, match="the message") as caught:
        start(driver())
    assert "session" not in caught.value.message
    assert "acquire" not in caught.value.message
    assert caught.value.vendor_code == str(code)


@pytest.mark.parametrize(
    ("headers", "seconds"), [({"Retry-After": "31"}, 31.0), ({}, 5.0)], ids=["told", "not told"]
)
def test_the_limit_of_submissions_says_when_to_ask_again(
    web: responses.RequestsMock, headers: dict[str, str], seconds: float
) -> None:
    on(web, "POST", "/jobs", body="slow down", status=429, headers=headers)
    with pytest.raises(ResourceBusyError) as caught:
        start(driver())
    assert caught.value.retry_after == seconds


@pytest.mark.parametrize("answer", [{}, {"id": ""}, {"id": 7}, [], "d1"])
def test_a_submission_answered_without_an_id_is_uncertain(
    web: responses.RequestsMock, answer: object
) -> None:
    on(web, "POST", "/jobs", json=answer)
    with pytest.raises(InvalidResponseError) as caught:
        start(driver())
    assert caught.value.uncertain


def test_find_submission(web: responses.RequestsMock) -> None:
    query = matchers.query_param_matcher({**QUERY, "backend": "ibm_fez", "tags": f"qrmi-{TAG}"})
    page = {"jobs": [{"id": "d1", "tags": [f"qrmi-{TAG}"]}], "count": 1}
    on(web, "GET", "/jobs", query, json=page)
    assert driver().find_submission(TAG) == "d1"


@pytest.mark.parametrize("jobs", [[], [{"id": "d1", "tags": ["x"]}], [{"id": "d1"}]])
def test_a_job_without_the_tag_is_not_the_submission(
    web: responses.RequestsMock, jobs: list[dict[str, Any]]
) -> None:
    on(web, "GET", "/jobs", json={"jobs": jobs, "count": len(jobs)})
    assert driver().find_submission(TAG) is None


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("Queued", TaskStatus.Queued),
        ("Initializing", TaskStatus.Queued),
        ("pending", TaskStatus.Queued),
        ("QUEUED (paused)", TaskStatus.Queued),
        ("Running", TaskStatus.Running),
        ("Completed", TaskStatus.Completed),
        ("Failed", TaskStatus.Failed),
        ("Cancelled", TaskStatus.Cancelled),
        ("Cancelled - Ran too long", TaskStatus.Cancelled),
        ("Hibernating", None),
    ],
)
def test_task_status(web: responses.RequestsMock, word: str, status: TaskStatus | None) -> None:
    query = matchers.query_param_matcher({"exclude_params": "true"})
    on(web, "GET", "/jobs/d1", query, json=job(word))
    report = driver().task_status("d1")
    assert (report.status, report.raw) == (status, word)


@pytest.mark.parametrize("code", [1517, "1517"])
def test_the_reason_of_a_failure_has_code_and_solution(
    web: responses.RequestsMock, code: object
) -> None:
    state = {"reason": "not in the target", "reason_code": code, "reason_solution": "transpile"}
    on(web, "GET", "/jobs/d1", json=job("Failed", **state))
    report = driver().task_status("d1")
    assert (report.reason, report.code) == ("not in the target; transpile", "1517")


def test_a_job_that_ran_too_long_tells_so(web: responses.RequestsMock) -> None:
    on(web, "GET", "/jobs/d1", json=job("Cancelled - Ran too long", reason_code=1305))
    report = driver().task_status("d1")
    assert (report.reason, report.code) == ("Cancelled - Ran too long", "1305")


@pytest.mark.parametrize("answer", [{}, {"status": None}, {"status": 7.5, "state": []}, [], None])
def test_a_status_that_is_none_is_an_error(web: responses.RequestsMock, answer: object) -> None:
    on(web, "GET", "/jobs/d1", json=answer)
    with pytest.raises(InvalidResponseError):
        driver().task_status("d1")


def test_task_statuses_asks_for_each_task_that_it_did_not_start(
    web: responses.RequestsMock,
) -> None:
    on(web, "GET", "/jobs/d1", json=job("Running"))
    on(web, "GET", "/jobs/d2", json=problem(1291), status=404)
    channel = Channel(driver())
    known, unknown = Task(channel, "d1"), Task(channel, "d2")
    outcomes = poll([known, unknown])
    assert outcomes[known] is None
    assert known.history[-1].status is TaskStatus.Running
    assert isinstance(outcomes[unknown], TaskNotFoundError)
    assert asked(web) == 2


def test_task_result(web: responses.RequestsMock) -> None:
    on(web, "GET", "/jobs/d1/results", body=b'{"results": []}', content_type="text/plain")
    assert b"".join(driver().task_result("d1")) == b'{"results": []}'
    assert asked(web) == 1


def test_a_result_may_also_be_declared_as_json(web: responses.RequestsMock) -> None:
    on(web, "GET", "/jobs/d1/results", json={"results": []})
    assert json.loads(b"".join(driver().task_result("d1"))) == {"results": []}


@pytest.mark.parametrize("body", [b" [1] \n", b'"x"', b"7", b"-1.5", b"null", b"true", b"\n{}"])
def test_a_result_is_any_json_as_it_came(web: responses.RequestsMock, body: bytes) -> None:
    on(web, "GET", "/jobs/d1/results", body=body)
    assert b"".join(driver().task_result("d1")) == body


@pytest.mark.parametrize("body", [b"<html></html>", b"\n <html>}", b"oops", b"}", b"\x00{}"])
def test_what_does_not_begin_as_json_is_not_a_result(
    web: responses.RequestsMock, body: bytes
) -> None:
    on(web, "GET", "/jobs/d1/results", body=body)
    with pytest.raises(InvalidResponseError) as caught:
        next(iter(driver().task_result("d1")))
    assert caught.value.retryable


@pytest.mark.parametrize(
    "body", [b"{", b'{"results": [', b'{"results": [] \n', b"[{}", b'"', b"-", b"nu", b'{"a": 1]']
)
@pytest.mark.parametrize("private", [False, True])
def test_a_result_without_its_end_is_an_error(
    web: responses.RequestsMock, body: bytes, private: bool
) -> None:
    on(web, "GET", "/jobs/d1/results", body=body)
    with pytest.raises(InvalidResponseError, match="ends in the middle") as caught:
        list(driver(PRIVATE=str(private).lower()).task_result("d1"))
    assert caught.value.retryable is not private


@pytest.mark.parametrize(("told", "set_"), [(True, "false"), (True, "true"), (None, "true")])
def test_the_second_read_of_a_private_result_tells_that_it_is_deleted(
    web: responses.RequestsMock, told: bool | None, set_: str
) -> None:
    on(web, "GET", "/jobs/d1/results", status=204)
    more = {} if told is None else {"private": told}
    on(web, "GET", "/jobs/d1", json=job("Completed") | more)
    with pytest.raises(ServiceError, match="deleted after it was read") as caught:
        list(driver(PRIVATE=set_).task_result("d1"))
    assert not caught.value.retryable


@pytest.mark.parametrize("none", [{"status": 204}, {"status": 404, "json": problem("not_found")}])
@pytest.mark.parametrize(
    ("word", "state", "kind", "words"),
    [
        ("Queued", {}, TaskNotReadyError, "Queued"),
        ("Completed", {}, TaskNotReadyError, "no result"),
        ("Failed", {"reason": "bad", "reason_code": 1517}, TaskFailedError, "failed: bad"),
        ("Failed", {}, TaskFailedError, "no reason; see the task's logs"),
        ("Cancelled", {}, TaskCancelledError, "cancelled"),
    ],
)
def test_without_a_result_the_job_tells_why(
    web: responses.RequestsMock,
    none: dict[str, Any],
    word: str,
    state: dict[str, Any],
    kind: type[QrmiError],
    words: str,
) -> None:
    on(web, "GET", "/jobs/d1/results", **none)
    on(web, "GET", "/jobs/d1", json=job(word, **state))
    with pytest.raises(kind, match=words) as caught:
        list(driver().task_result("d1"))
    assert caught.value.vendor_code == (
        str(state["reason_code"]) if state.get("reason_code") else None
    )


def test_task_stop(web: responses.RequestsMock) -> None:
    on(web, "POST", "/jobs/d1/cancel", status=204)
    driver().task_stop("d1")


def test_stopping_a_task_that_has_ended_is_no_error(web: responses.RequestsMock) -> None:
    on(web, "POST", "/jobs/d1/cancel", status=409, json=problem(1306))
    driver().task_stop("d1")


def test_task_logs(web: responses.RequestsMock) -> None:
    on(
        web,
        "GET",
        "/jobs/d1/logs",
        body="ein Qubit namens \u0141\n".encode(),
        content_type="text/plain",
    )
    assert driver().task_logs("d1") == "ein Qubit namens \u0141\n"


@pytest.mark.parametrize(
    ("usage", "seconds"),
    [
        ({"usage": {"qpu_charge_time_seconds": 2, "status": "complete"}}, 2.0),
        ({"usage": {"quantum_seconds": 1.5}}, 1.5),
        ({"bss": {"seconds": 3}}, 3.0),
        ({"usage": {"qpu_charge_time_seconds": None}}, None),
        ({}, None),
    ],
)
def test_task_usage(
    web: responses.RequestsMock, usage: dict[str, Any], seconds: float | None
) -> None:
    times = {"created": "2026-01-01T12:00:00.000Z", "running": None, "finished": "soon"}
    on(web, "GET", "/jobs/d1/metrics", json={"timestamps": times, **usage})
    told = driver().task_usage("d1")
    assert told.quantum_seconds == seconds
    assert told.created_at == datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
    assert (told.started_at, told.finished_at) == (None, None)


@pytest.mark.parametrize(
    ("usages", "seconds"),
    [
        ([], 0.0),
        ([{"qpu_charge_time_seconds": 2}, {"quantum_seconds": 1.5, "seconds": 3}], 3.5),
        ([{"qpu_charge_time_seconds": 2}, {}], None),
        ([{"qpu_charge_time_seconds": 2}, None], None),
    ],
)
def test_the_usage_of_a_session_is_the_sum_of_its_jobs_where_all_tell(
    web: responses.RequestsMock, usages: list[dict[str, Any] | None], seconds: float | None
) -> None:
    query = {**QUERY, "backend": "ibm_fez", "session_id": "s-1"}
    jobs = [{**job("Completed"), "usage": usage} for usage in usages]
    answer = {"jobs": jobs, "count": len(jobs)}
    on(web, "GET", "/jobs", matchers.query_param_matcher(query), json=answer)
    assert driver().acquisition_usage("s-1") == AcquisitionUsage(len(usages), seconds)
    assert asked(web) == 1


def test_the_usage_of_a_large_session_costs_a_request_for_each_page(
    web: responses.RequestsMock,
) -> None:
    rows = [{**job("Completed"), "usage": {"qpu_charge_time_seconds": 1}}] * 250
    for offset in (0, 200):
        query = {**QUERY, "backend": "ibm_fez", "session_id": "s-1", "offset": str(offset)}
        page = {"jobs": rows[offset : offset + 200], "count": 250}
        on(web, "GET", "/jobs", matchers.query_param_matcher(query), json=page)
    assert driver().acquisition_usage("s-1") == AcquisitionUsage(250, 250.0)
    assert asked(web) == 2


def test_without_sessions_there_is_no_usage_of_one() -> None:
    assert not offers(driver(SESSION_MODE="job"), "acquisition_usage")
    assert offers(driver(SESSION_MODE="batch"), "acquisition_usage")


def test_task_list_reads_page_after_page(web: responses.RequestsMock) -> None:
    rows = [
        {"id": f"d{number}", "status": "Completed", "created": "2026-01-01T12:00:00Z"}
        for number in range(250)
    ]
    for offset in (0, 200):
        query = {**QUERY, "backend": "ibm_fez", "offset": str(offset)}
        page = {"jobs": rows[offset : offset + 200], "count": 250, "limit": 200}
        on(web, "GET", "/jobs", matchers.query_param_matcher(query), json=page)
    listed = driver().task_list()
    assert next(listed).id == "d0"
    assert asked(web) == 1
    rest = list(listed)
    assert [info.id for info in rest] == [f"d{number}" for number in range(1, 250)]
    assert rest[0].status is TaskStatus.Completed
    assert rest[0].created_at is not None


ON_A_TASK: list[Callable[[RuntimeDriver, str], object]] = [
    lambda it, task_id: it.task_status(task_id),
    lambda it, task_id: list(it.task_result(task_id)),
    lambda it, task_id: it.task_stop(task_id),
    lambda it, task_id: it.task_logs(task_id),
    lambda it, task_id: it.task_usage(task_id),
]


@pytest.mark.parametrize("call", ON_A_TASK)
@pytest.mark.parametrize("code", [1291, "not_found"])
def test_an_unknown_task(
    web: responses.RequestsMock, call: Callable[[RuntimeDriver, str], object], code: object
) -> None:
    for method in ("GET", "POST"):
        for path in ("", "/results", "/logs", "/metrics", "/cancel"):
            on(web, method, f"/jobs/d1{path}", json=problem(code), status=404)
    with pytest.raises(TaskNotFoundError, match="the message"):
        call(driver(), "d1")
    web.reset()  # each call sends one of them


@pytest.mark.parametrize("call", ON_A_TASK)
def test_an_id_cannot_lead_elsewhere(
    web: responses.RequestsMock, call: Callable[[RuntimeDriver, str], object]
) -> None:
    with pytest.raises(TaskNotFoundError):
        call(driver(), "..")
    for method in ("GET", "POST"):
        for path in ("", "/results", "/logs", "/metrics", "/cancel"):
            on(web, method, f"/jobs/a%2F..%3Fb{path}", json=problem(1291), status=404)
    with pytest.raises(TaskNotFoundError, match="the message"):
        call(driver(), "a/..?b")
    web.reset()  # each call sends one of them


# --- the resource ---

DEVICES = {
    "devices": [
        {
            "name": "ibm_fez",
            "status": {"name": "online", "reason": "available"},
            "is_simulator": False,
            "qubits": 156,
            "queue_length": 3,
        },
        {"name": "ibm_old", "status": {"name": "offline", "reason": "retired"}, "queue_length": 0},
        {"name": "ibm_odd", "status": {"name": "dreaming"}, "is_simulator": True, "qubits": 5},
    ]
}


def test_status(web: responses.RequestsMock) -> None:
    on(web, "GET", "/backends", json=DEVICES)
    told = driver().status()
    assert told.status is ResourceStatusCode.Online
    assert (told.status_reason, told.pending_job_count) == ("available", 3)


def test_the_status_of_a_backend_that_the_instance_does_not_have(
    web: responses.RequestsMock,
) -> None:
    on(web, "GET", "/backends", json={"devices": [{"name": "ibm_torino"}]})
    with pytest.raises(ResourceNotFoundError, match="no backend ibm_fez, but ibm_torino"):
        driver().status()


def test_the_form_of_an_old_version_of_the_api_is_an_error_that_says_so(
    web: responses.RequestsMock,
) -> None:
    on(web, "GET", "/backends", json={"devices": ["ibm_fez"]})
    with pytest.raises(InvalidResponseError, match="version"):
        driver().status()


def test_the_version_of_the_api_can_be_set(web: responses.RequestsMock) -> None:
    headers = matchers.header_matcher({"IBM-API-Version": "2027-01-01"})
    web.get(f"{API}/backends", match=[headers], json=DEVICES)
    driver(API_VERSION="2027-01-01").status()


def test_target_is_what_the_service_sends(web: responses.RequestsMock) -> None:
    on(web, "GET", "/backends/ibm_fez/configuration", body=b'{ "n_qubits":156 }')
    on(web, "GET", "/backends/ibm_fez/properties", body=b'{"qubits": [ ]}')
    target = driver().target()
    assert target == b'{"configuration":{ "n_qubits":156 },"properties":{"qubits": [ ]}}'


def test_the_calibration_of_the_target_can_be_set(web: responses.RequestsMock) -> None:
    query = matchers.query_param_matcher({"calibration_id": "c-1"})
    on(web, "GET", "/backends/ibm_fez/configuration", query, json={})
    on(web, "GET", "/backends/ibm_fez/properties", query, json={})
    driver(CALIBRATION_ID="c-1").target()


def test_a_simulator_has_no_properties(web: responses.RequestsMock) -> None:
    on(web, "GET", "/backends/ibm_fez/configuration", json={})
    on(web, "GET", "/backends/ibm_fez/properties", json=problem("not_found"), status=404)
    assert driver().target() == b'{"configuration":{},"properties":null}'


def test_a_target_that_cannot_be_read_is_an_error(web: responses.RequestsMock) -> None:
    on(web, "GET", "/backends/ibm_fez/configuration", json=problem(1216), status=404)
    with pytest.raises(ResourceNotFoundError):
        driver().target()
    web.replace(
        "GET", f"{API}/backends/ibm_fez/configuration", body=b"<html>", content_type="text/html"
    )
    on(web, "GET", "/backends/ibm_fez/properties", json={})
    with pytest.raises(InvalidResponseError):
        driver().target()


@pytest.mark.parametrize("status", [200, 404])
def test_a_page_in_place_of_the_properties_is_not_taken_for_none(
    web: responses.RequestsMock, status: int
) -> None:
    on(web, "GET", "/backends/ibm_fez/configuration", json={})
    on(web, "GET", "/backends/ibm_fez/properties", body="<html></html>", status=status)
    with pytest.raises(InvalidResponseError):
        driver().target()


def test_discovery_is_one_request(web: responses.RequestsMock) -> None:
    on(web, "GET", "/backends", json=DEVICES)
    found = list(RuntimeDriver.discover(RuntimeSettings.from_mapping(SETTINGS), {}))
    assert [(info.resource_id, info.num_qubits, info.is_simulator) for info in found] == [
        ("ibm_fez", 156, False),
        ("ibm_old", None, False),
        ("ibm_odd", 5, True),
    ]
    assert [(info.status, info.pending_job_count) for info in found] == [
        (ResourceStatusCode.Online, 3),
        (ResourceStatusCode.Offline, 0),
        (ResourceStatusCode.Paused, None),
    ]
    assert asked(web) == 1


def test_the_largest_number_of_shots_is_asked_of_those_that_are_wanted_otherwise(
    web: responses.RequestsMock,
) -> None:
    on(web, "GET", "/backends", json=DEVICES)
    on(web, "GET", "/backends/ibm_fez/configuration", json={"max_shots": 100_000})
    filters = {"max_shots": "1", "num_qubits": "100"}
    found = list(RuntimeDriver.discover(RuntimeSettings.from_mapping(SETTINGS), filters))
    assert [(info.resource_id, info.max_shots) for info in found] == [("ibm_fez", 100_000)]


# --- sessions ---

SESSION = {"id": "s-9", "backend_name": "ibm_fez", "mode": "dedicated", "state": "open"}


def acquire(it: RuntimeDriver) -> str:
    return it.acquire(detached=False, slots=None)


@pytest.mark.parametrize("mode", ["dedicated", "batch"])
def test_acquire_opens_a_session(web: responses.RequestsMock, mode: str) -> None:
    wanted = {
        "mode": mode,
        "max_ttl": 600,
        "backend": "ibm_fez",
        "backend_name": "ibm_fez",
    }
    on(web, "POST", "/sessions", matchers.json_params_matcher(wanted), json=SESSION)
    it = driver(SESSION_MODE=mode.upper(), SESSION_MAX_TTL="600")
    assert acquire(it) == "s-9"
    assert it.metadata() == {"session_id": "s-9"}
    assert it.supports(Acquires)


def test_in_job_mode_nothing_can_be_held() -> None:
    it = driver(SESSION_MODE="none")
    assert not it.supports(Acquires)
    assert not offers(it, "acquire")


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"state": "inactive", "accepting_jobs": True},
        {"active_ttl": 289, "max_ttl": 28800},
        {"state": "pending_inactive", "backend_name": None},
        {"state": None, "accepting_jobs": None, "active_ttl": None, "max_ttl": 12.5},
    ],
)
def test_a_session_that_is_alive_is_used_again(
    web: responses.RequestsMock, state: dict[str, Any]
) -> None:
    on(web, "GET", "/sessions/s-1", json={**SESSION, "id": "s-1", **state})
    assert acquire(driver(SESSION_ID="s-1")) == "s-1"


@pytest.mark.parametrize(
    "state",
    [
        {"state": "closed", "active_ttl": 28000},
        {"state": "active", "accepting_jobs": False},
        {"state": "pending_closed"},
        {"active_ttl": 60, "max_ttl": 600},
        {"active_ttl": 288, "max_ttl": 28800},
        {"backend_name": "ibm_marrakesh"},
        None,
    ],
)
def test_a_session_that_is_not_is_replaced(
    web: responses.RequestsMock, state: dict[str, Any] | None
) -> None:
    known: dict[str, Any] = (
        {"status": 404, "json": problem("not_found")}
        if state is None
        else {"json": {**SESSION, "id": "s-1", **state}}
    )
    on(web, "GET", "/sessions/s-1", **known)
    on(web, "POST", "/sessions", json=SESSION)
    it = driver(SESSION_ID="s-1")
    assert acquire(it) == "s-9"
    on(web, "GET", "/sessions/s-9", json=SESSION)
    assert acquire(it) == "s-9"


@pytest.mark.parametrize(
    ("mode", "instead"), [("dedicated", "to batch or job"), ("batch", "to job")]
)
def test_a_plan_without_sessions_is_an_error_that_says_what_to_set(
    web: responses.RequestsMock, mode: str, instead: str
) -> None:
    on(web, "POST", "/sessions", json=problem(1352), status=400)
    with pytest.raises(PermissionDeniedError, match=instead) as caught:
        acquire(driver(SESSION_MODE=mode))
    assert "QRMI_IBM_QCS_SESSION_MODE" in caught.value.message
    assert caught.value.vendor_code == "1352"


def test_auto_is_a_batch_where_the_plan_has_no_sessions(web: responses.RequestsMock) -> None:
    def dedicated(wanted: bool) -> Any:
        return lambda request: ((json.loads(request.body)["mode"] == "dedicated") is wanted, "")

    on(web, "POST", "/sessions", dedicated(True), json=problem(1352), status=400)
    on(web, "POST", "/sessions", dedicated(False), json=SESSION)
    assert acquire(driver(SESSION_MODE="auto")) == "s-9"


@pytest.mark.parametrize("status", [204, 404])
def test_release_lets_jobs_end_or_cancels_them(web: responses.RequestsMock, status: int) -> None:
    gone = {"json": problem("not_found")} if status == 404 else {}
    it = driver()
    closing = matchers.json_params_matcher({"accepting_jobs": False})
    on(web, "PATCH", "/sessions/s-1", closing, status=status, **gone)
    it.release("s-1", cancel_pending=False)
    on(web, "DELETE", "/sessions/s-1/close", status=status, **gone)
    it.release("s-1", cancel_pending=True)
    assert asked(web) == 2
