"""The place of `QRMIService` up to 0.25."""

from qrmi._core import QRMIService as QRMIService
