"""Qiskit's primitives on a resource."""

from __future__ import annotations

import copy
import functools
import json
import keyword
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import ControlFlowOp, Gate, Instruction
from qiskit.circuit.classical import expr, types
from qiskit.primitives import BaseEstimatorV2, BaseSamplerV2, DataBin
from qiskit.primitives.containers.bindings_array import BindingsArray
from qiskit.primitives.containers.estimator_pub import EstimatorPub, EstimatorPubLike
from qiskit.primitives.containers.sampler_pub import SamplerPub, SamplerPubLike

from qrmi_core import InvalidArgumentError, UnsupportedPayloadError
from qrmi_core.plugin import QiskitPrimitive
from qrmi_qiskit import vendor
from qrmi_qiskit.backend import (
    QRMIBackend,
    instructions,
    is_simulator,
    isa_defect,
    isa_target,
    time_step,
)
from qrmi_qiskit.checks import real, whole
from qrmi_qiskit.delays import delays_in_dt
from qrmi_qiskit.job import PrimitiveJob
from qrmi_qiskit.options import EstimatorOptions, SamplerOptions

if TYPE_CHECKING:
    from qiskit.transpiler import Target

    from qrmi_core import QuantumResource

DEFAULT_SHOTS: Final = 4096
"""The number of shots of a pub if nothing else sets it."""

DEFAULT_PRECISION: Final = 1 / 64
"""The precision of an estimate if nothing else sets it."""

_Pub = TypeVar("_Pub", SamplerPub, EstimatorPub)

_SHOTS = whole(1)
_PRECISION = real(0)
_NOT_EXACT: Final = {
    "if_else",
    "initialize",
    "measure",
    "reset",
    "store",
    "switch_case",
    "while_loop",
}


class _Primitive:
    """The base of the two primitives.

    Args:
        resource: A resource that accepts `Payload.QiskitPrimitive`.
        options: An object of the options class, or a mapping.
    """

    _program_id: ClassVar[str]
    _options_class: ClassVar[type[SamplerOptions | EstimatorOptions]]

    def __init__(self, resource: QuantumResource, options: object) -> None:
        kinds = resource.payloads()
        if not issubclass(QiskitPrimitive, kinds):
            raise UnsupportedPayloadError(
                f"{resource.resource_id()} ({resource.resource_type()}) does not run Qiskit's "
                f"primitives; it takes {', '.join(kind.kind for kind in kinds) or 'nothing'}",
                resource_id=resource.resource_id(),
            )
        self._resource = resource
        self._options = self._read(options)

    def _read(self, options: object) -> Any:
        if isinstance(options, self._options_class):
            read = copy.deepcopy(options)
        elif options is None or isinstance(options, Mapping):
            read = self._options_class.from_mapping(options or {})
        else:
            raise TypeError(
                f"options must be a mapping or {self._options_class.__name__}, "
                f"not {type(options).__name__}"
            )
        read.to_dict()  # This finds contradictions before any circuit is encoded.
        return read

    @property
    def resource(self) -> QuantumResource:
        """The resource."""
        return self._resource

    @functools.cached_property
    def _backend(self) -> QRMIBackend:
        """The resource as a backend; qiskit-experiments reads this attribute."""
        return QRMIBackend(self._resource)

    def job(self, job_id: str) -> PrimitiveJob:
        """Return the job with an id, also if another process started it; sends no request.

        Args:
            job_id: The return value of the job's `job_id`, which is the task's id.
        """
        return PrimitiveJob(self._resource, job_id)

    def _submit(self, pubs: list[_Pub]) -> PrimitiveJob:
        options = self._options.to_dict()
        document = {"options": options, "version": 2, "support_qiskit": True}
        if "resilience_level" in options:
            document["resilience_level"] = options.pop("resilience_level")
        target = isa_target(self._resource)
        for index, pub in enumerate(pubs):
            self._check(f"pub {index}", pub, target)
        encoded = [_encode(f"pub {index}", pub) for index, pub in enumerate(pubs)]
        rest = _encode("the options", document)
        payload = QiskitPrimitive(
            input=f'{{"pubs":[{",".join(encoded)}],{rest[1:]}', program_id=self._program_id
        )
        return PrimitiveJob(self._resource, self._resource.task_start(payload), pubs)

    def _check(self, where: str, pub: _Pub, target: Target | None) -> None:
        if pub.size == 0:
            raise InvalidArgumentError(f"{where}: its arrays are empty")
        circuit, values = pub.circuit, pub.parameter_values
        if not _are_finite(values):
            raise InvalidArgumentError(f"{where}: its parameter values are not all finite")
        if self._options.dynamical_decoupling.enable and any(
            isinstance(instruction.operation, ControlFlowOp) for instruction in circuit.data
        ):
            raise InvalidArgumentError(
                f"{where}: dynamical decoupling does not go together with control flow: set "
                "option `dynamical_decoupling.enable` to False"
            )
        for variable in circuit.iter_input_vars():
            raise InvalidArgumentError(
                f"{where}: the circuit has an input variable {variable.name}, for which a pub "
                "cannot give a value: declare it with add_var, or use a Parameter"
            )
        if target is None and is_simulator(self._resource):
            _check_simulated(where, circuit)
        defect = target and isa_defect(circuit, values, target)
        if defect:
            raise InvalidArgumentError(
                f"{where}: {defect}; transpile the circuit for this resource first, with "
                "get_backend(resource), and apply its layout to observables",
                resource_id=self._resource.resource_id(),
            )

    def _timed(self, where: str, pub: _Pub) -> tuple[QuantumCircuit, BindingsArray]:
        """Return a pub's circuit with encodable delays, and the parameter values it needs."""
        circuit, values = pub.circuit, pub.parameter_values
        if pub.size == 0 or not _are_finite(values):
            return circuit, values  # rejected by `_check`
        try:
            timed = delays_in_dt(circuit, values, lambda: time_step(self._resource))
        except InvalidArgumentError as error:
            raise InvalidArgumentError(
                f"{where}: {error}", resource_id=self._resource.resource_id()
            ) from None
        if timed.num_parameters == circuit.num_parameters:
            return timed, values
        left = [n for n, each in enumerate(circuit.parameters) if each in timed.parameters]
        names = tuple(circuit.parameters[n].name for n in left)
        array = values.as_array(circuit.parameters)[..., left]
        return timed, BindingsArray({names: array}, shape=values.shape)


class SamplerV2(_Primitive, BaseSamplerV2):  # type: ignore[misc]
    """A sampler: samples the classical registers of circuits.

    Args:
        resource: A resource that accepts `Payload.QiskitPrimitive`.
        options: `SamplerOptions`, or a mapping with qiskit-ibm-runtime's names.

    Raises:
        UnsupportedPayloadError: The resource does not run primitives.
        InvalidArgumentError: An option is unknown or wrong.
    """

    _program_id = "sampler"
    _options_class = SamplerOptions

    def __init__(
        self,
        resource: QuantumResource,
        *,
        options: SamplerOptions | Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(resource, options)

    @property
    def options(self) -> SamplerOptions:
        """The options for jobs submitted from now on."""
        read: SamplerOptions = self._options
        return read

    def run(self, pubs: Iterable[SamplerPubLike], *, shots: int | None = None) -> PrimitiveJob:
        """Submit one task, and return it as a job.

        Args:
            pubs: Circuits, or tuples of a circuit, its parameter values and its shots.
            shots: Shots of the pubs without their own number; by default those of `twirling`, else
                ``default_shots``, else `DEFAULT_SHOTS`.

        Raises:
            InvalidArgumentError: A pub is wrong, or the device cannot execute it.
            QrmiError: The task could not be submitted; see `QuantumResource.task_start`.
        """
        default = self._options.twirling.shots or self._options.default_shots or DEFAULT_SHOTS
        if shots is not None:
            default = _SHOTS("shots", shots)
        coerced = []
        for where, like in _listed(pubs):
            pub = _coerce(where, SamplerPub, like, default)
            _check_registers(where, pub.circuit)
            wanted = _SHOTS(f"{where}: its shots", pub.shots)
            coerced.append(SamplerPub(*self._timed(where, pub), wanted))
        return self._submit(coerced)


class EstimatorV2(_Primitive, BaseEstimatorV2):  # type: ignore[misc]
    """An estimator: estimates expectation values of observables.

    Args:
        resource: A resource that accepts `Payload.QiskitPrimitive`.
        options: `EstimatorOptions`, or a mapping with qiskit-ibm-runtime's names.

    Raises:
        UnsupportedPayloadError: The resource does not run primitives.
        InvalidArgumentError: An option is unknown or wrong.
    """

    _program_id = "estimator"
    _options_class = EstimatorOptions

    def __init__(
        self,
        resource: QuantumResource,
        *,
        options: EstimatorOptions | Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(resource, options)

    @property
    def options(self) -> EstimatorOptions:
        """The options for jobs submitted from now on."""
        read: EstimatorOptions = self._options
        return read

    def run(
        self, pubs: Iterable[EstimatorPubLike], *, precision: float | None = None
    ) -> PrimitiveJob:
        """Submit one task, and return it as a job.

        Args:
            pubs: Tuples of a circuit, observables, parameter values and a precision.
            precision: The standard error for pubs without their own. By default, the resource
                derives it from ``default_shots`` or `twirling`; if these are not set, it is
                ``default_precision``, else `DEFAULT_PRECISION`. With 0, a simulator returns the
                exact values of a circuit without measurements.

        Raises:
            InvalidArgumentError: A pub is wrong, or the device cannot execute it.
            QrmiError: The task could not be submitted; see `QuantumResource.task_start`.
        """
        options = self._options
        default = None
        if precision is not None:
            default = _PRECISION("precision", precision)
        elif not (options.default_shots or options.twirling.shots):
            default = options.default_precision or DEFAULT_PRECISION
        coerced = []
        for where, like in _listed(pubs):
            pub = _coerce(where, EstimatorPub, like, default)
            _check_observables(where, pub)
            wanted = pub.precision
            if wanted is not None:
                wanted = _PRECISION(f"{where}: its precision", wanted)
            if wanted == 0:
                self._check_exact(where, pub.circuit)
            circuit, values = self._timed(where, pub)
            coerced.append(EstimatorPub(circuit, pub.observables, values, wanted))
        return self._submit(coerced)

    def _check_exact(self, where: str, circuit: QuantumCircuit) -> None:
        """Raise if precision 0 is requested where values come from shots."""
        if not is_simulator(self._resource):
            cause = "its values come from the shots of a device"
        else:
            found = {step[0].operation.name for step in instructions(circuit)} & _NOT_EXACT
            if not found:
                return
            cause = f"its values come from shots where a circuit has {', '.join(sorted(found))}"
        raise InvalidArgumentError(
            f"{where}: its precision must be above 0: {cause}",
            resource_id=self._resource.resource_id(),
        )


def _check_simulated(where: str, circuit: QuantumCircuit) -> None:
    """Raise if a circuit contains features that simulators lack."""
    for instruction, _, _ in instructions(circuit):
        operation = instruction.operation
        if type(operation) in (Gate, Instruction) and operation.definition is None:
            raise InvalidArgumentError(
                f"{where}: instruction {operation.name} has no definition: give it one in gates"
            )
        for name in ("condition", "target", "rvalue"):
            strange = _strange_type(getattr(operation, name, None))
            if strange is not None:
                raise InvalidArgumentError(
                    f"{where}: a classical expression of {operation.name} has a value of type "
                    f"{strange}, which simulators lack: use registers, and variables of type Bool "
                    "and Uint"
                )


def _strange_type(node: object) -> types.Type | None:
    """Return the first type in an expression other than Bool and Uint."""
    if not isinstance(node, expr.Expr):
        return None
    if not isinstance(node.type, (types.Bool, types.Uint)):
        return node.type
    parts = (getattr(node, name, None) for name in ("operand", "left", "right", "target", "index"))
    return next((found for found in map(_strange_type, parts) if found is not None), None)


def _are_finite(values: BindingsArray) -> bool:
    return all(np.isfinite(array).all() for array in values.data.values())


def _listed(pubs: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    """Yield every pub, with its name for messages."""
    if isinstance(pubs, QuantumCircuit | SamplerPub | EstimatorPub | str | Mapping):
        raise InvalidArgumentError(
            f"pubs must be a list of pubs, not {type(pubs).__name__}: put it into a list"
        )
    found = list(pubs)
    if not found:
        raise InvalidArgumentError("there is no pub: give at least one")
    for index, pub in enumerate(found):
        yield f"pub {index}", pub


def _coerce(where: str, kind: type[_Pub], like: Any, default: float | None) -> _Pub:
    try:
        pub: _Pub = kind.coerce(like, default)
    except Exception as error:
        raise InvalidArgumentError(f"{where}: {_one_line(error)}") from error
    return pub


def _check_registers(where: str, circuit: QuantumCircuit) -> None:
    if not circuit.cregs:
        raise InvalidArgumentError(
            f"{where}: the circuit has no classical register to sample: measure into one"
        )
    for register in circuit.cregs:
        name = register.name
        if not register.size:
            raise InvalidArgumentError(f"{where}: classical register {name} has no bits: remove it")
        try:
            # The result has a field with the register's name.
            good = name.isidentifier() and not keyword.iskeyword(name) and name != "shape"
            DataBin(**{name: 0})
        except (TypeError, ValueError):
            good = False
        if not good:
            raise InvalidArgumentError(
                f"{where}: classical register {name!r} cannot be a field of the result: rename it"
            )


def _check_observables(where: str, pub: EstimatorPub) -> None:
    observables = pub.observables.ravel().tolist()
    for terms in observables:
        strange = {letter for label in terms for letter in label} - set("IXYZ")
        if strange:
            raise InvalidArgumentError(
                f"{where}: observables are made of I, X, Y and Z, not of "
                f"{', '.join(sorted(strange))}"
            )
        if not np.isfinite(list(terms.values())).all():
            raise InvalidArgumentError(f"{where}: the coefficients of an observable are not finite")


def _encode(where: str, value: object) -> str:
    try:
        with warnings.catch_warnings():
            # If the encoder omitted something, the input would differ from the user's.
            warnings.simplefilter("error", UserWarning)
            return json.dumps(
                value, cls=vendor.find("RuntimeEncoder"), separators=(",", ":"), allow_nan=False
            )
    except Exception as error:
        raise InvalidArgumentError(f"{where} cannot be encoded: {_one_line(error)}") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).strip("'\"").split()) or type(error).__name__
