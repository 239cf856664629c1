"""Executes primitives with qiskit-aer. Imports Qiskit: `engines.qiskit` imports it only to run."""

from __future__ import annotations

import functools
import itertools
import json
import logging
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import attrs
import numpy as np
from qiskit import QuantumCircuit
from qiskit.primitives import BackendEstimatorV2, DataBin, PrimitiveResult
from qiskit.primitives.containers import BitArray, PubResult, SamplerPubResult
from qiskit.primitives.containers.bindings_array import BindingsArray
from qiskit.primitives.containers.estimator_pub import EstimatorPub
from qiskit.primitives.containers.observables_array import ObservablesArray
from qiskit.primitives.containers.sampler_pub import SamplerPub
from qiskit.providers import BackendV2, Options
from qiskit.quantum_info import Pauli
from qiskit.transpiler import CouplingMap, Target
from qiskit_aer import AerSimulator
from qiskit_ibm_runtime import fake_provider

from qrmi_local.engines import EngineError, _wide, one_line, qiskit as engine
from qrmi_local.engines._circuits import Program, check_isa, compact, load, pieces, widen
from qrmi_local.engines._flat import JUMPS, flatten, translate
from qrmi_local.engines._runs import Backend, bits_of as memory_of, execute, memory_mb
from qrmi_local.engines._simulator_options import Compiled, Noise, Place, compiled_of, noise_of

try:
    from qiskit_ibm_runtime import RuntimeDecoder, RuntimeEncoder
except ImportError:  # where releases differ
    from qiskit_ibm_runtime.utils import RuntimeDecoder, RuntimeEncoder

DEFAULT_SHOTS = 4096
DEFAULT_PRECISION = 1 / 64
# A pub of an estimator is spread over jobs on a device, so the device's own limit is not one here.
MAX_ESTIMATOR_SHOTS = engine.AER.max_shots
CONTROL = {"store", "box", *engine.AER_CONTROL}
NOT_UNITARY = {"measure", "reset", "initialize", *JUMPS}
# Projector of an observable -> (Pauli, sign) of `(I + sign * Pauli) / 2`.
PROJECTORS = {
    **{"0": ("Z", 1), "1": ("Z", -1)},
    **{"+": ("X", 1), "-": ("X", -1)},
    **{"r": ("Y", 1), "l": ("Y", -1)},
}
# Each doubles the terms.
MAX_PROJECTORS = 10
# Circuits that are kept as they were read, since tasks tend to come with the same ones; and how
# many simulators of one, and characters of its text.
KEPT, KEPT_SIMULATORS, KEPT_LENGTH = 16, 8, 2**17
# Qubits of a circuit that is a state vector in any case, and of the pieces of one that is taken
# apart.
WHOLE, PIECE = 28, 4

_log = logging.getLogger(__name__)


def run(resource_id: str, program_id: str, document: dict[str, Any], *, seed: int | None) -> bytes:
    """Executes a primitive's checked input; see `engines.qiskit.run`."""
    options = document.get("options") or {}
    sequences = np.random.SeedSequence(_seed(options, seed)).spawn(len(document["pubs"]))
    run_pub = _sample if program_id == "sampler" else _estimate
    simulator = options.get("simulator") or {}
    device = attrs.evolve(
        device_of(resource_id),
        noise=noise_of(simulator, decode),
        compiled=compiled_of(simulator),
    )
    results = []
    for index, pub in enumerate(document["pubs"]):
        with errors_of(f"pub {index}"):
            form, *rest = [pub] if isinstance(pub, str) else pub
            names = engine.PARTS[program_id][1:]
            parts = [decode(name, part) for name, part in zip(names, rest, strict=False)]
            program = functools.partial(_compiled_program, device, form)
            results.append(run_pub(device, program, parts, document, options, sequences[index]))
    if not document.get("support_qiskit", True):
        return encode(
            {
                "results": [
                    {"data": _plain(result.data), "metadata": result.metadata} for result in results
                ],
                "metadata": {"version": 2},
            }
        )
    return encode(PrimitiveResult(results, metadata={"version": 2}))


def warm_up(resource_id: str) -> None:
    """Load what every task on a resource needs."""
    circuit = QuantumCircuit(1)
    circuit.x(0)
    # The first translation loads the plugins of Qiskit's transpiler, which can take seconds.
    device_of(resource_id).flatten(circuit, [0])


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
    noise: Noise | None = None
    compiled: Compiled = Compiled()

    def prepare(self, program: Program, observed: Iterable[int] = ()) -> tuple[Any, list[int], Any]:
        """The circuit on as few qubits as it needs, their indices here, and a simulator of them."""
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
        flat = flatten(small, ideal=self.backend is None)
        if self.backend is None:
            flat = translate(flat, engine.AER_GATES)
            simulator = AerSimulator(max_memory_mb=memory_mb())
        else:
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
        """Whether a circuit takes `prepare_wide`.

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
        """As `prepare`, of a circuit without parameters that no state vector has room for."""
        if self.noise is not None and self.noise.of_gates:
            raise EngineError(
                f"options.simulator.noise_model has errors of gates, which need more memory than "
                f"there is for more than {WHOLE} entangled qubits: leave them out"
            )
        small, qubits = compact(circuit, observed)
        row, places = _wide.in_a_row(small)
        qubits = [qubits[place] for place in places]
        return row, qubits, self.with_noise(_wide.simulator(part_of(self, qubits, ())), qubits)

    def load(self, form: Any, num_qubits: int = 0) -> Program:
        """Reads a circuit and makes sure that it can run here.

        Args:
            form: As it came in the payload.
            num_qubits: How wide a text with physical qubits is meant to be.
        """
        program = load(form, rename_gates=self.backend is None)
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
    """Some qubits of a device that is not ideal, with the gates between them that are used.

    Those of one qubit are all there, since estimators add some.
    """
    return Part(device.backend, qubits, used)


def places_of(circuit: Any) -> set[Place]:
    """The operations of a circuit, those in blocks too, and where they are."""
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
    """The device of a resource."""
    resource = engine.known(resource_id)
    if resource is engine.AER:
        return Device(resource, None)
    for value in vars(fake_provider).values():
        if getattr(value, "backend_name", None) == resource_id:
            return Device(resource, value())
    raise EngineError(f"this release of qiskit-ibm-runtime has no class for {resource_id}")


def _sample(
    device: Device,
    load: Callable[..., Program],
    parts: list[Any],
    document: Mapping[str, Any],
    options: Mapping[str, Any],
    seeds: np.random.SeedSequence,
) -> SamplerPubResult:
    values, shots = (*parts, None, None)[:2]
    program = load()
    default = _first(document.get("shots"), options.get("default_shots"), DEFAULT_SHOTS)
    pub = SamplerPub.coerce((program.circuit, _bindings(program, values), shots), default)
    limit_shots(pub.shots, device)
    return SamplerPubResult(
        DataBin(**bits_of(device, program, pub, seeds), shape=pub.shape),
        metadata={"shots": pub.shots, "circuit_metadata": program.circuit.metadata},
    )


def bits_of(
    device: Device, program: Program, pub: SamplerPub, seeds: np.random.SeedSequence
) -> dict[str, BitArray]:
    """Execute a circuit with its values, and return the bits by the names of its registers."""
    if not program.fields:
        raise EngineError("the circuit has no classical bits, so there is nothing to return")
    for field in program.fields:
        try:
            DataBin(**{field: 0}, shape=())
        except (TypeError, ValueError) as error:
            raise EngineError(
                f"register {field} cannot be a field of the result: rename it"
            ) from error
    bits = _all_bits(device, program, pub, seeds)
    bits = bits.reshape((*pub.shape, pub.shots))
    return {field: bits.slice_bits(indices) for field, indices in program.fields.items()}


def _all_bits(
    device: Device, program: Program, pub: SamplerPub, seeds: np.random.SeedSequence
) -> BitArray:
    """Return the bits of the circuit by their indices, and perhaps more."""
    if program.circuit.num_qubits > WHOLE:
        small, qubits = compact(program.circuit)
        parts = pieces(small, PIECE) if small.num_qubits > WHOLE else []
        # One state of all is too large for any memory, but qubits may not be entangled at all.
        if max((part.num_qubits for part, _, _ in parts), default=WHOLE) < WHOLE:
            return _bits_of_parts(device, program, pub, seeds, parts, qubits)
        if device.is_wide(program.circuit):
            return _bits_of_wide(device, pub, seeds)
    circuit, _, simulator = device.prepare(program)
    return _samples_of(simulator, circuit, pub, seeds)


def _samples_of(
    simulator: Any, circuit: Any, pub: SamplerPub, seeds: np.random.SeedSequence
) -> BitArray:
    """Return the bits of a flat circuit for all values of a pub."""
    bound = _bound(pub, circuit)
    shots = pub.shots * pub.size // len(bound)
    result = execute(simulator, bound, seeds, shots=shots, memory=True)
    return memory_of(result, circuit.num_clbits)


def _bits_of_parts(
    device: Device,
    program: Program,
    pub: SamplerPub,
    seeds: np.random.SeedSequence,
    parts: list[tuple[Any, list[int], list[int]]],
    qubits: list[int],
) -> BitArray:
    """Return the bits of a circuit that was taken apart.

    Args:
        device: Where to run.
        program: The whole.
        pub: With its values.
        seeds: The source of the parts' seeds.
        parts: See `pieces`; qubits are by their place in the next argument.
        qubits: Those of the device.
    """
    columns = np.zeros((pub.size * pub.shots, program.circuit.num_clbits), dtype=bool)
    for part, places, bits in parts:
        if not part.data:
            continue
        circuit, simulator = device.flatten(part, [qubits[place] for place in places])
        found = _samples_of(simulator, circuit, pub, seeds).to_bool_array(order="little")
        columns[:, bits] = found.reshape(len(columns), -1)[:, : len(bits)]
    return BitArray.from_bool_array(columns, order="little")


def _bits_of_wide(device: Device, pub: SamplerPub, seeds: np.random.SeedSequence) -> BitArray:
    found = []
    for bound in _bound_wide(pub):
        circuit, _, simulator = device.prepare_wide(bound)
        result = execute(simulator, [circuit], seeds, shots=pub.shots, memory=True)
        found.append(memory_of(result, circuit.num_clbits))
    return BitArray.concatenate(found)


def _bound(pub: SamplerPub | EstimatorPub, circuit: Any) -> list[Any]:
    """Return a flat circuit with each of a pub's sets of values, once if it has no parameters.

    Aer would read the parameters of some gates as 0.
    """
    if not circuit.num_parameters:
        return [circuit.copy()]
    values = _used(pub, circuit).as_array(circuit.parameters)
    return [circuit.assign_parameters(row) for row in values.reshape(-1, circuit.num_parameters)]


def _bound_wide(pub: SamplerPub | EstimatorPub) -> Iterator[Any]:
    """The wide circuit with each of its sets of values."""
    _log.warning(
        "more than %d entangled qubits: as a matrix product state of bond dimension %d at most, "
        "with the errors of measurements and without those of gates",
        *(WHOLE, _wide.MAX_BOND),
    )
    for index in np.ndindex(pub.parameter_values.shape):
        yield pub.parameter_values.bind(pub.circuit, index)


def _estimate(
    device: Device,
    load: Callable[..., Program],
    parts: list[Any],
    document: Mapping[str, Any],
    options: Mapping[str, Any],
    seeds: np.random.SeedSequence,
) -> PubResult:
    observables, values, precision = (*parts, None, None)[:3]
    observables = ObservablesArray.coerce(observables)
    labels = [label for terms in _flat(observables) for label in terms]
    if not all(labels):
        raise EngineError("an observable has no qubits")
    width = max(map(len, labels), default=0)
    name, most = device.resource.resource_id, device.resource.num_qubits
    if device.backend is not None and width > most:
        raise EngineError(f"an observable has {width} qubits, {name} {most}")
    program = load(width)
    pub = EstimatorPub.coerce(
        (program.circuit, observables, _bindings(program, values), precision),
        _default_precision(document, options),
    )
    observed = {
        place for label in labels for place, pauli in enumerate(reversed(label)) if pauli != "I"
    }
    metadata = {
        "target_precision": pub.precision,
        "circuit_metadata": program.circuit.metadata,
    }
    if device.is_wide(program.circuit, observed):
        metadata["shots"] = _shots_for(pub, device)
        evs, stds = _values_of_wide(device, pub, observables, observed, seeds)
        _refuse_infinite(evs, stds)
        return PubResult(DataBin(evs=evs, stds=stds, shape=pub.shape), metadata=metadata)
    circuit, qubits, simulator = device.prepare(program, observed)
    terms = _terms(_flat(observables), qubits).reshape(observables.shape)
    ideal = device.backend is None and device.noise is None
    if ideal and NOT_UNITARY.isdisjoint(circuit.count_ops()):
        evs = _exact_values(simulator, circuit, pub, terms, seeds)
        # An error of the precision asked for, which may be 0.
        evs = np.asarray(np.random.default_rng(seeds).normal(evs, pub.precision))
        stds = np.full(pub.shape, float(pub.precision))
    else:
        metadata["shots"] = _shots_for(pub, device)
        values = _used(pub, circuit)
        evs, stds = _estimated(simulator, seeds, (circuit, terms, values, pub.precision))
    _refuse_infinite(evs, stds)
    return PubResult(DataBin(evs=evs, stds=stds, shape=pub.shape), metadata=metadata)


def _exact_values(
    simulator: Any, circuit: Any, pub: EstimatorPub, terms: Any, seeds: np.random.SeedSequence
) -> Any:
    """Return the expectation values of sums of Paulis, given as mappings, in a flat circuit."""
    bound = _bound(pub, circuit)
    for label in sorted({label for entry in terms.flat for label in entry}):
        for each in bound:
            each.save_expectation_value(Pauli(label), each.qubits, label=label)
    result = execute(simulator, bound, seeds)
    found = [experiment.data for experiment in result.results]
    shape = pub.parameter_values.shape
    numbers = np.arange(math.prod(shape)).reshape(shape) if len(bound) > 1 else np.zeros(shape, int)
    pairs = np.broadcast(numbers, terms)
    values = [
        sum(factor * getattr(found[number], label) for label, factor in entry.items())
        for number, entry in pairs
    ]
    return np.array(values, dtype=float).reshape(pub.shape)


def _values_of_wide(
    device: Device,
    pub: EstimatorPub,
    observables: ObservablesArray,
    observed: Collection[int],
    seeds: np.random.SeedSequence,
) -> Any:
    """Expectation values and their standard errors, with each set of parameter values by itself."""
    entries = np.empty(observables.size, dtype=object)
    entries[:] = _flat(observables)
    entries = np.broadcast_to(entries.reshape(observables.shape), pub.shape)
    shape = pub.parameter_values.shape
    numbers = np.broadcast_to(np.arange(math.prod(shape)).reshape(shape), pub.shape)
    data = np.empty((2, *pub.shape))
    for number, bound in enumerate(_bound_wide(pub)):
        circuit, qubits, simulator = device.prepare_wide(bound, observed)
        here = numbers == number
        terms = _terms(entries[here], qubits)
        data[:, here] = _estimated(simulator, seeds, (circuit, terms, None, pub.precision))
    return data


def _estimated(simulator: Any, seeds: np.random.SeedSequence, pub: Any) -> Any:
    """Return the expectation values of a pub for Qiskit's estimator, and their standard errors."""
    [result] = BackendEstimatorV2(backend=Backend(simulator, seeds)).run([pub]).result()
    return np.asarray(result.data.evs), np.asarray(result.data.stds)


def _refuse_infinite(*arrays: Any) -> None:
    if not all(np.isfinite(array).all() for array in arrays):
        raise EngineError("the result is not finite: use smaller coefficients and precision")


def _shots_for(pub: EstimatorPub, device: Device) -> int:
    if not pub.precision > 0:
        raise EngineError(
            "the precision must be more than 0, since this circuit's values come from shots"
        )
    # Even less takes too many shots all the more, and its square may be 0.
    shots: int = math.ceil(1 / max(pub.precision, 1e-9) ** 2)
    _limit(shots, MAX_ESTIMATOR_SHOTS, device)
    return shots


def _compiled_program(device: Device, form: object, num_qubits: int = 0) -> Program:
    program = program_of(device, form, num_qubits)
    device.compiled.check(lambda: places_of(program.circuit))
    return program


def program_of(device: Device, form: object, num_qubits: int = 0) -> Program:
    """The circuit of a pub, as it came."""
    text = form if isinstance(form, str) else json.dumps(form)
    read = _read if len(text) <= KEPT_LENGTH else _read.__wrapped__
    return read(device.resource.resource_id, text, isinstance(form, str), num_qubits)


@functools.lru_cache(maxsize=KEPT)
def _read(resource_id: str, text: str, is_qasm: bool, num_qubits: int) -> Program:
    form = text if is_qasm else decode("circuit", json.loads(text))
    return device_of(resource_id).load(form, num_qubits)


def _bindings(program: Program, values: Any) -> BindingsArray:
    """The values by parameter name, given by position, by name or not at all."""
    if values is None:
        return BindingsArray()
    if not isinstance(values, BindingsArray):
        if not isinstance(values, Mapping):
            values = {program.parameters: values}
        values = BindingsArray(values)
    if 0 in values.shape:
        raise EngineError("the array of parameter values is empty, and the circuit has parameters")
    if not all(np.isfinite(array).all() for array in values.data.values()):
        raise EngineError("its parameter values are not all finite")
    return values


def _used(pub: SamplerPub | EstimatorPub, circuit: Any) -> BindingsArray:
    """The pub's values of the parameters that are left in a circuit."""
    everything = pub.circuit.parameters
    left = {parameter.name for parameter in circuit.parameters}
    columns = [i for i, parameter in enumerate(everything) if parameter.name in left]
    names = tuple(everything[i].name for i in columns)
    values = pub.parameter_values.as_array(everything)[..., columns]
    return BindingsArray({names: values}, shape=pub.parameter_values.shape)


def _default_precision(document: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
    """What a pub without a precision gets; `default_shots` wins over `default_precision`."""
    shots = options.get("default_shots")
    return _first(
        document.get("precision"),
        None if shots is None else 1 / math.sqrt(shots),
        options.get("default_precision"),
        DEFAULT_PRECISION,
    )


def _seed(options: Mapping[str, Any], seed: int | None) -> int | None:
    simulator = options.get("simulator") or {}
    if not isinstance(simulator, Mapping):
        raise EngineError("options.simulator is not an object")
    found = _first(simulator.get("seed_simulator"), options.get("seed_estimator"), seed)
    if found is None:
        return None
    if type(found) is not int or not 0 <= found < 2**63:
        raise EngineError(f"the seed is not a whole number from 0 to 2**63 - 1: {found!r:.40}")
    return found


def decode(name: str, part: object) -> Any:
    """A part of an input with what it means in place of how it is written."""
    try:
        return json.loads(json.dumps(part), cls=RuntimeDecoder)
    except Exception as error:
        raise EngineError(f"its {name} cannot be decoded: {one_line(error)}") from error


def first_of(error: Any) -> str:
    """What is wrong first, of an error of pydantic's."""
    found = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, found['loc']))}: {one_line(ValueError(found['msg']))}"


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def limit_shots(shots: int, device: Device) -> None:
    """Refuses more shots than the resource takes."""
    _limit(shots, device.resource.max_shots, device)


def _limit(shots: int, most: int, device: Device) -> None:
    if shots > most:
        raise EngineError(f"{shots} shots; {device.resource.resource_id} takes at most {most}")


def _flat(observables: ObservablesArray) -> list[Mapping[str, float]]:
    flat: list[Mapping[str, float]] = observables.ravel().tolist()
    return flat


def _terms(entries: Collection[Mapping[str, float]], qubits: list[int]) -> Any:
    """Observables on these qubits alone, as sums of Pauli strings."""
    terms = np.empty(len(entries), dtype=object)
    for place, entry in enumerate(entries):
        total: dict[str, float] = {}
        for label, coefficient in entry.items():
            small = "".join(label[-1 - qubit] for qubit in reversed(qubits))
            for paulis, factor in _expand(small):
                total[paulis] = total.get(paulis, 0) + factor * coefficient
        terms[place] = total
    return terms


def _expand(label: str) -> Iterator[tuple[str, float]]:
    """A product of Paulis and projectors as a sum of Pauli strings and their factors."""
    count = sum(character in PROJECTORS for character in label)
    if count > MAX_PROJECTORS:
        raise EngineError(f"a term has {count} projectors; at most {MAX_PROJECTORS} are possible")
    choices = [
        (("I", 0.5), (PROJECTORS[character][0], PROJECTORS[character][1] / 2))
        if character in PROJECTORS
        else ((character, 1.0),)
        for character in label
    ]
    for choice in itertools.product(*choices):
        yield "".join(pauli for pauli, _ in choice), math.prod(factor for _, factor in choice)


def _plain(data: DataBin) -> dict[str, Any]:
    """The data without Qiskit's types."""
    return {
        name: {"samples": _samples(value), "num_bits": value.num_bits}
        if isinstance(value, BitArray)
        else np.asarray(value).tolist()
        for name, value in data.items()
    }


def _samples(bits: BitArray) -> Any:
    samples = [
        [hex(int(sample or "0", 2)) for sample in bits.get_bitstrings(index)]
        for index in np.ndindex(bits.shape)
    ]
    return np.array(samples, dtype=object).reshape(*bits.shape, -1).tolist()


def encode(document: Any) -> bytes:
    """A result in the runtime's encoding."""
    return json.dumps(document, cls=RuntimeEncoder, separators=(",", ":")).encode()


@contextmanager
def errors_of(what: str) -> Iterator[None]:
    """Whatever the libraries raise about the input, in one line that names the pub."""
    try:
        yield
    except Exception as error:
        raise EngineError(f"{what}: {one_line(error)}") from error
