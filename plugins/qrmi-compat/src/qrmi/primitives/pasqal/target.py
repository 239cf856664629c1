"""The device that sequences are written for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from qrmi._extras import missing

try:
    from qrmi_qiskit.pasqal import get_device as get_device
except ModuleNotFoundError as error:
    raise missing(error, "pasqal") from error

if TYPE_CHECKING:
    from qrmi_core.resource import QuantumResource


def get_target(qrmi: QuantumResource) -> NoReturn:
    """Not there: an analog machine has no target of Qiskit's.

    Raises:
        NotImplementedError: Always.
    """
    raise NotImplementedError(f"{qrmi.resource_id()} has no Qiskit target; use get_device")
