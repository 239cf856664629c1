"""The plugin for Pasqal on the emulator: every fault in every operation, and many processes."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
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
from qrmi_core.errors import (
    InvalidInputError,
    SubmissionUncertainError,
    TaskCancelledError,
    TaskFailedError,
    UnsupportedFunctionError,
)
from qrmi_emulator import Emulator
from support import pulses
from support.attempts import attempt, no_secret
from support.fault_matrix import (
    CALL_SECONDS,
    FAULTS,
    STAYING,
    Bench,
    impatient,
    number_of_jobs,
    secrets_of,
)
from support.munged import MISSING
from support.pasqal_client import CloudClient
from support.processes import said

# Operations without a second attempt, since the response could not be read.
MAY_FAIL_ONCE = {"malformed"}
# The task may exist, and only its tag would identify it.
UNCERTAIN = {"503", "500", "502", "reset", "reset after", "truncated", "malformed"}
TASK_OPERATIONS = ("task_start", "task_status", "task_result", "task_logs", "task_stop")
OPERATIONS = {
    "pasqal-cloud": ("is_accessible", "status", "target", *TASK_OPERATIONS, "task_usage"),
    "cudaq": (*TASK_OPERATIONS, "task_usage"),
    "pasqal-local": (
        *("is_accessible", "status", "target", "acquire", *TASK_OPERATIONS, "release"),
    ),
}
"""Those that make requests."""
KINDS = list(OPERATIONS)
EVERYWHERE = [(kind, operation) for kind in KINDS for operation in OPERATIONS[kind]]


def payload_of(kind: str) -> Payload:
    sequence = pulses.cudaq() if kind == "cudaq" else pulses.sequence()
    return Payload.PasqalCloud(sequence=sequence, job_runs=20)


def type_of(kind: str) -> str:
    return "pasqal-local" if kind == "pasqal-local" else "pasqal-cloud"


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    if MISSING:
        pytest.skip(MISSING)
    vendors = ["pasqal-cloud", "pasqal-local"]
    with Emulator(vendors, seed=7, warden_admin=os.geteuid()) as running:
        yield running


def made_for(emulator: Emulator, kind: str, **settings: str) -> QuantumResource:
    name = type_of(kind)
    device = "PASQAL_LOCAL" if name == "pasqal-local" else "EMU_FREE"
    return impatient(emulator, device, name, **settings)


@pytest.fixture(scope="module")
def finished(emulator: Emulator) -> dict[str, str]:
    """Provide a task of each kind that has ended."""
    ended = {}
    for kind in KINDS:
        with made_for(emulator, kind) as qpu:
            qpu.acquire()
            task = qpu.run(payload_of(kind))
            assert task.wait(timeout=60) is TaskStatus.Completed
            ended[kind] = task.id
    return ended


@pytest.fixture
def bench(emulator: Emulator, finished: dict[str, str], kind: str) -> Iterator[Bench]:
    emulator.clear_faults()
    with made_for(emulator, kind) as qpu:
        token = qpu.acquire()
        emulator.fault("job-queued", count=None)
        payload = payload_of(kind)
        yield Bench(qpu, finished[kind], qpu.task_start(payload), payload, token)
    emulator.clear_faults()


def aim(kind: str) -> str:
    return "/warden/*" if kind == "pasqal-local" else "/core-fast/*"


@pytest.mark.parametrize(("kind", "operation"), EVERYWHERE)
@pytest.mark.parametrize("fault", FAULTS)
def test_one_fault_is_overcome_or_is_one_typed_error_within_the_deadline(
    emulator: Emulator,
    bench: Bench,
    caplog: pytest.LogCaptureFixture,
    kind: str,
    fault: str,
    operation: str,
) -> None:
    before = number_of_jobs(emulator)
    emulator.fault(path=aim(kind), **FAULTS[fault])
    told, failure = bench.attempt(operation, caplog)
    starts = operation == "task_start"
    made = number_of_jobs(emulator) - before
    if kind != "pasqal-cloud" and starts and fault in UNCERTAIN:
        # Never submitted twice, and never without an error.
        assert made <= 1
        assert failure or made == 1
        assert failure is None or isinstance(failure, SubmissionUncertainError)
    elif failure and (fault not in MAY_FAIL_ONCE or starts):
        raise failure
    else:
        assert made == starts
    if operation == "task_result" and failure is None:
        assert isinstance(told, TaskResult)
        assert told.value == bench.qpu.task_result(bench.finished).value
        assert pulses.is_blockaded(json.loads(told.value)["counter"])
    no_secret(caplog, failure, secrets_of(emulator, "pasqal-cloud"))


@pytest.mark.parametrize(("kind", "operation"), EVERYWHERE)
@pytest.mark.parametrize("fault", STAYING)
def test_a_fault_that_stays_is_one_typed_error_within_the_deadline(
    emulator: Emulator,
    bench: Bench,
    caplog: pytest.LogCaptureFixture,
    kind: str,
    fault: str,
    operation: str,
) -> None:
    before = number_of_jobs(emulator)
    emulator.fault(path=aim(kind), count=None, **FAULTS[fault])
    _, failure = bench.attempt(operation, caplog)
    hits = [request for request in emulator.requests() if request["fault"]]
    emulator.clear_faults()
    emulator.clear_requests()
    # The responses to these are ignored.
    unread = fault == "malformed" and operation in ("release", "task_stop")
    assert failure or not hits or unread
    assert number_of_jobs(emulator) - before <= (operation == "task_start")
    no_secret(caplog, failure, secrets_of(emulator, "pasqal-cloud"))


@pytest.mark.parametrize("lasts", [False, True])
@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault != "expired token"])
def test_a_fault_at_the_login_is_overcome_or_is_one_typed_error(
    emulator: Emulator,
    finished: dict[str, str],
    caplog: pytest.LogCaptureFixture,
    fault: str,
    lasts: bool,
) -> None:
    emulator.clear_faults()
    emulator.fault(path="/oauth/token", count=None if lasts else 1, **FAULTS[fault])
    with caplog.at_level(logging.DEBUG), made_for(emulator, "pasqal-cloud") as qpu:
        told, failure = attempt(lambda: qpu.task_status(finished["pasqal-cloud"]), CALL_SECONDS + 1)
    emulator.clear_faults()
    if failure is None:
        assert told is TaskStatus.Completed
    else:
        assert lasts or fault in MAY_FAIL_ONCE
    no_secret(caplog, failure, secrets_of(emulator, "pasqal-cloud"))


@pytest.mark.parametrize("fault", [*FAULTS, "403"])
def test_a_fault_of_the_store_of_results_is_overcome_or_is_one_typed_error(
    emulator: Emulator, finished: dict[str, str], caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    emulator.clear_faults()
    # Without the undocumented route, only the link remains.
    emulator.fault("status", status=404, path="*/full_results", count=None)
    values = FAULTS.get(fault, {"kind": "status", "status": 403})
    emulator.fault(path="/pasqal-results/*", **values)
    with caplog.at_level(logging.DEBUG), made_for(emulator, "pasqal-cloud") as qpu:
        told, failure = attempt(lambda: qpu.task_result(finished["pasqal-cloud"]), CALL_SECONDS + 1)
    emulator.clear_faults()
    if failure is None:
        assert isinstance(told, TaskResult)
        assert pulses.is_blockaded(json.loads(told.value)["counter"])
    else:
        assert fault in (*MAY_FAIL_ONCE, "403", "expired token"), failure
    no_secret(caplog, failure, secrets_of(emulator, "pasqal-cloud"))


@pytest.mark.parametrize("kind", KINDS)
def test_an_outage_does_not_end_a_wait(emulator: Emulator, bench: Bench, kind: str) -> None:
    task = bench.qpu.task(bench.running)
    job = job_of(emulator, kind, bench.running)
    emulator.fault("outage", seconds=0.5, path=aim(kind))
    emulator.act(job, "release")
    assert [*as_completed([task], 60, policy=PollingPolicy())] == [task]
    assert task.status() is TaskStatus.Completed


def job_of(emulator: Emulator, kind: str, task: str) -> str:
    """Return the job that an operator acts on."""
    if kind == "pasqal-local":
        return task
    client = CloudClient(emulator)
    try:
        job: str = client.batch(task)["job_ids"][0]
        return job
    finally:
        client.http.close()


@pytest.mark.parametrize("kind", KINDS)
def test_the_operator_decides_what_a_task_comes_to(emulator: Emulator, kind: str) -> None:
    emulator.clear_faults()
    with made_for(emulator, kind) as qpu:
        qpu.acquire()
        emulator.fault("job-failed", reason="the lasers are off")
        with pytest.raises(TaskFailedError, match="the lasers are off"):
            qpu.run(payload_of(kind)).result(timeout=30)
        emulator.fault("job-cancelled", seconds=0.1, reason="maintenance")
        with pytest.raises(TaskCancelledError):
            qpu.run(payload_of(kind)).result(timeout=30)
        emulator.fault("job-too-long", seconds=0.1)
        with pytest.raises((TaskFailedError, TaskCancelledError)):
            qpu.run(payload_of(kind)).result(timeout=30)
        emulator.fault("job-paused", seconds=0.3)
        task = qpu.run(payload_of(kind))
        assert task.status() is TaskStatus.Queued
        assert task.wait(timeout=60) is TaskStatus.Completed


def test_a_cancellation_that_takes_time_is_no_end(emulator: Emulator) -> None:
    emulator.clear_faults()
    emulator.fault("job-queued")
    emulator.change(cancel_seconds=1.0)
    try:
        with made_for(emulator, "pasqal-cloud") as qpu:
            task = qpu.run(payload_of("pasqal-cloud"))
            task.stop()
            assert task.status() is TaskStatus.Running
            assert task.wait(timeout=30) is TaskStatus.Cancelled
    finally:
        emulator.change(cancel_seconds=0.0)


def test_a_device_that_is_taken_from_service_says_so_and_takes_no_task(
    emulator: Emulator,
) -> None:
    emulator.clear_faults()
    emulator.set_resource("EMU_FREE", status="maintenance", reason="until noon")
    try:
        with made_for(emulator, "pasqal-cloud") as qpu:
            assert not qpu.is_accessible()
            with pytest.raises(InvalidInputError, match="not available"):
                qpu.task_start(payload_of("pasqal-cloud"))
    finally:
        emulator.set_resource("EMU_FREE", status="online")


def test_equal_seeds_give_equal_counts_in_the_cloud_and_behind_warden(
    emulator: Emulator, finished: dict[str, str]
) -> None:
    emulator.clear_faults()
    counts = []
    for kind in KINDS:
        with made_for(emulator, kind) as qpu:
            counts.append(json.loads(qpu.task_result(finished[kind]).value)["counter"])
    assert counts[0] == counts[1] == counts[2]


@pytest.mark.parametrize("cudaq_ids", ["batch", "job"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_task_is_polled_read_and_stopped_in_another_process(
    emulator: Emulator, kind: str, cudaq_ids: str
) -> None:
    emulator.clear_faults()
    emulator.change(cudaq_ids=cudaq_ids)

    def elsewhere(*lines: str) -> list[str]:
        """Return the output of a process with the resource, the sequence and an earlier task."""
        name = type_of(kind)
        resource = "PASQAL_LOCAL" if name == "pasqal-local" else "EMU_FREE"
        script = [
            "import json, sys",
            "from qrmi_core import Payload, QuantumResource",
            "name, kind, text, task = sys.argv[1:]",
            "payload = Payload.PasqalCloud(sequence=text, job_runs=20)",
            "with QuantumResource(name, kind, json.load(sys.stdin)) as qpu:",
            *(f"    {line}" for line in lines),
        ]
        command = (sys.executable, "-c", "\n".join(script), resource, name, text, task)
        return said(*command, input=json.dumps(emulator.settings_for(name))).splitlines()

    text = pulses.cudaq() if kind == "cudaq" else pulses.sequence()
    start = ("qpu.acquire()", "print(qpu.task_start(payload))")
    task = ""
    try:
        (task,) = elsewhere(*start)
        emulator.fault("job-queued")
        told = elsewhere(
            "print(qpu.task(task).wait(timeout=60).name)",
            "print(qpu.task_result(task).value)",
            *start,
        )
        assert told[0] == "Completed"
        assert pulses.is_blockaded(json.loads("".join(told[1:-1]))["counter"])
        task = told[-1]
        assert elsewhere("print(qpu.task_status(task).name)", "qpu.task_stop(task)") == ["Queued"]
        assert elsewhere("print(qpu.task_status(task).name)") == ["Cancelled"]
    finally:
        emulator.change(cudaq_ids="batch")


@pytest.mark.parametrize(
    ("version", "slots"), [("0.1.0", None), ("2026-06", None), ("2026-09", 10**6)]
)
def test_each_version_of_warden_is_understood(
    emulator: Emulator, version: str, slots: int | None
) -> None:
    emulator.clear_faults()
    emulator.change(warden=version, warden_slots=slots)
    try:
        qpu = made_for(emulator, "pasqal-local", QRMI_JOB_ID=f"job-{version}")
        with contextlib.closing(qpu):
            token = qpu.acquire()
            assert json.loads(qpu.target().value)[0]["device_type"] == "FRESNEL"
            task = qpu.run(payload_of("pasqal-local"))
            assert json.loads(task.result(timeout=60).value)["counter"]
            emulator.fault("job-queued")
            waiting = qpu.run(payload_of("pasqal-local"))
            if version == "0.1.0":
                with pytest.raises(UnsupportedFunctionError):
                    waiting.stop()
                with pytest.raises(UnsupportedFunctionError):
                    waiting.logs()
                emulator.act(waiting.id, "cancel")
            else:
                waiting.stop()
            assert waiting.status() is TaskStatus.Cancelled
            qpu.release(token)
            with pytest.raises(QrmiError, match=r"(?i)session|acquire"):
                qpu.task_start(payload_of("pasqal-local"))
    finally:
        emulator.change(warden="2026-06", warden_slots=None)


def test_the_life_of_a_task_takes_few_requests_and_one_connection(emulator: Emulator) -> None:
    emulator.clear_faults()
    emulator.clear_requests()
    with made_for(emulator, "pasqal-cloud") as qpu:
        task = qpu.run(payload_of("pasqal-cloud"))
        task.result(timeout=60)
        task.stop()
    made = emulator.requests()
    polls = sum(request["path"].endswith(f"/v2/batches/{task.id}") for request in made)
    assert len(made) <= polls + 4, [request["path"] for request in made]
    assert len({request["connection"] for request in made}) == 1
