"""The contract of all drivers."""

from __future__ import annotations

import json

import pytest

from qrmi_core import QuantumResource
from support.ibm_service import KEY, IbmService, SamplerContract
from support.resources import Make


class _Contract(SamplerContract):
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


class TestDedicated(_Contract):
    pass


class TestBatch(_Contract):
    mode = "batch"


class TestJob(_Contract):
    mode = "job"
