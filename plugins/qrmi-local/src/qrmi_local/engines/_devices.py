"""The devices that primitives run on: `aer` and the snapshots, as the options change them."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import attrs
from qiskit.providers import BackendV2, Options
from qiskit.transpiler import CouplingMap, Target
from qiskit_aer import AerSimulator

from qrmi_local.engines import EngineError, _wide, qiskit as engine
from qrmi_local.engines._circuits import CircuitProgram, check_isa, compact, load, widen
from qrmi_local.engines._flat import flatten, translate, with_errors
from qrmi_local.engines._runs import memory_mb
from qrmi_local.engines._simulator_options import Compiled, Place, TaskNoise

CONTROL = {"store", "box", *engine.AER_CONTROL}
# How many simulators of one circuit are kept.
KEPT_SIMULATORS = 8
# Qubits of a circuit that is a state vector in any case.
WHOLE = 28


@attrs.frozen
class Device:
    """A resource to run on, as the options of a task change it.

    Attributes:
        resource: The resource.
        backend: The snapshot, None for the ideal simulator.
        noise: The noise in place of the snapshot's.
        compiled: What circuits must have been compiled for besides the snapshot.
    """

    resource: Any
    backend: Any
    noise: TaskNoise | None = None
    compiled: Compiled = Compiled()

    def prepare(
        self, program: CircuitProgram, observed: Iterable[int] = ()
    ) -> tuple[Any, list[int], Any]:
        """Return the circuit on as few qubits as it needs, their indices, and a simulator."""
        kept = frozenset(observed)
        key = kept, self.noise
        prepared = program.prepared.get(key)
        if prepared is None:
            if len(program.prepared) >= KEPT_SIMULATORS:
                program.prepared.clear()
            prepared = program.prepared[key] = self._prepare(program.circuit, kept)
        return prepared

    def _prepare(self, circuit: Any, observed: Collection[int]) -> tuple[Any, list[int], Any]:
        small, qubits = compact(circuit, observed)
        flat, simulator = self.flatten(small, qubits)
        return flat, qubits, simulator

    def flatten(self, small: Any, qubits: list[int]) -> tuple[Any, Any]:
        """Return a circuit on these qubits as Aer executes it, and a simulator of it."""
        noisy = self.noise.operations if self.noise else ()
        flat = flatten(small, ideal=self.backend is None, noisy=noisy)
        if self.backend is None:
            flat = translate(flat, engine.AER_GATES, with_errors(flat, noisy))
            simulator = AerSimulator(max_memory_mb=memory_mb())
        else:
            if self.backend.target.dt is None and any(
                instruction.operation.name == "delay" and instruction.operation.unit == "dt"
                for instruction in flat.data
            ):
                raise EngineError(
                    f"{self.resource.resource_id} has no time step for delays in dt: leave them "
                    "out, or give them in seconds, as OpenQASM 3 text"
                )
            part = part_of(self, qubits, places_of(small))
            simulator = AerSimulator.from_backend(part, max_memory_mb=memory_mb())
        return flat, self.with_noise(simulator, qubits)

    def with_noise(self, simulator: Any, qubits: Sequence[int]) -> Any:
        """Return a simulator of some qubits, with the noise that the task asks for."""
        if self.noise is not None:
            model = self.noise.on(qubits)
            # Else Aer takes no other gates than those that the model names.
            model.add_basis_gates(simulator.configuration().basis_gates)
            simulator.set_options(noise_model=model)
        return simulator

    def is_wide(self, circuit: Any, observed: Collection[int] = ()) -> bool:
        """Return True if a circuit needs `prepare_wide`.

        The ideal simulator promises exact states, and blocks of control flow cannot be reordered.
        """
        return (
            self.backend is not None
            and circuit.num_qubits > WHOLE
            and CONTROL.isdisjoint(circuit.count_ops())
            and compact(circuit, observed)[0].num_qubits > WHOLE
        )

    def prepare_wide(
        self, circuit: Any, observed: Collection[int] = ()
    ) -> tuple[Any, list[int], Any]:
        """Prepare a circuit without parameters that is too wide for a state vector."""
        if self.noise is not None and self.noise.operations:
            raise EngineError(
                f"options.simulator.noise_model has errors of gates, which need more memory than "
                f"there is for more than {WHOLE} entangled qubits: leave them out"
            )
        small, qubits = compact(circuit, observed)
        row, places = _wide.in_a_row(small)
        qubits = [qubits[place] for place in places]
        return row, qubits, self.with_noise(_wide.simulator(part_of(self, qubits, ())), qubits)

    def load(self, form: Any, num_qubits: int = 0) -> CircuitProgram:
        """Read a circuit and check that it can run here.

        Args:
            form: As it came in the payload.
            num_qubits: Width of a text with physical qubits.
        """
        program = load(form)
        if program.physical:
            program = widen(program, num_qubits)
        if self.backend is not None:
            check_isa(program.circuit, self.backend.target, self.resource.resource_id)
        return program


class Part(BackendV2):  # type: ignore[misc]
    """Some qubits of a device, renumbered from 0.

    The noise of a whole device of 156 qubits takes seconds to set up, in every run.
    """

    def __init__(self, device: Any, qubits: list[int], used: Collection[Place]) -> None:
        super().__init__(name=device.name, backend_version=device.backend_version)
        self._target = _restrict(device.target, qubits, used)

    @property
    def target(self) -> Target:
        return self._target

    @property
    def coupling_map(self) -> CouplingMap:
        return self._target.build_coupling_map() or CouplingMap()

    @property
    def max_circuits(self) -> None:
        return None

    @classmethod
    def _default_options(cls) -> Options:
        return Options()

    def run(self, run_input: Any, **options: Any) -> Any:
        raise NotImplementedError("only a description of a device")


def part_of(device: Device, qubits: list[int], used: Collection[Place]) -> Part:
    """Return some qubits of a snapshot, with the gates between them that are used.

    All gates of one qubit are included, since estimators add some.
    """
    return Part(device.backend, qubits, used)


def places_of(circuit: Any) -> set[Place]:
    """Return the operations of a circuit, also in blocks, and their qubits."""
    return set(_places(circuit, range(circuit.num_qubits)))


def _restrict(target: Target, qubits: list[int], used: Collection[Place]) -> Target:
    new = {qubit: index for index, qubit in enumerate(qubits)}
    properties = target.qubit_properties
    part = Target(
        num_qubits=len(qubits),
        dt=target.dt,
        qubit_properties=properties and [properties[qubit] for qubit in qubits],
    )
    for name in target.operation_names:
        operation = target.operation_from_name(name)
        places = target[name]
        if None in places:
            part.add_instruction(operation, name=name)
            continue
        kept = {
            tuple(new[qubit] for qubit in place): value
            for place, value in places.items()
            if new.keys() >= set(place)
            and (len(place) == 1 or (name, tuple(new[qubit] for qubit in place)) in used)
        }
        if kept:
            part.add_instruction(operation, kept, name=name)
    return part


def _places(circuit: Any, qubits: Sequence[int]) -> Iterator[Place]:
    where = dict(zip(circuit.qubits, qubits, strict=True))
    for instruction in circuit.data:
        place = tuple(where[qubit] for qubit in instruction.qubits)
        yield instruction.operation.name, place
        for block in getattr(instruction.operation, "blocks", ()):
            yield from _places(block, place)


@functools.lru_cache(maxsize=4)
def device_of(resource_id: str) -> Device:
    """Return the device of a resource."""
    resource = engine.known(resource_id)
    if resource is engine.AER:
        return Device(resource, None)
    from qiskit_ibm_runtime import fake_provider

    for value in vars(fake_provider).values():
        if getattr(value, "backend_name", None) == resource_id:
            return Device(resource, value())
    raise EngineError(f"this release of qiskit-ibm-runtime has no class for {resource_id}")
