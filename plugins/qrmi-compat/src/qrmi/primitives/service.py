"""The original location of `QRMIService`."""

from qrmi._core import QRMIService as QRMIService
