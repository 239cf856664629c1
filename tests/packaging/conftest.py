"""What make has prepared before the tests: wheels, and environments with them installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.processes import prepared


@pytest.fixture(scope="session")
def wheels() -> Path:
    """The folder with a source archive and a wheel of every distribution."""
    return prepared("wheels")


@pytest.fixture(scope="session")
def smoke_venv() -> Path:
    """An environment with the wheels of the core and the plugins, and nothing for development."""
    return prepared("smoke")


@pytest.fixture(scope="session")
def outsider_venv() -> Path:
    """An environment with pytest and the wheels of the core and the example plugin."""
    return prepared("outsider")
