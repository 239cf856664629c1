"""A quantum computer and its store on loopback."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from system_service import SystemService

from qrmi_core import QuantumResource

Make = Callable[..., QuantumResource]


@pytest.fixture
def service() -> Iterator[SystemService]:
    with SystemService() as service:
        yield service


@pytest.fixture
def make(service: SystemService) -> Iterator[Make]:
    """Makes resources of the service that do not wait long; settings by keyword."""
    made: list[QuantumResource] = []

    def resource(backend: str = "ibm_rensselaer", **settings: str) -> QuantumResource:
        quick = {"QRMI_HTTP_FIRST_PAUSE_SECONDS": "0.01"}
        qpu = QuantumResource(
            backend,
            "ibm-quantum-system",
            service.settings(**{**quick, **settings}),
            sleep=lambda seconds: time.sleep(min(seconds, 0.02)),
        )
        made.append(qpu)
        return qpu

    yield resource
    for qpu in made:
        qpu.close()
