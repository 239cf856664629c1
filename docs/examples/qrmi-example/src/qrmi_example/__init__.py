"""QRMI plugin for Coin, an imaginary service that flips coins."""

from qrmi_example.payload import Coin

__all__ = ["Coin"]
