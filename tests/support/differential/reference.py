"""A small, slow simulator of circuits with control flow and noise, independent of Aer.

The state is one unnormalised density matrix per content of the classical memory: a measurement or
condition splits it, and branches with equal contents are merged. The matrices of the gates are
Qiskit's.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import attrs
import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import (
    CASE_DEFAULT,
    AnnotatedOperation,
    Clbit,
    ForLoopOp,
    Gate,
    IfElseOp,
    SwitchCaseOp,
    WhileLoopOp,
)
from qiskit.circuit.classical import expr, types
from qiskit.quantum_info import Operator, SuperOp
from qiskit.transpiler import PassManager
from qiskit.transpiler.passes import Optimize1qGatesDecomposition
from qiskit_aer.noise import NoiseModel

ENDED: Final = 1e-15
"""Probability of staying in a loop that is treated as zero."""

MAX_ROUNDS: Final = 2_000
"""Rounds of a loop after which it counts as endless."""

_GATES: Final = (Gate, AnnotatedOperation)

Memory = frozenset[tuple[Any, int]]
"""Bits and variables with their values."""

States = dict[Memory, Any]
"""Density matrices by content of the memory."""


@attrs.frozen
class Noise:
    """Noise of a device: channels after gates, relaxation in delays, readout errors."""

    backend: Any

    @functools.cached_property
    def _model(self) -> Any:
        return NoiseModel.from_backend(self.backend)

    @functools.cached_property
    def _errors(self) -> dict[tuple[str, tuple[int, ...]], Any]:
        return {
            (name, qubits): SuperOp(error).data
            for name, places in self._model._local_quantum_errors.items()
            for qubits, error in places.items()
        }

    def after(self, operation: Any, qubits: tuple[int, ...]) -> Any:
        """Return the channel after an operation, or None if the operation has no errors."""
        if operation.name == "delay":
            return self._relaxation(operation, *qubits)
        return self._errors.get((operation.name, qubits))

    def readout(self, qubit: int) -> Any:
        """Return the probabilities of the recorded values (column) for each outcome (row)."""
        error = self._model._local_readout_errors.get((qubit,))
        return np.eye(2) if error is None else error.probabilities

    @functools.cache  # noqa: B019
    def basis_change(self, pauli: str, qubit: int) -> QuantumCircuit:
        """Return the operations an estimator adds to measure X or Y of a qubit."""
        circuit = QuantumCircuit(self.backend.num_qubits)
        if pauli == "Y":
            circuit.sdg(qubit)
        circuit.h(qubit)
        return PassManager([Optimize1qGatesDecomposition(target=self.backend.target)]).run(circuit)

    def _relaxation(self, delay: Any, qubit: int) -> Any:
        """Return T1 amplitude damping and T2 dephasing as a superoperator."""
        properties = self.backend.target.qubit_properties[qubit]
        if properties.t1 is None or properties.t2 is None:
            return None
        unit = {"s": 1, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "ps": 1e-12, "dt": self.backend.dt}
        seconds = float(delay.duration) * unit[delay.unit]
        kept = np.exp(-seconds / properties.t1)
        coherent = np.exp(-seconds / min(properties.t2, 2 * properties.t1))
        channel = np.diag([1, coherent, coherent, kept]).astype(complex)
        channel[0, 3] = 1 - kept
        return channel


@attrs.frozen
class _Flow:
    """The states that left a block: at its end, by break and by continue."""

    normal: States
    broken: States
    continued: States


class Simulation:
    """A circuit without parameters, simulated with all its possible branches.

    Attributes:
        states: The final states.
    """

    def __init__(self, circuit: QuantumCircuit, noise: Noise | None = None) -> None:
        self._noise = noise
        self.circuit = circuit
        state = np.zeros((2,) * (2 * circuit.num_qubits), dtype=complex)
        state.flat[0] = 1
        memory: Memory = frozenset((bit, 0) for bit in circuit.clbits)
        where = {qubit: index for index, qubit in enumerate(circuit.qubits)}
        bits = {bit: bit for bit in circuit.clbits}
        self.states = self._block(circuit, where, bits, {memory: state}).normal

    @property
    def state(self) -> Any:
        """The density matrix, summed over the contents of the classical memory."""
        size = 2**self.circuit.num_qubits
        return sum(self.states.values()).reshape(size, size)

    def distribution(self) -> Any:
        """Return the probabilities of the bits' values; the first bit is the least significant."""
        found = np.zeros(2 ** len(self.circuit.clbits))
        for memory, state in self.states.items():
            values = dict(memory)
            index = sum(values[bit] << place for place, bit in enumerate(self.circuit.clbits))
            found[index] += _trace(state)
        return found

    def mean(self, label: str) -> float:
        """Return the expectation value of a Pauli product, measured as an estimator does."""
        state = sum(self.states.values())
        factors = {"I": np.eye(2), "Z": np.diag([1, -1])}
        value = state
        for qubit, pauli in enumerate(reversed(label)):
            if pauli == "I":
                continue
            factor = Operator.from_label(pauli).data
            if self._noise is not None:
                if pauli != "Z":
                    for step in self._noise.basis_change(pauli, qubit).data:
                        value = self._gate(value, step.operation, (qubit,))
                factor = np.diag(self._noise.readout(qubit) @ [1, -1])
            # tr(A rho), qubit by qubit, with the superoperator of multiplication by A.
            value = _apply(value, np.kron(factors["I"], factor), (qubit,))
        return float(_trace(value))

    def _block(
        self, block: QuantumCircuit, where: Mapping[Any, int], bits: Mapping[Any, Any], into: States
    ) -> _Flow:
        states, broken, continued = into, States(), States()
        for instruction in block.data:
            operation = instruction.operation
            qubits = tuple(where[qubit] for qubit in instruction.qubits)
            clbits = [bits[bit] for bit in instruction.clbits]
            match operation.name:
                case "barrier":
                    continue
                case "break_loop":
                    return _Flow({}, _joined(broken, states), continued)
                case "continue_loop":
                    return _Flow({}, broken, _joined(continued, states))
                case "measure":
                    states = self._measure(states, *qubits, *clbits)
                case "store":
                    states = self._store(operation, bits, states)
                case _ if hasattr(operation, "blocks"):
                    flow = self._control(operation, qubits, clbits, bits, states)
                    states = flow.normal
                    broken = _joined(broken, flow.broken)
                    continued = _joined(continued, flow.continued)
                case name if name in ("reset", "delay") or isinstance(operation, _GATES):
                    states = {
                        memory: self._gate(state, operation, qubits)
                        for memory, state in states.items()
                    }
                case _:
                    flow = self._inner(operation.definition, qubits, clbits, states)
                    states = flow.normal
        return _Flow(states, broken, continued)

    def _gate(self, state: Any, operation: Any, qubits: tuple[int, ...]) -> Any:
        if operation.name == "reset":
            channel = np.zeros((4, 4))
            channel[0, [0, 3]] = 1
            state = _apply(state, channel, qubits)
        elif operation.name != "delay" and qubits:
            matrix = Operator(operation).data
            state = _apply(state, np.kron(matrix.conj(), matrix), qubits)
        errors = self._noise and self._noise.after(operation, qubits)
        return state if errors is None else _apply(state, errors, qubits)

    def _measure(self, states: States, qubit: int, bit: Clbit) -> States:
        confusion = np.eye(2) if self._noise is None else self._noise.readout(qubit)
        found = States()
        for memory, state in states.items():
            for recorded in (0, 1):
                channel = np.diag([confusion[0, recorded], 0, 0, confusion[1, recorded]])
                part = _apply(state, channel, (qubit,))
                if _trace(part) > 0:
                    found = _joined(found, {_written(memory, bit, recorded): part})
        return found

    def _store(self, operation: Any, bits: Mapping[Any, Any], states: States) -> States:
        found = States()
        for memory, state in states.items():
            value = _value(operation.rvalue, dict(memory), bits)
            for target, part in _targets(operation.lvalue, bits, value):
                memory = _written(memory, target, part)
            found = _joined(found, {memory: state})
        return found

    def _inner(
        self, block: QuantumCircuit, qubits: Sequence[int], clbits: Sequence[Clbit], states: States
    ) -> _Flow:
        where = dict(zip(block.qubits, qubits, strict=True))
        return self._block(block, where, dict(zip(block.clbits, clbits, strict=True)), states)

    def _control(
        self,
        operation: Any,
        qubits: Sequence[int],
        clbits: Sequence[Clbit],
        bits: Mapping[Any, Any],
        states: States,
    ) -> _Flow:
        def holds(memory: Memory) -> int:
            return _condition(operation.condition, dict(memory), bits)

        def inside(block: QuantumCircuit, chosen: States) -> _Flow:
            return self._inner(block, qubits, clbits, chosen)

        if isinstance(operation, IfElseOp):
            yes, no = _parted(states, holds)
            blocks = operation.blocks
            flows = [inside(blocks[0], yes)]
            flows.append(inside(blocks[1], no) if len(blocks) > 1 else _Flow(no, {}, {}))
        elif isinstance(operation, SwitchCaseOp):
            flows, rest = [], states
            for values, block in operation.cases_specifier():
                chosen, rest = _parted(
                    rest,
                    lambda memory, values=values: (
                        CASE_DEFAULT in values
                        or _target(operation.target, dict(memory), bits) in values
                    ),
                )
                flows.append(inside(block, chosen))
            flows.append(_Flow(rest, {}, {}))
        elif isinstance(operation, ForLoopOp):
            return _Flow(self._for(operation, inside, states), {}, {})
        else:
            assert isinstance(operation, WhileLoopOp), operation.name
            return _Flow(self._while(operation, holds, inside, states), {}, {})
        return _Flow(
            *(
                _joined(*(getattr(flow, field.name) for flow in flows))
                for field in attrs.fields(_Flow)
            )
        )

    @staticmethod
    def _for(operation: Any, inside: Callable[..., _Flow], states: States) -> States:
        indices, parameter, body = operation.params
        left = States()
        for index in indices:
            block = body
            if parameter is not None and parameter in body.parameters:
                block = body.assign_parameters({parameter: index})
            flow = inside(block, states)
            states = _joined(flow.normal, flow.continued)
            left = _joined(left, flow.broken)
        return _joined(states, left)

    @staticmethod
    def _while(
        operation: Any,
        holds: Callable[[Memory], int],
        inside: Callable[..., _Flow],
        states: States,
    ) -> States:
        left = States()
        for _ in range(MAX_ROUNDS):
            states, done = _parted(states, holds)
            left = _joined(left, done)
            if sum(map(_trace, states.values())) < ENDED:
                return left
            flow = inside(operation.blocks[0], states)
            left = _joined(left, flow.broken)
            states = _joined(flow.normal, flow.continued)
        raise AssertionError("a generated loop does not end")


def _apply(state: Any, channel: Any, qubits: Sequence[int]) -> Any:
    """Apply a superoperator to qubits of a density matrix."""
    count = state.ndim // 2
    rows = [count - 1 - qubit for qubit in reversed(qubits)]
    axes = [*(row + count for row in rows), *rows]
    front = range(len(axes))
    moved = np.moveaxis(state, axes, front)
    done = (channel @ moved.reshape(len(channel), -1)).reshape(moved.shape)
    return np.moveaxis(done, front, axes)


def _trace(state: Any) -> float:
    size = 2 ** (state.ndim // 2)
    return float(np.trace(state.reshape(size, size)).real)


def _joined(*several: States) -> States:
    found = States()
    for states in several:
        for memory, state in states.items():
            found[memory] = found[memory] + state if memory in found else state
    return found


def _parted(states: States, holds: Callable[[Memory], Any]) -> tuple[States, States]:
    parts: tuple[States, States] = {}, {}
    for memory, state in states.items():
        parts[not holds(memory)][memory] = state
    return parts


def _written(memory: Memory, target: Any, value: int) -> Memory:
    return frozenset({**dict(memory), target: value}.items())


# --- classical expressions ----------------------------------------------------------------------


def _condition(condition: Any, values: Mapping[Any, int], bits: Mapping[Any, Any]) -> bool:
    if isinstance(condition, expr.Expr):
        return bool(_value(condition, values, bits))
    target, wanted = condition
    return _target(target, values, bits) == int(wanted)


def _target(target: Any, values: Mapping[Any, int], bits: Mapping[Any, Any]) -> int:
    if isinstance(target, expr.Expr):
        return _value(target, values, bits)
    if isinstance(target, Clbit):
        return values[bits.get(target, target)]
    return sum(values[bits.get(bit, bit)] << place for place, bit in enumerate(target))


def _targets(node: Any, bits: Mapping[Any, Any], value: int) -> Iterable[tuple[Any, int]]:
    """Yield the targets of an assignment: bits, or a variable."""
    assert isinstance(node, expr.Var), node
    if node.standalone:
        yield node.var, value
    elif isinstance(node.var, Clbit):
        yield bits.get(node.var, node.var), value
    else:
        for place, bit in enumerate(node.var):
            yield bits.get(bit, bit), value >> place & 1


_BINARY: Final[dict[Any, Callable[[int, int], int]]] = {
    expr.Binary.Op.BIT_AND: lambda a, b: a & b,
    expr.Binary.Op.BIT_OR: lambda a, b: a | b,
    expr.Binary.Op.BIT_XOR: lambda a, b: a ^ b,
    expr.Binary.Op.LOGIC_AND: lambda a, b: a and b,
    expr.Binary.Op.LOGIC_OR: lambda a, b: a or b,
    expr.Binary.Op.EQUAL: lambda a, b: a == b,
    expr.Binary.Op.NOT_EQUAL: lambda a, b: a != b,
    expr.Binary.Op.LESS: lambda a, b: a < b,
    expr.Binary.Op.LESS_EQUAL: lambda a, b: a <= b,
    expr.Binary.Op.GREATER: lambda a, b: a > b,
    expr.Binary.Op.GREATER_EQUAL: lambda a, b: a >= b,
    expr.Binary.Op.SHIFT_LEFT: lambda a, b: a << b,
    expr.Binary.Op.SHIFT_RIGHT: lambda a, b: a >> b,
    expr.Binary.Op.ADD: lambda a, b: a + b,
    expr.Binary.Op.SUB: lambda a, b: a - b,
    expr.Binary.Op.MUL: lambda a, b: a * b,
}


def _value(node: Any, values: Mapping[Any, int], bits: Mapping[Any, Any]) -> int:
    """Evaluate an expression of bits, registers, variables and unsigned integers."""
    wide = node.type.width if isinstance(node.type, types.Uint) else 1

    def inner(part: Any) -> int:
        return _value(part, values, bits)

    if isinstance(node, expr.Var):
        return values[node.var] if node.standalone else _target(node.var, values, bits)
    if isinstance(node, expr.Value):
        return int(node.value)
    if isinstance(node, expr.Cast):
        found = inner(node.operand)
        return int(found != 0) if isinstance(node.type, types.Bool) else found % 2**wide
    if isinstance(node, expr.Index):
        return inner(node.target) >> inner(node.index) & 1
    if isinstance(node, expr.Unary):
        found = inner(node.operand)
        return int(not found) if node.op is expr.Unary.Op.LOGIC_NOT else ~found % 2**wide
    assert isinstance(node, expr.Binary), node
    return int(_BINARY[node.op](inner(node.left), inner(node.right))) % 2**wide
