"""The contract tests of drivers."""

from __future__ import annotations

import json

import pytest

from qrmi_core import QuantumResource
from qrmi_core.testing import DriverContract, HttpFaultContract
from support.ibm_service import KEY, IbmService, SamplerHooks, error
from support.resources import Make


class _Hooks(SamplerHooks):
    type_strings = ("ibm-quantum-compute-service", "qiskit-runtime-service")
    secrets = (KEY, "token-")
    unknown_task_id = "d93e0000000000000000"
    submission = "POST jobs"
    mode = "dedicated"

    @pytest.fixture(autouse=True)
    def _here(self, service: IbmService, make: Make) -> None:
        self._make = make
        self._service = service

    def resource(self) -> QuantumResource:
        return self._make(SESSION_MODE=self.mode)

    def wrong_credentials(self) -> QuantumResource:
        return self._make(SESSION_MODE=self.mode, IAM_APIKEY="a-wrong-key")

    def vendor(self) -> IbmService:
        return self._service

    def received(self, task_id: str) -> object:
        return json.loads(self._service.bodies[-1])

    def task_ids(self) -> set[str]:
        return {*self._service.jobs}


class TestDedicated(_Hooks, DriverContract):
    pass


class TestBatch(_Hooks, DriverContract):
    mode = "batch"


class TestJob(_Hooks, DriverContract):
    mode = "job"
    requests_of_a_round = 3  # pages of 200 tasks


class TestFaults(_Hooks, HttpFaultContract):
    operations = HttpFaultContract.operations | {
        "release cancelling": lambda tests, qpu, _id: qpu.release(tests.token, cancel_pending=True),
    }
    faults = HttpFaultContract.faults | {
        "503 in words": error(503, 9707, "temporary", solution="try again"),
        "401 in words": error(401, 1201, "expired"),
    }
    survived = HttpFaultContract.survived | {"401", "503 in words", "401 in words"}

    def expire_credentials(self) -> bool:
        self._service.tokens.clear()
        return True
