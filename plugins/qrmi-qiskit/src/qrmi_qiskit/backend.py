"""A resource as Qiskit's backend, with the description that the transpiler needs."""

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
    """The resource has a target, but of another kind than a backend's."""


class _Device:
    """A resource's description, as it was when it was fetched."""

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
        """Configuration, properties and target.

        Args:
            fractional: Whether fractional gates are among the gates; None for all that there are.
        """
        # The vendor's readers change what they read.
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
        """All that the device can execute."""
        return self.read(None)[2]

    def _unusable(self, why: str, kind: type[_ErrorT]) -> _ErrorT:
        return kind(
            f"{self._resource_id} cannot be used as a Qiskit backend: {why} (the resource takes "
            f"{self._takes})",
            resource_id=self._resource_id,
        )


# One description serves all that is made of a resource, until somebody asks for a new one; None is
# for a resource that has none.
_devices: WeakKeyDictionary[QuantumResource, _Device | None] = WeakKeyDictionary()


class QRMIBackend(BackendV2):  # type: ignore[misc]
    """A resource as the transpiler sees it; `get_backend` makes it.

    It executes nothing: give circuits transpiled for it to `SamplerV2` or `EstimatorV2`. Fields of
    the configuration, such as ``n_qubits`` or ``processor_type``, are attributes too.

    Args:
        resource: The resource, whose `QuantumResource.target` has configuration and properties.
        use_fractional_gates: True if gates with an angle, such as ``rx`` and ``rzz``, are offered
            on a device that has them. A simulator offers all of its gates in any case.

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
        """No limit is known."""
        return None

    @property
    def dtm(self) -> float:
        """The time step of measurements, in seconds."""
        return float(self._configuration.dtm)

    @property
    def meas_map(self) -> list[list[int]]:
        """Qubits that are measured together."""
        found: list[list[int]] = self._configuration.meas_map
        return found

    @classmethod
    def _default_options(cls) -> Options:
        return Options()

    def configuration(self) -> Any:
        """The configuration, as qiskit-ibm-runtime has it."""
        return self._configuration

    def properties(self, refresh: bool = False) -> Any:
        """The properties, as qiskit-ibm-runtime has them; None where the resource has none.

        Args:
            refresh: Whether to fetch the description anew.
        """
        if refresh:
            self.refresh()
        return self._properties

    def refresh(self) -> None:
        """Fetch the description anew, so that `target` describes the device as it is now."""
        device = _devices[self._resource] = _Device(self._resource)
        self._configuration, self._properties, self._target = device.read(
            None if device.simulator else self._fractional
        )

    def check_faulty(self, circuit: QuantumCircuit) -> None:
        """Refuse a circuit on qubits, or couplings of them, that the properties call faulty.

        `target` has none of these, so that transpiled circuits do not use them.

        Raises:
            InvalidArgumentError: It uses one.
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
        """Ask for the state of the resource, as qiskit-ibm-runtime's ``BackendStatus``."""
        found = self._resource.status()
        return vendor.find("BackendStatus")(
            backend_name=self.name,
            backend_version=self.backend_version,
            operational=found.status is ResourceStatusCode.Online,
            pending_jobs=found.pending_job_count or 0,
            status_msg=found.status_reason or found.status.name.lower(),
        )

    def get_translation_stage_plugin(self) -> str | None:
        """Return the stage that translates gates for this device; None for the usual one."""
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

    A resource that takes Qiskit's primitives becomes a `QRMIBackend`, to transpile circuits for it;
    its description is fetched. For any other, a plugin makes the backend if one is registered for
    the type of the resource in the group ``qrmi.qiskit``.

    Args:
        resource: The resource.
        use_fractional_gates: Whether to offer gates with an angle; see `QRMIBackend`.
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
    """Return the target of `get_backend` alone."""
    return get_backend(resource, use_fractional_gates).target


def isa_target(resource: QuantumResource) -> Target | None:
    """Return the operations that circuits may contain; None if that is not limited or not known.

    The description is fetched once for a resource.
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
    """Return the dt of a resource in seconds; None if its description has none."""
    isa_target(resource)
    device = _devices[resource]
    return None if device is None else device.isa.dt


def isa_defect(circuit: QuantumCircuit, values: BindingsArray, target: Target) -> str | None:
    """Return the reason why a device could not execute a circuit as it stands; None if it could.

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
    """Return True if the definition of a circuit's own gate is the gate of its name."""
    if gate.definition is None:
        return True
    named = target.operation_from_name(gate.name)
    if not (isinstance(named, Gate) and isinstance(gate, Gate)):
        return False
    if len(named.params) != len(gate.params):
        return False
    single = QuantumCircuit(gate.num_qubits)
    single.append(gate, single.qubits)
    # Any values do, as long as no gate has a symmetry there.
    single = single.assign_parameters([0.3 + 0.1 * n for n in range(single.num_parameters)])
    bound = single.data[0].operation
    return bool(Operator(bound.definition).equiv(Operator(named.base_class(*bound.params))))


def _without_places(target: Target) -> Target:
    """Return a target whose operations are the same on all qubits, by their names alone.

    The vendor's reader lists the qubits of measurements, and such a mixture is a target of which
    Qiskit cannot tell on which qubits a single gate is.
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
    """Yield every instruction, those inside of control flow too.

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
