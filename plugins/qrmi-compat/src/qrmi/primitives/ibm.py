"""Primitives, backend and target of resources that accept Qiskit's primitives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qrmi.primitives.base import QRMIBaseEstimatorV2, QRMIBaseSamplerV2

if TYPE_CHECKING:
    from qiskit.transpiler import Target

    from qrmi_core import QuantumResource
    from qrmi_qiskit import QRMIBackend


class SamplerV2(QRMIBaseSamplerV2):
    """The sampler; see `QRMIBaseSamplerV2`."""


class EstimatorV2(QRMIBaseEstimatorV2):
    """The estimator; see `QRMIBaseEstimatorV2`."""


def get_backend(qrmi: QuantumResource, use_fractional_gates: bool = False) -> QRMIBackend:
    """Fetch a resource's description and return a backend; see `qrmi_qiskit.QRMIBackend`."""
    import qrmi_qiskit

    return qrmi_qiskit.QRMIBackend(qrmi, use_fractional_gates=use_fractional_gates)


def get_target(qrmi: QuantumResource) -> Target:
    """Return the target of the backend that `get_backend` returns."""
    return get_backend(qrmi).target
