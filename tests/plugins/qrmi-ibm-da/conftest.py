"""A fake quantum computer and its store on loopback."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.resources import Make, resources_of
from support.system_service import SystemService


@pytest.fixture
def service() -> Iterator[SystemService]:
    with SystemService() as service:
        yield service


@pytest.fixture
def make(service: SystemService) -> Iterator[Make]:
    with resources_of("ibm_rensselaer", "ibm-quantum-system", service.settings) as make:
        yield make
