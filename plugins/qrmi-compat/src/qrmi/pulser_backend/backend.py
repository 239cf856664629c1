"""The connection under its former name, and the backend of that time."""

from __future__ import annotations

from qrmi.pulser.connection import PulserQRMIConnection as PulserQRMIConnection

# That import has checked for Pulser.
from pulser.backend.qpu import QPUBackend as PulserQRMIBackend  # isort: skip

__all__ = ["PulserQRMIBackend", "PulserQRMIConnection"]
