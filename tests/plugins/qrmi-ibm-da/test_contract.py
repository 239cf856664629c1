"""The contract of all drivers."""

from __future__ import annotations

import pytest

from qrmi_core import QuantumResource
from support.ibm_service import SamplerContract
from support.resources import Make
from support.system_service import ACCESS_KEY, KEY, SECRET_KEY, SystemService


class TestSystem(SamplerContract):
    type_strings = ("ibm-quantum-system", "direct-access")
    secrets = (KEY, SECRET_KEY, ACCESS_KEY, "token-", "X-Amz-Signature", "X-Amz-Credential")
    stop_deletes = True

    @pytest.fixture(autouse=True)
    def _here(self, service: SystemService, make: Make) -> None:
        self._make = make

    def resource(self) -> QuantumResource:
        return self._make()
