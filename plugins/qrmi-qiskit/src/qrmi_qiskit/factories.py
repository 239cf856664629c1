"""Backend factories for resources without Qiskit's primitives, in the group ``qrmi.qiskit``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qrmi_core import QuantumResource
    from qrmi_qiskit.pasqal import QRMIPasqalBackend


def pasqal_backend(resource: QuantumResource, **options: Any) -> QRMIPasqalBackend:
    """Return a resource that accepts pulse sequences as a backend; see `QRMIPasqalBackend`.

    Raises:
        ModuleNotFoundError: The extra ``pasqal`` is not installed.
    """
    from qrmi_qiskit.pasqal import QRMIPasqalBackend

    return QRMIPasqalBackend(resource, **options)
