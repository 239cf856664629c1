"""A device of the service on loopback."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from pasqal_service import PasqalService

from qrmi_core import QuantumResource

Make = Callable[..., QuantumResource]


@pytest.fixture
def service() -> Iterator[PasqalService]:
    with PasqalService() as service:
        yield service


@pytest.fixture
def make(service: PasqalService) -> Iterator[Make]:
    """Makes resources of the service that do not wait long; settings by keyword."""
    made: list[QuantumResource] = []

    def resource(device: str = "FRESNEL", **settings: str) -> QuantumResource:
        quick = {"QRMI_HTTP_FIRST_PAUSE_SECONDS": "0.01"}
        qpu = QuantumResource(
            device,
            "pasqal-cloud",
            service.settings(**quick, **settings),
            sleep=lambda seconds: time.sleep(min(seconds, 0.02)),
        )
        made.append(qpu)
        return qpu

    yield resource
    for qpu in made:
        qpu.close()
