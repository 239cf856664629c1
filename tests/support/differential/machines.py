"""Resources that execute circuits, and comparisons of their results with expectations."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import attrs
import numpy as np
from hypothesis import note, reject
from qiskit import QuantumCircuit, qasm3, transpile
from qiskit.circuit import ControlledGate, ForLoopOp, Gate
from qiskit.circuit.classical import expr
from qiskit.circuit.exceptions import CircuitError
from qiskit.exceptions import QiskitError
from qiskit.primitives.containers.bindings_array import BindingsArray
from qiskit.primitives.containers.estimator_pub import EstimatorPub
from qiskit.primitives.containers.sampler_pub import SamplerPub
from qiskit.qasm3 import ExperimentalFeatures, QASM3ExporterError
from qiskit_ibm_runtime import fake_provider

from qrmi_core import Payload, QuantumResource
from qrmi_qiskit import EstimatorV2, PrimitiveJob, SamplerV2, get_backend
from support.differential import COMPARED, bounds
from support.differential.circuits import CONTROL, Features, duplicate, is_panic
from support.differential.reference import Noise, Simulation

SECONDS: Final = 300.0
SHOTS: Final = 1000
PRECISION: Final = 1 / 32
EXACT: Final = 1e-9
"""Error of an exact value, computed without shots."""


@attrs.frozen(eq=False, slots=False)
class Machine:
    """A resource that runs Qiskit's primitives.

    Attributes:
        resource: The resource.
        noise: Noise of the device; None for an ideal simulator.
    """

    resource: QuantumResource
    noise: Noise | None = None

    @functools.cached_property
    def features(self) -> Features:
        """The features of circuits that it can run."""
        if self.noise is None:
            return Features()
        target = self.noise.backend.target
        return Features(
            control=CONTROL & set(target.operation_names),
            # The transpiler does not convert other units within blocks. Without a time step, it
            # rejects delays.
            delays=("dt",) if target.dt else (),
            resets="reset" in target.operation_names,
        )

    def compiled(self, circuit: QuantumCircuit, values: Any) -> tuple[QuantumCircuit, Any]:
        """Return the circuit as a client would submit it, and the values it still needs."""
        if self.noise is None:
            return circuit, values
        try:
            isa = transpile(circuit, get_backend(self.resource), optimization_level=1)
        except BaseException as error:
            if not isinstance(error, QiskitError) and not is_panic(error):
                raise
            reject()  # cannot be compiled, so a client would not submit it
        if has_own_gates(isa):  # mistaken for the device's gate of that name, and rejected
            reject()
        names = tuple(parameter.name for parameter in circuit.parameters)
        left = tuple(parameter.name for parameter in isa.parameters)
        if not set(left) <= set(names):  # the compiler sometimes keeps the parameter of a loop
            reject()
        bindings = BindingsArray.coerce(values)
        array = bindings.as_array(names)[..., [names.index(name) for name in left]]
        return isa, BindingsArray({left: array}, shape=bindings.shape)

    def check_samples(self, circuits: Sequence[tuple[QuantumCircuit, Any]]) -> None:
        """Sample circuits in every input format, and compare the distributions."""
        pubs = [SamplerPub.coerce((*self.compiled(*each), SHOTS)) for each in circuits]
        expected = [
            {index: simulation.distribution() for index, simulation in self._simulations(pub)}
            for pub in pubs
        ]
        results = {"QPY": SamplerV2(self.resource).run(pubs).result(SECONDS)}
        texts = [text_of(pub.circuit) for pub in pubs]
        if all(texts) and all(map(_has_shape_in_text, pubs)):
            parts = [[text, _values(pub), pub.shots] for text, pub in zip(texts, pubs, strict=True)]
            results["text"] = self._run_text("sampler", parts)
        for form, result in results.items():
            for number, pub in enumerate(pubs):
                check_counts(f"pub {number} as {form}", pub, expected[number], result[number].data)
        COMPARED["circuits sampled"] += len(pubs)

    def check_estimates(self, circuits: Sequence[tuple[QuantumCircuit, Any, Any]]) -> None:
        """Estimate observables in every input format, and compare the expectation values."""
        pubs = []
        for circuit, observables, values in circuits:
            isa, left = self.compiled(circuit, values)
            placed = np.empty(np.shape(observables), dtype=object)
            for index, each in np.ndenumerate(observables):
                placed[index] = each.apply_layout(isa.layout, isa.num_qubits)
            pubs.append(EstimatorPub.coerce((isa, placed, left, PRECISION)))
        expected = [self._means(pub) for pub in pubs]
        # A text may request exact values where they exist.
        exact = [0 if self._is_unitary(pub) else PRECISION for pub in pubs]
        results = {"QPY": EstimatorV2(self.resource).run(pubs).result(SECONDS)}
        texts = [text_of(pub.circuit) for pub in pubs]
        if all(texts) and all(map(_has_shape_in_text, pubs)):
            parts = [
                [text, pub.observables.tolist(), _values(pub), precision]
                for text, pub, precision in zip(texts, pubs, exact, strict=True)
            ]
            results["text"] = self._run_text("estimator", parts)
        for form, result in results.items():
            for number, pub in enumerate(pubs):
                precision = exact[number] if form == "text" else PRECISION
                self._check_values(
                    f"pub {number} as {form}", pub, expected[number], result[number], precision
                )
        COMPARED["circuits estimated"] += len(pubs)

    def _check_values(
        self, where: str, pub: EstimatorPub, expected: Any, result: Any, precision: float
    ) -> None:
        assert result.data.evs.shape == pub.shape, where
        for index, terms in expected.items():
            if "shots" in result.metadata:
                low, high = bounds.interval(terms, result.metadata["shots"])
            else:
                mean = sum(factor * value for factor, value in terms.values())
                low, high = bounds.gaussian(mean, precision)
            found = float(result.data.evs[index])
            assert low - EXACT <= found <= high + EXACT, (
                f"{where}: entry {list(index)} is {found}, expected {low} to {high}: "
                f"coefficients and means {terms}\n{shown(pub)}"
            )

    def _means(self, pub: EstimatorPub) -> dict[tuple[int, ...], dict[str, tuple[float, float]]]:
        simulations = dict(self._simulations(pub))
        found = {}
        places = np.empty(pub.parameter_values.shape, dtype=object)
        for index in simulations:
            places[index] = simulations[index]
        places = np.broadcast_to(places, pub.shape)
        observables = np.broadcast_to(np.asarray(pub.observables.tolist(), dtype=object), pub.shape)
        for index in np.ndindex(pub.shape):
            found[index] = {
                label: (factor, places[index].mean(label))
                for label, factor in observables[index].items()
            }
        return found

    def _simulations(
        self, pub: SamplerPub | EstimatorPub
    ) -> Iterator[tuple[tuple[int, ...], Simulation]]:
        note(shown(pub))
        values = pub.parameter_values
        for index in np.ndindex(values.shape):
            yield index, Simulation(values.bind(duplicate(pub.circuit), index), self.noise)

    def _is_unitary(self, pub: EstimatorPub) -> bool:
        names = set(pub.circuit.count_ops())
        return self.noise is None and names.isdisjoint({"measure", "reset", "store", *CONTROL})

    def _run_text(self, program_id: str, pubs: list[Any]) -> Any:
        document = {"pubs": pubs, "version": 2, "support_qiskit": True, "options": {}}
        payload = Payload.QiskitPrimitive(input=document, program_id=program_id)
        return PrimitiveJob(self.resource, self.resource.task_start(payload)).result(SECONDS)


def snapshot(name: str) -> Any:
    """Return the qiskit-ibm-runtime backend whose snapshot a local resource uses."""
    return next(
        value()
        for value in vars(fake_provider).values()
        if getattr(value, "backend_name", None) == name
    )


def check_counts(where: str, pub: SamplerPub, expected: Any, data: Any) -> None:
    """Compare sampled data with the distribution, for each set of parameter values."""
    found = outcomes(data)
    assert found.shape[:-1] == pub.shape, f"{where}: shape {found.shape[:-1]}, not {pub.shape}"
    for index, chances in expected.items():
        problem = bounds.improbable(chances, found[index])
        assert not problem, (
            f"{where}: entry {list(index)}: {problem}\nexpected {np.round(chances * SHOTS, 3)}\n"
            f"found {found[index]}\n{shown(pub)}"
        )


def outcomes(data: Any) -> Any:
    """Return joint counts of all registers, by set of parameter values.

    Args:
        data: The data of a sampler pub, its fields in the order of the circuit's registers.

    Returns:
        Integers of the pub's shape with one more axis for the outcomes. The first bit of the first
        register is the least significant.
    """
    arrays = [bits.to_bool_array(order="little") for bits in data.values()]
    columns = np.concatenate(arrays, axis=-1)
    numbers = columns @ (1 << np.arange(columns.shape[-1]))
    size = 1 << columns.shape[-1]
    flat = [np.bincount(row, minlength=size) for row in numbers.reshape(-1, numbers.shape[-1])]
    return np.array(flat).reshape(*numbers.shape[:-1], size)


def shown(pub: SamplerPub | EstimatorPub) -> str:
    """Return a description from which a reader can reproduce a pub."""
    text = text_of(pub.circuit) or str(pub.circuit.draw("text", fold=-1, cregbundle=False))
    found = [text, f"parameter values: {dict(pub.parameter_values.data)}"]
    if isinstance(pub, EstimatorPub):
        found.append(f"observables: {pub.observables.tolist()}")
    return "\n".join(found)


def text_of(circuit: QuantumCircuit) -> str | None:
    """Return the circuit as OpenQASM 3, or None if Qiskit cannot write or re-read it.

    Qiskit's importer rejects expressions in conditions, and its exporter adds one or two rounds to
    a loop that counts down.
    """
    if _has_expressions(circuit) or _counts_down(circuit):
        return None
    try:
        text: str = qasm3.dumps(circuit, experimental=ExperimentalFeatures.SWITCH_CASE_V1)
    except (QASM3ExporterError, TypeError, CircuitError):
        return None
    # It writes invalid OpenQASM for these: a gate without qubits, and gates with letters
    # or complex numbers as angles.
    return None if re.search(r"gate global_phase|pauli\w*\(|\dj\b", text) else text


def _has_expressions(circuit: QuantumCircuit) -> bool:
    return any(
        isinstance(getattr(each, "condition", getattr(each, "target", None)), expr.Expr)
        for each in _control(circuit)
    )


def has_own_gates(circuit: QuantumCircuit) -> bool:
    """Return True if the circuit has gates without a class, which a device mistakes for its own."""
    blocks = [block for each in _control(circuit) for block in each.blocks]
    return any(
        type(instruction.operation) in (Gate, ControlledGate)
        for block in (circuit, *blocks)
        for instruction in block.data
    )


def _counts_down(circuit: QuantumCircuit) -> bool:
    return any(
        isinstance(each, ForLoopOp)
        and isinstance(rounds := each.params[0], range)
        and rounds.step < 0
        for each in _control(circuit)
    )


def _control(circuit: QuantumCircuit) -> Iterator[Any]:
    """Yield the operations that have blocks, including nested ones."""
    for instruction in circuit.data:
        if hasattr(instruction.operation, "blocks"):
            yield instruction.operation
            for block in instruction.operation.blocks:
                yield from _control(block)


def _has_shape_in_text(pub: SamplerPub | EstimatorPub) -> bool:
    """Return True if values without parameter names, as a text has them, have the pub's shape."""
    return bool(pub.circuit.parameters) or pub.parameter_values.shape == ()


def _values(pub: SamplerPub | EstimatorPub) -> Any:
    """Return the parameter values by position."""
    parameters = pub.circuit.parameters
    return pub.parameter_values.as_array(parameters).tolist() if parameters else None
