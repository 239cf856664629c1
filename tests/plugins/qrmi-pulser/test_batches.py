"""State, results, logs and cancellation of batches, as Pulser's RemoteResults requests them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, strategies as st
from pulser import Sequence
from pulser.backend import Results
from pulser.backend.remote import BatchStatus, JobStatus, RemoteResults, RemoteResultsError

from qrmi_core import (
    InvalidResponseError,
    ServiceError,
    TaskFailedError,
    TaskNotFoundError,
    TaskNotReadyError,
    UnsupportedFunctionError,
)
from qrmi_core.driver import Driver
from qrmi_core.values import Observation, TaskStatus
from qrmi_pulser import InvalidArgumentError, MissingResultsError
from qrmi_pulser.connection import batch_status

MakePulse = Callable[..., Sequence]
OPEN = {JobStatus.PENDING, JobStatus.RUNNING, JobStatus.PAUSED}


def report(bench: Any, *statuses: TaskStatus, reason: str | None = None) -> None:
    """Set the states that the tasks report from now on, in order."""
    for task, status in zip(bench.vendor.tasks.values(), statuses, strict=True):
        task.reports.clear()
        task.reports.append(Observation(status, reason=reason))


@pytest.fixture
def results(bench: Any, pulse: MakePulse) -> RemoteResults:
    return bench.connection.submit(pulse(), job_params=[{"runs": 3}] * 3)


@given(st.lists(st.sampled_from(list(JobStatus)), min_size=1, max_size=6))
def test_the_state_of_a_batch_is_that_of_its_jobs(jobs: list[JobStatus]) -> None:
    found = batch_status(jobs)
    assert (found in {BatchStatus.PENDING, BatchStatus.RUNNING}) == bool(OPEN & set(jobs))
    assert (found is BatchStatus.PENDING) == (set(jobs) == {JobStatus.PENDING})
    assert (found is BatchStatus.CANCELED) == (set(jobs) == {JobStatus.CANCELED})
    assert (found is BatchStatus.ERROR) == (set(jobs) == {JobStatus.ERROR})
    assert batch_status(jobs[::-1]) is found


Q, R, C, F, X = (
    TaskStatus.Queued,
    TaskStatus.Running,
    TaskStatus.Completed,
    TaskStatus.Failed,
    TaskStatus.Cancelled,
)


@pytest.mark.parametrize(
    ("tasks", "status"),
    [
        ((Q, Q, Q), BatchStatus.PENDING),
        ((Q, R, Q), BatchStatus.RUNNING),
        ((Q, C, X), BatchStatus.RUNNING),
        ((C, C, C), BatchStatus.DONE),
        ((C, F, X), BatchStatus.DONE),
        ((F, X, F), BatchStatus.DONE),
        ((F, F, F), BatchStatus.ERROR),
        ((X, X, X), BatchStatus.CANCELED),
    ],
)
def test_the_state_of_tasks(
    bench: Any, results: RemoteResults, tasks: Any, status: BatchStatus
) -> None:
    report(bench, *tasks)
    assert results.get_batch_status() is status


def test_tasks_that_have_ended_are_not_asked_again(bench: Any, results: RemoteResults) -> None:
    report(bench, C, R, F)
    results.get_batch_status()
    results.get_batch_status()
    assert bench.vendor.calls["task_status"] == 4


def test_a_vendor_that_can_is_asked_for_all_at_once(make_bench: Any, pulse: MakePulse) -> None:
    bench = make_bench(batched=True)
    results = bench.connection.submit(pulse(), job_params=[{"runs": 3}] * 3)
    results.get_batch_status()
    assert bench.vendor.calls["task_statuses"] == 1
    assert bench.vendor.calls["task_status"] == 0


def test_results_are_pulsers_with_the_atoms_of_the_sequence(
    bench: Any, results: RemoteResults
) -> None:
    report(bench, C, C, C)
    assert len(results) == 3
    first = results[0]
    assert isinstance(first, Results)
    assert first.atom_order == ("left", "right")
    assert first.total_duration == 1000
    assert first.final_bitstrings == Counter({"01": 3})
    assert results.results[2] == first


def test_results_are_fetched_once(bench: Any, results: RemoteResults) -> None:
    report(bench, C, R, R)
    for _ in range(3):
        assert list(results.get_available_results()) == ["task-1"]
    assert bench.vendor.calls["task_result"] == 1


def test_what_is_there_is_given_when_some_is_missing(bench: Any, results: RemoteResults) -> None:
    report(bench, F, C, Q, reason="the laser is off")
    assert list(results.get_available_results()) == ["task-2"]
    progress = bench.connection._query_job_progress(results.batch_id)
    assert [status for status, _ in progress.values()] == [
        JobStatus.ERROR,
        JobStatus.DONE,
        JobStatus.PENDING,
    ]
    with pytest.raises(RemoteResultsError, match="get_available_results") as caught:
        assert results.results
    assert isinstance(caught.value.__cause__, MissingResultsError)
    assert "job task-3 has no results yet; its state is PENDING" in str(caught.value.__cause__)


def test_why_a_job_failed_is_told(bench: Any, results: RemoteResults) -> None:
    report(bench, C, F, C, reason="the laser is off")
    with pytest.raises(MissingResultsError, match="task-2 failed: the laser is off") as caught:
        bench.connection._fetch_result(results.batch_id, None)
    assert isinstance(caught.value.__cause__, TaskFailedError)


def test_results_come_in_the_order_asked_for(bench: Any, results: RemoteResults) -> None:
    report(bench, C, C, C)
    for number, task in enumerate(bench.vendor.tasks.values()):
        task.result = json.dumps({"counter": {"01": number + 1}}).encode()
    chosen = RemoteResults(results.batch_id, bench.connection, ["task-3", "task-1"])
    assert [sum(each.final_bitstrings.values()) for each in chosen.results] == [3, 1]
    with pytest.raises(RuntimeError, match="task-9"):
        RemoteResults(results.batch_id, bench.connection, ["task-9"])
    with pytest.raises(InvalidArgumentError, match="has no job task-9"):
        bench.connection._fetch_result(results.batch_id, ["task-9"])


def test_a_new_connection_reads_an_old_batch(bench: Any, results: RemoteResults) -> None:
    report(bench, C, C, C)
    again = RemoteResults(results.batch_id, bench.connect())
    assert again.job_ids == results.job_ids
    assert again.get_batch_status() is BatchStatus.DONE
    assert again.results[0].final_bitstrings == {"01": 3}
    assert again.results[0].atom_order == ("q0", "q1")


def test_the_vendors_names_of_the_atoms_are_taken(bench: Any, results: RemoteResults) -> None:
    report(bench, C, C, C)
    own = Results.from_final_bitstrings(("a", "b"), 400, {"10": 5})
    text = json.dumps({"counter": {"10": 5}, "serialised_results": own.to_abstract_repr()})
    next(iter(bench.vendor.tasks.values())).result = text.encode()
    found = RemoteResults(results.batch_id, bench.connect()).results[0]
    assert (found.atom_order, found.total_duration) == (("a", "b"), 400)
    assert found.final_bitstrings == {"10": 5}


@pytest.mark.parametrize(
    "text",
    ['{"counter":{"00":36,"10":64}}', "{'counter': {'00': 36, '10': 64}}", '{"00":36,"10":64}'],
)
def test_every_form_of_a_result_is_read(bench: Any, results: RemoteResults, text: str) -> None:
    report(bench, C, C, C)
    for task in bench.vendor.tasks.values():
        task.result = text.encode()
    assert results.results[0].final_bitstrings == {"00": 36, "10": 64}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "JSONDecodeError"),
        ("__import__('os').getpid()", "JSONDecodeError"),
        ("[" * 5000, "Error"),
        ("[1]", "no counts"),
        ("{}", "no counts"),
        ('{"counter": null}', "no counts"),
        ('{"counter": {"00": 0}}', "no counts"),
        ('{"counter": {"00": 1.5}}', "not a count of a bit string"),
        ('{"counter": {"00": -1}}', "not a count of a bit string"),
        ('{"counter": {"0x": 1}}', "not a count of a bit string"),
        ('{"counter": {"00": 1, "1": 1}}', "different lengths"),
        ('{"counter": {"000": 1}}', "3 bits, and the sequence 2 atoms"),
        ('{"serialised_results": "{}"}', "Error"),
    ],
)
def test_a_result_that_cannot_be_read_is_an_error_with_its_cause(
    bench: Any, results: RemoteResults, text: str, why: str
) -> None:
    report(bench, C, C, C)
    next(iter(bench.vendor.tasks.values())).result = text.encode()
    for read in (lambda: results.results, results.get_available_results):
        with pytest.raises(InvalidResponseError, match="task-1 cannot be read") as caught:
            read()
        assert why in str(caught.value)
        assert caught.value.__cause__ is not None


@given(
    st.integers(1, 8)
    .flatmap(
        lambda atoms: st.dictionaries(
            st.text("01", min_size=atoms, max_size=atoms), st.integers(0, 10**6), min_size=1
        )
    )
    .filter(lambda counts: any(counts.values())),
    st.sampled_from([json.dumps, repr]),
)
def test_counts_survive(make_counts: Any, counts: dict[str, int], write: Any) -> None:
    assert make_counts(write({"counter": counts})) == counts


@pytest.fixture(scope="module")
def make_counts() -> Callable[[str], Any]:
    from qrmi_core import Payload, QuantumResource
    from qrmi_core.testing import FakeVendor
    from qrmi_pulser.results import to_results

    driver = FakeVendor().driver()
    driver.payloads = (Payload.PasqalCloud,)
    task = QuantumResource("fake", "fake", {}, driver_class=driver).task("a")
    return lambda text: to_results(task, text, lambda _task: None).final_bitstrings


def test_a_vendor_that_keeps_the_sequence_tells_the_names_of_the_atoms(
    bench: Any, results: RemoteResults, pulse: MakePulse, caplog: pytest.LogCaptureFixture
) -> None:
    report(bench, C, C, C)
    driver = type(bench.qpu._driver)
    driver.task_input = lambda _self, _task_id: pulse().to_abstract_repr().encode()
    again = RemoteResults(results.batch_id, bench.connect())
    assert (again[0].atom_order, again[0].total_duration) == (("left", "right"), 1000)
    driver.task_input = lambda _self, _task_id: b"{}"
    assert RemoteResults(results.batch_id, bench.connect())[0].atom_order == ("q0", "q1")
    assert "names of the atoms of job task-1 are not known" in caplog.text


def test_a_result_that_is_late_is_no_result_yet(bench: Any, results: RemoteResults) -> None:
    report(bench, C, C, C)
    bench.vendor.faults["task_result"] = [TaskNotReadyError("not yet")] * 4
    assert list(results.get_available_results()) == ["task-2", "task-3"]
    assert len(results.get_available_results()) == 3


def test_logs_of_a_batch(bench: Any, results: RemoteResults) -> None:
    expected = ("log of task-1\n", "log of task-2\n", "log of task-3\n")
    assert bench.connection.get_batch_logs() == expected
    assert bench.connect().get_batch_logs(results.batch_id) == expected
    assert bench.connect().get_batch_logs("task-2") == expected[1:2]


def test_a_vendor_without_logs_says_so(make_bench: Any, pulse: MakePulse) -> None:
    bench = make_bench()
    type(bench.qpu._driver).task_logs = Driver.task_logs
    bench.connection.submit(pulse(), job_params=[{"runs": 3}])
    with pytest.raises(UnsupportedFunctionError):
        bench.connection.get_batch_logs()


def test_cancelling_stops_what_has_not_ended(bench: Any, results: RemoteResults) -> None:
    report(bench, C, Q, R)
    bench.connection.cancel_batch_jobs()
    assert bench.vendor.calls["task_stop"] == 2
    states = [task.reports[0].status for task in bench.vendor.tasks.values()]
    assert states == [C, X, X]
    assert results.get_batch_status() is BatchStatus.DONE


def test_cancelling_goes_on_after_an_error_and_raises_it(
    bench: Any, results: RemoteResults
) -> None:
    bench.vendor.faults["task_stop"] = [ServiceError("not now")]
    with pytest.raises(ServiceError, match="not now"):
        bench.connect().cancel_batch_jobs(results.batch_id)
    assert bench.vendor.calls["task_stop"] == 3


def test_without_a_batch_there_is_nothing_to_do(bench: Any) -> None:
    for call in (bench.connection.get_batch_logs, bench.connection.cancel_batch_jobs):
        with pytest.raises(InvalidArgumentError, match="has submitted no batch"):
            call()
        with pytest.raises(InvalidArgumentError, match="is not the id of a batch"):
            call("task-1||task-2")
    with pytest.raises(TaskNotFoundError):
        bench.connection._get_batch_status("nothing")
