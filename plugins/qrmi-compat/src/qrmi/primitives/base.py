"""The primitives of `qrmi_qiskit` with the published options and defaults."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from qrmi._errors import ArgumentError
from qrmi._extras import missing
from qrmi._types import type_string
from qrmi_core import InvalidArgumentError, QrmiError, TaskCancelledError, TaskFailedError
from qrmi_core.plugin import Deadline, recast, within

try:
    import qrmi_qiskit
    from qrmi_qiskit import EstimatorOptions, PrimitiveJob, SamplerOptions
except ModuleNotFoundError as error:
    raise missing(error, "ibm") from error

if TYPE_CHECKING:
    from qiskit.primitives import PrimitiveResult
    from qiskit.primitives.containers.estimator_pub import EstimatorPubLike
    from qiskit.primitives.containers.sampler_pub import SamplerPubLike

    from qrmi_core import QuantumResource, Task

_log = logging.getLogger(__name__)

_CLEANUP_SECONDS: Final = 5.0

DEFAULT_SHOTS: Final = 1024
"""The default number of shots of a circuit."""

DEFAULT_PRECISION: Final = 0.015625
"""The default precision of an estimate."""


_STOP_DELETES: Final = ("ibm-quantum-system", "direct-access")
"""Types of resources where an ended task occupies a slot until it is stopped."""


class RuntimeJobV2(PrimitiveJob):
    """A task of a primitive as a Qiskit job.

    Args:
        qrmi: The resource that has the task.
        job_id: The task's id.
        delete_job: True to delete the task at an IBM Quantum System when the object is discarded or
            the program ends, if `result` has reported the task's end. An unfinished task is never
            stopped.
    """

    def __init__(self, qrmi: QuantumResource, job_id: str, *, delete_job: bool = False) -> None:
        super().__init__(qrmi, job_id)
        self._told = threading.Event()
        if delete_job and type_string(qrmi.resource_type()) in _STOP_DELETES:
            weakref.finalize(self, _free_place, self.task, self._told)

    def result(self, timeout: float | None = None) -> PrimitiveResult:
        """Wait for the task, and return its result; see `qrmi_qiskit.PrimitiveJob.result`."""
        try:
            found = super().result(timeout)
        except (TaskFailedError, TaskCancelledError):
            self._told.set()
            raise
        self._told.set()
        return found


def _free_place(task: Task, told: threading.Event) -> None:
    if not told.is_set():
        return
    try:
        with within(Deadline(_CLEANUP_SECONDS), extend=True):
            task.stop()
    except QrmiError as error:
        _log.warning("task %s has ended and still holds its place: %s", task.id, error)


class QRMIBaseSamplerV2(qrmi_qiskit.SamplerV2):
    """A sampler: samples the classical registers of circuits.

    Args:
        qrmi: A resource that accepts `Payload.QiskitPrimitive`.
        options: ``default_shots`` (1024), all options of qiskit-ibm-runtime, and ``run_options``, a
            mapping of further such options.

    Raises:
        UnsupportedPayloadError: The resource does not run primitives.
        InvalidInputError: An option is unknown or wrong; also a TypeError and ValueError.
    """

    def __init__(
        self,
        qrmi: QuantumResource,
        *,
        options: SamplerOptions | Mapping[str, Any] | None = None,
    ) -> None:
        given = options
        if not isinstance(options, SamplerOptions):
            options = merged(options, {"default_shots": DEFAULT_SHOTS})
        try:
            super().__init__(qrmi, options=options)
        except InvalidArgumentError as error:
            raise recast(error, ArgumentError) from error
        refuse_unknown(given, type(self.options))

    def run(self, pubs: Iterable[SamplerPubLike], *, shots: int | None = None) -> RuntimeJobV2:
        """Submit one task; see `qrmi_qiskit.SamplerV2.run`."""
        job_id = super().run(pubs, shots=shots).job_id()
        return RuntimeJobV2(self.resource, job_id, delete_job=True)

    def job(self, job_id: str) -> RuntimeJobV2:
        """Return the job with an id, also if another process started it; sends no request."""
        return RuntimeJobV2(self.resource, job_id)


class QRMIBaseEstimatorV2(qrmi_qiskit.EstimatorV2):
    """An estimator: estimates expectation values of observables.

    Args:
        qrmi: A resource that accepts `Payload.QiskitPrimitive`.
        options: ``default_precision`` (0.015625), all options of qiskit-ibm-runtime, and
            ``run_options``, a mapping of further such options.

    Raises:
        UnsupportedPayloadError: The resource does not run primitives.
        InvalidInputError: An option is unknown or wrong; also a TypeError and ValueError.
    """

    def __init__(
        self,
        qrmi: QuantumResource,
        *,
        options: EstimatorOptions | Mapping[str, Any] | None = None,
    ) -> None:
        given = options
        if not isinstance(options, EstimatorOptions):
            options = merged(options, {"default_precision": DEFAULT_PRECISION})
        try:
            super().__init__(qrmi, options=options)
        except InvalidArgumentError as error:
            raise recast(error, ArgumentError) from error
        refuse_unknown(given, type(self.options))

    def run(
        self, pubs: Iterable[EstimatorPubLike], *, precision: float | None = None
    ) -> RuntimeJobV2:
        """Submit one task; see `qrmi_qiskit.EstimatorV2.run`."""
        job_id = super().run(pubs, precision=precision).job_id()
        return RuntimeJobV2(self.resource, job_id, delete_job=True)

    def job(self, job_id: str) -> RuntimeJobV2:
        """Return the job with an id, also if another process started it; sends no request."""
        return RuntimeJobV2(self.resource, job_id)


def refuse_unknown(options: object, kind: type[SamplerOptions | EstimatorOptions]) -> None:
    """Raise if an option is unknown, as the published package does; ``run_options`` are exempt.

    Raises:
        InvalidInputError: An option is unknown; also a TypeError and ValueError.
    """
    given = set(options) if isinstance(options, Mapping) else set()
    unknown = given - {"run_options"} - {name.partition(".")[0] for name, _ in kind.described()}
    if unknown:
        raise ArgumentError(
            f"option `{min(unknown)}` is unknown: put it into `run_options` to pass it on"
        )


def merged(options: Mapping[str, Any] | None, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Merge all options: explicit ones override defaults, which override ``run_options``.

    Raises:
        TypeError: The options are not a mapping.
    """
    given, run_options = split(options)
    return {**run_options, **defaults, **given}


def split(options: Mapping[str, Any] | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the options without ``run_options``, and ``run_options``.

    Raises:
        TypeError: One of the two is not a mapping.
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
