"""A resource of the service on loopback."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from ibm_service import IbmService

from qrmi_core import QuantumResource

Make = Callable[..., QuantumResource]


@pytest.fixture
def service() -> Iterator[IbmService]:
    with IbmService() as service:
        yield service


@pytest.fixture
def make(service: IbmService) -> Iterator[Make]:
    """Makes resources of the service that do not wait long; settings by keyword."""
    made: list[QuantumResource] = []

    def resource(backend: str = "ibm_fez", **settings: str) -> QuantumResource:
        quick = {"QRMI_HTTP_FIRST_PAUSE_SECONDS": "0.01"}
        qpu = QuantumResource(
            backend,
            "ibm-quantum-compute-service",
            service.settings(**quick, **settings),
            sleep=lambda seconds: time.sleep(min(seconds, 0.02)),
        )
        made.append(qpu)
        return qpu

    yield resource
    for qpu in made:
        qpu.close()
