"""The first place of `QRMIService`."""

from qrmi._core import QRMIService as QRMIService
