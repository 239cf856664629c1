"""What make has prepared before the tests: wheels, and environments with them installed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def _prepared(variable: str) -> Path:
    value = os.environ.get(variable)
    if not value:
        pytest.fail(f"{variable} is not set; `make test` prepares what it names", pytrace=False)
    return Path(value)


@pytest.fixture(scope="session")
def wheels() -> Path:
    """The folder with a source archive and a wheel of every distribution."""
    return _prepared("QRMI_TEST_WHEELS")


@pytest.fixture(scope="session")
def smoke_venv() -> Path:
    """An environment with the wheels of the core and the plugins, and nothing for development."""
    return _prepared("QRMI_TEST_SMOKE_VENV")


@pytest.fixture(scope="session")
def outsider_venv() -> Path:
    """An environment with pytest and the wheels of the core and the example plugin."""
    return _prepared("QRMI_TEST_OUTSIDER_VENV")
