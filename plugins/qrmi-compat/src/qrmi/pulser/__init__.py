"""Pulser's connection to a resource."""

from __future__ import annotations

from qrmi._core import QRMIService as QRMIService

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qrmi.pulser.connection import PulserQRMIConnection as PulserQRMIConnection


def __getattr__(name: str) -> object:
    if name != "PulserQRMIConnection":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from qrmi.pulser.connection import PulserQRMIConnection

    return PulserQRMIConnection


def __dir__() -> list[str]:
    return ["PulserQRMIConnection", "QRMIService"]
