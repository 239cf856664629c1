"""The sampler of qiskit-pasqal-provider on a resource, with the published options."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from qrmi._extras import missing

try:
    from qrmi_qiskit import pasqal
except ModuleNotFoundError as error:
    raise missing(error, "pasqal") from error
from qrmi._errors import ArgumentError
from qrmi.primitives.base import split
from qrmi.primitives.pasqal.target import get_device

if TYPE_CHECKING:
    from qiskit import QuantumCircuit
    from qiskit.primitives import PrimitiveResult

    from qrmi_core import QuantumResource

_RUN_OPTIONS = ("poll_interval_seconds", "timeout_seconds", "delete_job")


class QRMIPasqalJob(pasqal.QRMIPasqalJob):
    """A pulse-sequence task as a Qiskit job.

    Args:
        qrmi: The resource that has the task.
        job_id: The task's id.
        backend_name: Ignored; the resource provides the name.
        poll_interval_seconds: Ignored; the resource's `polling` applies.
        timeout_seconds: Seconds that `result` waits by default; None to wait for ever.
        delete_job: Ignored: discarding the object neither stops nor deletes the task.
    """

    def __init__(
        self,
        qrmi: QuantumResource,
        job_id: str,
        backend_name: str | None = None,  # noqa: ARG002
        *,
        poll_interval_seconds: float = 1.0,  # noqa: ARG002
        timeout_seconds: float | None = None,
        delete_job: bool = False,  # noqa: ARG002
    ) -> None:
        super().__init__(qrmi, job_id)
        self._timeout = timeout_seconds

    def result(self, timeout: float | None = None) -> PrimitiveResult:
        """Wait for the task, and return its result, which is fetched once.

        Args:
            timeout: Seconds to wait; None for `timeout_seconds`, 0 to poll once.
        """
        return super().result(self._timeout if timeout is None else timeout)


class QRMIPasqalBackend(pasqal.QRMIPasqalBackend):
    """A resource that runs pulse sequences, as a backend for qiskit-pasqal-provider's sampler.

    Args:
        qrmi: A resource that accepts `Payload.PasqalCloud`.
        options: ``default_shots`` (1024) and ``run_options``: ``timeout_seconds`` for the jobs'
            `result`; ``poll_interval_seconds`` and ``delete_job`` are ignored.

    Raises:
        UnsupportedPayloadError: The resource does not run pulse sequences.
        InvalidInputError: An option is unknown.
    """

    def __init__(self, qrmi: QuantumResource, *, options: Mapping[str, Any] | None = None) -> None:
        given, run_options = split(options)
        shots = given.pop("default_shots", pasqal.DEFAULT_SHOTS)
        unknown = [*given, *(name for name in run_options if name not in _RUN_OPTIONS)]
        if unknown:
            raise ArgumentError(
                f"option `{unknown[0]}` is unknown (known: default_shots, run_options with "
                f"{', '.join(_RUN_OPTIONS)})"
            )
        super().__init__(qrmi, default_shots=shots)
        self._run_options = run_options

    @functools.cached_property
    def device(self) -> Any:
        """The Pulser device, which is fetched once; see `get_device`."""
        return get_device(self.resource)

    def run(
        self,
        run_input: QuantumCircuit,
        shots: int | None = None,
        values: Mapping[str, Any] | None = None,
        **_ignored: Any,
    ) -> QRMIPasqalJob:
        """Submit one task; see `qrmi_qiskit.pasqal.QRMIPasqalBackend.run`."""
        job = super().run(run_input, shots, values)
        return QRMIPasqalJob(self.resource, job.job_id(), self.name, **self._run_options)


class QPPSamplerV2(pasqal.SamplerV2):
    """qiskit-pasqal-provider's sampler on a resource.

    Args:
        qrmi: A resource that accepts `Payload.PasqalCloud`.
        options: As for `QRMIPasqalBackend`.
    """

    def __init__(self, qrmi: QuantumResource, *, options: Mapping[str, Any] | None = None) -> None:
        # Skip the options of the class above, whose backend has them here.
        super(pasqal.SamplerV2, self).__init__(QRMIPasqalBackend(qrmi, options=options))
