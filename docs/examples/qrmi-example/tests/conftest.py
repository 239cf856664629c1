"""Fixtures: the service, and a maker of resources."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from coin_service import TOKEN, CoinService
from qrmi_core import QuantumResource

MakeCoin = Callable[..., QuantumResource]


@pytest.fixture
def service() -> Iterator[CoinService]:
    """Run the service on loopback."""
    with CoinService() as service:
        yield service


@pytest.fixture
def coin(service: CoinService) -> MakeCoin:
    """Return a function that makes resources of that service."""

    def make(name: str = "heads", token: str = TOKEN) -> QuantumResource:
        settings = {"QRMI_COIN_ENDPOINT": service.url, "QRMI_COIN_TOKEN": token}
        return QuantumResource(name, "coin", settings)

    return make
