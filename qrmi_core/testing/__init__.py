"""Help for the tests of drivers and of programs that use them.

The contracts need pytest, the others do not. Write ``from qrmi_core.testing import ...``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qrmi_core.testing.clock import FakeClock
from qrmi_core.testing.fake import FakeDriver, FakeVendor
from qrmi_core.testing.loopback import (
    Fault,
    Faults,
    LoopbackVendor,
    VendorRequest,
    VendorResponse,
)

if TYPE_CHECKING:
    from qrmi_core.testing.contract import DriverContract, HttpFaultContract

__all__ = [
    "DriverContract",
    "FakeClock",
    "FakeDriver",
    "FakeVendor",
    "Fault",
    "Faults",
    "HttpFaultContract",
    "LoopbackVendor",
    "VendorRequest",
    "VendorResponse",
]


def __getattr__(name: str) -> object:
    if name not in ("DriverContract", "HttpFaultContract"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import pytest

    # Without this a failing assertion of a contract would not print its values.
    pytest.register_assert_rewrite("qrmi_core.testing.contract")
    from qrmi_core.testing import contract

    found: object = getattr(contract, name)
    return found
