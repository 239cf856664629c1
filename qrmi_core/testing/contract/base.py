"""The hooks by which the tests of a driver take part in the contract."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from typing import Any, ClassVar

import pytest

from qrmi_core.driver import ChoosesIds, Driver, offers
from qrmi_core.options import TaskOptions
from qrmi_core.payload import Payload
from qrmi_core.resource import QuantumResource
from qrmi_core.testing.loopback import Faults, LoopbackVendor


class ContractHooks:
    """The hooks of the contracts, which `DriverContract` documents."""

    unknown_task_id: ClassVar[str] = "00000000-0000-0000-0000-000000000000"
    timeout_seconds: ClassVar[float] = 60.0
    secrets: ClassVar[tuple[str, ...]] = ()
    type_strings: ClassVar[tuple[str, ...]] = ()
    stop_deletes: ClassVar[bool] = False
    submission: ClassVar[str | None] = None
    requests_of_a_round: ClassVar[int | None] = None

    def resource(self) -> QuantumResource:
        """Make a new object for the resource under test, each time for the same vendor."""
        raise NotImplementedError("give the contract a resource")

    def payload(self) -> Payload:
        """Make a small task that completes; it has a value for every field that it can have."""
        raise NotImplementedError("give the contract a payload")

    def failing_payload(self) -> Payload | None:
        """Make a task that the vendor accepts and that fails; None if that is impossible."""
        return None

    def slow_payload(self) -> Payload | None:
        """Make a task that runs until it is stopped; None if that is impossible."""
        return None

    def wrong_credentials(self) -> QuantumResource | None:
        """Make an object for the resource whose credentials the vendor does not accept."""
        return None

    def vendor(self) -> LoopbackVendor | None:
        """Return the service on loopback that the resource under test belongs to."""
        return None

    def requests(self) -> Sequence[str] | None:
        """Return method and path of every request until now; by default those of `vendor`."""
        vendor = self.vendor()
        return None if vendor is None else tuple(vendor.requests)

    def received(self, task_id: str) -> object:  # noqa: ARG002
        """Return the vendor's record of a task, ready for JSON; None if it cannot be seen."""
        return None

    def task_ids(self) -> Collection[str] | None:
        """Return the ids of the tasks that the vendor has; by default those of `task_list`."""
        qpu = self.resource()
        return {info.id for info in qpu.task_list()} if qpu.supports("task_list") else None

    def many_tasks(self, qpu: QuantumResource, number: int) -> list[str]:
        """Make so many tasks, and return their ids; by default they are submitted."""
        return [self.start(qpu, uuid.uuid4().hex) for _ in range(number)]

    def lose_response(self) -> bool:
        """Let the vendor carry out the next submission without a response.

        Returns False if that is impossible. By default `vendor` does it for `submission`.
        """
        vendor = self.vendor()
        if vendor is None or self.submission is None:
            return False
        vendor.fail(self.submission, Faults.lost_after)
        return True

    def finds_submissions(self) -> bool:
        """Return True if a submission without a response is found, by the driver's methods."""
        driver = self.resource()._driver
        return offers(driver, "find_submission") or driver.supports(ChoosesIds)

    # What the tests share

    @pytest.fixture
    def qpu(self) -> QuantumResource:
        """Return the resource under test."""
        return self.resource()

    @pytest.fixture
    def driver(self, qpu: QuantumResource) -> Driver[Any, Any]:
        """Return its driver."""
        return qpu._driver

    def start(
        self,
        qpu: QuantumResource,
        tag: str,
        payload: Payload | None = None,
        options: TaskOptions | None = None,
    ) -> str:
        """Submit a task by its driver, under a tag."""
        return qpu._driver.task_start(
            payload or self.payload(),
            submission=tag,
            acquisition=qpu._acquisitions.current(),
            options=options or TaskOptions(),
        )

    def new_driver(
        self, driver: Driver[Any, Any], resource_id: str | None = None
    ) -> Driver[Any, Any]:
        """Make another driver with the same settings."""
        return type(driver)(
            driver.resource_id if resource_id is None else resource_id,
            driver.resource_type,
            driver.settings,
        )

    def count_requests(self) -> int:
        """Return the number of requests until now; skip the test if that is not known."""
        requests = self.requests()
        if requests is None:
            pytest.skip("the tests do not see the vendor's requests (`requests`, `vendor`)")
        return len(requests)


def needs(qpu: QuantumResource, function: str) -> None:
    """Skip the test if the resource does not support a function."""
    if not offers(qpu._driver, function):
        pytest.skip(f"the resource does not support {function}")
