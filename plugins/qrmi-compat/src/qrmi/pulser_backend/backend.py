"""The connection under its older name, and the backend that went with it."""

from __future__ import annotations

from qrmi.pulser.connection import PulserQRMIConnection as PulserQRMIConnection

# The connection has found Pulser.
from pulser.backend.qpu import QPUBackend as PulserQRMIBackend  # isort: skip

__all__ = ["PulserQRMIBackend", "PulserQRMIConnection"]
