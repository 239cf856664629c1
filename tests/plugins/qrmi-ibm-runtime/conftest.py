"""A resource of the fake service on loopback."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.ibm_service import IbmService
from support.resources import Make, resources_of


@pytest.fixture
def service() -> Iterator[IbmService]:
    with IbmService() as service:
        yield service


@pytest.fixture
def make(service: IbmService) -> Iterator[Make]:
    with resources_of("ibm_fez", "ibm-quantum-compute-service", service.settings) as make:
        yield make
