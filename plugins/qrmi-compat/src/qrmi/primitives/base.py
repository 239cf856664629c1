"""The primitives of `qrmi_qiskit` with the published options and defaults."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from qrmi._extras import missing

try:
    import qrmi_qiskit
    from qrmi_qiskit import EstimatorOptions, PrimitiveJob, SamplerOptions
except ModuleNotFoundError as error:
    raise missing(error, "ibm") from error

if TYPE_CHECKING:
    from qiskit.primitives.containers.estimator_pub import EstimatorPubLike
    from qiskit.primitives.containers.sampler_pub import SamplerPubLike

    from qrmi_core.resource import QuantumResource

DEFAULT_SHOTS: Final = 1024
"""Of a circuit, where nothing else says how many."""

DEFAULT_PRECISION: Final = 0.015625
"""Of an estimate, where nothing else says which."""


class RuntimeJobV2(PrimitiveJob):
    """A primitive's task as Qiskit's job.

    Args:
        qrmi: The resource that has the task.
        job_id: The task's id.
        delete_job: Without effect: dropping the object neither stops nor deletes the task.
    """

    def __init__(
        self,
        qrmi: QuantumResource,
        job_id: str,
        *,
        delete_job: bool = False,  # noqa: ARG002
    ) -> None:
        super().__init__(qrmi, job_id)


class QRMIBaseSamplerV2(qrmi_qiskit.SamplerV2):
    """Samples the classical registers of circuits.

    Args:
        qrmi: A resource that takes `Payload.QiskitPrimitive`.
        options: ``default_shots`` (1024), ``run_options``, and whatever qiskit-ibm-runtime has;
            ``run_options`` are such options too.

    Raises:
        UnsupportedPayloadError: The resource does not run primitives.
        InvalidInputError: An option is unknown or wrong.
    """

    def __init__(
        self,
        qrmi: QuantumResource,
        *,
        options: SamplerOptions | Mapping[str, Any] | None = None,
    ) -> None:
        if not isinstance(options, SamplerOptions):
            options = merged(options, {"default_shots": DEFAULT_SHOTS})
        super().__init__(qrmi, options=options)

    def run(self, pubs: Iterable[SamplerPubLike], *, shots: int | None = None) -> RuntimeJobV2:
        """Submit one task; see `qrmi_qiskit.SamplerV2.run`."""
        return self.job(super().run(pubs, shots=shots).job_id())

    def job(self, job_id: str) -> RuntimeJobV2:
        """The job of an id, also one that another process started; costs no request."""
        return RuntimeJobV2(self.resource, job_id)


class QRMIBaseEstimatorV2(qrmi_qiskit.EstimatorV2):
    """Estimates expectation values of observables.

    Args:
        qrmi: A resource that takes `Payload.QiskitPrimitive`.
        options: ``default_precision`` (0.015625), ``run_options``, and whatever qiskit-ibm-runtime
            has; ``run_options`` are such options too.

    Raises:
        UnsupportedPayloadError: The resource does not run primitives.
        InvalidInputError: An option is unknown or wrong.
    """

    def __init__(
        self,
        qrmi: QuantumResource,
        *,
        options: EstimatorOptions | Mapping[str, Any] | None = None,
    ) -> None:
        if not isinstance(options, EstimatorOptions):
            options = merged(options, {"default_precision": DEFAULT_PRECISION})
        super().__init__(qrmi, options=options)

    def run(
        self, pubs: Iterable[EstimatorPubLike], *, precision: float | None = None
    ) -> RuntimeJobV2:
        """Submit one task; see `qrmi_qiskit.EstimatorV2.run`."""
        return self.job(super().run(pubs, precision=precision).job_id())

    def job(self, job_id: str) -> RuntimeJobV2:
        """The job of an id, also one that another process started; costs no request."""
        return RuntimeJobV2(self.resource, job_id)


def merged(options: Mapping[str, Any] | None, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """One mapping of options: ``run_options``, over them the defaults, over them the rest.

    Raises:
        TypeError: The options are no mapping.
    """
    given, run_options = split(options)
    return {**run_options, **defaults, **given}


def split(options: Mapping[str, Any] | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options without ``run_options``, and those.

    Raises:
        TypeError: They are no mappings.
    """
    given = options if options is not None else {}
    if not isinstance(given, Mapping):
        raise TypeError(f"options must be a mapping, not {type(given).__name__}")
    run_options = given.get("run_options")
    if run_options is None:
        run_options = {}
    if not isinstance(run_options, Mapping):
        raise TypeError(f"run_options must be a mapping, not {type(run_options).__name__}")
    return {name: given[name] for name in given if name != "run_options"}, dict(run_options)
