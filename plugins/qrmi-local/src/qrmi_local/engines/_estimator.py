"""The estimator on qiskit-aer."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import numpy as np
from qiskit.primitives import BackendEstimatorV2, DataBin
from qiskit.primitives.containers import PubResult
from qiskit.primitives.containers.estimator_pub import EstimatorPub
from qiskit.primitives.containers.observables_array import ObservablesArray
from qiskit.quantum_info import Pauli

from qrmi_local.engines import EngineError, qiskit as engine
from qrmi_local.engines._circuits import CircuitProgram
from qrmi_local.engines._devices import Device
from qrmi_local.engines._flat import JUMPS
from qrmi_local.engines._pubs import bind, bind_wide, bindings, check_shots, first_set, used
from qrmi_local.engines._runs import Backend, execute

DEFAULT_PRECISION = 1 / 64
# A pub of an estimator is spread over jobs on a device, so the device's own limit is not one here.
MAX_ESTIMATOR_SHOTS = engine.AER.max_shots
NOT_UNITARY = {"measure", "reset", "initialize", *JUMPS}
# Projector of an observable -> (Pauli, sign) of `(I + sign * Pauli) / 2`.
PROJECTORS = {
    **{"0": ("Z", 1), "1": ("Z", -1)},
    **{"+": ("X", 1), "-": ("X", -1)},
    **{"r": ("Y", 1), "l": ("Y", -1)},
}
# Each doubles the terms.
MAX_PROJECTORS = 10


def estimate(
    device: Device,
    load: Callable[..., CircuitProgram],
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
        (program.circuit, observables, bindings(program, values), precision),
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
        values = used(pub, circuit)
        evs, stds = _estimated(simulator, seeds, (circuit, terms, values, pub.precision))
    _refuse_infinite(evs, stds)
    return PubResult(DataBin(evs=evs, stds=stds, shape=pub.shape), metadata=metadata)


def _exact_values(
    simulator: Any, circuit: Any, pub: EstimatorPub, terms: Any, seeds: np.random.SeedSequence
) -> Any:
    """Return the expectation values of sums of Paulis, given as mappings, in a flat circuit."""
    bound = bind(pub, circuit)
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
    """Return expectation values and standard errors, one set of parameter values at a time."""
    entries = np.empty(observables.size, dtype=object)
    entries[:] = _flat(observables)
    entries = np.broadcast_to(entries.reshape(observables.shape), pub.shape)
    shape = pub.parameter_values.shape
    numbers = np.broadcast_to(np.arange(math.prod(shape)).reshape(shape), pub.shape)
    data = np.empty((2, *pub.shape))
    for number, bound in enumerate(bind_wide(pub)):
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
    check_shots(shots, MAX_ESTIMATOR_SHOTS, device)
    return shots


def _default_precision(document: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
    """Return the precision of a pub without one; `default_shots` wins over the precision."""
    shots = options.get("default_shots")
    return first_set(
        document.get("precision"),
        None if shots is None else 1 / math.sqrt(shots),
        options.get("default_precision"),
        DEFAULT_PRECISION,
    )


def _flat(observables: ObservablesArray) -> list[Mapping[str, float]]:
    flat: list[Mapping[str, float]] = observables.ravel().tolist()
    return flat


def _terms(entries: Collection[Mapping[str, float]], qubits: list[int]) -> Any:
    """Return observables on these qubits alone, as sums of Pauli strings."""
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
    """Yield the Pauli strings and factors of a product of Paulis and projectors."""
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
