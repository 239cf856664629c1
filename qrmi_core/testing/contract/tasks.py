"""The part of the contract about tasks: their states, results, facts and ends."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest

from qrmi_core.driver import Driver, offers
from qrmi_core.errors import (
    ResourceBusyError,
    TaskCancelledError,
    TaskFailedError,
    TaskNotFoundError,
    TaskNotReadyError,
    UnsupportedFunctionError,
)
from qrmi_core.polling import as_completed, poll
from qrmi_core.resource import QuantumResource
from qrmi_core.states import FINAL
from qrmi_core.testing.contract.base import ContractHooks, needs
from qrmi_core.testing.contract.values import wrong_fields
from qrmi_core.values import Observation, TaskInfo, TaskStatus, TaskUsage

OPTIONAL: dict[str, Callable[[QuantumResource, str], object]] = {
    "task_logs": lambda resource, task_id: resource.task_logs(task_id),
    "task_usage": lambda resource, task_id: resource.task_usage(task_id),
    "task_list": lambda resource, _task_id: resource.task_list(),
    "target": lambda resource, _task_id: resource.target(),
    "describe": lambda resource, _task_id: resource.describe().to_dict(),
    "acquisition_usage": lambda resource, _task_id: resource.acquisition_usage("unknown-token"),
}
MANY = 450
"""Tasks that are polled together: more than two pages of the usual sizes."""
OF_A_TASK = ("task_logs", "task_usage", "task_input")


class TaskContract(ContractHooks):
    """Tests of tasks."""

    def test_a_task_runs_to_its_result(self, qpu: QuantumResource) -> None:
        task = qpu.run(self.payload(), timeout=self.timeout_seconds)
        assert task.wait(self.timeout_seconds) is TaskStatus.Completed
        first = task.result(self.timeout_seconds).value
        assert first
        assert task.result(0).value == first, "a result can be read again"
        assert [move.status for move in task.history][-1] is TaskStatus.Completed

    def test_a_result_is_pieces_of_bytes(
        self, qpu: QuantumResource, driver: Driver[Any, Any]
    ) -> None:
        task = qpu.run(self.payload(), timeout=self.timeout_seconds)
        expected = task.result(self.timeout_seconds).value
        for _ in range(2):
            pieces = list(driver.task_result(task.id))
            assert all(isinstance(piece, bytes) for piece in pieces)
            assert b"".join(pieces).decode() == expected

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

    def test_many_tasks_are_waited_for_together(self, qpu: QuantumResource) -> None:
        tasks = [qpu.run(self.payload()) for _ in range(3)]
        ended = list(as_completed(tasks, self.timeout_seconds * 3))
        assert {task.id for task in ended} == {task.id for task in tasks}
        assert len({task.id for task in tasks}) == 3

    def test_each_task_keeps_its_own_result(self, qpu: QuantumResource) -> None:
        task = qpu.run(self.payload(), timeout=self.timeout_seconds)
        result = task.result(self.timeout_seconds)
        logs = task.logs() if qpu.supports("task_logs") else ""
        other = qpu.run(self.failing_payload() or self.payload(), timeout=self.timeout_seconds)
        other.wait(self.timeout_seconds)
        again = self.resource().task(task.id)
        assert again.wait(self.timeout_seconds) is TaskStatus.Completed
        assert again.result(self.timeout_seconds) == result
        if qpu.supports("task_logs"):
            assert again.logs().startswith(logs)  # lines may come late

    # Reports

    @pytest.mark.parametrize("kind", ["payload", "failing_payload"])
    def test_every_report_has_the_fields_of_the_contract(
        self, qpu: QuantumResource, driver: Driver[Any, Any], kind: str
    ) -> None:
        payload = getattr(self, kind)()
        if payload is None:
            pytest.skip(f"the driver's tests have no {kind}")
        reports: list[Observation] = []
        poll = driver.task_status

        def noted(task_id: str) -> Observation:
            reports.append(poll(task_id))
            return reports[-1]

        driver.task_status = noted  # type: ignore[method-assign]
        qpu.run(payload, timeout=self.timeout_seconds).wait(self.timeout_seconds)
        for report in reports:
            assert isinstance(report, Observation)
            assert not wrong_fields(report)
            assert report.status is not None or report.raw
            assert report.queue_position is None or report.status is TaskStatus.Queued
        assert reports[-1].status in FINAL

    def test_polls_together_report_what_single_polls_report(
        self, qpu: QuantumResource, driver: Driver[Any, Any]
    ) -> None:
        tasks = [qpu.run(self.payload()), qpu.run(self.failing_payload() or self.payload())]
        expected = {task.id: task.wait(self.timeout_seconds) for task in tasks}
        for ids in ([*expected, self.unknown_task_id], [self.unknown_task_id, tasks[1].id]):
            reports = driver.task_statuses(ids)
            assert set(reports) <= {*expected} & {*ids}
            if offers(driver, "task_statuses"):
                for task_id in {*expected} & {*ids}:
                    assert reports[task_id].status is expected[task_id]
                    assert not wrong_fields(reports[task_id])

    def test_polling_many_tasks_costs_few_requests(self, qpu: QuantumResource) -> None:
        if self.requests_of_a_round is None:
            pytest.skip("the driver polls each task alone (`requests_of_a_round`)")
        tasks = [qpu.task(task_id) for task_id in self.many_tasks(qpu, MANY)]
        before = self.count_requests()
        assert poll(tasks) == dict.fromkeys(tasks)
        assert self.count_requests() - before <= self.requests_of_a_round
        assert all(task.last_report for task in tasks)

    def test_every_poll_of_a_task_asks_the_vendor(
        self, qpu: QuantumResource, driver: Driver[Any, Any]
    ) -> None:
        task_id = qpu.task_start(self.payload(), timeout=self.timeout_seconds)
        for _ in range(2):
            before = self.count_requests()
            driver.task_status(task_id)
            assert self.count_requests() > before

    # Unknown tasks

    def test_an_unknown_task_is_an_error_that_names_it(self, qpu: QuantumResource) -> None:
        calls: list[Callable[[str], object]] = [
            qpu.task_status,
            lambda id: qpu.task_result(id, timeout=0),
            lambda id: list(qpu._driver.task_result(id)),
            *(getattr(qpu, name) for name in OF_A_TASK if qpu.supports(name)),
        ]
        if self.stop_deletes:
            qpu.task_stop(self.unknown_task_id)
        else:
            calls.append(qpu.task_stop)
        for call in calls:
            with pytest.raises(TaskNotFoundError) as caught:
                call(self.unknown_task_id)
            assert caught.value.task_id in (self.unknown_task_id, None)
            assert caught.value.resource_id in (qpu.resource_id(), None)

    # Ends

    def test_a_stopped_task_is_cancelled(self, qpu: QuantumResource) -> None:
        payload = self.slow_payload()
        if payload is None:
            pytest.skip("the driver's tests have no slow payload")
        task = qpu.run(payload, timeout=self.timeout_seconds)
        task.stop()
        assert task.wait(self.timeout_seconds) is TaskStatus.Cancelled
        with pytest.raises(TaskCancelledError):
            task.result(0)

    def test_stopping_a_task_leaves_others_alone(self, qpu: QuantumResource) -> None:
        payload = self.slow_payload()
        if payload is None:
            pytest.skip("the driver's tests have no slow payload")
        task = qpu.run(payload, timeout=self.timeout_seconds)
        try:
            other = qpu.run(self.payload(), timeout=0)
        except ResourceBusyError:
            pytest.skip("the resource takes one task at a time")
        finally:
            task.stop()
        assert other.wait(self.timeout_seconds) is TaskStatus.Completed

    def test_a_task_that_runs_has_no_result_yet(
        self, qpu: QuantumResource, driver: Driver[Any, Any]
    ) -> None:
        payload = self.slow_payload()
        if payload is None:
            pytest.skip("the driver's tests have no slow payload")
        task = qpu.run(payload, timeout=self.timeout_seconds)
        try:
            with pytest.raises(TaskNotReadyError):
                list(driver.task_result(task.id))
        finally:
            task.stop()

    def test_stopping_a_finished_task_is_no_error(self, qpu: QuantumResource) -> None:
        task = qpu.run(self.payload(), timeout=self.timeout_seconds)
        task.wait(self.timeout_seconds)
        task.stop()

    def test_a_failed_task_reports_the_reason(
        self, qpu: QuantumResource, driver: Driver[Any, Any]
    ) -> None:
        payload = self.failing_payload()
        if payload is None:
            pytest.skip("the driver's tests have no failing payload")
        task = qpu.run(payload, timeout=self.timeout_seconds)
        assert task.wait(self.timeout_seconds) is TaskStatus.Failed
        with pytest.raises(TaskFailedError) as caught:
            task.result(0)
        assert caught.value.task_id == task.id
        assert len(caught.value.message) > 20
        with pytest.raises(TaskFailedError):
            list(driver.task_result(task.id))

    # Optional methods

    def test_what_is_not_supported_says_so(self, qpu: QuantumResource) -> None:
        task_id = qpu.task_start(self.payload())
        qpu.task(task_id).wait(self.timeout_seconds)
        for name, call in OPTIONAL.items():
            if qpu.supports(name):
                call(qpu, task_id)
            else:
                with pytest.raises(UnsupportedFunctionError, match=name):
                    call(qpu, task_id)

    def test_logs_are_text(self, qpu: QuantumResource, driver: Driver[Any, Any]) -> None:
        needs(qpu, "task_logs")
        assert isinstance(driver.task_logs(self._ended(qpu)), str)

    def test_usage_has_the_fields_of_the_contract(
        self, qpu: QuantumResource, driver: Driver[Any, Any]
    ) -> None:
        needs(qpu, "task_usage")
        usage = driver.task_usage(self._ended(qpu))
        assert isinstance(usage, TaskUsage)
        assert not wrong_fields(usage)
        times = [usage.created_at, usage.started_at, usage.finished_at]
        known = [time for time in times if time is not None]
        assert known == sorted(known)

    def test_the_input_is_text(self, qpu: QuantumResource, driver: Driver[Any, Any]) -> None:
        needs(qpu, "task_input")
        task_id = self._ended(qpu)
        try:
            found = driver.task_input(task_id)
        except UnsupportedFunctionError as error:
            pytest.skip(error.message)
        assert isinstance(found, bytes)
        assert found.decode()

    def test_the_list_has_the_newest_task_first(
        self, qpu: QuantumResource, driver: Driver[Any, Any]
    ) -> None:
        needs(qpu, "task_list")
        ids = [qpu.task_start(self.payload(), timeout=self.timeout_seconds) for _ in range(2)]
        listed = list(driver.task_list())
        assert all(isinstance(info, TaskInfo) for info in listed)
        assert not [wrong for info in listed for wrong in wrong_fields(info)]
        order = [info.id for info in listed]
        assert set(ids) <= set(order)
        assert len({*order}) == len(order)
        times = [info.created_at for info in listed if info.created_at is not None]
        assert times == sorted(times, reverse=True)
        if len(set(times)) == len(listed):
            assert [each for each in order if each in ids] == ids[::-1]

    def _ended(self, qpu: QuantumResource) -> str:
        task = qpu.run(self.payload(), timeout=self.timeout_seconds)
        task.wait(self.timeout_seconds)
        return task.id
