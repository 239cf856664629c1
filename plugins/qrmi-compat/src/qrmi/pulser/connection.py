"""Pulser's connection, by default to the resource of the job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qrmi._core import QRMIService
from qrmi._extras import missing

try:
    import qrmi_pulser
except ModuleNotFoundError as error:
    raise missing(error, "pasqal") from error

if TYPE_CHECKING:
    from pulser import Sequence
    from pulser.backend.remote import RemoteResults

    from qrmi_core import QuantumResource


class PulserQRMIConnection(qrmi_pulser.PulserQRMIConnection):
    """Pulser's connection to a resource; see `qrmi_pulser.PulserQRMIConnection`.

    Args:
        qrmi: A resource that accepts `Payload.PasqalCloud`; None for the job's only one.
        timeout: Maximum number of seconds that ``wait=True`` waits; None to wait for ever.

    Raises:
        RuntimeError: No resource of the job is online.
        ValueError: Several resources are online, or the resource does not run pulse sequences.
    """

    def __init__(
        self, qrmi: QuantumResource | None = None, *, timeout: float | None = None
    ) -> None:
        super().__init__(qrmi if qrmi is not None else _of_the_job(), timeout=timeout)

    def submit(
        self,
        sequence: Sequence,
        wait: bool = True,
        open: bool = False,
        batch_id: str | None = None,
        **kwargs: Any,
    ) -> RemoteResults:
        """Submit a batch, and wait for it; see `qrmi_pulser.PulserQRMIConnection.submit`."""
        return super().submit(sequence, wait, open, batch_id, **kwargs)


def _of_the_job() -> QuantumResource:
    found = QRMIService().resources()
    if not found:
        raise RuntimeError("No accessible QRMI resource found in this job")
    if len(found) > 1:
        names = ", ".join(resource.resource_id() for resource in found)
        raise ValueError(f"Multiple QRMI resources are available, name one of them: {names}")
    return found[0]
