"""Qiskit jobs over an in-memory vendor."""

from __future__ import annotations

import gc
import json
import weakref
from typing import Any

import pytest
from qiskit import QuantumCircuit
from qiskit.primitives import BitArray, DataBin, PrimitiveResult, SamplerPubResult
from qiskit.providers import JobStatus

from qrmi_core import (
    InvalidResponseError,
    Observation,
    TaskFailedError,
    TaskNotFoundError,
    TaskStatus,
)
from qrmi_qiskit import PrimitiveJob, SamplerV2, vendor

STATES = {
    TaskStatus.Queued: JobStatus.QUEUED,
    TaskStatus.Running: JobStatus.RUNNING,
    TaskStatus.Completed: JobStatus.DONE,
    TaskStatus.Failed: JobStatus.ERROR,
    TaskStatus.Cancelled: JobStatus.CANCELLED,
}


def result_text() -> bytes:
    data = DataBin(meas=BitArray.from_counts({"00": 1, "11": 2}))
    result = PrimitiveResult([SamplerPubResult(data)], {"version": 2})
    return json.dumps(result, cls=vendor.find("RuntimeEncoder")).encode()


@pytest.fixture
def job(bench: Any, bell: QuantumCircuit) -> PrimitiveJob:
    bench.vendor.result = result_text()
    return SamplerV2(bench.qpu).run([bell])


@pytest.mark.parametrize("status", STATES, ids=str)
def test_every_state_of_a_task_is_one_of_qiskits(
    bench: Any, bell: QuantumCircuit, status: TaskStatus
) -> None:
    bench.vendor.reports = [Observation(status)]
    job = SamplerV2(bench.qpu).run([bell])
    assert job.status() is STATES[status]
    assert job.done() is (status is TaskStatus.Completed)
    assert job.running() is (status is TaskStatus.Running)
    assert job.cancelled() is (status is TaskStatus.Cancelled)
    assert job.errored() is (status is TaskStatus.Failed)
    assert job.in_final_state() is (status >= TaskStatus.Completed)


def test_a_result_waits_and_is_fetched_once(bench: Any, job: PrimitiveJob) -> None:
    assert job.status() is JobStatus.QUEUED
    first = job.result()
    assert first[0].data.meas.get_counts() == {"00": 1, "11": 2}
    assert job.result() is first
    assert bench.vendor.calls["task_result"] == 1
    looks = bench.vendor.calls["task_status"]
    assert job.done()
    assert bench.vendor.calls["task_status"] == looks


def test_dropping_a_job_stops_nothing(bench: Any, bell: QuantumCircuit) -> None:
    bench.vendor.result = result_text()
    job = SamplerV2(bench.qpu).run([bell])
    job_id, dropped = job.job_id(), weakref.ref(job)
    del job
    gc.collect()
    assert dropped() is None
    assert bench.vendor.calls["task_stop"] == 0
    again = SamplerV2(bench.qpu).job(job_id)
    assert again.result()[0].data.meas.num_shots == 3
    assert PrimitiveJob(bench.qpu, job_id).done()


def test_cancelling_reaches_the_vendor_each_time(bench: Any, job: PrimitiveJob) -> None:
    job.cancel()
    job.cancel()
    assert bench.vendor.calls["task_stop"] == 2
    assert job.cancelled()


def test_usage_and_logs_are_those_of_the_task(bench: Any, job: PrimitiveJob) -> None:
    assert job.usage().quantum_seconds == 1.5
    assert job.logs() == f"log of {job.job_id()}\n"
    assert job.job_id() in repr(job)
    assert job.task.id == job.job_id()


def test_a_failure_carries_the_vendors_reason_and_code(bench: Any, bell: QuantumCircuit) -> None:
    bench.vendor.reports = [Observation(TaskStatus.Failed, reason="the fridge is warm", code="42")]
    job = SamplerV2(bench.qpu).run([bell])
    with pytest.raises(TaskFailedError, match="the fridge is warm") as failure:
        job.result()
    assert failure.value.vendor_code == "42"
    assert failure.value.task_id == job.job_id()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"not JSON",
        b"{}",
        b'{"counter": {"00": 1}}',
        b'{"__type__": "ndarray", "__value__": 3}',
        b'{"__type__": "BitArray", "__value__": {"array": 3}}',
        b"[" * 100_000,
    ],
    ids=lambda text: str(text[:30]),
)
def test_what_is_no_result_is_an_error_that_names_the_task(
    bench: Any, bell: QuantumCircuit, text: bytes
) -> None:
    bench.vendor.result = text
    job = SamplerV2(bench.qpu).run([bell])
    with pytest.raises(InvalidResponseError, match="cannot be read") as failure:
        job.result()
    assert failure.value.task_id == job.job_id()


def test_an_unknown_id_is_the_vendors_error(bench: Any) -> None:
    job = SamplerV2(bench.qpu).job("no-such-task")
    with pytest.raises(TaskNotFoundError, match="no-such-task"):
        job.status()
