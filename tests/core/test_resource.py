"""`QuantumResource`, the vendor-neutral entry point."""

from __future__ import annotations

import errno
import logging
import os
import pickle
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from qrmi_core import (
    DriverDefectError,
    InvalidArgumentError,
    InvalidInputError,
    InvalidResponseError,
    Observation,
    Payload,
    QuantumResource,
    ResourceBusyError,
    ResourceType,
    ServiceError,
    SubmissionUncertainError,
    TaskCancelledError,
    TaskFailedError,
    TaskNotReadyError,
    TaskStatus,
    TransportError,
    UnsupportedFunctionError,
    UnsupportedPayloadError,
    WaitTimeoutError,
)
from qrmi_core.driver import Acquires, OpenBatches
from qrmi_core.options import TaskOptions
from qrmi_core.testing import FakeClock, FakeVendor
from support.fakes import PAYLOAD, fake_resource


def test_the_published_way_runs() -> None:
    vendor = FakeVendor(result=b'{"answer": 42}')
    qrmi = fake_resource(vendor)
    lock = qrmi.acquire()
    job_id = qrmi.task_start(Payload.QiskitPrimitive(input="{}", program_id="sampler"))
    assert qrmi.task_result(job_id).value == '{"answer": 42}'
    qrmi.task_stop(job_id)
    qrmi.release(lock)
    assert vendor.calls["task_stop"] == 1, "stopping reaches the driver, finished or not"
    assert vendor.tokens == []


def test_the_short_way_runs_within_an_acquisition() -> None:
    vendor = FakeVendor(result=b"done")
    with fake_resource(vendor) as qpu:
        assert vendor.tokens
        task = qpu.run(PAYLOAD)
        assert task.result().value == "done"
    assert vendor.tokens == []
    assert vendor.tasks[task.id].acquisition == "token-1"


def test_the_type_is_given_back_as_it_came() -> None:
    vendor = FakeVendor()
    qpu = QuantumResource("x", ResourceType.PasqalLocal, {}, driver_class=vendor.driver())
    assert qpu.resource_type() is ResourceType.PasqalLocal
    assert qpu.resource_type() == "pasqal-local"
    other = QuantumResource("x", "my-own", {}, driver_class=vendor.driver())
    assert other.resource_type() == "my-own"
    assert isinstance(other.resource_type(), ResourceType)


def test_a_resource_is_not_pickled_for_its_secrets() -> None:
    with pytest.raises(TypeError, match="credentials"):
        pickle.dumps(fake_resource(FakeVendor()))


@pytest.mark.parametrize("arguments", [(1, "fake"), ("x", 1), (None, "fake")])
def test_ids_and_types_of_other_kinds_are_refused(arguments: tuple[str, str]) -> None:
    with pytest.raises(TypeError):
        QuantumResource(*arguments)


def test_empty_ids_are_refused() -> None:
    with pytest.raises(InvalidInputError):
        QuantumResource("", "fake")
    with pytest.raises(InvalidInputError):
        fake_resource(FakeVendor()).task("")


def test_a_payload_of_another_vendor_is_refused_before_anything_is_sent() -> None:
    vendor = FakeVendor()
    secret = "S" * 10_000
    with pytest.raises(UnsupportedPayloadError) as caught:
        fake_resource(vendor).task_start(Payload.PasqalCloud(secret, 10))
    assert "PasqalCloud" in str(caught.value)
    assert "QiskitPrimitive" in str(caught.value)
    assert len(str(caught.value)) < 200, "the payload is not in the message"
    with pytest.raises(TypeError):
        fake_resource(vendor).task_start("{}")  # type: ignore[arg-type]
    assert vendor.calls == {}


def test_the_schedulers_acquisition_is_used_and_not_released(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    vendor = FakeVendor()
    qpu = fake_resource(vendor, config={"QRMI_JOB_ACQUISITION_TOKEN": "from-slurm"})
    with qpu:
        task = qpu.run(PAYLOAD)
    assert qpu.acquire() == "from-slurm"
    qpu.release("from-slurm")
    assert vendor.tasks[task.id].acquisition == "from-slurm"
    assert "acquire" not in vendor.calls
    assert "release" not in vendor.calls
    assert "the scheduler, which will release it" in caplog.text
    assert "from-slurm" not in caplog.text


def test_an_empty_token_of_the_scheduler_counts_as_unset() -> None:
    vendor = FakeVendor()
    qpu = fake_resource(vendor, config={"QRMI_JOB_ACQUISITION_TOKEN": ""})
    assert qpu.acquire() == "token-1"


def test_a_busy_resource_is_waited_for_until_the_time_is_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    vendor = FakeVendor()
    clock = FakeClock()
    holder, other = fake_resource(vendor), fake_resource(vendor, clock)
    token = holder.acquire()
    with pytest.raises(ResourceBusyError) as caught:
        other.acquire(timeout=7)
    assert caught.value.resource_id == "fake"
    assert 6.5 < clock() <= 7
    # Logged once, and only without an `on_wait` callback.
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    told: list[str] = []
    other = fake_resource(vendor, clock, on_wait=lambda why, _seconds: told.append(why))
    with pytest.raises(ResourceBusyError):
        other.acquire(timeout=7)
    assert len(caplog.records) == 1
    assert told
    holder.release(token)
    assert other.acquire(timeout=0)


def test_what_cannot_be_held_is_said_and_given_a_token_that_stands_for_nothing() -> None:
    vendor = FakeVendor()

    class Plain(vendor.driver()):  # type: ignore[misc]
        def supports(self, capability: type[Any]) -> bool:
            return capability is not Acquires and bool(super().supports(capability))

    qpu = QuantumResource("x", "fake", {}, driver_class=Plain)
    assert not qpu.supports("acquire")
    assert not qpu.supports("acquisition_usage")
    token = qpu.acquire()
    task = qpu.run(PAYLOAD)
    qpu.release(token)
    assert vendor.tasks[task.id].acquisition is None
    with pytest.raises(UnsupportedFunctionError, match="acquisition_usage"):
        qpu.acquisition_usage(token)
    assert not {"acquire", "release", "acquisition_usage"} & set(vendor.calls)
    assert fake_resource(vendor).supports("acquire")


@pytest.mark.parametrize(
    ("status", "error"),
    [(TaskStatus.Failed, TaskFailedError), (TaskStatus.Cancelled, TaskCancelledError)],
)
@pytest.mark.parametrize("reason", ["qubit 3 is broken", None])
def test_a_task_without_a_result_tells_why(
    status: TaskStatus, error: type[Exception], reason: str | None
) -> None:
    vendor = FakeVendor(reports=[Observation(status, reason=reason, code="1517")])
    qpu = fake_resource(vendor)
    task = qpu.run(PAYLOAD)
    with pytest.raises(error) as caught:
        task.result()
    assert caught.value.task_id == task.id  # type: ignore[attr-defined]
    if reason:
        assert reason in str(caught.value)
        assert caught.value.vendor_code == "1517"  # type: ignore[attr-defined]
        assert "task_result" not in vendor.calls


def test_a_result_not_ready_in_time_leaves_the_task_alone(tmp_path: Path) -> None:
    vendor = FakeVendor(reports=[Observation(TaskStatus.Running)])
    task = fake_resource(vendor).run(PAYLOAD)
    with pytest.raises(WaitTimeoutError):
        task.result(timeout=3)
    with pytest.raises(WaitTimeoutError):
        task.save_result(tmp_path / "result", timeout=0)
    assert list(tmp_path.iterdir()) == []
    assert "task_stop" not in vendor.calls


def test_a_result_that_breaks_off_is_read_again(tmp_path: Path) -> None:
    vendor = FakeVendor(result=b"0123456789")
    vendor.lost_responses["task_result"] = [TransportError("reset"), TransportError("reset")]
    task = fake_resource(vendor).run(PAYLOAD)
    assert task.result().value == "0123456789"
    vendor.lost_responses["task_result"] = [TransportError("reset")]
    task.save_result(tmp_path / "result")
    assert (tmp_path / "result").read_bytes() == b"0123456789"


def test_a_result_that_breaks_off_leaves_nothing_of_itself() -> None:
    vendor = FakeVendor(result=b"0123456789")
    vendor.lost_responses["task_result"] = [TransportError("reset")]

    task = fake_resource(vendor).run(PAYLOAD)

    def shorten(function: str) -> None:
        if vendor.calls[function] == 2 and function == "task_result":
            vendor.tasks[task.id].result = b"ab"

    vendor.on_call = shorten
    assert task.result().value == "ab"


def test_a_result_that_lags_behind_the_status_is_asked_for_again() -> None:
    vendor = FakeVendor(result=b"late")
    vendor.faults["task_result"] = [TaskNotReadyError("not in the store yet")]
    assert fake_resource(vendor).run(PAYLOAD).result().value == "late"


def test_a_page_in_place_of_a_result_is_asked_for_again_if_it_may_pass() -> None:
    vendor = FakeVendor(result=b"42")
    page = InvalidResponseError("a page", retryable=True)
    vendor.faults["task_result"] = [page, page]
    assert fake_resource(vendor).run(PAYLOAD).result().value == "42"
    vendor.faults["task_result"] = [InvalidResponseError("a page")]
    task = fake_resource(vendor).run(PAYLOAD)
    with pytest.raises(InvalidResponseError):
        task.result()


@pytest.mark.parametrize(
    ("timeout", "seconds"), [(None, 600), (60, 60), (9000, 600), (0, 3.5), (1, 1)]
)
@pytest.mark.parametrize("begun", [True, False])
def test_a_result_that_never_comes_is_an_error_in_time_and_no_file(
    tmp_path: Path, timeout: float | None, seconds: float, begun: bool
) -> None:
    vendor = FakeVendor(reports=[Observation(TaskStatus.Completed)])
    faults = vendor.lost_responses if begun else vendor.faults
    faults["task_result"] = [TransportError("reset") for _ in range(999)]
    clock = FakeClock()
    task = fake_resource(vendor, clock).run(PAYLOAD)
    (tmp_path / "result").write_text("old")
    with pytest.raises(TransportError, match="reset"):
        task.save_result(tmp_path / "result", timeout)
    assert (tmp_path / "result").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1
    assert clock() == pytest.approx(seconds, rel=0.1)


def test_an_outage_after_the_end_of_a_task_does_not_end_the_wait_for_its_result(
    caplog: pytest.LogCaptureFixture,
) -> None:
    vendor = FakeVendor(result=b"42")
    clock = FakeClock()
    task = fake_resource(vendor, clock).run(PAYLOAD)
    task.wait()
    back = clock() + 50

    def outage(_function: str) -> None:
        if clock() < back:
            raise TransportError("no route")

    vendor.on_call = outage
    assert task.result(60).value == "42"
    assert back <= clock() < back + 6
    assert len(caplog.records) == 1


def test_a_result_that_is_not_text_is_an_error_of_the_tree() -> None:
    from qrmi_core import QrmiError

    vendor = FakeVendor(result=b"\xff\xfe")
    with pytest.raises(QrmiError, match="save_result"):
        fake_resource(vendor).run(PAYLOAD).result()


def test_a_description_or_program_that_is_not_text_is_the_vendors_error() -> None:
    members = {
        "target": lambda _self: '{"a":1}'.encode("utf-16"),
        "task_input": lambda _self, _id: b"\xff",
    }
    driver = type("D", (FakeVendor().driver(),), members)
    qpu = QuantumResource("q", "fake", {}, driver_class=driver)
    with pytest.raises(InvalidResponseError, match="description of the device is not text"):
        qpu.target()
    with pytest.raises(InvalidResponseError, match="program is not text") as caught:
        qpu.task_input("t1")
    assert (caught.value.resource_id, caught.value.task_id) == ("q", "t1")


def test_a_payload_that_nests_too_deeply_is_refused() -> None:
    nested: dict[str, object] = {}
    for _ in range(100_000):
        nested = {"a": nested}
    with pytest.raises(InvalidInputError, match="cannot be written as JSON"):
        Payload.QiskitPrimitive(input=nested, program_id="sampler")


def test_a_full_disk_is_the_systems_error_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    task = fake_resource(FakeVendor()).run(PAYLOAD)
    with pytest.raises(OSError, match="No space left"):
        task.save_result(tmp_path / "result")
    assert list(tmp_path.iterdir()) == []


def test_an_exception_that_is_not_of_the_tree_is_the_drivers_defect() -> None:
    vendor = FakeVendor()
    qpu = fake_resource(vendor)
    task = qpu.run(PAYLOAD)
    for function, call in (
        ("task_status", task.status),
        ("task_stop", task.stop),
        ("task_logs", task.logs),
        ("task_usage", task.usage),
        ("status", qpu.status),
        ("target", qpu.target),
        ("acquire", qpu.acquire),
        ("acquisition_usage", lambda: qpu.acquisition_usage("token")),
    ):
        vendor.faults[function] = [KeyError("state")]
        with pytest.raises(DriverDefectError, match="KeyError") as caught:
            call()
        assert isinstance(caught.value.__cause__, KeyError)


def test_tasks_of_an_open_batch_are_added_all_or_none() -> None:
    vendor = FakeVendor()
    qpu = fake_resource(vendor)
    for call in (
        qpu.batch_open,
        lambda: qpu.batch_add("b", [PAYLOAD]),
        lambda: qpu.batch_close("b"),
    ):
        with pytest.raises(UnsupportedFunctionError):
            call()
    assert not qpu.supports("batch_open")

    class Batching(vendor.driver(), OpenBatches):  # type: ignore[misc]
        def batch_add(self, batch_id: str, payloads: Sequence[Payload]) -> list[str]:
            vendor.called("batch_add")
            return [f"{batch_id}:{number}" for number in range(len(payloads))]

        def batch_open(self) -> str:
            return "b"

        def batch_close(self, batch_id: str) -> None:
            vendor.called("batch_close")

        def batch_tasks(self, batch_id: str) -> list[str]:
            return [f"{batch_id}:0"]

        def task_input(self, task_id: str) -> bytes:
            return task_id.encode()

    qpu = QuantumResource("fake", "fake", {}, driver_class=Batching)
    assert qpu.supports("batch_open")
    assert qpu.batch_open() == "b"
    assert qpu.batch_tasks("b") == ["b:0"]
    assert qpu.task_input("b:0") == qpu.task("b:0").input() == "b:0"
    assert qpu.batch_add("b", [PAYLOAD, PAYLOAD]) == ["b:0", "b:1"]
    foreign = Payload.PasqalCloud(sequence="{}", job_runs=1)
    with pytest.raises(UnsupportedPayloadError):
        qpu.batch_add("b", [PAYLOAD, foreign])
    for refused in (
        qpu.batch_close,
        qpu.batch_tasks,
        lambda batch: qpu.batch_add(batch, [PAYLOAD]),
    ):
        with pytest.raises(InvalidInputError, match="batch's id is empty"):
            refused("")
    assert vendor.calls["batch_add"] == 1
    assert "batch_close" not in vendor.calls
    qpu.batch_close("b")
    assert vendor.calls["batch_close"] == 1
    vendor.faults["batch_add"] = [InvalidInputError("closed"), ServiceError("?", uncertain=True)]
    with pytest.raises(InvalidInputError, match="closed"):
        qpu.batch_add("b", [PAYLOAD])
    with pytest.raises(SubmissionUncertainError, match="batch b; look at its tasks"):
        qpu.batch_add("b", [PAYLOAD])
    vendor.faults["batch_add"] = [KeyError("id")]
    with pytest.raises(SubmissionUncertainError, match="KeyError"):
        qpu.batch_add("b", [PAYLOAD])


def test_a_resource_serves_many_threads() -> None:
    vendor = FakeVendor()
    qpu = fake_resource(vendor)
    results: list[str] = []

    def run() -> None:
        results.extend(qpu.run(PAYLOAD).result().value for _ in range(20))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == len(vendor.tasks) == 160


def test_capabilities_can_be_asked_for() -> None:
    qpu = fake_resource(FakeVendor())
    assert qpu.supports("task_logs")
    assert not qpu.supports("find_submission")
    assert fake_resource(FakeVendor(), findable=True).supports("find_submission")
    assert qpu.payloads() == (Payload.QiskitPrimitive,)


def test_a_driver_that_cannot_be_closed_hides_no_other_error() -> None:
    class Stuck(FakeVendor().driver()):  # type: ignore[misc]
        def close(self) -> None:
            raise KeyError("connection")

    qpu = QuantumResource("x", "fake", {}, driver_class=Stuck)
    with pytest.raises(DriverDefectError, match="connection") as caught:
        qpu.close()
    assert caught.value.resource_id == "x"
    with pytest.raises(ZeroDivisionError), qpu:
        raise ZeroDivisionError
    with pytest.raises(DriverDefectError, match="connection"), qpu:
        pass


OPTIONS: dict[str, Any] = {"name": "bell", "tags": ["a", "b"], "max_seconds": 5}


def test_options_of_a_task_reach_the_driver() -> None:
    vendor = FakeVendor()
    task = fake_resource(vendor).run(PAYLOAD, **OPTIONS)
    given = TaskOptions(name="bell", tags=("a", "b"), max_seconds=5)
    assert vendor.tasks[task.id].options == given


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_that_the_driver_does_not_honour_is_refused(option: str) -> None:
    vendor = FakeVendor()

    class Less(vendor.driver()):  # type: ignore[misc]
        task_options = frozenset(OPTIONS) - {option}

    qpu = QuantumResource("x", "fake", {}, driver_class=Less)
    with pytest.raises(UnsupportedFunctionError, match=f"task option {option} ") as caught:
        qpu.task_start(PAYLOAD, **{option: OPTIONS[option]})
    assert caught.value.resource_id == "x"
    assert not vendor.calls
    assert qpu.task_start(PAYLOAD, **{key: OPTIONS[key] for key in Less.task_options})


@pytest.mark.parametrize(
    "options",
    [
        {"name": " "},
        {"tags": [""]},
        {"tags": [5]},
        {"tags": "a"},
        {"max_seconds": 0},
        {"max_seconds": float("nan")},
        {"max_seconds": float("inf")},
        {"max_seconds": True},
        {"max_seconds": "5"},
    ],
    ids=str,
)
def test_a_malformed_option_is_refused_before_submission(options: dict[str, Any]) -> None:
    vendor = FakeVendor()
    with pytest.raises(InvalidArgumentError, match=next(iter(options))):
        fake_resource(vendor).run(PAYLOAD, **options)
    assert not vendor.calls


def test_a_description_and_an_estimate_come_from_the_driver() -> None:
    qpu = fake_resource(FakeVendor())
    assert qpu.describe().num_qubits == 2
    assert qpu.describe().to_dict()["is_simulator"] is False
    assert qpu.estimate(PAYLOAD).to_dict() == {
        "quantum_seconds": 1.5,
        "cost": 0.75,
        "currency": "EUR",
    }


class VendorsOwnError(BaseException):
    """An exception class of a vendor's library."""


@pytest.mark.parametrize("error", [VendorsOwnError("x"), ValueError("y")])
def test_what_a_driver_raises_is_in_the_tree_or_ends_the_program(error: BaseException) -> None:
    vendor = FakeVendor()
    qpu = fake_resource(vendor)
    task = qpu.run(PAYLOAD)
    vendor.faults["task_status"] = [error]
    with pytest.raises(DriverDefectError, match=type(error).__name__):
        task.status()
    for ending in (KeyboardInterrupt(), SystemExit(3)):
        vendor.faults["task_status"] = [ending]
        with pytest.raises(type(ending)):
            task.status()


def test_mistakes_of_the_caller_are_not_blamed_on_the_driver() -> None:
    vendor = FakeVendor()
    fake_resource(vendor).acquire()

    def broken(_reason: str, _seconds: float) -> None:
        raise ValueError("mine")

    qpu = fake_resource(vendor, on_wait=broken)
    with pytest.raises(ValueError, match="mine"):
        qpu.acquire(5)
    with pytest.raises(TypeError):
        qpu.acquire("5")  # type: ignore[arg-type]
    for config in ([], "x"):
        with pytest.raises(TypeError, match="mapping"):
            QuantumResource("x", "fake", config, driver_class=vendor.driver())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="mapping"):
        QuantumResource.from_config("x", "fake", None)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="not text"):
        qpu.task("\ud800")


def test_the_vendors_code_is_kept_where_it_gave_no_reason() -> None:
    vendor = FakeVendor(reports=[Observation(TaskStatus.Failed, code="1517")])
    with pytest.raises(TaskFailedError) as caught:
        fake_resource(vendor).run(PAYLOAD).result()
    assert caught.value.vendor_code == "1517"
