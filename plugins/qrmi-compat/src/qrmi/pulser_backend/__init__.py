"""The name of `qrmi.pulser` up to release 0.14."""

from qrmi.pulser_backend.backend import (
    PulserQRMIBackend as PulserQRMIBackend,
    PulserQRMIConnection as PulserQRMIConnection,
)
