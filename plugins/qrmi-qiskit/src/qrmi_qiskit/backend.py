"""A resource as a Qiskit backend, with the description that the transpiler needs."""

from __future__ import annotations

import copy
import functools
import importlib.metadata
import itertools
import json
import logging
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import (
    BoxOp,
    BreakLoopOp,
    ContinueLoopOp,
    ControlFlowOp,
    ControlledGate,
    ForLoopOp,
    Gate,
    Instruction,
    Parameter,
    ParameterExpression,
)
from qiskit.providers import BackendV2, Options
from qiskit.quantum_info import Operator
from qiskit.transpiler import Target

from qrmi_core import (
    InvalidArgumentError,
    InvalidResponseError,
    QrmiError,
    ResourceStatusCode,
    UnsupportedFunctionError,
)
from qrmi_core.plugin import QiskitPrimitive, installed, load
from qrmi_qiskit import vendor
from qrmi_qiskit.delays import evaluated

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qiskit.primitives.containers.bindings_array import BindingsArray

    from qrmi_core import QuantumResource

_log = logging.getLogger(__name__)

_GROUP = "qrmi.qiskit"
"""The entry points of backends of other resources."""
_STAGE = "ibm_dynamic_circuits"
_FRACTIONAL_STAGES = ("ibm_dynamic_and_fractional", "ibm_fractional")
"""The translation stages of qiskit-ibm-runtime; its releases have one of the latter."""

_GENERIC = (Gate, ControlledGate, Instruction)
"""The classes of instructions that circuits define."""

_LEAVING_LOOPS = {"break_loop": BreakLoopOp, "continue_loop": ContinueLoopOp}
"""Instructions that qiskit-ibm-runtime leaves out of targets."""

_MAX_RZZ_ANGLE = np.pi / 2 + 1e-10
"""In radians; with room for rounding."""


_ErrorT = TypeVar("_ErrorT", bound=QrmiError)


class _NotABackendError(InvalidResponseError):
    """The resource has a target, but not one of a backend."""


class _Device:
    """A resource's description at the time it was fetched."""

    def __init__(self, resource: QuantumResource) -> None:
        self._resource_id = resource.resource_id()
        self._takes = ", ".join(kind.kind for kind in resource.payloads()) or "nothing"
        try:
            text = resource.target().value
        except UnsupportedFunctionError as error:
            raise self._unusable("it has no target", UnsupportedFunctionError) from error
        try:
            found = json.loads(text)
        except (RecursionError, ValueError):
            found = None
        if not isinstance(found, dict) or not isinstance(found.get("configuration"), dict):
            raise self._unusable("its target has no configuration of a backend", _NotABackendError)
        self._documents: dict[str, Any] = found

    @property
    def simulator(self) -> bool:
        return self._documents["configuration"].get("simulator") is True

    def read(self, fractional: bool | None) -> tuple[Any, Any, Target]:
        """Read configuration, properties and target.

        Args:
            fractional: True to include fractional gates, False to exclude them; None keeps all
                gates.
        """
        # The vendor's readers modify their arguments.
        documents = copy.deepcopy(self._documents)
        try:
            configuration = vendor.find("configuration_from_server_data")(
                documents["configuration"], use_fractional_gates=fractional
            )
            if configuration is None:
                raise self._unusable(
                    "qiskit-ibm-runtime does not understand its configuration", _NotABackendError
                )
            properties = documents.get("properties") and vendor.find("properties_from_server_data")(
                documents["properties"], use_fractional_gates=fractional
            )
            target = vendor.find("convert_to_target")(
                configuration=configuration, properties=properties
            )
        except (AttributeError, KeyError, LookupError, TypeError, ValueError) as error:
            raise self._unusable(
                f"its target cannot be read: {type(error).__name__}: {error}", _NotABackendError
            ) from error
        supported = self._documents["configuration"].get("supported_instructions") or ()
        for name, kind in _LEAVING_LOOPS.items():
            if name in supported and name not in target.operation_names:
                target.add_instruction(kind, name=name)
        if self.simulator and target.build_coupling_map() is None:
            target = _without_places(target)
        return configuration, properties or None, target

    @functools.cached_property
    def isa(self) -> Target:
        """All operations that the device can execute."""
        return self.read(None)[2]

    def _unusable(self, why: str, kind: type[_ErrorT]) -> _ErrorT:
        return kind(
            f"{self._resource_id} cannot be used as a Qiskit backend: {why} (the resource takes "
            f"{self._takes})",
            resource_id=self._resource_id,
        )


# One description serves all objects made from a resource until a refresh; None marks a resource
# that has none.
_devices: WeakKeyDictionary[QuantumResource, _Device | None] = WeakKeyDictionary()


class QRMIBackend(BackendV2):  # type: ignore[misc]
    """A resource as a Qiskit backend, for the transpiler; `get_backend` returns it.

    It does not execute circuits: transpile them for it, then run them with `SamplerV2` or
    `EstimatorV2`. Fields of the configuration, such as ``n_qubits`` or ``processor_type``, are also
    attributes.

    Args:
        resource: The resource, whose `QuantumResource.target` has configuration and properties.
        use_fractional_gates: True to include a device's gates with an angle, such as ``rx`` and
            ``rzz``. A simulator always has all of its gates.

    Raises:
        UnsupportedFunctionError: The resource has no target.
        InvalidResponseError: Its target does not describe a backend.
    """

    def __init__(self, resource: QuantumResource, *, use_fractional_gates: bool = False) -> None:
        self._resource = resource
        self._fractional = use_fractional_gates
        self.refresh()
        super().__init__(
            name=self._configuration.backend_name,
            description=getattr(self._configuration, "description", None),
            online_date=getattr(self._configuration, "online_date", None),
            backend_version=self._configuration.backend_version,
        )

    def __repr__(self) -> str:
        return f"<QRMIBackend {self.name!r}>"

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and hasattr(self._configuration, name):
            return getattr(self._configuration, name)
        raise AttributeError(f"QRMIBackend has no attribute {name!r}")

    @property
    def resource(self) -> QuantumResource:
        """The resource."""
        return self._resource

    @property
    def target(self) -> Target:
        """The operations of the device: their qubits, durations and errors."""
        return self._target

    @property
    def max_circuits(self) -> None:
        """The maximum number of circuits in a job, which is unknown."""
        return None

    @property
    def dtm(self) -> float:
        """The time step of measurements, in seconds."""
        return float(self._configuration.dtm)

    @property
    def meas_map(self) -> list[list[int]]:
        """Groups of qubits that are measured together."""
        found: list[list[int]] = self._configuration.meas_map
        return found

    @classmethod
    def _default_options(cls) -> Options:
        return Options()

    def configuration(self) -> Any:
        """Return the configuration, in qiskit-ibm-runtime's class."""
        return self._configuration

    def properties(self, refresh: bool = False) -> Any:
        """Return the properties, in qiskit-ibm-runtime's class; None if the resource has none.

        Args:
            refresh: True to fetch the description again.
        """
        if refresh:
            self.refresh()
        return self._properties

    def refresh(self) -> None:
        """Fetch the description again, so that `target` describes the device as it is now."""
        device = _devices[self._resource] = _Device(self._resource)
        self._configuration, self._properties, self._target = device.read(
            None if device.simulator else self._fractional
        )

    def check_faulty(self, circuit: QuantumCircuit) -> None:
        """Raise if a circuit uses qubits or couplings that the properties report as faulty.

        `target` leaves them out, so transpiled circuits never use them.

        Raises:
            InvalidArgumentError: The circuit uses one of them.
        """
        if self._properties is None:
            return
        qubits = set(self._properties.faulty_qubits())
        couplings = {tuple(gate.qubits) for gate in self._properties.faulty_gates()}
        for instruction, used, _ in instructions(circuit):
            name = instruction.operation.name
            if name == "barrier":
                continue
            for qubit in qubits.intersection(used):
                raise InvalidArgumentError(f"{name} uses qubit {qubit}, which is faulty")
            if len(used) > 1 and used in couplings:
                raise InvalidArgumentError(f"{name} uses the coupling {used}, which is faulty")

    def status(self) -> Any:
        """Fetch the resource's state, and return qiskit-ibm-runtime's ``BackendStatus``."""
        found = self._resource.status()
        return vendor.find("BackendStatus")(
            backend_name=self.name,
            backend_version=self.backend_version,
            operational=found.status is ResourceStatusCode.Online,
            pending_jobs=found.pending_job_count or 0,
            status_msg=found.status_reason or found.status.name.lower(),
        )

    def get_translation_stage_plugin(self) -> str | None:
        """Return the translation stage for this device, or None for Qiskit's default."""
        if self._configuration.simulator:
            return None
        wanted = (*_FRACTIONAL_STAGES, _STAGE) if self._fractional else (_STAGE,)
        there = importlib.metadata.entry_points(group="qiskit.transpiler.translation").names
        return next((stage for stage in wanted if stage in there), None)

    def run(self, run_input: Any, **options: Any) -> NoReturn:  # noqa: ARG002
        """Raise, since circuits are executed by the primitives.

        Raises:
            UnsupportedFunctionError: Always.
        """
        raise UnsupportedFunctionError(
            "backends have no run(): use qrmi_qiskit.SamplerV2(resource).run([circuit]), "
            "or EstimatorV2",
            resource_id=self._resource.resource_id(),
        )


def get_backend(
    resource: QuantumResource, use_fractional_gates: bool = False, **options: Any
) -> BackendV2:
    """Return a resource as a Qiskit backend.

    For a resource that accepts Qiskit's primitives, fetch its description and return a
    `QRMIBackend`, for which circuits can be transpiled. For any other resource, the backend comes
    from the plugin registered for the resource's type in the entry point group ``qrmi.qiskit``. ::

        backend = get_backend(resource)
        isa_circuit = transpile(circuit, backend)
        job = SamplerV2(resource).run([isa_circuit])

    Args:
        resource: The resource.
        use_fractional_gates: True to include gates with an angle; see `QRMIBackend`.
        options: Further options of a plugin's backend.

    Raises:
        UnsupportedFunctionError: The resource has no target.
        InvalidResponseError: Its target does not describe a backend.
        PluginError: The plugin for the type cannot be used.
    """
    if use_fractional_gates:
        options["use_fractional_gates"] = True
    resource_type = resource.resource_type()
    if not issubclass(QiskitPrimitive, resource.payloads()) and any(
        info.name == resource_type for info in installed(_GROUP)
    ):
        return load(resource_type, _GROUP)(resource, **options)
    return QRMIBackend(resource, **options)


def get_target(resource: QuantumResource, use_fractional_gates: bool = False) -> Target:
    """Return the target of the backend that `get_backend` returns."""
    return get_backend(resource, use_fractional_gates).target


def isa_target(resource: QuantumResource) -> Target | None:
    """Return the operations that circuits may contain, or None if unlimited or unknown.

    The description of a resource is fetched once.
    """
    if resource not in _devices:
        try:
            _devices[resource] = _Device(resource)
        except (UnsupportedFunctionError, _NotABackendError) as error:
            _log.debug("circuits are not checked before they are sent: %s", error)
            _devices[resource] = None
    device = _devices[resource]
    return None if device is None or device.simulator else device.isa


def is_simulator(resource: QuantumResource) -> bool:
    """Return True if a resource describes itself as a simulator."""
    isa_target(resource)
    device = _devices[resource]
    return device is not None and device.simulator


def time_step(resource: QuantumResource) -> float | None:
    """Return the resource's dt in seconds, or None if its description has none."""
    isa_target(resource)
    device = _devices[resource]
    return None if device is None else device.isa.dt


def isa_defect(circuit: QuantumCircuit, values: BindingsArray, target: Target) -> str | None:
    """Return the reason why a device cannot execute a circuit unchanged, or None if it can.

    Args:
        circuit: The circuit, whose qubit n is the device's qubit n.
        values: The values of its parameters.
        target: The operations of the device.
    """
    if circuit.num_qubits > target.num_qubits:
        return f"the circuit has {circuit.num_qubits} qubits, the device {target.num_qubits}"
    angles: dict[tuple[Any, _Loops], None] = {}
    for instruction, qubits, loops in instructions(circuit):
        operation = instruction.operation
        name = operation.name
        if name in ("barrier", "store"):
            continue
        on = ", ".join(f"qubit {qubit}" for qubit in qubits)
        if isinstance(operation, BoxOp):
            return f"the device has no box on {on}: put its body into the circuit in its place"
        if not target.instruction_supported(name, qubits):
            return f"the device has no {name} on {on}"
        if type(operation) in _GENERIC and not _is_gate_of(target, operation):
            return f"{name} on {on} is defined by the circuit and not the device's: rename it"
        if name == "rzz":
            angles[operation.params[0], loops] = None
    for angle, loops in angles:
        for each in _angles(angle, loops, values):
            if not 0 <= each <= _MAX_RZZ_ANGLE:
                return f"the device has rzz for angles from 0 to pi/2, not for {each:g}"
    return None


def _is_gate_of(target: Target, gate: Any) -> bool:
    """Return True if a user-defined gate equals the device's gate of the same name."""
    if gate.definition is None:
        return True
    named = target.operation_from_name(gate.name)
    if not (isinstance(named, Gate) and isinstance(gate, Gate)):
        return False
    if len(named.params) != len(gate.params):
        return False
    single = QuantumCircuit(gate.num_qubits)
    single.append(gate, single.qubits)
    # Any angles work, except where a gate has a symmetry.
    single = single.assign_parameters([0.3 + 0.1 * n for n in range(single.num_parameters)])
    bound = single.data[0].operation
    return bool(Operator(bound.definition).equiv(Operator(named.base_class(*bound.params))))


def _without_places(target: Target) -> Target:
    """Return a target with the same operations on all qubits, identified by name only.

    The vendor's reader lists qubits for measurements only, and in such a mixed target Qiskit cannot
    find the qubits of the gates.
    """
    found = Target(description=target.description, num_qubits=target.num_qubits, dt=target.dt)
    for name in target.operation_names:
        found.add_instruction(target.operation_from_name(name), name=name)
    return found


_Loops: TypeAlias = tuple[tuple[Parameter, tuple[float, ...]], ...]
"""The parameters of the loops around an instruction, and their values."""


def instructions(
    circuit: QuantumCircuit, qubits: Sequence[int] | None = None, loops: _Loops = ()
) -> Iterator[tuple[Any, tuple[int, ...], _Loops]]:
    """Yield every instruction, including those within control flow.

    Args:
        circuit: A circuit or a block.
        qubits: The indices of its qubits, by default from 0 on.
        loops: The loops around it.

    Yields:
        The instruction, the indices of its qubits, and the loops around it.
    """
    place = dict(zip(circuit.qubits, qubits or range(circuit.num_qubits), strict=True))
    for instruction in circuit.data:
        operation = instruction.operation
        where = tuple(place[qubit] for qubit in instruction.qubits)
        yield instruction, where, loops
        inner = loops
        if isinstance(operation, ForLoopOp) and isinstance(operation.params[1], Parameter):
            rounds, parameter, _ = operation.params
            inner = (*loops, (parameter, tuple(rounds)))
        if isinstance(operation, ControlFlowOp):
            for block in operation.blocks:
                yield from instructions(block, where, inner)


def _angles(
    angle: float | ParameterExpression,
    loops: _Loops,
    values: BindingsArray,
) -> Iterator[float]:
    """Yield an angle for every set of parameter values and every round of its loops."""
    if not isinstance(angle, ParameterExpression):
        yield float(angle)
        return
    turning = [(parameter, rounds) for parameter, rounds in loops if parameter in angle.parameters]
    for indices in itertools.product(*(rounds for _, rounds in turning)):
        names = (parameter for parameter, _ in turning)
        yield from evaluated(angle.bind(dict(zip(names, indices, strict=True))), values)
