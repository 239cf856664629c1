"""Stores in temporary folders, small circuits, and waiting for conditions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from qrmi_core import Payload
from support.local_store import MakeResource, end_store, maker

HEAD = 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'


class Until(Protocol):
    def __call__(self, condition: Callable[[], Any], seconds: float = 30.0) -> Any: ...


def sampler(circuit: str, shots: int = 100) -> Payload:
    document = {"pubs": [[circuit, None, shots]], "version": 2, "options": {}}
    return Payload.QiskitPrimitive(input=document, program_id="sampler")


@pytest.fixture(scope="session")
def until() -> Until:
    """Wait until a condition holds, and give its value."""

    def wait(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
        end = time.monotonic() + seconds
        while not (value := condition()):
            assert time.monotonic() < end, f"it did not hold within {seconds} s"
            time.sleep(0.01)
        return value

    return wait


@pytest.fixture(scope="session")
def bell() -> Payload:
    """A circuit that takes milliseconds."""
    return sampler(
        HEAD + "bit[2] c;\nqubit[2] q;\nh q[0];\ncx q[0], q[1];\n"
        "c[0] = measure q[0];\nc[1] = measure q[1];\n"
    )


@pytest.fixture(scope="session")
def slow() -> Payload:
    """A circuit that takes hours: every shot is a simulation of its own."""
    rounds = "c[0] = measure q[0];\nreset q[1];\nh q[0];\nh q[1];\n" * 40
    return sampler(HEAD + "bit[1] c;\nqubit[18] q;\nh q;\n" + rounds, shots=1_000_000)


@pytest.fixture(scope="session")
def bad() -> Payload:
    """An input that only the simulator finds to be wrong."""
    return sampler(HEAD + "qubit[1] q;\nno_such_gate q[0];\n")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """Return the folder of a new store."""
    yield tmp_path / "store"
    end_store(tmp_path / "store")


@pytest.fixture
def make_resource(home: Path) -> MakeResource:
    """Make resources of the test's own store."""
    return maker(home)


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeResource]:
    """Make resources of a store that the module's tests share, so that its worker is warm."""
    home = tmp_path_factory.mktemp("warm") / "store"
    yield maker(home)
    end_store(home)
