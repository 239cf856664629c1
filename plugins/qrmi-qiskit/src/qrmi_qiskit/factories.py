"""Backends of resources that do not take Qiskit's primitives, for the group ``qrmi.qiskit``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qrmi_core import QuantumResource
    from qrmi_qiskit.pasqal import QRMIPasqalBackend


def pasqal_backend(resource: QuantumResource, **options: Any) -> QRMIPasqalBackend:
    """Return a resource that takes pulse sequences as a backend; see `QRMIPasqalBackend`.

    Raises:
        ModuleNotFoundError: The extra ``pasqal`` is not installed.
    """
    from qrmi_qiskit.pasqal import QRMIPasqalBackend

    return QRMIPasqalBackend(resource, **options)
