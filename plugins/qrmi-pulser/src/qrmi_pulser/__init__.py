"""Pulser's remote connection on any QRMI resource that takes pulse sequences."""

from qrmi_core import InvalidArgumentError
from qrmi_pulser.connection import PulserQRMIConnection
from qrmi_pulser.errors import MissingResultsError, UnsupportedError

__all__ = [
    "InvalidArgumentError",
    "MissingResultsError",
    "PulserQRMIConnection",
    "UnsupportedError",
]
