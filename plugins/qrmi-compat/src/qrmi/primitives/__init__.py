"""Qiskit's primitives for a resource: `qrmi.primitives.ibm` and `qrmi.primitives.pasqal`.

`QRMIService` needs no Qiskit; all other names import Qiskit on first use.
"""

from __future__ import annotations

from qrmi._core import QRMIService as QRMIService

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qrmi.primitives.base import (
        QRMIBaseEstimatorV2 as QRMIBaseEstimatorV2,
        QRMIBaseSamplerV2 as QRMIBaseSamplerV2,
        RuntimeJobV2 as RuntimeJobV2,
    )

_LAZY = ("QRMIBaseEstimatorV2", "QRMIBaseSamplerV2", "RuntimeJobV2")


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from qrmi.primitives import base

    return getattr(base, name)


def __dir__() -> list[str]:
    return ["QRMIService", *_LAZY]
