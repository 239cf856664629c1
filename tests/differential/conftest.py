"""Machines for the generated circuits and sequences."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from qrmi_core import QuantumResource
from qrmi_emulator import Emulator
from support.differential import COMPARED
from support.local_store import end_store
from support.resources import quick

SERVICE = "ibm-quantum-compute-service"

MakeResource = Callable[[str], QuantumResource]


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeResource]:
    """Make resources of a store that all tests share, so that its workers stay warm."""
    home = tmp_path_factory.mktemp("differential") / "store"
    settings = {"QRMI_LOCAL_HOME": str(home), "QRMI_LOCAL_IDLE_SECONDS": "30"}
    yield lambda name: quick(name, "local", settings)
    end_store(home)


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    with Emulator() as running:
        yield running


@pytest.fixture(scope="session")
def service(emulator: Emulator) -> MakeResource:
    """Make resources of IBM's service, as emulated."""
    settings = emulator.settings_for(SERVICE) | {"QRMI_IBM_QCS_SESSION_MODE": "batch"}
    return lambda name: quick(name, SERVICE, settings)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if COMPARED:
        found = ", ".join(f"{count} {kind}" for kind, count in sorted(COMPARED.items()))
        terminalreporter.write_line(f"compared: {found}")
