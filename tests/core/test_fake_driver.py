"""The fake drivers keep the contract that they help to test."""

from __future__ import annotations

import pytest

from qrmi_core import Observation, Payload, QuantumResource, TaskStatus
from qrmi_core.testing import DriverContract, FakeVendor
from support.fakes import PAYLOAD, fake_resource


class FakeContract(DriverContract):
    kind: dict[str, bool] = {}  # noqa: RUF012

    @pytest.fixture(autouse=True)
    def _vendor(self) -> None:
        self.fake = FakeVendor(holders=10)

    def resource(self) -> QuantumResource:
        return fake_resource(self.fake, **self.kind)

    def payload(self) -> Payload:
        return PAYLOAD

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
