"""Artefacts that make has prepared for the tests: wheels, and environments with them installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.processes import prepared


@pytest.fixture(scope="session")
def wheels() -> Path:
    """Return the folder with a source archive and a wheel of every distribution."""
    return prepared("wheels")


@pytest.fixture(scope="session")
def smoke_venv() -> Path:
    """Return an environment with the wheels of core and plugins, without development tools."""
    return prepared("smoke")


@pytest.fixture(scope="session")
def outsider_venv() -> Path:
    """Return an environment with pytest and the wheels of the core and the example plugin."""
    return prepared("outsider")
