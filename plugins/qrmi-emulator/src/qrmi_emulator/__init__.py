"""Vendors' REST APIs on loopback, executing for real, with faults on demand."""

from qrmi_emulator.server import Emulator as Emulator

__all__ = ["Emulator"]
