"""The contract of all drivers, for both simulators."""

from __future__ import annotations

from typing import Any

import pytest

from qrmi_core import Payload, QuantumResource
from qrmi_core.testing import DriverContract


class TestLocalDriver(DriverContract):
    type_strings = ("local",)

    @pytest.fixture(autouse=True)
    def _here(self, warm: Any, bell: Payload, bad: Payload, slow: Payload) -> None:
        self._make, self._bell, self._bad, self._slow = warm, bell, bad, slow

    def resource(self) -> QuantumResource:
        resource: QuantumResource = self._make()
        return resource

    def payload(self) -> Payload:
        return self._bell

    def failing_payload(self) -> Payload:
        return self._bad

    def slow_payload(self) -> Payload:
        return self._slow
