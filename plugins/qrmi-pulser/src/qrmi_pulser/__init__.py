"""Pulser's remote connection for any QRMI resource that accepts pulse sequences."""

from qrmi_core import InvalidArgumentError
from qrmi_pulser.connection import PulserQRMIConnection
from qrmi_pulser.errors import MissingResultsError, UnsupportedError

__all__ = [
    "InvalidArgumentError",
    "MissingResultsError",
    "PulserQRMIConnection",
    "UnsupportedError",
]
