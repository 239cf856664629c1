"""The part of the contract about the resource: its class, status, facts, discovery, acquisition."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest

from qrmi_core.driver import CONTRACT_VERSION, Acquires, Discovers, Driver
from qrmi_core.errors import QrmiError, ResourceBusyError
from qrmi_core.registry import defects, find_driver
from qrmi_core.resource import QuantumResource
from qrmi_core.testing.contract.base import ContractHooks, needs
from qrmi_core.testing.contract.values import secrets_of, wrong_fields
from qrmi_core.values import (
    AcquisitionUsage,
    ResourceDescription,
    ResourceInfo,
    ResourceStatus,
    TaskStatus,
)


class ResourceContract(ContractHooks):
    """Tests of the resource."""

    # The class

    def test_the_entry_points_lead_to_the_driver(self, driver: Driver[Any, Any]) -> None:
        for name in self.type_strings:
            assert isinstance(driver, find_driver(name))

    def test_the_class_fulfils_the_contract(self, driver: Driver[Any, Any]) -> None:
        assert list(defects(type(driver))) == []
        assert driver.contract_version == CONTRACT_VERSION

    # Its state and its facts

    def test_the_status_has_the_fields_of_the_contract(self, qpu: QuantumResource) -> None:
        status = qpu.status()
        assert isinstance(status, ResourceStatus)
        assert not wrong_fields(status)
        json.dumps(status.to_dict())
        assert qpu.is_accessible() == (status.status.name == "Online")

    def test_every_status_asks_the_vendor(self, driver: Driver[Any, Any]) -> None:
        for _ in range(2):
            before = self.count_requests()
            driver.status()
            assert self.count_requests() > before

    def test_metadata_are_strings_and_cost_nothing(
        self, qpu: QuantumResource, driver: Driver[Any, Any]
    ) -> None:
        before = self.requests()
        metadata = driver.metadata()
        assert isinstance(metadata, Mapping)
        for key, value in qpu.metadata().items():
            assert isinstance(key, str)
            assert isinstance(value, str)
        assert self.requests() == before

    def test_the_target_is_text(self, qpu: QuantumResource, driver: Driver[Any, Any]) -> None:
        needs(qpu, "target")
        target = driver.target()
        assert isinstance(target, bytes)
        assert target.decode() == qpu.target().value

    def test_the_description_has_the_fields_of_the_contract(
        self, qpu: QuantumResource, driver: Driver[Any, Any]
    ) -> None:
        needs(qpu, "describe")
        description = driver.describe()
        assert isinstance(description, ResourceDescription)
        assert not wrong_fields(description)
        json.dumps(description.to_dict())

    def test_what_is_discovered_has_the_fields_of_the_contract(
        self, driver: Driver[Any, Any]
    ) -> None:
        if not driver.supports(Discovers):
            pytest.skip("the driver discovers no resources")
        kind: Any = type(driver)
        before = self.requests()
        found = list(kind.discover(driver.settings, {}))
        assert found
        assert all(isinstance(info, ResourceInfo) for info in found)
        assert not [wrong for info in found for wrong in wrong_fields(info)]
        ids = [info.resource_id for info in found]
        assert all(ids)
        assert len({*ids}) == len(ids)
        again = [info.resource_id for info in kind.discover(driver.settings, {"name": "no*such"})]
        assert {*again} <= {*ids}
        if kind.discovers_offline:
            assert self.requests() == before
        shown = [str(info.to_dict()) for info in found]
        for secret in secrets_of(driver, self.secrets):
            assert not any(secret in text for text in shown)

    # Acquisition

    def test_an_acquisition_is_a_token_and_release_is_idempotent(
        self, qpu: QuantumResource
    ) -> None:
        token = qpu.acquire(timeout=self.timeout_seconds)
        assert isinstance(token, str)
        assert token
        qpu.release(token)
        qpu.release(token)
        self.resource().release(token)

    def test_what_was_released_can_be_acquired_again(self, qpu: QuantumResource) -> None:
        if not qpu._driver.supports(Acquires):
            pytest.skip("the resource cannot be acquired")
        for _ in range(2):
            token = self.resource().acquire(timeout=self.timeout_seconds)
            self.resource().release(token)

    def test_an_acquisition_lasts_until_it_is_released(self, qpu: QuantumResource) -> None:
        if not qpu._driver.supports(Acquires):
            pytest.skip("the resource cannot be acquired")

        def acquired_by_another() -> str:
            other = self.resource()
            try:
                found = other.acquire(timeout=0)
            except ResourceBusyError:
                return "refused"
            if found == token:
                return "shared"
            other.release(found)
            return "another"

        token = qpu.acquire(timeout=self.timeout_seconds)
        before = acquired_by_another()
        with suppress(QrmiError):  # it may be malformed
            self.resource().release(self.unknown_task_id)
        assert acquired_by_another() == before
        qpu.close()
        assert acquired_by_another() == before
        task = qpu.run(self.payload(), timeout=self.timeout_seconds)
        assert task.wait(self.timeout_seconds) is TaskStatus.Completed
        qpu.release(token)

    def test_a_task_runs_inside_an_acquisition(self, qpu: QuantumResource) -> None:
        with qpu:
            assert qpu.run(self.payload()).result(self.timeout_seconds).value

    def test_the_usage_of_an_acquisition_is_reported_also_after_its_end(
        self, qpu: QuantumResource
    ) -> None:
        needs(qpu, "acquisition_usage")
        token = qpu.acquire(timeout=self.timeout_seconds)
        before = qpu.acquisition_usage(token)
        qpu.run(self.payload()).wait(self.timeout_seconds)
        qpu.release(token)
        after = self.resource().acquisition_usage(token)
        for usage in (before, after):
            assert isinstance(usage, AcquisitionUsage)
            assert not wrong_fields(usage)
            json.dumps(usage.to_dict())
        assert (before.tasks, after.tasks) in ((0, 1), (None, None))

    def test_an_acquisition_that_does_not_exist_was_not_used(self, qpu: QuantumResource) -> None:
        needs(qpu, "acquisition_usage")
        usage = qpu.acquisition_usage(self.unknown_task_id)
        assert not wrong_fields(usage)
        assert not usage.tasks
        assert not usage.quantum_seconds
