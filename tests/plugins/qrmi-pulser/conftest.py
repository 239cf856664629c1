"""An in-memory vendor that accepts pulse sequences, and sequences for it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from pulser import Pulse, Register, Sequence
from pulser.devices import AnalogDevice

from qrmi_core import Payload, QuantumResource
from qrmi_core.driver import Driver
from qrmi_core.testing import FakeClock, FakeVendor
from qrmi_pulser import PulserQRMIConnection

TARGET = json.dumps([{"device_type": "MACHINE", "specs": AnalogDevice.to_abstract_repr()}]).encode()


def pulse(device: Any = AnalogDevice, *, measure: bool = True, variable: bool = False) -> Sequence:
    """Return two distant atoms, excited by a pulse of area pi or of variable amplitude."""
    register = Register({"left": (0, 0), "right": (0, 20)})
    if getattr(device, "requires_layout", False):
        register = register.with_automatic_layout(device)
    sequence = Sequence(register, device)
    sequence.declare_channel("rydberg", "rydberg_global")
    amplitude = sequence.declare_variable("amplitude") if variable else math.pi
    sequence.add(Pulse.ConstantPulse(1000, amplitude, 0.0, 0.0), "rydberg")
    if measure:
        sequence.measure("ground-rydberg")
    return sequence


@pytest.fixture(name="pulse")
def give_pulse() -> Callable[..., Sequence]:
    return pulse


@attrs.define(slots=False)
class Bench:
    """An in-memory vendor, its resource (a QPU by default) and a connection to it."""

    name: str = "MACHINE"
    target: bytes | None = TARGET
    timeout: float | None = None
    batched: bool = False
    vendor: FakeVendor = attrs.field(factory=lambda: FakeVendor(result=b'{"counter":{"01":3}}'))
    clock: FakeClock = attrs.field(factory=FakeClock)

    def __attrs_post_init__(self) -> None:
        driver = self.vendor.driver(batched=self.batched)
        driver.payloads = (Payload.PasqalCloud,)
        if self.target is None:
            driver.target = Driver.target  # type: ignore[method-assign]
        else:

            def target(_self: Driver) -> bytes:
                self.vendor.called("target")
                assert self.target is not None
                return self.target

            driver.target = target  # type: ignore[method-assign, assignment]
        how: dict[str, Any] = {"clock": self.clock, "sleep": self.clock.sleep}
        self.qpu = QuantumResource(self.name, "fake", {}, driver_class=driver, **how)
        self.connection = self.connect()

    def connect(self) -> PulserQRMIConnection:
        """Return a new connection, which has no memory of past batches."""
        return PulserQRMIConnection(self.qpu, timeout=self.timeout)

    @property
    def sent(self) -> list[tuple[dict[str, Any], int]]:
        """The sequence and the number of runs of each task."""
        payloads = [task.payload for task in self.vendor.tasks.values()]
        assert all(isinstance(payload, Payload.PasqalCloud) for payload in payloads)
        return [(json.loads(payload.sequence), payload.job_runs) for payload in payloads]  # type: ignore[attr-defined]


@pytest.fixture
def make_bench() -> Callable[..., Bench]:
    return Bench


@pytest.fixture
def bench() -> Bench:
    return Bench()
