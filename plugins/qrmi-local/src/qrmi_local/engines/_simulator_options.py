"""`options.simulator`: the noise of a simulation, and the device that circuits are compiled for."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Collection, Mapping, Sequence
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


@attrs.frozen
class _Error:
    """An error of a noise model.

    Attributes:
        operations: The names of the gates that it follows; empty for an error of measurements.
        qubits: The qubits where it does, None for all.
        error: A `QuantumError`, or a `ReadoutError`.
    """

    operations: list[str]
    qubits: list[tuple[int, ...]] | None
    error: Any


@attrs.frozen(eq=False)
class Noise:
    """A noise model that replaces the resource's own."""

    errors: list[_Error]

    @property
    def of_gates(self) -> bool:
        """True if there are errors besides those of measurements."""
        return any(error.operations for error in self.errors)

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


def noise_of(options: Mapping[str, Any], decode: Callable[[str, object], Any]) -> Noise | None:
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
def _noise(text: str, decode: Callable[[str, object], Any]) -> Noise:
    errors = []
    for index, error in enumerate(decode("noise model", json.loads(text))):
        try:
            errors.append(_read(error))
        except Exception as problem:
            raise EngineError(
                f"options.simulator.noise_model: error {index}: {one_line(problem)}"
            ) from problem
    return Noise(errors)


def _read(error: Mapping[str, Any]) -> _Error:
    kind, places = error["type"], error.get("gate_qubits")
    qubits = None if places is None else [tuple(map(int, place)) for place in places]
    if kind == "roerror":
        return _Error([], qubits, ReadoutError(np.asarray(error["probabilities"], dtype=float)))
    if kind != "qerror":
        raise ValueError(f"its type {kind!r} is neither qerror nor roerror")
    operations = [str(name) for name in error["operations"]]
    if not operations:
        raise ValueError("it follows no operation")
    circuits = map(_circuit, error["instructions"])
    return _Error(
        operations,
        qubits,
        QuantumError(list(zip(circuits, map(float, error["probabilities"]), strict=True))),
    )


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
