"""Where `QRMIService` was first."""

from qrmi._core import QRMIService as QRMIService
