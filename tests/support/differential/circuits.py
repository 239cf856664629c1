"""Hypothesis strategies for circuits, their parameter values and observables."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any, Final

import attrs
import numpy as np
from hypothesis import assume, strategies as st
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, qpy
from qiskit.circuit import Clbit, ControlFlowOp, Gate, Parameter, library
from qiskit.circuit.classical import expr, types
from qiskit.exceptions import QiskitError
from qiskit.primitives.containers.bindings_array import BindingsArray
from qiskit.quantum_info import SparsePauliOp, random_unitary

CONTROL: Final = frozenset({"if_else", "for_loop", "while_loop", "switch_case"})
MAX_DEPTH: Final = 2
MAX_BITS: Final = 6
WHOLE_TURN: Final = 2 * math.pi

_GATES: Final = {
    name: (gate.base_class, gate.num_qubits, len(gate.params))
    for name, gate in library.get_standard_gate_name_mapping().items()
    if isinstance(gate, Gate)
} | {
    "c3x": (library.C3XGate, 4, 0),
    "c4x": (library.C4XGate, 5, 0),
    "mcx3": (lambda: library.MCXGate(3), 4, 0),
    "mcphase2": (lambda angle: library.MCPhaseGate(angle, 2), 3, 1),
    "rv": (lambda: library.RVGate(0.4, -1.3, 2.0), 1, 0),
    "ucrz": (lambda: library.UCRZGate([0.4, -1.1]), 2, 0),
    "permutation": (lambda: library.PermutationGate([2, 0, 1]), 3, 0),
    "diagonal": (lambda: library.DiagonalGate([1, -1, 1j, 1]), 2, 0),
    "pauli": (lambda: library.PauliGate("XYZ"), 3, 0),
    "qft": (lambda: library.QFTGate(3), 3, 0),
    "linear": (lambda: library.LinearFunction([[1, 1], [0, 1]]), 2, 0),
    "unitary": (lambda: library.UnitaryGate(random_unitary(4, seed=5)), 2, 0),
}
# Names that simulators and the OpenQASM importer define, and some unknown ones.
_NAMES: Final = ("mine", "rx", "h", "cx", "u3", "unitary", "measure_x", "gate", "ccz", "box")
# The same, and names with a meaning in OpenQASM 3.
_REGISTERS: Final = ("c", "meas", "out", "bit", "q", "input_", "d", "e0")

angles = st.one_of(
    st.sampled_from([0.0, math.pi / 2, math.pi, -math.pi / 4, math.pi / 3, WHOLE_TURN]),
    st.floats(-WHOLE_TURN, WHOLE_TURN).map(lambda angle: round(angle, 6)),
)


@attrs.frozen
class Features:
    """Features of generated circuits.

    Attributes:
        qubits: Maximum number of qubits.
        control: Names of the control-flow operations.
        delays: Units of the delays.
        dynamic: True for measurements and resets before the end.
        resets: True for resets, where there are measurements.
        variables: True for variables other than bits, with assignments.
    """

    qubits: int = 4
    control: Collection[str] = CONTROL
    delays: tuple[str, ...] = ("ns", "us", "dt")
    dynamic: bool = True
    resets: bool = True
    variables: bool = False


@st.composite
def circuits(
    draw: st.DrawFn, features: Features, *, registers: int | None = None, size: int = 10
) -> QuantumCircuit:
    """Generate a circuit.

    Args:
        draw: Provided by hypothesis.
        features: Features of the circuit.
        registers: Number of classical registers, by default one to three.
        size: Maximum number of instructions outside blocks.
    """
    count = draw(st.integers(1, features.qubits))
    split = draw(st.integers(0, count - 1))
    quantum = [QuantumRegister(count - split, "q" if split == 0 else "a")]
    if split:
        quantum.append(QuantumRegister(split, "b"))
    names = draw(st.permutations(_REGISTERS))
    number = draw(st.integers(1, 3)) if registers is None else registers
    widths = draw(st.lists(st.integers(1, MAX_BITS // 2), min_size=number, max_size=number))
    while sum(widths) > MAX_BITS:
        widths[widths.index(max(widths))] -= 1
    taken = {register.name for register in quantum}
    free = [name for name in names if name not in taken]
    classical = [ClassicalRegister(width, name) for width, name in zip(widths, free, strict=False)]
    circuit = QuantumCircuit(*quantum, *classical)
    parameters = [Parameter(name) for name in ("theta", "phi", "b")[: draw(st.integers(0, 3))]]
    filler = _Filler(draw, circuit, features, parameters)
    filler.fill(size)
    assume(_survives(circuit))
    return circuit


@st.composite
def measured(draw: st.DrawFn, features: Features, *, size: int = 10) -> QuantumCircuit:
    """Generate a circuit that ends by measuring as many qubits as possible."""
    circuit = draw(circuits(features, size=size))
    order = draw(st.permutations(circuit.clbits))
    for qubit, bit in zip(circuit.qubits, order, strict=False):
        if draw(st.integers(0, 3)):
            circuit.measure(qubit, bit)
    return circuit


@st.composite
def values(draw: st.DrawFn, circuit: QuantumCircuit) -> Any:
    """Generate values for a circuit's parameters, in an array of a small shape."""
    shape = draw(st.sampled_from([(), (1,), (2,), (3,), (2, 1), (2, 2)]))
    if not circuit.parameters:
        return None
    if not shape:
        return {parameter.name: draw(angles) for parameter in circuit.parameters}
    names = [parameter.name for parameter in circuit.parameters]
    # either one array per parameter or one for all
    groups = [tuple(names)] if draw(st.booleans()) else [(name,) for name in names]
    found = {}
    for group in groups:
        size = math.prod(shape) * len(group)
        entries = draw(st.lists(angles, min_size=size, max_size=size))
        found[group] = np.array(entries).reshape(*shape, len(group))
    return found


@st.composite
def observables(draw: st.DrawFn, num_qubits: int, dimensions: int) -> Any:
    """Generate an array of sums of Pauli products, which may add one axis to the shape."""
    labels = st.text("IXYZ", min_size=num_qubits, max_size=num_qubits)
    # Qiskit rejects sums that are 0.
    terms = st.lists(st.tuples(labels, st.sampled_from([1.0, -0.75, 2.25])), min_size=1, max_size=3)
    sums = terms.map(SparsePauliOp.from_list)
    found = draw(st.lists(sums, min_size=1, max_size=2))
    array = np.empty(len(found), dtype=object)
    array[:] = found
    return array.reshape(-1, *[1] * dimensions) if draw(st.booleans()) else array[:1].reshape(())


@st.composite
def samples(draw: st.DrawFn, features: Features) -> list[tuple[QuantumCircuit, Any]]:
    """Generate circuits with parameter values, for one sampler task."""
    found = draw(st.lists(measured(features), min_size=1, max_size=3))
    return [(circuit, draw(values(circuit))) for circuit in found]


@st.composite
def estimates(draw: st.DrawFn, features: Features) -> list[tuple[QuantumCircuit, Any, Any]]:
    """Generate circuits with observables and parameter values, for one estimator task."""
    found = []
    for circuit in draw(st.lists(circuits(features, size=6), min_size=1, max_size=3)):
        given = draw(values(circuit))
        dimensions = BindingsArray.coerce(given).ndim
        found.append((circuit, draw(observables(circuit.num_qubits, dimensions)), given))
    return found


def is_panic(error: BaseException) -> bool:
    """Return True for a Rust panic in Qiskit, whose exception class cannot be imported."""
    return type(error).__name__ == "PanicException"


def duplicate(circuit: QuantumCircuit) -> QuantumCircuit:
    """Return a copy that shares no object with the circuit, as a receiver has it.

    Qiskit's copies share the gates in blocks, so binding one changes the other.
    """
    stream = io.BytesIO()
    qpy.dump(circuit, stream)
    stream.seek(0)
    [found] = qpy.load(stream)
    return _appended_anew(found)


def _appended_anew(block: QuantumCircuit) -> QuantumCircuit:
    """Return the circuit with parameters of annotated gates, which the QPY reader drops."""
    made = block.copy_empty_like()
    for instruction in block.data:
        operation = instruction.operation
        if isinstance(operation, ControlFlowOp):
            operation = operation.replace_blocks(map(_appended_anew, operation.blocks))
        made.append(operation, instruction.qubits, instruction.clbits)
    return made


def _survives(circuit: QuantumCircuit) -> bool:
    """Return True if Qiskit can write and read a circuit and bind its parameters.

    Qiskit loses parameters of some controlled gates, and cannot bind some after reading.
    """
    try:
        found = duplicate(circuit)
    except TypeError:  # a user's gate with the name of another one but different parameters
        return False
    if found.parameters != circuit.parameters:
        return False
    try:
        found.assign_parameters(dict.fromkeys(found.parameters, 0.5))
    except BaseException as error:
        if not is_panic(error):
            raise
        return False
    return True


class _Filler:
    """A writer that adds drawn instructions to a circuit and to its blocks."""

    def __init__(
        self, draw: st.DrawFn, circuit: QuantumCircuit, features: Features, parameters: list[Any]
    ) -> None:
        self._draw = draw
        self._circuit = circuit
        self._features = features
        self._parameters = parameters
        self._reserved: set[Clbit] = set()  # bits that conditions of enclosing loops use
        self._loops = 0
        self._depth = 0
        self._variables: list[Any] = []
        if features.variables and draw(st.booleans()):
            self._variables = [
                circuit.add_var("flag", False),
                circuit.add_var("count", expr.lift(1, types.Uint(3))),
            ]

    def fill(self, size: int) -> None:
        """Append at most `size` instructions."""
        for _ in range(self._draw(st.integers(1, size))):
            self._draw(st.sampled_from(list(self._kinds())))()

    def _kinds(self) -> Iterator[Callable[[], None]]:
        yield from [self._gate] * 6
        yield self._custom
        yield self._barrier
        if self._features.delays:
            yield self._delay
        if self._features.dynamic:
            yield from (self._measure, self._measure)
            if self._features.resets:
                yield self._reset
        if self._variables:
            yield from (self._store, self._store)
        if self._depth < MAX_DEPTH:
            control = {
                "if_else": self._if,
                "for_loop": self._for,
                "while_loop": self._while,
                "switch_case": self._switch,
            }
            yield from (control[name] for name in sorted(self._features.control))
        if self._loops:
            yield self._leave

    def _qubits(self, count: int) -> list[Any]:
        chosen = st.permutations(self._circuit.qubits)
        return list(self._draw(chosen))[:count]

    def _angle(self, parameters: list[Any]) -> Any:
        if not parameters or self._draw(st.booleans()):
            return self._draw(angles)
        parameter = self._draw(st.sampled_from(parameters))
        factor = self._draw(st.sampled_from([1, 2, -0.5]))
        return parameter if factor == 1 else factor * parameter + 0.25

    def _plain(self, most: int, parameters: list[Any], *, annotated: bool = True) -> Gate:
        fitting = sorted(name for name, (_, qubits, _) in _GATES.items() if qubits <= most)
        make, _, count = _GATES[self._draw(st.sampled_from(fitting))]
        gate: Gate = make(*(self._angle(parameters) for _ in range(count)))
        return self._modified(gate, most, annotated=annotated)

    def _modified(self, gate: Gate, most: int, *, annotated: bool) -> Gate:
        room = most - gate.num_qubits
        kinds = ["plain"] * 4 + ["inverse"] + ["control"] * (room > 0)
        if annotated and room:
            kinds.append("annotated")
        kind = self._draw(st.sampled_from(kinds))
        try:
            if kind == "inverse":
                return gate.inverse()
            if kind == "plain" or not gate.num_qubits:
                return gate
            count = self._draw(st.integers(1, min(room, 2)))
            state = self._draw(st.integers(0, 2**count - 1))
            return gate.control(count, ctrl_state=state, annotated=kind == "annotated")
        except (QiskitError, TypeError, ValueError):
            # Qiskit has no such variant of the gate, usually because it has a parameter.
            return gate

    def _gate(self) -> None:
        gate = self._plain(self._circuit.num_qubits, self._parameters)
        self._circuit.append(gate, self._qubits(gate.num_qubits))

    def _custom(self) -> None:
        size = self._draw(st.integers(1, min(2, self._circuit.num_qubits)))
        inner = self._definition(size, nested=self._draw(st.booleans()))
        gate = inner.to_gate()
        if gate.name == "mine":  # Qiskit replaces gates whose names it knows
            gate = self._modified(gate, self._circuit.num_qubits, annotated=False)
        self._circuit.append(gate, self._qubits(gate.num_qubits))

    def _definition(self, size: int, *, nested: bool) -> QuantumCircuit:
        inner = QuantumCircuit(size, name=self._draw(st.sampled_from(_NAMES)))
        if nested:
            deeper = self._definition(size, nested=False)
            deeper.name += "_inner"
            inner.append(deeper.to_gate(), range(size))
        for _ in range(self._draw(st.integers(1, 3))):
            # Qiskit cannot bind parameters of annotated gates in a definition that it has read.
            gate = self._plain(size, self._parameters, annotated=False)
            inner.append(gate, list(self._draw(st.permutations(range(size))))[: gate.num_qubits])
        return inner

    def _barrier(self) -> None:
        self._circuit.barrier(*self._qubits(self._draw(st.integers(1, self._circuit.num_qubits))))

    def _delay(self) -> None:
        unit = self._draw(st.sampled_from(self._features.delays))
        most = {"dt": 400_000, "ns": 80_000, "us": 80}[unit]
        duration = self._draw(st.integers(0, most // 16)) * 16
        self._circuit.delay(duration, self._qubits(1), unit)

    def _writable(self) -> list[Clbit]:
        return [bit for bit in self._circuit.clbits if bit not in self._reserved]

    def _measure(self) -> None:
        if writable := self._writable():
            self._circuit.measure(self._qubits(1), self._draw(st.sampled_from(writable)))

    def _reset(self) -> None:
        self._circuit.reset(self._qubits(1))

    def _store(self) -> None:
        flag, count = self._variables
        if self._draw(st.booleans()):
            self._circuit.store(flag, self._boolean())
        else:
            self._circuit.store(count, self._number(3))

    # --- control flow -----------------------------------------------------------------------

    @contextmanager
    def _inside(self, *, loop: bool = False, reserved: Collection[Clbit] = ()) -> Iterator[None]:
        before = self._loops, self._reserved
        self._depth += 1
        self._loops += loop
        self._reserved = self._reserved | set(reserved)
        yield
        self._loops, self._reserved = before
        self._depth -= 1

    def _block(self) -> None:
        self.fill(3)

    def _register(self) -> ClassicalRegister:
        return self._draw(st.sampled_from(self._circuit.cregs))

    def _boolean(self) -> Any:
        kinds: list[Callable[[], Any]] = [
            lambda: expr.lift(self._draw(st.sampled_from(self._circuit.clbits))),
            lambda: expr.logic_not(self._draw(st.sampled_from(self._circuit.clbits))),
            lambda: self._compared(),
            lambda: self._draw(st.sampled_from([expr.logic_and, expr.logic_or, expr.bit_xor]))(
                self._compared(), self._draw(st.sampled_from(self._circuit.clbits))
            ),
        ]
        if self._variables:
            kinds.append(lambda: self._variables[0])
        return self._draw(st.sampled_from(kinds))()

    def _compared(self) -> Any:
        register = self._register()
        compare = self._draw(
            st.sampled_from([expr.equal, expr.not_equal, expr.less, expr.greater_equal])
        )
        return compare(self._number(register.size), self._constant(register))

    def _constant(self, register: ClassicalRegister) -> int:
        return self._draw(st.integers(0, 2**register.size - 1))

    def _number(self, width: int) -> Any:
        """Return an unsigned integer expression of a width if there is one, or else a constant."""
        fitting = [register for register in self._circuit.cregs if register.size == width]
        if not fitting:
            return expr.lift(self._draw(st.integers(0, 2**width - 1)), types.Uint(width))
        register = self._draw(st.sampled_from(fitting))
        change = self._draw(
            st.sampled_from([None, expr.bit_and, expr.bit_or, expr.bit_xor, expr.bit_not])
        )
        if change is None:
            return expr.lift(register)
        if change is expr.bit_not:
            return expr.bit_not(register)
        return change(register, self._constant(register))

    def _condition(self) -> Any:
        kind = self._draw(st.sampled_from(["bit", "register", "expression"]))
        if kind == "bit":
            return self._draw(st.sampled_from(self._circuit.clbits)), self._draw(st.integers(0, 1))
        if kind == "register":
            register = self._register()
            return register, self._constant(register)
        return self._boolean()

    def _if(self) -> None:
        with self._circuit.if_test(self._condition()) as otherwise, self._inside():
            self._block()
        if self._draw(st.booleans()):
            with otherwise, self._inside():
                self._block()

    def _switch(self) -> None:
        register = self._register()
        target = self._draw(
            st.sampled_from([register, register[0], expr.bit_xor(register, 1)]),
        )
        most = 1 if isinstance(target, Clbit) else 2**register.size - 1
        labels = self._draw(
            st.lists(st.integers(0, most), min_size=1, max_size=min(4, most + 1), unique=True)
        )
        with self._circuit.switch(target) as case:
            first = self._draw(st.integers(1, len(labels)))
            with case(*labels[:first]), self._inside():
                self._block()
            for label in labels[first:]:
                with case(label), self._inside():
                    self._block()
            if self._draw(st.booleans()):
                with case(case.DEFAULT), self._inside():
                    self._block()

    def _for(self) -> None:
        indices = self._draw(
            st.sampled_from([range(2), range(3), range(1, 6, 2), (0, 3), (4,), range(2, 0, -1)])
        )
        parameter = Parameter(f"i{self._depth}") if self._draw(st.booleans()) else None
        with self._circuit.for_loop(indices, parameter), self._inside(loop=True):
            if parameter is not None:
                self._circuit.ry(0.3 * parameter, self._qubits(1))
            self._block()

    def _while(self) -> None:
        """Add a loop that ends in each round with a probability of at least a half.

        Each round begins with a fair coin toss, and no other instruction writes that bit.
        """
        writable = self._writable()
        if not writable:
            return
        bit = self._draw(st.sampled_from(writable))
        wanted = self._draw(st.integers(0, 1))
        condition: Any = (bit, wanted)
        if self._draw(st.booleans()):
            same = expr.lift(bit) if wanted else expr.logic_not(bit)
            condition = expr.logic_and(same, self._boolean())
        [coin] = self._qubits(1)
        with self._circuit.while_loop(condition), self._inside(loop=True, reserved=[bit]):
            self._circuit.reset(coin)
            self._circuit.h(coin)
            self._circuit.measure(coin, bit)
            self._block()

    def _leave(self) -> None:
        """Add a conditional break or continue."""
        leave = self._draw(st.sampled_from([self._circuit.break_loop, self._circuit.continue_loop]))
        with self._circuit.if_test(self._condition()):
            leave()
