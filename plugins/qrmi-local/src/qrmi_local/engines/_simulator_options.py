"""`options.simulator`: the noise of a simulation, and the device that circuits are compiled for."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import attrs
import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit.library import PauliGate, UnitaryGate, get_standard_gate_name_mapping
from qiskit.quantum_info import Kraus
from qiskit_aer.noise import NoiseModel, QuantumError, ReadoutError

from qrmi_local.engines import EngineError, one_line
from qrmi_local.engines._options import noise_errors

# Name of an operation, and its qubits.
Place = tuple[str, tuple[int, ...]]
_NOT_GATES: Final = frozenset(
    {
        *("barrier", "measure", "reset", "delay", "store", "break_loop", "continue_loop"),
        *("if_else", "while_loop", "for_loop", "switch_case", "box"),
    }
)


@attrs.frozen(eq=False)
class _Error:
    """An error of a noise model.

    Attributes:
        operations: The names of the gates that it follows; empty for an error of measurements.
        qubits: The qubits where it does, None for all.
        form: The error as it came.
        decode: Decodes the runtime's encoding of a named value.
        index: Its number in the model.
    """

    operations: list[str]
    qubits: list[tuple[int, ...]] | None
    form: Mapping[str, Any]
    decode: Callable[[str, object], Any]
    index: int

    # A device's model has a thousand errors, and each takes a hundredth of a second to make.
    @functools.cached_property
    def error(self) -> Any:
        """Make the `QuantumError` or `ReadoutError`."""
        with _named(self.index):
            form = self.decode("noise model", self.form)
            chances = form["probabilities"]
            if not self.operations:
                return ReadoutError(np.asarray(chances, dtype=float))
            circuits = map(_circuit, form["instructions"])
            return QuantumError(list(zip(circuits, map(float, chances), strict=True)))


@attrs.frozen(eq=False)
class TaskNoise:
    """A noise model that replaces the resource's own."""

    errors: list[_Error]

    @functools.cached_property
    def operations(self) -> frozenset[str]:
        """The names and labels of the instructions that have errors besides those of readout."""
        return frozenset(name for error in self.errors for name in error.operations)

    def on(self, qubits: Sequence[int]) -> NoiseModel:
        """Return the model of some qubits, numbered from 0 in this order."""
        model = NoiseModel()
        new = {qubit: index for index, qubit in enumerate(qubits)}
        for each in self.errors:
            if each.qubits is None:
                if each.operations:
                    model.add_all_qubit_quantum_error(each.error, each.operations, warnings=False)
                else:
                    model.add_all_qubit_readout_error(each.error, warnings=False)
                continue
            for place in each.qubits:
                if not new.keys() >= set(place):
                    continue
                here = [new[qubit] for qubit in place]
                if each.operations:
                    model.add_quantum_error(each.error, each.operations, here, warnings=False)
                else:
                    model.add_readout_error(each.error, here, warnings=False)
        return model


@attrs.frozen
class Compiled:
    """The gates and the pairs of qubits that a circuit may use.

    Attributes:
        gates: Their names, None for all.
        pairs: Pairs of qubits in the order in which a gate acts on them, None for all.
    """

    gates: frozenset[str] | None = None
    pairs: frozenset[tuple[int, ...]] | None = None

    def check(self, places: Callable[[], Collection[Place]]) -> None:
        """Raise if a circuit was not compiled for this.

        Args:
            places: Returns the operations of the circuit, and their qubits.

        Raises:
            EngineError: It has another gate, or one on other qubits.
        """
        if self.gates is None and self.pairs is None:
            return
        size = None if self.pairs is None else max(map(max, self.pairs), default=-1) + 1
        for name, qubits in sorted(places()):
            where = ", ".join(f"${qubit}" for qubit in qubits)
            if size is not None and any(qubit >= size for qubit in qubits):
                raise EngineError(
                    f"{name} on {where}, and options.simulator.coupling_map has {size} qubits"
                )
            if name in _NOT_GATES:
                continue
            if self.gates is not None and name not in self.gates:
                raise EngineError(
                    f"{name} on {where} is not one of options.simulator.basis_gates: "
                    "transpile the circuit for these gates first"
                )
            if self.pairs is not None and len(qubits) > 1 and qubits not in self.pairs:
                raise EngineError(
                    f"{name} on {where} is not in options.simulator.coupling_map: "
                    "transpile the circuit for this map first"
                )


def noise_of(options: Mapping[str, Any], decode: Callable[[str, object], Any]) -> TaskNoise | None:
    """Return the noise that checked options ask for, None for the resource's own.

    Args:
        options: Those of `simulator`.
        decode: Decodes the runtime's encoding of a named value.

    Raises:
        EngineError: An error of the noise model cannot be read.
    """
    form = options.get("noise_model")
    return None if form is None else _noise(json.dumps(noise_errors(form)), decode)


def compiled_of(options: Mapping[str, Any]) -> Compiled:
    """Return the device that circuits must be compiled for by checked options of `simulator`."""
    gates, pairs = options.get("basis_gates"), options.get("coupling_map")
    return Compiled(
        None if gates is None else frozenset(gates),
        None if pairs is None else frozenset((a, b) for a, b in pairs),
    )


# The same object for the same model, since simulators are kept by it.
@functools.lru_cache(maxsize=4)
def _noise(text: str, decode: Callable[[str, object], Any]) -> TaskNoise:
    errors = []
    for index, form in enumerate(json.loads(text)):
        with _named(index):
            operations, qubits = _head(form)
            errors.append(_Error(operations, qubits, form, decode, index))
    return TaskNoise(errors)


@contextmanager
def _named(index: int) -> Iterator[None]:
    """Raise the error that something raises about an error of the model as an `EngineError`."""
    try:
        yield
    except Exception as problem:
        raise EngineError(
            f"options.simulator.noise_model: error {index}: {one_line(problem)}"
        ) from problem


def _head(form: Mapping[str, Any]) -> tuple[list[str], list[tuple[int, ...]] | None]:
    """Return the operations that an error follows, and their qubits."""
    kind, places = form["type"], form.get("gate_qubits")
    qubits = None if places is None else [tuple(map(int, place)) for place in places]
    if kind == "roerror":
        return [], qubits
    if kind != "qerror":
        raise ValueError(f"its type {kind!r} is neither qerror nor roerror")
    operations = [str(name) for name in form["operations"]]
    if not operations:
        raise ValueError("it follows no operation")
    return operations, qubits


def _circuit(instructions: Sequence[Mapping[str, Any]]) -> Any:
    places = [list(map(int, each["qubits"])) for each in instructions]
    circuit = QuantumCircuit(max(map(max, places)) + 1)
    for each, qubits in zip(instructions, places, strict=True):
        circuit.append(_operation(each["name"], each.get("params") or []), qubits)
    return circuit


def _operation(name: str, params: Sequence[Any]) -> Any:
    match name:
        case "pauli":
            return PauliGate(params[0])
        case "unitary":
            return UnitaryGate(_matrix(params[0]))
        case "kraus":
            return Kraus([_matrix(each) for each in params]).to_instruction()
    standard = get_standard_gate_name_mapping().get(name)
    if standard is None:
        raise ValueError(f"its instruction {name!r} is unknown")
    return type(standard)(*params)


def _matrix(form: Any) -> Any:
    matrix = np.asarray(form)
    # Without the runtime's encoding a complex number is a pair.
    return matrix[..., 0] + 1j * matrix[..., 1] if matrix.ndim == 3 else matrix
