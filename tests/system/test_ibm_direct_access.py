"""The plugin for IBM Direct Access on the emulator: every fault at every operation, and at S3."""

from __future__ import annotations

import argparse
import json
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

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
from qrmi_core.errors import InvalidInputError, TaskFailedError
from qrmi_emulator import Emulator
from support import fault_matrix
from support.attempts import attempt, no_secret
from support.direct_access_client import TYPE, DirectAccessClient
from support.fault_matrix import CALL_SECONDS, STAYING, Bench, impatient, secrets_of
from support.runtime_client import BELL

FAULTS = fault_matrix.FAULTS | {"423": {"kind": "status", "status": 423}}
STORE_FAULTS: dict[str, dict[str, Any]] = {
    "slow": {"kind": "latency", "delay": 0.1},
    "missing bucket": {"kind": "status", "status": 404},
    "denied": {"kind": "status", "status": 403},
    "503": {"kind": "status", "status": 503},
    "500": {"kind": "status", "status": 500},
    "reset": {"kind": "reset"},
    "reset after": {"kind": "reset-after"},
    "cut": {"kind": "truncated"},
    "expired URL": {"kind": "expired-token"},
}
# Faults that a second attempt cannot fix.
LASTING = {"missing bucket", "denied", "expired URL"}
# Operations without a second attempt: it is unsafe, or the response could not be read.
MAY_FAIL_ONCE = {"malformed", "423"}

# The example of the published package's README, apart from the import.
EXAMPLE = """
from qrmi_core import QuantumResource, ResourceType, Payload, TaskStatus

# create resource handler
qrmi = QuantumResource("ibm_rensselaer", ResourceType.IBMDirectAccess)

# acquire resource
lock = qrmi.acquire()

# run task
payload = Payload.QiskitPrimitive(input=primitive_input, program_id=args.program_id)
job_id = qrmi.task_start(payload)

print(qrmi.task_result(job_id).value)

qrmi.task_stop(job_id)

# release resource
qrmi.release(lock)
"""
ON_DEVICE = """OPENQASM 3.0;
include "stdgates.inc";
bit[1] c;
rz(pi/2) $0; sx $0; rz(pi/2) $0;
c[0] = measure $0;
"""


OPERATIONS = (
    *("is_accessible", "status", "target", "task_start", "task_status", "task_result"),
    *("task_usage", "task_stop"),
)


def document(circuit: str = BELL) -> dict[str, Any]:
    return {"pubs": [[circuit, None, 10]], "support_qiskit": False, "version": 2}


def sampler() -> Payload:
    return Payload.QiskitPrimitive(input=document(), program_id="sampler")


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator(["ibm-da"]) as running:
        yield running


@pytest.fixture(scope="module")
def api(emulator: Emulator) -> Iterator[DirectAccessClient]:
    made = DirectAccessClient(emulator)
    yield made
    made.close()


@pytest.fixture(scope="module")
def finished(api: DirectAccessClient) -> str:
    """Provide a job that has ended, for all tests."""
    job = api.submit()
    api.wait(job)
    return job


@pytest.fixture
def client(
    emulator: Emulator, api: DirectAccessClient, finished: str
) -> Iterator[DirectAccessClient]:
    emulator.clear_faults()
    yield api
    emulator.clear_faults()
    emulator.change(lanes=1000, lanes_held="undeleted", reserved=None)
    api.clear(but=finished)


@pytest.fixture
def qpu(emulator: Emulator, client: DirectAccessClient) -> Iterator[QuantumResource]:
    with impatient(emulator, "aer", TYPE) as made:
        yield made


@pytest.fixture
def bench(emulator: Emulator, finished: str, qpu: QuantumResource) -> Bench:
    emulator.change(lanes=1000)
    emulator.fault("job-queued", count=None)
    payload = sampler()
    return Bench(qpu, finished, qpu.task_start(payload), payload)


def jobs(client: DirectAccessClient) -> list[str]:
    return [job["id"] for job in client("GET", "/v1/jobs").json()["jobs"]]


def test_the_example_of_the_published_package_runs(
    emulator: Emulator,
    client: DirectAccessClient,
    finished: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
) -> None:
    for key, text in emulator.settings_for("direct-access").items():
        monkeypatch.setenv(f"ibm_rensselaer_{key}", text)
    names = {
        "primitive_input": json.dumps(document(ON_DEVICE)),
        "args": argparse.Namespace(program_id="sampler"),
    }
    exec(compile(EXAMPLE, "example.py", "exec"), names)
    samples = json.loads(capsys.readouterr().out)["results"][0]["data"]["c"]["samples"]
    assert len(samples) == 10
    assert jobs(client) == [finished], "its lane is free again"


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("fault", FAULTS)
def test_one_fault_is_overcome_or_is_one_typed_error_within_the_deadline(
    emulator: Emulator,
    client: DirectAccessClient,
    bench: Bench,
    caplog: pytest.LogCaptureFixture,
    fault: str,
    operation: str,
) -> None:
    before = jobs(client)
    emulator.fault(path="/v1/*", **FAULTS[fault])
    told, failure = bench.attempt(operation, caplog)
    if failure and not (fault in MAY_FAIL_ONCE and operation != "task_start"):
        raise failure
    emulator.clear_faults()
    after = jobs(client)
    if operation == "task_start":
        assert after == [*before, told]
    elif operation == "task_stop":
        assert failure or after == [bench.finished]
    else:
        assert after == before
    if operation == "task_result" and failure is None:
        assert isinstance(told, TaskResult)
        assert told.value == bench.qpu.task_result(bench.finished).value
    no_secret(caplog, failure, secrets_of(emulator, TYPE))


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("fault", [*STAYING, "423"])
def test_a_fault_that_stays_is_one_typed_error_within_the_deadline(
    emulator: Emulator,
    client: DirectAccessClient,
    bench: Bench,
    caplog: pytest.LogCaptureFixture,
    fault: str,
    operation: str,
) -> None:
    before = jobs(client)
    emulator.fault(path="/v1/*", count=None, **FAULTS[fault])
    _, failure = bench.attempt(operation, caplog)
    emulator.clear_faults()
    if failure is None:
        # Half a response is enough for a stop, if it says that the job does not exist.
        assert (operation, fault) == ("task_stop", "truncated")
        assert jobs(client) == [bench.finished]
    made = [job for job in jobs(client) if job not in before]
    assert len(made) <= (operation == "task_start")
    if made:
        # The error names what may exist, so that users can find and delete it.
        assert made[0].replace("-", "") in str(failure).replace("-", "")
    no_secret(caplog, failure, secrets_of(emulator, TYPE))


@pytest.mark.parametrize(
    ("operation", "method", "pattern"),
    [
        ("task_start", "PUT", "*/input_*"),
        ("task_result", "GET", "*/results_*"),
        ("task_logs", "GET", "*/logs_*"),
    ],
)
@pytest.mark.parametrize("lasts", [False, True])
@pytest.mark.parametrize("fault", STORE_FAULTS)
def test_a_fault_of_the_store_is_overcome_or_is_one_typed_error(
    emulator: Emulator,
    client: DirectAccessClient,
    bench: Bench,
    caplog: pytest.LogCaptureFixture,
    fault: str,
    lasts: bool,
    operation: str,
    method: str,
    pattern: str,
) -> None:
    before = jobs(client)
    count = None if lasts else 1
    emulator.fault(path=pattern, method=method, count=count, **STORE_FAULTS[fault])
    told, failure = bench.attempt(operation, caplog)
    emulator.clear_faults()
    made = [job for job in jobs(client) if job not in before]
    if failure is None:
        assert fault == "slow" or not lasts
        assert made == ([told] if operation == "task_start" else [])
    else:
        assert lasts or fault in LASTING, failure
        assert made == []
    if operation == "task_result" and isinstance(told, TaskResult):
        assert told.value == bench.qpu.task_result(bench.finished).value
    no_secret(caplog, failure, secrets_of(emulator, TYPE))


@pytest.mark.parametrize(
    ("member", "method"), [("input", "GET"), ("results", "PUT"), ("logs", "PUT")]
)
@pytest.mark.parametrize("fault", STORE_FAULTS)
def test_what_the_service_meets_at_the_store_fails_the_task_or_nothing(
    emulator: Emulator,
    qpu: QuantumResource,
    caplog: pytest.LogCaptureFixture,
    fault: str,
    member: str,
    method: str,
) -> None:
    emulator.change(lanes=1000)
    emulator.fault(path=f"*/{member}_*", method=method, count=1, **STORE_FAULTS[fault])
    with caplog.at_level(logging.DEBUG):
        task = qpu.run(sampler())
        status = task.wait(timeout=60)
    failure: QrmiError | None = None
    if fault in LASTING and member != "logs":
        assert status is TaskStatus.Failed
        with pytest.raises(TaskFailedError, match="presigned URL: HTTP 40[34]") as raised:
            task.result(timeout=10)
        failure = raised.value
    else:
        assert status is TaskStatus.Completed
        assert json.loads(task.result(timeout=10).value)["results"]
    no_secret(caplog, failure, secrets_of(emulator, TYPE))


def test_an_answer_that_is_lost_with_the_last_lane_makes_one_task(
    emulator: Emulator, client: DirectAccessClient, finished: str, qpu: QuantumResource
) -> None:
    emulator.change(lanes=2)
    emulator.fault("reset-after", path="/v1/jobs", method="POST")
    task = qpu.task_start(sampler(), timeout=CALL_SECONDS)
    assert jobs(client) == [finished, task]
    assert json.loads(qpu.task_result(task).value)["results"]


@pytest.mark.parametrize("change", [{"lanes": 0}, {"reserved": "*"}])
def test_a_submission_waits_for_its_lane(
    emulator: Emulator,
    client: DirectAccessClient,
    finished: str,
    qpu: QuantumResource,
    change: dict[str, Any],
) -> None:
    emulator.change(**{"lanes": 5, "reserved": None, **change})
    first, failure = attempt(lambda: qpu.task_start(sampler(), timeout=0.5), CALL_SECONDS + 1)
    assert first is None
    assert failure
    assert not isinstance(failure, InvalidInputError)
    assert jobs(client) == [finished]
    kept = client.s3.list_objects_v2(Bucket=client.bucket, Prefix="input_").get("Contents", [])
    free = threading.Timer(0.3, emulator.change, kwargs={"lanes": 5, "reserved": None})
    free.start()
    try:
        task = qpu.task_start(sampler(), timeout=30)
    finally:
        free.join()
    assert jobs(client) == [finished, task]
    found = client.s3.list_objects_v2(Bucket=client.bucket, Prefix="input_")["Contents"]
    assert len(found) == len(kept) + 1, "one input, and none of what was refused"
    assert json.loads(qpu.task_result(task).value)["results"]


def test_an_outage_does_not_end_a_wait(emulator: Emulator, bench: Bench) -> None:
    task = bench.qpu.task(bench.running)
    emulator.fault("outage", seconds=0.5)
    emulator.act(bench.running, "release")
    assert [*as_completed([task], 60, policy=PollingPolicy())] == [task]
    assert task.status() is TaskStatus.Completed


def test_the_life_of_a_task_takes_the_requests_that_it_needs(
    emulator: Emulator, client: DirectAccessClient, finished: str, qpu: QuantumResource
) -> None:
    def requests_of(operation: Callable[[], object]) -> list[str]:
        emulator.clear_requests()
        operation()
        return [
            f"{each['method']} {each['path'].split('/')[2].partition('_')[0]}"
            for each in emulator.requests()
            if each["agent"] != "ibm-quantum-system" and each["path"] != "/identity/token"
        ]

    emulator.change(lanes=1000)
    started: list[str] = []
    assert requests_of(qpu.acquire) == []
    assert requests_of(lambda: started.append(qpu.task_start(sampler()))) == [
        "PUT input",
        "POST jobs",
    ]
    client.wait(started[0])
    assert requests_of(lambda: qpu.task_status(started[0])) == ["GET jobs"]
    assert len(requests_of(lambda: qpu.task_result(started[0]))) <= 2
    assert len(requests_of(lambda: qpu.task_stop(started[0]))) <= 2
    assert jobs(client) == [finished]


def test_a_failed_task_tells_the_services_reason_and_code(
    emulator: Emulator, client: DirectAccessClient, qpu: QuantumResource
) -> None:
    emulator.fault("job-failed", reason="the fridge is warm", code=5203)
    with pytest.raises(QrmiError, match="the fridge is warm") as failure:
        qpu.run(sampler()).result(timeout=30)
    assert "5203" in str(failure.value.vendor_code)
    emulator.fault("job-too-long", seconds=0.1)
    with pytest.raises(QrmiError, match="1305|too long|longer"):
        qpu.run(sampler()).result(timeout=30)
    emulator.fault("job-cancelled", seconds=0.1, reason="maintenance")
    with pytest.raises(QrmiError, match="maintenance"):
        qpu.run(sampler()).result(timeout=30)
