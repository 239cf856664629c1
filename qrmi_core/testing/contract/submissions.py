"""The part of the contract about submitting: payloads, options, exactly once, batches."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from qrmi_core.driver import ChoosesIds, Driver, OpenBatches, offers
from qrmi_core.errors import (
    InvalidInputError,
    SubmissionUncertainError,
    TaskNotFoundError,
    UnsupportedFunctionError,
    UnsupportedPayloadError,
)
from qrmi_core.options import TaskOptions
from qrmi_core.payload import Payload
from qrmi_core.resource import QuantumResource
from qrmi_core.testing.contract.base import ContractHooks
from qrmi_core.testing.contract.values import contains, contains_seconds, lost_fields, wrong_fields
from qrmi_core.values import TaskEstimate, TaskStatus

_OPTIONS: dict[str, Any] = {
    "name": "a-name-of-the-contract",
    "tags": ("a-tag-of-the-contract",),
    "max_seconds": 4320.0,
}


@attrs.frozen
class _ForeignPayload(Payload):
    kind = "Foreign"


class SubmissionContract(ContractHooks):
    """Tests of submissions."""

    # Payloads

    def test_a_foreign_payload_is_refused(self, qpu: QuantumResource) -> None:
        with pytest.raises(UnsupportedPayloadError, match="Foreign"):
            qpu.task_start(_ForeignPayload())

    def test_a_payload_is_made_of_the_keys_of_an_input_file(self) -> None:
        payload = self.payload()
        fields = type(payload)._fields()
        keys = {key: getattr(payload, field.name) for key, field in fields.items()}
        assert type(payload).from_mapping(keys) == payload

    def test_every_field_of_a_payload_reaches_the_vendor(self, qpu: QuantumResource) -> None:
        payload = self.payload()
        before = copy.deepcopy(payload)
        task_id = qpu.task_start(payload, timeout=self.timeout_seconds)
        assert payload == before, "a payload may be used again"
        record = self.received(task_id)
        if record is None:
            pytest.skip("the tests do not see the vendor's record of a task (`received`)")
        assert not lost_fields(payload, record)

    def test_an_estimate_has_the_fields_of_the_contract(self, qpu: QuantumResource) -> None:
        if not qpu.supports("estimate"):
            with pytest.raises(UnsupportedFunctionError, match="estimate"):
                qpu.estimate(self.payload())
            return
        before = self.task_ids()
        estimate = qpu._driver.estimate(self.payload())
        assert self.task_ids() == before
        assert isinstance(estimate, TaskEstimate)
        assert not wrong_fields(estimate)

    def test_options_are_honoured_or_refused(
        self, qpu: QuantumResource, driver: Driver[Any, Any]
    ) -> None:
        for name, value in _OPTIONS.items():
            how: dict[str, Any] = {name: value}
            if name not in driver.task_options:
                with pytest.raises(UnsupportedFunctionError, match=name):
                    qpu.run(self.payload(), **how)
                continue
            task = qpu.run(self.payload(), self.timeout_seconds, **how)
            task.wait(self.timeout_seconds)
            record = self.received(task.id)
            if record is None:
                continue
            if name == "max_seconds":
                assert contains_seconds(record, value)
            else:
                assert contains(record, value if isinstance(value, str) else value[0])

    # Exactly once

    def test_a_submission_is_found_again_by_its_tag(
        self, qpu: QuantumResource, driver: Driver[Any, Any]
    ) -> None:
        tag, other = uuid.uuid4().hex, uuid.uuid4().hex
        if not offers(driver, "find_submission"):
            with pytest.raises(UnsupportedFunctionError):
                driver.find_submission(tag)
            return
        self.start(qpu, other)
        assert driver.find_submission(tag) is None
        task_id = self.start(qpu, tag)
        assert driver.find_submission(tag) == task_id
        assert self.resource()._driver.find_submission(tag) == task_id
        assert driver.find_submission(other) not in (None, task_id)

    def test_a_repeated_submission_is_one_task_where_the_driver_chooses_ids(
        self, qpu: QuantumResource, driver: Driver[Any, Any]
    ) -> None:
        tag, other = uuid.uuid4().hex, uuid.uuid4().hex
        first = self.start(qpu, tag)
        if driver.supports(ChoosesIds):
            assert self.start(qpu, tag) == first
        assert self.start(qpu, other) != first

    def test_the_name_and_the_tags_of_users_may_be_used_twice(
        self, qpu: QuantumResource, driver: Driver[Any, Any]
    ) -> None:
        given = {name: _OPTIONS[name] for name in ("name", "tags") if name in driver.task_options}
        options = TaskOptions(**given)
        started = [self.start(qpu, uuid.uuid4().hex, options=options) for _ in range(2)]
        assert started[0] != started[1]

    def test_a_submission_without_a_response_is_one_task(
        self, qpu: QuantumResource, driver: Driver[Any, Any]
    ) -> None:
        qpu.task_start(self.payload(), timeout=self.timeout_seconds)
        before = self.task_ids()
        if not self.lose_response():
            pytest.skip("the tests cannot lose a response (`lose_response`, `vendor`)")
        known: str | None = None
        candidates: tuple[str, ...] = ()
        try:
            known = qpu.task_start(self.payload(), timeout=self.timeout_seconds)
        except SubmissionUncertainError as error:
            candidates = error.candidates
            assert not self.finds_submissions(), "a driver that can find the task finds it"
        after = self.task_ids()
        if before is not None and after is not None:
            (created,) = {*after} - {*before}
            assert known in (created, None)
            assert known or created in candidates or not offers(driver, "task_list")

    # Batches that are left open

    def test_a_batch_accepts_tasks_until_it_is_closed(self, qpu: QuantumResource) -> None:
        self._needs_batches(qpu)
        batch_id = qpu.batch_open()
        assert isinstance(batch_id, str)
        assert batch_id
        first = qpu.batch_add(batch_id, [self.payload(), self.payload()])
        second = qpu.batch_add(batch_id, [self.payload()])
        assert len({*first, *second}) == 3
        assert all(isinstance(task_id, str) and task_id for task_id in first)
        assert self.resource().batch_tasks(batch_id) == [*first, *second]
        qpu.batch_close(batch_id)
        with pytest.raises(InvalidInputError):
            qpu.batch_add(batch_id, [self.payload()])
        for task_id in (*first, *second):
            assert qpu.task(task_id).wait(self.timeout_seconds) is TaskStatus.Completed
            assert qpu.task_result(task_id, timeout=self.timeout_seconds).value

    def test_an_unknown_batch_is_an_error(self, qpu: QuantumResource) -> None:
        self._needs_batches(qpu)
        calls: list[Callable[[str], object]] = [
            lambda batch_id: qpu.batch_add(batch_id, [self.payload()]),
            qpu.batch_close,
            qpu.batch_tasks,
        ]
        for call in calls:
            with pytest.raises(TaskNotFoundError):
                call(self.unknown_task_id)

    def _needs_batches(self, qpu: QuantumResource) -> None:
        if not qpu._driver.supports(OpenBatches):
            pytest.skip("the resource has no batches that are left open")
