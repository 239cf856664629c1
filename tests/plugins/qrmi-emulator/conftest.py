"""An emulator for the tests of a file, and the environment with the published clients."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from qrmi_emulator import Emulator
from support.processes import prepared
from support.runtime_client import Client


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator(session_idle_seconds=0.3) as running:
        yield running


@pytest.fixture
def client(emulator: Emulator) -> Iterator[Client]:
    emulator.clear_faults()
    emulator.clear_requests()
    made = Client(emulator)
    yield made
    made.http.close()
    emulator.clear_faults()
    emulator.change(plan="premium", usage_limit_seconds=None, submissions_per_minute=None)


@pytest.fixture(scope="session")
def peers() -> Path:
    """Python of the environment with the published clients."""
    return prepared("peers") / "bin/python"
