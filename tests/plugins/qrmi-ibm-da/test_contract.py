"""The contract of all drivers."""

from __future__ import annotations

import json

import pytest

from qrmi_core import QuantumResource
from support.ibm_service import SamplerContract
from support.resources import Make
from support.system_service import ACCESS_KEY, KEY, SECRET_KEY, SystemService


class TestSystem(SamplerContract):
    type_strings = ("ibm-quantum-system", "direct-access")
    secrets = (KEY, SECRET_KEY, ACCESS_KEY, "token-", "X-Amz-Signature", "X-Amz-Credential")
    stop_deletes = True
    submission = "POST jobs"

    @pytest.fixture(autouse=True)
    def _here(self, service: SystemService, make: Make) -> None:
        self._make = make
        self._service = service

    def resource(self) -> QuantumResource:
        return self._make()

    def wrong_credentials(self) -> QuantumResource:
        return self._make(IAM_APIKEY="a-wrong-key")

    def vendor(self) -> SystemService:
        return self._service

    def received(self, task_id: str) -> object:
        content = self._service.objects[f"input_{task_id}.json"]
        return [json.loads(self._service.bodies[-1]), json.loads(content)]

    def task_ids(self) -> set[str]:
        return {*self._service.jobs}
