"""The contract of all drivers."""

from __future__ import annotations

import os

import pytest

from qrmi_core import Payload, QuantumResource
from qrmi_core.testing import DriverContract, HttpFaultContract
from support.resources import Make
from support.warden import Warden


def sequence(what: str = "completes") -> Payload:
    return Payload.PasqalCloud({"name": what}, 100)


class _Hooks:
    type_strings = ("pasqal-local",)
    secrets = ("MUNGE:",)
    unknown_task_id = "999999"
    submission = "POST jobs"

    @pytest.fixture(autouse=True)
    def _here(self, warden: Warden, make: Make) -> None:
        self._warden = warden
        self._make = make

    def vendor(self) -> Warden:
        return self._warden

    def received(self, task_id: str) -> object:
        return self._warden.jobs[task_id]

    def task_ids(self) -> set[str]:
        return {*self._warden.jobs}

    def payload(self) -> Payload:
        return sequence()

    def failing_payload(self) -> Payload:
        return sequence("fail")

    def slow_payload(self) -> Payload:
        return sequence("endless")


class TestInsideAJob(_Hooks, DriverContract):
    """The scheduler has acquired the resource."""

    requests_of_a_round = 1

    def resource(self) -> QuantumResource:
        session = self._warden.session_for(os.geteuid())
        return self._make(QRMI_JOB_ACQUISITION_TOKEN=session)

    def many_tasks(self, qpu: QuantumResource, number: int) -> list[str]:
        jobs = self._warden.jobs
        job = jobs[qpu.task_start(self.payload())]
        jobs |= {str(id): {**job, "id": id} for id in range(2, number + 2)}
        return [*jobs]


class TestAcquired(_Hooks, DriverContract):
    """Acquired here, as root may whose own the job is."""

    def resource(self) -> QuantumResource:
        qpu = self._make()
        qpu.acquire()
        return qpu


class TestWithSlots(TestAcquired):
    """The newest Warden."""

    @pytest.fixture(autouse=True)
    def _newest(self, warden: Warden) -> None:
        warden.slots = 100


class TestFaults(_Hooks, HttpFaultContract):
    operations = {  # noqa: RUF012
        name: operation
        for name, operation in HttpFaultContract.operations.items()
        if name != "status"
    }
    # Jobs are listed so, and there are none.
    harmless = frozenset({("task_list", "a list")})

    def resource(self) -> QuantumResource:
        session = self._warden.session_for(os.geteuid())
        return self._make(QRMI_JOB_ACQUISITION_TOKEN=session)


class TestFaultsWithSlots(TestFaults):
    operations = {"status": HttpFaultContract.operations["status"]}  # noqa: RUF012
    # Earlier releases of Warden count no slots.
    harmless = frozenset({("status", "404")})

    @pytest.fixture(autouse=True)
    def _newest(self, warden: Warden) -> None:
        warden.slots = 100
