"""Resources at an in-memory vendor, for the core's tests."""

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
    """Return a resource with a driver of a kind that `FakeVendor.driver` accepts."""
    clock = clock or FakeClock()
    how: dict[str, Any] = {"clock": clock, "sleep": clock.sleep, "on_wait": on_wait}
    return QuantumResource("fake", "fake", config or {}, driver_class=vendor.driver(**kind), **how)
