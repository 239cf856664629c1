"""Requests over a real socket: their number and connections, and faults."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from qrmi_core import (
    InvalidResponseError,
    NotAcquiredError,
    PermissionDeniedError,
    QrmiError,
    QuantumResource,
    ResourceBusyError,
    ResourceProvider,
    SubmissionUncertainError,
    TaskCancelledError,
    TaskStatus,
    as_completed,
    wait,
)
from qrmi_core.testing import FakeClock, Fault
from support.faulty_server import (
    bad_gateway_after,
    cut_after,
    cut_before,
    malformed,
    silent_after,
    status,
    truncated,
)
from support.growth import check_that_few_tasks_are_remembered
from support.ibm_service import RESULT, IbmService, error, sampler
from support.resources import Make

TOKEN = {"POST identity/token": 1}
TYPE = "ibm-quantum-compute-service"


# --- how many ---


def test_the_life_of_one_job(service: IbmService, make: Make) -> None:
    service.looks = 2
    qpu = make()
    token = qpu.acquire()
    task = qpu.run(sampler())
    assert task.wait(30) is TaskStatus.Completed
    assert task.result(0).value == RESULT.decode()
    task.stop()
    qpu.release(token)
    looks = service.counted()["GET jobs/*"]
    assert looks >= 3
    assert service.counted() == {
        **TOKEN,
        "POST sessions": 1,
        "POST jobs": 1,
        "GET jobs/*": looks,
        "GET jobs/*/results": 1,
        "POST jobs/*/cancel": 1,
        "PATCH sessions/*": 1,
    }
    assert len(service.requests) == looks + 6
    assert service.connections == 1, "IAM and the API are on one host here"


def test_each_operation_costs_one_exchange(service: IbmService, make: Make) -> None:
    qpu = make()
    task = qpu.run(sampler())
    service.finish_all()
    task.wait(10)
    operations: dict[str, Callable[[], object]] = {
        "is_accessible": qpu.is_accessible,
        "status": qpu.status,
        "task_start": lambda: qpu.task_start(sampler()),
        "task_result": lambda: qpu.task_result(task.id),
        "task_stop": lambda: qpu.task_stop(task.id),
        "task_logs": lambda: qpu.task_logs(task.id),
        "task_usage": lambda: qpu.task_usage(task.id),
        "acquire": qpu.acquire,
        "join": lambda: make(SESSION_ID=qpu.metadata()["session_id"]).acquire(),
        "acquisition_usage": lambda: qpu.acquisition_usage(qpu.metadata()["session_id"]),
        "release": lambda: qpu.release(qpu.metadata()["session_id"]),
    }
    cost = {name: service.cost(operation).total() for name, operation in operations.items()}
    assert cost == dict.fromkeys(operations, 1)


def test_the_status_of_a_finished_task_costs_nothing(service: IbmService, make: Make) -> None:
    task = make().run(sampler())
    task.wait(10)
    service.forget_requests()
    assert task.status() is TaskStatus.Completed
    assert not service.requests


def test_replacing_a_session_costs_one_more(service: IbmService, make: Make) -> None:
    first = make().acquire()
    service.sessions[first]["state"] = "closed"
    service.forget_requests()
    assert make(SESSION_ID=first).acquire() != first
    assert service.counted() == {"GET sessions/*": 1, "POST sessions": 1}


def test_in_job_mode_nothing_is_acquired_and_no_session_used(
    service: IbmService, make: Make
) -> None:
    with make(SESSION_MODE="job") as qpu:
        assert not qpu.supports("acquire")
        qpu.task_start(sampler())
    assert service.counted() == {**TOKEN, "POST jobs": 1}
    assert b"session_id" not in service.bodies[0]


@pytest.mark.parametrize("number", [2, 200, 201, 450])
def test_tasks_of_one_process_are_looked_at_200_in_a_request(
    service: IbmService, make: Make, number: int
) -> None:
    qpu = make(SESSION_MODE="job")
    tasks = [qpu.run(sampler("endless")) for _ in range(number)]
    service.forget_requests()
    wait(tasks, timeout=0)
    assert {task.history[-1].status for task in tasks} == {TaskStatus.Queued}
    assert service.counted() == {"GET jobs": -(-number // 200)}


def test_tasks_of_other_processes_are_looked_at_one_by_one(service: IbmService, make: Make) -> None:
    body = {"backend": "ibm_fez", "program_id": "sampler", "params": "endless"}
    foreign = [service.start(body)["id"] for _ in range(2)]
    qpu = make(SESSION_MODE="job")
    tasks = [qpu.run(sampler("endless")) for _ in range(3)]
    tasks += [qpu.task(task_id) for task_id in foreign]
    service.forget_requests()
    wait(tasks, timeout=0)
    assert service.counted() == {"GET jobs": 1, "GET jobs/*": 2}


def test_tasks_of_several_objects_are_looked_at_together(service: IbmService, make: Make) -> None:
    started = [make(SESSION_MODE="job").task_start(sampler("endless")) for _ in range(3)]
    qpu = make(SESSION_MODE="job")
    service.forget_requests()
    wait([qpu.task(task_id) for task_id in started], timeout=0)
    assert service.counted() == {"GET jobs": 1}


@pytest.mark.parametrize(
    ("waited_for", "requests"),
    [
        (slice(0, 150), 1),  # the oldest
        (slice(0, 200), 1),
        (slice(100, 300), 1),
        (slice(249, 450), 2),  # the newest
        (slice(0, 450), 3),
    ],
)
def test_some_of_many_tasks_cost_no_more_than_their_own_number(
    service: IbmService, make: Make, waited_for: slice, requests: int
) -> None:
    qpu = make(SESSION_MODE="job")
    tasks = [qpu.run(sampler("endless")) for _ in range(450)][waited_for]
    service.forget_requests()
    wait(tasks, timeout=0)
    assert {task.history[-1].status for task in tasks} == {TaskStatus.Queued}
    assert service.counted() == {"GET jobs": requests}


@pytest.mark.parametrize(("step", "requests"), [(449, 1), (3, 1), (2, 2)])
def test_tasks_between_that_have_ended_cost_nothing(
    service: IbmService, make: Make, step: int, requests: int
) -> None:
    qpu = make(SESSION_MODE="job")
    tasks = [qpu.run(sampler("endless" if n % step == 0 else "done")) for n in range(450)]
    waited_for = tasks[::step]
    service.finish_all()
    service.forget_requests()
    wait(waited_for, timeout=0)
    assert {task.history[-1].status for task in waited_for} == {TaskStatus.Running}
    assert service.counted() == {"GET jobs": requests}


def test_tasks_far_apart_are_found_whatever_is_between(service: IbmService, make: Make) -> None:
    qpu = make(SESSION_MODE="job")
    tasks = [qpu.run(sampler("endless")) for _ in range(450)]
    wait([tasks[0], tasks[-1]], timeout=0)
    assert {task.history[-1].status for task in (tasks[0], tasks[-1])} == {TaskStatus.Queued}


def test_tasks_started_on_two_backends_in_turn_are_two_groups(
    service: IbmService, make: Make
) -> None:
    fez, marrakesh = make(SESSION_MODE="job"), make("ibm_marrakesh", SESSION_MODE="job")
    tasks = [qpu.run(sampler("endless")) for _ in range(200) for qpu in (fez, marrakesh)]
    service.forget_requests()
    wait(tasks, timeout=0)
    assert service.counted() == {"GET jobs": 2}


def test_deleted_jobs_and_lost_answers_move_no_task_out_of_sight(
    service: IbmService, make: Make
) -> None:
    qpu = make(SESSION_MODE="job")
    tasks = [qpu.run(sampler("endless")) for _ in range(300)]
    for task in tasks[250:260]:
        del service.jobs[task.id]
    group = next(iter(service.jobs.values()))["tags"][1]
    lost = {"backend": "ibm_fez", "program_id": "sampler", "params": "", "tags": ["x", group]}
    for _ in range(5):
        service.start(lost)
    service.forget_requests()
    wait(tasks[:150], timeout=0)
    assert {task.history[-1].status for task in tasks[:150]} == {TaskStatus.Queued}
    assert service.counted() == {"GET jobs": 2}


def test_a_forked_process_has_a_tag_of_its_own(service: IbmService) -> None:
    script = """
import json, os, sys
from qrmi_core import Payload, QuantumResource
qpu = QuantumResource("ibm_fez", "ibm-quantum-compute-service", json.loads(sys.argv[1]))
payload = Payload.QiskitPrimitive({"pubs": []}, "sampler")
qpu.task_start(payload)
if os.fork() == 0:
    qpu.task_start(payload)
    os._exit(0)
os.wait()
qpu.task_start(payload)
"""
    settings = json.dumps(service.settings(SESSION_MODE="job"))
    subprocess.run([sys.executable, "-c", script, settings], check=True)
    ours, forked, ours_again = (job["tags"][1] for job in service.jobs.values())
    assert ours == ours_again != forked


def test_many_tasks_end(service: IbmService, make: Make) -> None:
    qpu = make(SESSION_MODE="batch")
    with qpu:
        tasks = [qpu.run(sampler()) for _ in range(5)]
        assert {task.id for task in as_completed(tasks, timeout=30)} == set(service.jobs)


def test_discovery_is_one_request_and_the_least_busy_is_first(service: IbmService) -> None:
    provider = ResourceProvider(TYPE, service.settings())
    found = provider.resources("is_simulator=false")
    assert [qpu.resource_id() for qpu in found] == ["ibm_marrakesh", "ibm_fez"]
    assert service.counted() == {**TOKEN, "GET backends": 1}
    least = provider.least_busy("status=online&num_qubits=100")
    assert least is not None
    assert least.resource_id() == "ibm_fez"
    enough = provider.infos("max_shots=50000&is_simulator=false")
    assert [info.resource_id for info in enough] == ["ibm_fez"]
    assert service.counted()["GET backends"] == 3
    assert service.counted()["GET backends/ibm_sim/configuration"] == 0


# --- sessions ---


def test_jobs_are_submitted_into_the_session(service: IbmService, make: Make) -> None:
    with make() as qpu:
        task = qpu.run(sampler())
        (session,) = service.sessions
        assert service.jobs[task.id]["session_id"] == session
        assert qpu.metadata() == {"backend_name": "ibm_fez", "session_id": session}
    assert service.sessions[session]["accepting_jobs"] is False
    assert service.sessions[session]["state"] == "open", "queued jobs may end"


def test_an_interrupt_cancels_what_is_queued_and_an_error_does_not(
    service: IbmService, make: Make
) -> None:
    with pytest.raises(KeyError), make() as qpu:
        task = qpu.run(sampler())
        raise KeyError
    assert task.wait(10) is TaskStatus.Completed
    with pytest.raises(KeyboardInterrupt), make() as qpu:
        task = qpu.run(sampler())
        raise KeyboardInterrupt
    assert task.wait(10) is TaskStatus.Cancelled
    with pytest.raises(TaskCancelledError):
        task.result(0)


def test_a_session_that_was_closed_by_others_is_an_error_that_says_what_to_do(
    service: IbmService, make: Make
) -> None:
    qpu = make()
    token = qpu.acquire()
    service.sessions[token]["accepting_jobs"] = False
    with pytest.raises(NotAcquiredError, match="acquire again") as caught:
        qpu.run(sampler())
    assert token in str(caught.value)
    qpu.acquire()
    qpu.run(sampler())
    assert len(service.jobs) == 1


def test_an_open_plan(service: IbmService, make: Make) -> None:
    service.open_plan = True
    with pytest.raises(PermissionDeniedError, match="batch or job"):
        make().acquire()
    token = make(SESSION_MODE="auto").acquire()
    assert service.sessions[token]["mode"] == "batch"


def test_a_session_whose_opening_was_not_answered_is_opened_anew_and_told(
    service: IbmService, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    service.fail("POST sessions", cut_after)
    token = make().acquire()
    assert len(service.sessions) == 2
    assert token == list(service.sessions)[1]
    assert "nobody will use" in caplog.text


# --- submitting exactly once ---


@pytest.mark.parametrize(
    "fault", [cut_after, cut_before, bad_gateway_after, malformed, status(503), truncated]
)
def test_a_submission_without_an_answer_is_one_job(
    service: IbmService, make: Make, fault: Fault
) -> None:
    service.fail("POST jobs", fault)
    qpu = make(SESSION_MODE="job")
    task = qpu.run(sampler())
    assert list(service.jobs) == [task.id]
    assert task.result(10).value == RESULT.decode()


def test_a_search_that_fails_at_first_finds_the_job_all_the_same(
    service: IbmService, make: Make
) -> None:
    service.fail("POST jobs", cut_after)
    service.fail("GET jobs", status(500), cut_before, truncated)
    task_id = make(SESSION_MODE="job").task_start(sampler())
    assert list(service.jobs) == [task_id]


def test_a_service_that_is_still_at_work_is_not_given_the_job_again(
    service: IbmService, make: Make
) -> None:
    qpu = make(SESSION_MODE="job", QRMI_HTTP_TRANSFER_TIMEOUT_SECONDS="0.2")
    service.fail("POST jobs", silent_after)
    task_id = qpu.task_start(sampler())
    assert list(service.jobs) == [task_id]
    service.fail("POST jobs", lambda _request, _respond: time.sleep(0.5))
    with pytest.raises(SubmissionUncertainError):
        qpu.task_start(sampler())
    assert len(service.jobs) == 1


def test_the_limit_of_submissions_is_waited_for_and_shown(service: IbmService) -> None:
    clock, shown = FakeClock(), []
    qpu = QuantumResource(
        "ibm_fez",
        TYPE,
        service.settings(SESSION_MODE="job"),
        clock=clock,
        sleep=clock.sleep,
        on_wait=lambda reason, seconds: shown.append((reason, seconds)),
    )
    limit = error(429, 1202, "Too many requests")
    service.fail("POST jobs", limit, limit, status(429, Retry_After="40"))
    qpu.task_start(sampler(), timeout=120)
    assert len(service.jobs) == 1
    assert service.counted()["POST jobs"] == 4, "each refusal is waited for, none repeated before"
    assert "Too many requests" in shown[0][0]
    assert [round(seconds) for _, seconds in shown] == [5, 5, 40]
    service.fail("POST jobs", *[limit] * 9)
    with pytest.raises(ResourceBusyError, match="Too many requests"):
        qpu.task_start(sampler(), timeout=12)
    assert len(service.jobs) == 1
    qpu.close()


# --- results ---


def test_a_large_result_is_streamed(service: IbmService, make: Make, tmp_path: Path) -> None:
    service.result = b'{"results": "' + b"0" * 100_000_000 + b'"}'
    task = make(SESSION_MODE="job").run(sampler())
    task.wait(10)
    tracemalloc.start()
    task.save_result(tmp_path / "result.json", timeout=0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (tmp_path / "result.json").stat().st_size == len(service.result)
    assert peak < 10_000_000


@pytest.mark.parametrize("fault", [truncated, malformed, cut_before, status(500)])
def test_a_result_that_breaks_off_is_read_again(
    service: IbmService, make: Make, fault: Fault
) -> None:
    task = make(SESSION_MODE="job").run(sampler())
    task.wait(10)
    service.fail("GET jobs/*/results", fault)
    assert task.result(0).value == RESULT.decode()


PAGE = status(200, b"<html>login</html>", Content_Type="text/html")


@pytest.mark.parametrize("fault", [PAGE, status(200, b"\x00\xff\x00"), status(200, b"oops")])
def test_a_page_in_place_of_a_result_is_asked_again(
    service: IbmService, make: Make, fault: Fault
) -> None:
    task = make(SESSION_MODE="job").run(sampler())
    task.wait(10)
    service.fail("GET jobs/*/results", fault, fault)
    assert task.result(0).value == RESULT.decode()


def test_a_page_that_stays_in_place_of_a_result_is_one_error(
    service: IbmService, make: Make, tmp_path: Path
) -> None:
    task = make(SESSION_MODE="job").run(sampler())
    task.wait(10)
    for read in (task.result, lambda _: task.save_result(tmp_path / "result.json", timeout=0)):
        service.fail("GET jobs/*/results", *[PAGE] * 4)
        with pytest.raises(InvalidResponseError, match="not a result") as caught:
            read(0)
        assert caught.value.retryable
    assert not (tmp_path / "result.json").exists()
    assert task.result(0).value == RESULT.decode()


def test_a_page_in_place_of_a_private_result_is_not_asked_again(
    service: IbmService, make: Make
) -> None:
    task = make(SESSION_MODE="job", PRIVATE="true").run(sampler())
    task.wait(10)
    service.fail("GET jobs/*/results", PAGE)
    service.forget_requests()
    with pytest.raises(InvalidResponseError, match="not a result"):
        task.result(0)
    assert service.counted() == {"GET jobs/*/results": 1}


def test_a_private_result_that_breaks_off_is_not_asked_for_again(
    service: IbmService, make: Make
) -> None:
    task = make(SESSION_MODE="job", PRIVATE="true").run(sampler())
    task.wait(10)
    service.fail("GET jobs/*/results", truncated)
    with pytest.raises(QrmiError, match="lost"):
        task.result(0)
    assert service.counted()["GET jobs/*/results"] == 1


def test_an_outage_does_not_end_a_wait(service: IbmService, make: Make) -> None:
    qpu = make(SESSION_MODE="job", QRMI_HTTP_ATTEMPTS="1")
    task = qpu.run(sampler())
    service.fail("GET jobs", status(503), cut_before, status(500), truncated)
    assert task.wait(30) is TaskStatus.Completed


def test_the_service_sees_the_version_of_the_api_in_every_call(
    service: IbmService, make: Make
) -> None:
    qpu = make()
    token = qpu.acquire()
    qpu.run(sampler()).result(10)
    qpu.target()
    qpu.release(token)
    assert {fields["ibm-api-version"] for fields in service.headers} == {"2026-04-15"}
    assert all("qrmi-ibm-runtime/" in fields["user-agent"] for fields in service.headers)


def test_many_threads_lose_no_job_and_double_none(service: IbmService, make: Make) -> None:
    qpu = make(SESSION_MODE="job")
    service.fail("POST jobs", *[cut_after, cut_before] * 4)
    started: Counter[str] = Counter()

    def run() -> None:
        started[qpu.task_start(sampler())] += 1
        qpu.close()

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert started == Counter(list(service.jobs))
    assert len(started) == 8


def test_few_of_many_tasks_are_remembered(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    qpu = make(SESSION_MODE="job")
    check_that_few_tasks_are_remembered(qpu, sampler(), monkeypatch, use=qpu._driver.task_status)


def test_a_first_request_loads_little_more_than_requests_does(service: IbmService) -> None:
    script = """
import json, sys
import requests
requests.get(sys.argv[2], timeout=10)
before = set(sys.modules)
from qrmi_core import QuantumResource
QuantumResource("ibm_fez", "ibm-quantum-compute-service", json.loads(sys.argv[1])).status()
loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
print(*sorted(loaded - sys.stdlib_module_names))
"""
    command = [sys.executable, "-c", script, json.dumps(service.settings()), service.host]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    ours = {"qrmi_core", "qrmi_ibm_common", "qrmi_ibm_runtime"}
    assert {*loaded} == ours | {"attr", "attrs", "stevedore"}
