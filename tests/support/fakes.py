"""Resources over a vendor in memory, shared by the core's tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qrmi_core import Payload, QuantumResource
from qrmi_core.retry import OnWait
from qrmi_core.testing import FakeClock, FakeVendor

PAYLOAD = Payload.QiskitPrimitive(input="{}", program_id="sampler")


def fake_resource(
    vendor: FakeVendor,
    clock: FakeClock | None = None,
    config: Mapping[str, str] | None = None,
    on_wait: OnWait | None = None,
    **kind: bool,
) -> QuantumResource:
    """A resource whose driver is of the kind that `FakeVendor.driver` takes."""
    clock = clock or FakeClock()
    how: dict[str, Any] = {"clock": clock, "sleep": clock.sleep, "on_wait": on_wait}
    return QuantumResource("fake", "fake", config or {}, driver_class=vendor.driver(**kind), **how)
