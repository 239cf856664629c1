"""A device of the service on loopback."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.pasqal_service import PasqalService
from support.resources import Make, resources_of


@pytest.fixture
def service() -> Iterator[PasqalService]:
    with PasqalService() as service:
        yield service


@pytest.fixture
def make(service: PasqalService) -> Iterator[Make]:
    with resources_of("FRESNEL", "pasqal-cloud", service.settings) as make:
        yield make
