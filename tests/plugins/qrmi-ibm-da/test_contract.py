"""The contract tests of drivers."""

from __future__ import annotations

import json
import uuid

import pytest

from qrmi_core import QuantumResource
from qrmi_core.testing import DriverContract, HttpFaultContract
from support.ibm_service import SamplerHooks
from support.resources import Make
from support.system_service import ACCESS_KEY, KEY, SECRET_KEY, SystemService, s3_error

STORE_FAULTS = {
    "denied": s3_error(403, "AccessDenied"),
    "bad key": s3_error(403, "SignatureDoesNotMatch"),
    "expired": s3_error(403, "AccessDenied", "Request has expired"),
    "slow down": s3_error(503, "SlowDown"),
    "internal": s3_error(500, "InternalError"),
    "no bucket": s3_error(404, "NoSuchBucket"),
}


class _Hooks(SamplerHooks):
    type_strings = ("ibm-quantum-system", "direct-access")
    secrets = (KEY, SECRET_KEY, ACCESS_KEY, "token-")
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


class TestSystem(_Hooks, DriverContract):
    requests_of_a_round = 1

    def many_tasks(self, qpu: QuantumResource, number: int) -> list[str]:
        # The service has lanes for a few at a time; its list has the ended ones too.
        job = self._service.jobs[qpu.task_start(self.payload())]
        ids = [str(uuid.uuid4()) for _ in range(number)]
        for task_id in ids:
            told = {**job["told"], "id": task_id}
            self._service.jobs[task_id] = {**job, "told": told}
        return ids


class TestFaults(_Hooks, HttpFaultContract):
    faults = HttpFaultContract.faults | STORE_FAULTS
    # Listed backends have no details, and older releases have no lanes.
    harmless = frozenset(("discover", fault) for fault in HttpFaultContract.faults) | {
        ("status", "404")
    }

    @pytest.fixture(autouse=True)
    def _with_room(self, service: SystemService) -> None:
        service.lanes = 1_000_000

    def meets(self, kind: str, fault: str) -> bool:
        return kind.startswith("S3") or fault not in STORE_FAULTS

    def resource(self) -> QuantumResource:
        return self._make(S3_DELETE_OBJECTS="true")

    def expire_credentials(self) -> bool:
        self._service.tokens.clear()
        return True
