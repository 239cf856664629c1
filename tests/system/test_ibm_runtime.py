"""The plugin for IBM Qiskit Runtime on the emulator: every fault in every operation."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from qrmi_core import (
    Payload,
    PollingPolicy,
    QrmiError,
    QuantumResource,
    TaskResult,
    TaskStatus,
    as_completed,
)
from qrmi_emulator import Emulator
from support.attempts import no_secret
from support.fault_matrix import FAULTS, STAYING, Bench, impatient, number_of_jobs, secrets_of
from support.runtime_client import BELL, TYPE, Client

# Operations without a safe second attempt, since the first one may have had its effect.
MAY_FAIL_ONCE = {"malformed"}

OPERATIONS = (
    *("is_accessible", "status", "target", "acquire", "task_start", "task_status"),
    *("task_result", "task_logs", "task_usage", "task_stop", "acquisition_usage", "release"),
)


def aim(operation: str) -> str:
    """Select the requests that a fault hits: for a result the download, not the poll before."""
    return "*/results" if operation == "task_result" else "/api/v1/*"


def sampler() -> Payload:
    document = {"pubs": [[BELL, None, 10]], "support_qiskit": False, "version": 2}
    return Payload.QiskitPrimitive(input=document, program_id="sampler")


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator() as running:
        yield running


@pytest.fixture(scope="module")
def finished(emulator: Emulator) -> str:
    client = Client(emulator)
    job = client.submit()
    client.wait(job)
    client.http.close()
    return job


@pytest.fixture
def bench(emulator: Emulator, finished: str) -> Iterator[Bench]:
    emulator.clear_faults()
    # Sessions left open must not delay the jobs of the next test.
    qpu = impatient(emulator, "aer", TYPE, QRMI_IBM_QCS_SESSION_MODE="batch")
    token = qpu.acquire()
    emulator.fault("job-queued", count=None)
    payload = sampler()
    yield Bench(qpu, finished, qpu.task_start(payload), payload, token)
    emulator.clear_faults()
    qpu.release(token)
    qpu.close()


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("fault", FAULTS)
def test_one_fault_is_overcome_or_is_one_typed_error_within_the_deadline(
    emulator: Emulator, bench: Bench, caplog: pytest.LogCaptureFixture, fault: str, operation: str
) -> None:
    before = number_of_jobs(emulator)
    emulator.fault(path=aim(operation), **FAULTS[fault])
    told, failure = bench.attempt(operation, caplog)
    if failure and fault not in MAY_FAIL_ONCE:
        raise failure
    made = number_of_jobs(emulator) - before
    if operation == "task_start":
        assert made == 1 or (made == 0 and failure)
    else:
        assert made == 0
    if operation == "task_result" and failure is None:
        assert isinstance(told, TaskResult)
        assert told.value == bench.qpu.task_result(bench.finished).value
        assert len(json.loads(told.value)["results"]) == 1
    no_secret(caplog, failure, secrets_of(emulator, TYPE))


MATRIX = [
    (fault, operation)
    for fault in STAYING
    for operation in OPERATIONS
    # The responses to these are ignored, or may have any form.
    if not (fault == "malformed" and operation in ("task_logs", "task_stop", "release"))
]


@pytest.mark.parametrize(("fault", "operation"), MATRIX)
def test_a_fault_that_stays_is_one_typed_error_within_the_deadline(
    emulator: Emulator, bench: Bench, caplog: pytest.LogCaptureFixture, fault: str, operation: str
) -> None:
    before = number_of_jobs(emulator)
    emulator.fault(path=aim(operation), count=None, **FAULTS[fault])
    _, failure = bench.attempt(operation, caplog)
    assert failure
    assert number_of_jobs(emulator) - before <= (operation == "task_start")
    no_secret(caplog, failure, secrets_of(emulator, TYPE))


def test_an_outage_does_not_end_a_wait(emulator: Emulator, bench: Bench) -> None:
    task = bench.qpu.task(bench.running)
    emulator.fault("outage", seconds=0.5)
    emulator.act(bench.running, "release")
    assert [*as_completed([task], 60, policy=PollingPolicy())] == [task]
    assert task.status() is TaskStatus.Completed


def test_the_life_of_a_job_takes_few_requests_and_one_connection(
    emulator: Emulator, finished: str
) -> None:
    emulator.clear_requests()
    settings = emulator.settings_for(TYPE) | {"QRMI_IBM_QCS_SESSION_MODE": "batch"}
    with QuantumResource("aer", TYPE, config=settings) as qpu:
        task = qpu.run(sampler())
        task.result(timeout=60)
        task.stop()
    made = emulator.requests()
    polls = sum(request["path"].endswith(task.id) for request in made)
    assert len(made) <= polls + 6
    assert len({request["connection"] for request in made}) == 1


def test_a_failed_job_tells_the_services_reason_and_code(emulator: Emulator, finished: str) -> None:
    settings = emulator.settings_for(TYPE) | {"QRMI_IBM_QCS_SESSION_MODE": "batch"}
    with QuantumResource("aer", TYPE, config=settings) as qpu:
        emulator.fault("job-failed", reason="the fridge is warm", code=5203)
        with pytest.raises(QrmiError, match="the fridge is warm") as failure:
            qpu.run(sampler()).result(timeout=30)
        assert "5203" in str(failure.value.vendor_code)
        emulator.fault("job-too-long", seconds=0.1)
        with pytest.raises(QrmiError, match="1305|too long|longer"):
            qpu.run(sampler()).result(timeout=30)


def test_the_usage_of_a_session_is_that_of_its_jobs_also_after_its_end(
    emulator: Emulator, bench: Bench
) -> None:
    emulator.clear_faults()
    tasks = [bench.qpu.run(bench.payload) for _ in range(2)]
    for task in tasks:
        assert task.wait(60) is TaskStatus.Completed
    bench.qpu.release(bench.token, cancel_pending=True)
    assert bench.qpu.task_status(bench.running) is TaskStatus.Cancelled
    usage = bench.qpu.acquisition_usage(bench.token)
    assert usage.tasks == 3
    assert usage.quantum_seconds == sum(task.usage().quantum_seconds or 0 for task in tasks)
