"""The contract of all drivers, with batches and with jobs of CUDA-Q."""

from __future__ import annotations

import pytest

from qrmi_core import Payload, QuantumResource
from qrmi_core.testing import DriverContract
from support.pasqal_service import PASSWORD, SIGNATURE, PasqalService
from support.resources import Make


class _Contract(DriverContract):
    type_strings = ("pasqal-cloud",)
    secrets = (PASSWORD, "token-", SIGNATURE)

    @pytest.fixture(autouse=True)
    def _here(self, service: PasqalService, make: Make) -> None:
        self._make = make

    def resource(self) -> QuantumResource:
        return self._make()

    def _payload(self, name: str) -> Payload:
        return Payload.PasqalCloud({"version": "1", "name": name}, 100)

    def payload(self) -> Payload:
        return self._payload("short")

    def failing_payload(self) -> Payload:
        return self._payload("fail")

    def slow_payload(self) -> Payload:
        return self._payload("endless")


class TestBatches(_Contract):
    pass


class TestBatchesWhoseResultsAreFiles(_Contract):
    @pytest.fixture(autouse=True)
    def _without_the_route(self, service: PasqalService) -> None:
        service.full_results = False


class TestCudaq(_Contract):
    def _payload(self, name: str) -> Payload:
        return Payload.PasqalCloud({"setup": {"name": name}, "hamiltonian": {}}, 100)

    @pytest.mark.skip("jobs of CUDA-Q carry no tag")
    def test_a_submission_is_found_again_by_its_tag(self) -> None:  # type: ignore[override]
        """What is done instead is in test_exchange."""

    @pytest.mark.skip("jobs of CUDA-Q carry no tag")
    def test_options_are_honoured_or_refused(self) -> None:  # type: ignore[override]
        """That the driver refuses them is in test_exchange."""
