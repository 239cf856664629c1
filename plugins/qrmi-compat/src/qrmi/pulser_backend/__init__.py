"""What `qrmi.pulser` was called up to 0.14."""

from qrmi.pulser_backend.backend import (
    PulserQRMIBackend as PulserQRMIBackend,
    PulserQRMIConnection as PulserQRMIConnection,
)
