"""The location of `QRMIService` up to release 0.25."""

from qrmi._core import QRMIService as QRMIService
