"""Resources that run circuits, and in-memory vendors that record the inputs they receive."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import attrs
import pytest
from qiskit import QuantumCircuit

from qrmi_core import QuantumResource
from qrmi_core.testing import FakeVendor
from qrmi_qiskit import vendor
from support.fakes import fake_resource
from support.local_store import MakeResource, end_store, maker


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeResource]:
    """Make resources of a store that all tests share, so that its worker stays warm."""
    home = tmp_path_factory.mktemp("local") / "store"
    yield maker(home)
    end_store(home)


@pytest.fixture(scope="session")
def aer(local: MakeResource) -> QuantumResource:
    return local("aer")


@attrs.frozen
class Bench:
    """An in-memory vendor and its resource; the target is of another kind than a backend's."""

    vendor: FakeVendor
    qpu: QuantumResource

    @property
    def sent(self) -> list[dict[str, Any]]:
        """The inputs of the tasks, in order."""
        return [json.loads(task.payload.input) for task in self.vendor.tasks.values()]


@pytest.fixture
def bench() -> Bench:
    fake = FakeVendor()
    return Bench(fake, fake_resource(fake))


@pytest.fixture
def bell() -> QuantumCircuit:
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    return circuit


def decoded(part: object) -> Any:
    """Return a part of an input, decoded by the vendor's own reader."""
    return json.loads(json.dumps(part), cls=vendor.find("RuntimeDecoder"))


@pytest.fixture(name="decoded")
def give_decoded() -> Any:
    return decoded
