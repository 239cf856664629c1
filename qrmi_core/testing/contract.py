"""Tests that every driver must pass, to subclass."""

from __future__ import annotations

import json
import logging
import pickle
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import attrs
import pytest

from qrmi_core.driver import CONTRACT_VERSION, ChoosesIds, Driver, offers
from qrmi_core.errors import (
    TaskCancelledError,
    TaskFailedError,
    TaskNotFoundError,
    UnsupportedFunctionError,
    UnsupportedPayloadError,
)
from qrmi_core.options import TaskOptions
from qrmi_core.payload import Payload
from qrmi_core.polling import as_completed
from qrmi_core.registry import defects, find_driver
from qrmi_core.resource import QuantumResource
from qrmi_core.values import ResourceStatus, TaskStatus

_OPTIONAL: dict[str, Callable[[QuantumResource, str], object]] = {
    "task_logs": lambda resource, task_id: resource.task_logs(task_id),
    "task_usage": lambda resource, task_id: resource.task_usage(task_id),
    "task_list": lambda resource, _task_id: resource.task_list(),
    "target": lambda resource, _task_id: resource.target(),
    "describe": lambda resource, _task_id: resource.describe().to_dict(),
    "acquisition_usage": lambda resource, _task_id: resource.acquisition_usage("unknown-token"),
}

_OPTIONS: dict[str, Any] = {"name": "contract", "tags": ("contract",), "max_seconds": 60.0}


@attrs.frozen
class _ForeignPayload(Payload):
    kind = "Foreign"


class DriverContract:
    """The behaviour that users rely on, whoever the vendor is, as tests.

    Subclass it as ``class TestMyDriver(DriverContract)`` in a ``test_*.py`` and give it a
    `resource` and a `payload`. Tests of what the driver does not do are skipped with the reason.

    Attributes:
        unknown_task_id: A well-formed id of a task that does not exist.
        timeout_seconds: The time that a small task may take, in seconds.
        secrets: Credentials of the resource, which must not appear in any log or repr.
        type_strings: The resource types whose entry points must lead to this driver.
        stop_deletes: True if stopping deletes a task, so that an unknown one was stopped before.
    """

    unknown_task_id: ClassVar[str] = "00000000-0000-0000-0000-000000000000"
    timeout_seconds: ClassVar[float] = 60.0
    secrets: ClassVar[tuple[str, ...]] = ()
    type_strings: ClassVar[tuple[str, ...]] = ()
    stop_deletes: ClassVar[bool] = False

    def resource(self) -> QuantumResource:
        """Make a new object for the resource under test, each time for the same vendor."""
        raise NotImplementedError("give the contract a resource")

    def payload(self) -> Payload:
        """Make a small task that completes."""
        raise NotImplementedError("give the contract a payload")

    def failing_payload(self) -> Payload | None:
        """Make a task that the vendor accepts and that fails; None if that is impossible."""
        return None

    def slow_payload(self) -> Payload | None:
        """Make a task that runs until it is stopped; None if that is impossible."""
        return None

    @pytest.fixture
    def qpu(self) -> QuantumResource:
        """Return the resource under test."""
        return self.resource()

    @pytest.fixture
    def driver(self, qpu: QuantumResource) -> Driver[Any, Any]:
        """Return its driver."""
        return qpu._driver

    def test_the_entry_points_lead_to_the_driver(self, driver: Driver[Any, Any]) -> None:
        for name in self.type_strings:
            assert isinstance(driver, find_driver(name))

    def test_the_class_fulfils_the_contract(self, driver: Driver[Any, Any]) -> None:
        assert list(defects(type(driver))) == []
        assert driver.contract_version == CONTRACT_VERSION

    def test_a_task_runs_to_its_result(self, qpu: QuantumResource) -> None:
        task = qpu.run(self.payload(), timeout=self.timeout_seconds)
        assert task.wait(self.timeout_seconds) is TaskStatus.Completed
        first = task.result(self.timeout_seconds).value
        assert first
        assert task.result(0).value == first, "a result can be read again"
        assert [move.status for move in task.history][-1] is TaskStatus.Completed

    def test_a_result_is_saved_as_it_came(self, qpu: QuantumResource, tmp_path: object) -> None:
        task = qpu.run(self.payload(), timeout=self.timeout_seconds)
        path = f"{tmp_path}/result"
        task.save_result(path, self.timeout_seconds)
        with open(path, "rb") as stream:
            assert stream.read() == task.result(0).value.encode()

    def test_a_task_is_known_to_another_object_by_its_id(self, qpu: QuantumResource) -> None:
        task_id = pickle.loads(pickle.dumps(qpu.task_start(self.payload())))
        other = self.resource()
        result = other.task_result(task_id, timeout=self.timeout_seconds)
        assert result == qpu.task_result(task_id, timeout=self.timeout_seconds)

    def test_a_resource_serves_many_threads_at_once(self, qpu: QuantumResource) -> None:
        def run(_number: int) -> str:
            return qpu.run(self.payload()).result(self.timeout_seconds * 4).value

        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(run, range(4)))

    def test_many_tasks_are_waited_for_together(self, qpu: QuantumResource) -> None:
        tasks = [qpu.run(self.payload()) for _ in range(3)]
        ended = list(as_completed(tasks, self.timeout_seconds * 3))
        assert {task.id for task in ended} == {task.id for task in tasks}
        assert len({task.id for task in tasks}) == 3

    def test_an_unknown_task_is_an_error_that_names_it(self, qpu: QuantumResource) -> None:
        calls: list[Callable[[str], object]] = [
            qpu.task_status,
            lambda id: qpu.task_result(id, timeout=0),
        ]
        if self.stop_deletes:
            qpu.task_stop(self.unknown_task_id)
        else:
            calls.append(qpu.task_stop)
        for call in calls:
            with pytest.raises(TaskNotFoundError) as caught:
                call(self.unknown_task_id)
            assert caught.value.task_id == self.unknown_task_id
            assert caught.value.resource_id == qpu.resource_id()

    @pytest.mark.parametrize("task_id", [".", "..", "../status", "a/b", "a?b=c", "a#b", "a%2Fb"])
    def test_an_id_that_looks_like_a_path_is_an_unknown_task(
        self, qpu: QuantumResource, task_id: str
    ) -> None:
        with pytest.raises(TaskNotFoundError):
            qpu.task_status(task_id)

    def test_a_stopped_task_is_cancelled(self, qpu: QuantumResource) -> None:
        payload = self.slow_payload()
        if payload is None:
            pytest.skip("the driver's tests have no slow payload")
        task = qpu.run(payload, timeout=self.timeout_seconds)
        task.stop()
        assert task.wait(self.timeout_seconds) is TaskStatus.Cancelled
        with pytest.raises(TaskCancelledError):
            task.result(0)

    def test_stopping_a_finished_task_is_no_error(self, qpu: QuantumResource) -> None:
        task = qpu.run(self.payload(), timeout=self.timeout_seconds)
        task.wait(self.timeout_seconds)
        task.stop()

    def test_a_failed_task_tells_the_reason(self, qpu: QuantumResource) -> None:
        payload = self.failing_payload()
        if payload is None:
            pytest.skip("the driver's tests have no failing payload")
        task = qpu.run(payload, timeout=self.timeout_seconds)
        assert task.wait(self.timeout_seconds) is TaskStatus.Failed
        with pytest.raises(TaskFailedError) as caught:
            task.result(0)
        assert caught.value.task_id == task.id
        assert len(caught.value.message) > 20

    def test_a_foreign_payload_is_refused(self, qpu: QuantumResource) -> None:
        with pytest.raises(UnsupportedPayloadError, match="Foreign"):
            qpu.task_start(_ForeignPayload())

    def test_what_is_not_supported_says_so(self, qpu: QuantumResource) -> None:
        task_id = qpu.task_start(self.payload())
        qpu.task(task_id).wait(self.timeout_seconds)
        for name, call in _OPTIONAL.items():
            if qpu.supports(name):
                call(qpu, task_id)
            else:
                with pytest.raises(UnsupportedFunctionError, match=name):
                    call(qpu, task_id)

    def test_an_acquisition_is_a_token_and_release_is_idempotent(
        self, qpu: QuantumResource
    ) -> None:
        token = qpu.acquire(timeout=self.timeout_seconds)
        assert isinstance(token, str)
        assert token
        qpu.release(token)
        qpu.release(token)

    def test_a_task_runs_inside_an_acquisition(self, qpu: QuantumResource) -> None:
        with qpu:
            assert qpu.run(self.payload()).result(self.timeout_seconds).value

    def test_the_usage_of_an_acquisition_is_told_also_after_its_end(
        self, qpu: QuantumResource
    ) -> None:
        if not qpu.supports("acquisition_usage"):
            pytest.skip("the driver does not tell what was done under an acquisition")
        token = qpu.acquire(timeout=self.timeout_seconds)
        before = qpu.acquisition_usage(token)
        qpu.run(self.payload()).wait(self.timeout_seconds)
        qpu.release(token)
        after = self.resource().acquisition_usage(token)
        assert (before.tasks, after.tasks) in ((0, 1), (None, None))
        assert after.quantum_seconds is None or after.quantum_seconds >= 0
        json.dumps(after.to_dict())

    def test_the_status_is_told(self, qpu: QuantumResource) -> None:
        status = qpu.status()
        assert isinstance(status, ResourceStatus)
        json.dumps(status.to_dict())
        assert qpu.is_accessible() == (status.status.name == "Online")

    def test_metadata_are_strings(self, qpu: QuantumResource) -> None:
        metadata = qpu.metadata()
        assert metadata["backend_name"] == qpu.resource_id()
        assert all(isinstance(value, str) for value in metadata.values())

    def test_polls_together_report_what_single_polls_report(self, driver: Driver[Any, Any]) -> None:
        task = self.resource().run(self.payload())
        task.wait(self.timeout_seconds)
        reports = driver.task_statuses([task.id, self.unknown_task_id])
        assert set(reports) <= {task.id}
        if offers(driver, "task_statuses"):
            assert reports[task.id].status is TaskStatus.Completed

    def test_a_submission_is_found_again_by_its_tag(
        self, qpu: QuantumResource, driver: Driver[Any, Any]
    ) -> None:
        tag = uuid.uuid4().hex
        if not offers(driver, "find_submission"):
            with pytest.raises(UnsupportedFunctionError):
                driver.find_submission(tag)
            return
        assert driver.find_submission(tag) is None
        task_id = self._start(qpu, driver, tag)
        assert driver.find_submission(tag) == task_id

    def test_a_repeated_submission_is_one_task_where_the_driver_chooses_ids(
        self, qpu: QuantumResource, driver: Driver[Any, Any]
    ) -> None:
        tag, other = uuid.uuid4().hex, uuid.uuid4().hex
        first = self._start(qpu, driver, tag)
        if driver.supports(ChoosesIds):
            assert self._start(qpu, driver, tag) == first
        assert self._start(qpu, driver, other) != first

    def test_options_are_honoured_or_refused(
        self, qpu: QuantumResource, driver: Driver[Any, Any]
    ) -> None:
        for name, value in _OPTIONS.items():
            how: dict[str, Any] = {name: value}
            if name in driver.task_options:
                qpu.run(self.payload(), self.timeout_seconds, **how).wait(self.timeout_seconds)
            else:
                with pytest.raises(UnsupportedFunctionError, match=name):
                    qpu.run(self.payload(), **how)

    def _start(self, qpu: QuantumResource, driver: Driver[Any, Any], tag: str) -> str:
        return driver.task_start(
            self.payload(),
            submission=tag,
            acquisition=qpu._acquisitions.current(),
            options=TaskOptions(),
        )

    def test_no_secret_is_shown(
        self, qpu: QuantumResource, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        qpu.run(self.payload()).result(self.timeout_seconds)
        driver = qpu._driver
        shown = [caplog.text, repr(qpu), repr(driver), repr(driver.settings), str(qpu.metadata())]
        for secret in self.secrets:
            assert not any(secret in text for text in shown)
