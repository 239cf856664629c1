"""The device for which sequences are written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from qrmi._extras import missing

try:
    from pulser.devices import DigitalAnalogDevice

    from qrmi_qiskit import pasqal
except ModuleNotFoundError as error:
    raise missing(error, "pasqal") from error

if TYPE_CHECKING:
    from qrmi_core import QuantumResource


def get_device(qrmi: QuantumResource) -> Any:
    """Return the Pulser device for which to write sequences; see `qrmi_qiskit.pasqal.get_device`.

    For emulators, which have "emu" in their names, it is ``DigitalAnalogDevice``, without a
    request. Their targets list real devices, whose limits do not apply to emulators.

    Raises:
        InvalidResponseError: The target lists no device that Pulser can read.
    """
    if "emu" in qrmi.resource_id().lower():
        return DigitalAnalogDevice
    return pasqal.get_device(qrmi)


def get_target(qrmi: QuantumResource) -> NoReturn:
    """Raise, since an analog device has no Qiskit target.

    Raises:
        NotImplementedError: Always.
    """
    raise NotImplementedError(f"{qrmi.resource_id()} has no Qiskit target; use get_device")
