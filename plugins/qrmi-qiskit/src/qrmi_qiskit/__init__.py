"""Qiskit's primitives, backends and targets for any QRMI resource that accepts them.

Importing this package imports Qiskit. qiskit-ibm-runtime is imported on first use, and Pasqal's
packages only by `qrmi_qiskit.pasqal`.
"""

from qrmi_core import InvalidArgumentError
from qrmi_qiskit.backend import QRMIBackend, get_backend, get_target
from qrmi_qiskit.job import PrimitiveJob, TaskJob
from qrmi_qiskit.options import EstimatorOptions, SamplerOptions
from qrmi_qiskit.primitives import EstimatorV2, SamplerV2

__all__ = [
    "EstimatorOptions",
    "EstimatorV2",
    "InvalidArgumentError",
    "PrimitiveJob",
    "QRMIBackend",
    "SamplerOptions",
    "SamplerV2",
    "TaskJob",
    "get_backend",
    "get_target",
]
