"""The fake drivers keep the contract that they help to test."""

from __future__ import annotations

import pytest

from qrmi_core import Observation, Payload, QuantumResource, TaskStatus
from qrmi_core.testing import DriverContract, FakeVendor
from qrmi_core.testing.fake import lost
from support.fakes import PAYLOAD, fake_resource


class FakeContract(DriverContract):
    kind: dict[str, bool] = {}  # noqa: RUF012

    @pytest.fixture(autouse=True)
    def _vendor(self) -> None:
        self.fake = FakeVendor(holders=10)

    def resource(self) -> QuantumResource:
        return fake_resource(self.fake, **self.kind)

    def payload(self) -> Payload:
        self.fake.reports = FakeVendor().reports
        return PAYLOAD

    def requests(self) -> list[str]:
        return list(self.fake.calls.elements())

    def received(self, task_id: str) -> object:
        task = self.fake.tasks[task_id]
        sent = {"parameters": task.payload.input, "program_id": task.payload.program_id}
        options = task.options
        return [sent, options.name, list(options.tags), options.max_seconds]

    def task_ids(self) -> set[str]:
        return {*self.fake.tasks}

    def lose_response(self) -> bool:
        self.fake.lost_responses["task_start"].append(lost())
        return True

    def failing_payload(self) -> Payload:
        self.fake.reports = [Observation(TaskStatus.Failed, reason="the fake vendor failed it")]
        return PAYLOAD

    def slow_payload(self) -> Payload:
        self.fake.reports = [Observation(TaskStatus.Running)]
        return PAYLOAD


class TestPlain(FakeContract):
    pass


class TestClientChoosesId(FakeContract):
    kind = {"chooses_ids": True}  # noqa: RUF012


class TestFindableAndBatched(FakeContract):
    kind = {"findable": True, "batched": True}  # noqa: RUF012


class TestOpenBatches(FakeContract):
    kind = {"open_batches": True}  # noqa: RUF012
