"""Qiskit's primitives, backends and targets on any QRMI resource that takes them.

Qiskit is imported with it, qiskit-ibm-runtime when it is first needed, and Pasqal's packages by
`qrmi_qiskit.pasqal` alone.
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
