"""A QPU behind Warden on loopback, and a munged for its credentials."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from munged import MISSING, munged
from warden import Warden

from qrmi_core import QuantumResource

Make = Callable[..., QuantumResource]


@pytest.fixture(scope="session")
def munge_socket() -> Iterator[Path]:
    """The socket of a munged that runs."""
    if MISSING:
        pytest.skip(MISSING)
    with munged() as socket:
        yield socket


@pytest.fixture
def warden(munge_socket: Path) -> Iterator[Warden]:
    with Warden(munge_socket) as warden:
        yield warden


@pytest.fixture
def make(warden: Warden) -> Iterator[Make]:
    """Makes resources behind the Warden that do not wait long; settings by keyword."""
    made: list[QuantumResource] = []

    def resource(**settings: str) -> QuantumResource:
        quick = {"QRMI_HTTP_FIRST_PAUSE_SECONDS": "0.01"}
        qpu = QuantumResource(
            "PASQAL_LOCAL",
            "pasqal-local",
            warden.settings(**quick, **settings),
            sleep=lambda seconds: time.sleep(min(seconds, 0.02)),
        )
        made.append(qpu)
        return qpu

    yield resource
    for qpu in made:
        qpu.close()
