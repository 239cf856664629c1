"""A QPU behind Warden on loopback, and a munged for its credentials."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.munged import MISSING, munged
from support.resources import Make, resources_of
from support.warden import Warden


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
    with resources_of("PASQAL_LOCAL", "pasqal-local", warden.settings) as make:
        yield make
