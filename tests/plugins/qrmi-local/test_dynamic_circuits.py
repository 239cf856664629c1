"""Control flow, classical expressions and variables on the Qiskit engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings, strategies as st
from qiskit import ClassicalRegister, QuantumCircuit, qasm3, transpile
from qiskit.circuit import (
    BoxOp,
    BreakLoopOp,
    ContinueLoopOp,
    ForLoopOp,
    IfElseOp,
    Measure,
    Parameter,
    SwitchCaseOp,
    WhileLoopOp,
)
from qiskit.circuit.classical import expr, types
from qiskit.circuit.controlflow import CASE_DEFAULT
from qiskit_ibm_runtime import fake_provider

from qrmi_local.engines import EngineError, _flat
from support.qiskit_engine import HEADER, estimate, sample

slow_examples = settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow]
)


def counts(circuit: Any, shots: int = 20, on: str = "aer", register: str = "c") -> dict[str, int]:
    [result] = sample([circuit, None, shots], on=on)
    found: dict[str, int] = result.data[register].get_counts()
    return found


def until_success() -> tuple[QuantumCircuit, str]:
    circuit = QuantumCircuit(2, 2)
    with circuit.while_loop((circuit.clbits[0], 0)):
        circuit.h(0)
        circuit.measure(0, 0)
    circuit.x(1)
    circuit.measure(1, 1)
    return circuit, "11"


def conditional_first() -> tuple[QuantumCircuit, str]:
    circuit = QuantumCircuit(2, 2)
    with circuit.if_test((circuit.clbits[0], 0)):
        circuit.x(0)
    circuit.x(1)
    circuit.measure(1, 1)
    return circuit, "10"


def measured_inside() -> tuple[QuantumCircuit, str]:
    circuit = QuantumCircuit(2, 2)
    circuit.x(0)
    with circuit.if_test((circuit.clbits[0], 0)):
        circuit.measure(0, 0)
    return circuit, "01"


def loop_of_gates() -> tuple[QuantumCircuit, str]:
    circuit = QuantumCircuit(2, 2)
    with circuit.for_loop(range(3)):
        circuit.x(0)
    circuit.measure(1, 1)
    return circuit, "00"


def switch_without_measurement() -> tuple[QuantumCircuit, str]:
    circuit = QuantumCircuit(2, 2)
    with circuit.switch(circuit.cregs[0]) as case:
        with case(1, 2):
            circuit.id(0)
        with case(case.DEFAULT):
            circuit.x(1)
    circuit.measure(1, 1)
    return circuit, "10"


PROGRAMS = [
    until_success,
    conditional_first,
    measured_inside,
    loop_of_gates,
    switch_without_measurement,
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
@pytest.mark.parametrize("as_text", [True, False], ids=["text", "qpy"])
def test_blocks_that_no_measurement_follows(
    program: Callable[[], tuple[QuantumCircuit, str]], as_text: bool
) -> None:
    circuit, expected = program()
    assert counts(qasm3.dumps(circuit) if as_text else circuit) == {expected: 20}


@pytest.mark.parametrize("program", PROGRAMS[1:], ids=lambda program: program.__name__)
def test_the_same_on_a_device(program: Callable[[], tuple[QuantumCircuit, str]]) -> None:
    circuit, expected = program()
    isa = transpile(circuit, fake_provider.FakeTorino(), optimization_level=0)
    found = counts(isa, 400, on="fake_torino")
    assert found[expected] > 300


@pytest.mark.parametrize("on", ["aer", "fake_torino"])
def test_an_estimator_after_control_flow(on: str) -> None:
    circuit = QuantumCircuit(2, 1)
    circuit.x(1)
    circuit.measure(1, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(0)
    if on != "aer":
        circuit = transpile(
            circuit, fake_provider.FakeTorino(), initial_layout=[0, 1], optimization_level=0
        )
    labels = [label.rjust(circuit.num_qubits, "I") for label in ("IZ", "ZI", "ZZ")]
    [result] = estimate([circuit, labels, None, 0.05], on=on)
    assert result.data.evs == pytest.approx([-1, -1, 1], abs=0.01 if on == "aer" else 0.6)


def test_a_loop_of_gates_alone_leaves_the_values_exact() -> None:
    circuit = QuantumCircuit(1)
    angle = Parameter("n")
    with circuit.for_loop((1, 2, 2), angle):
        circuit.ry(angle / 10, 0)
    [result] = estimate([circuit, "X", None, 0])
    assert float(result.data.evs) == pytest.approx(0.479425538604203)  # sin(0.5)
    assert result.data.stds == 0


@pytest.mark.parametrize("as_text", [True, False], ids=["text", "qpy"])
def test_a_loop_is_left_at_the_first_success(as_text: bool) -> None:
    circuit = QuantumCircuit(2, 2)
    with circuit.for_loop(range(5)):
        circuit.h(0)
        circuit.measure(0, 0)
        with circuit.if_test((circuit.clbits[0], 1)):
            circuit.break_loop()
        circuit.x(1)
    circuit.measure(1, 1)
    shots = 20_000
    found = counts(qasm3.dumps(circuit) if as_text else circuit, shots)
    assert found.keys() == {"01", "10", "11"}
    assert found["01"] / shots == pytest.approx(21 / 32, abs=0.02)
    assert found["11"] / shots == pytest.approx(10 / 32, abs=0.02)


@pytest.mark.parametrize("as_text", [True, False], ids=["text", "qpy"])
def test_a_round_is_skipped(as_text: bool) -> None:
    circuit = QuantumCircuit(2, 2)
    with circuit.for_loop(range(3)):
        circuit.x(0)
        circuit.measure(0, 0)
        with circuit.if_test((circuit.clbits[0], 1)):
            circuit.continue_loop()
        circuit.x(1)
    circuit.measure(1, 1)
    assert counts(qasm3.dumps(circuit) if as_text else circuit) == {"11": 20}


def test_rounds_with_equal_indices_are_rounds_of_their_own() -> None:
    circuit = QuantumCircuit(2, 2)
    with circuit.for_loop((7, 7, 7)):
        circuit.x(0)
        circuit.measure(0, 0)
        with circuit.if_test((circuit.clbits[0], 1)):
            circuit.continue_loop()
        circuit.x(1)
    circuit.measure(1, 1)
    assert counts(circuit) == {"11": 20}


@pytest.mark.slow
def test_a_loop_with_too_many_rounds_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_flat, "MAX_INSTRUCTIONS", 1000)
    circuit = QuantumCircuit(1, 1)
    with circuit.for_loop(range(10**9)):
        circuit.x(0)
    circuit.measure(0, 0)
    with pytest.raises(EngineError, match=r"^pub 0: .* 1000 .* for loops unrolled: use fewer"):
        sample([circuit])


def test_boxes_are_their_bodies() -> None:
    circuit = QuantumCircuit(2, 2)
    with circuit.box():
        circuit.x(0)
        with circuit.box():
            circuit.measure(0, 0)
        with circuit.if_test((circuit.clbits[0], 1)), circuit.box():
            circuit.x(1)
    circuit.measure(1, 1)
    assert counts(circuit) == {"11": 20}
    isa = QuantumCircuit(7, 1)
    with isa.box():
        isa.x(0)
        isa.measure(0, 0)
    assert counts(isa, 100, on="fake_lagos")["1"] > 60


def test_a_box_with_a_duration_is_refused_on_a_device() -> None:
    circuit = QuantumCircuit(7, 1)
    with circuit.box(duration=100):
        circuit.x(0)
    circuit.measure(0, 0)
    with pytest.raises(EngineError, match=r"^pub 0: the box on .* has a duration"):
        sample([circuit], on="fake_lagos")


def bits_measured(circuit: QuantumCircuit, register: ClassicalRegister, value: int) -> None:
    """Give a register a value with qubit 0, which is in 1, and qubit 1, which is in 0."""
    for place, bit in enumerate(register):
        circuit.measure(0 if value >> place & 1 else 1, bit)


CONDITIONS: dict[str, tuple[Callable[[Any], Any], Callable[[int], bool]]] = {
    "cast": (lambda c: expr.cast(c, types.Bool()), lambda v: v != 0),
    "not": (lambda c: expr.logic_not(c), lambda v: v == 0),
    "and a bit": (lambda c: expr.logic_and(c, c[1]), lambda v: v >= 2),
    "or a bit": (lambda c: expr.logic_or(c, c[0]), lambda v: v != 0),
    "unequal": (lambda c: expr.not_equal(c, 0), lambda v: v != 0),
    "legacy": (lambda c: (c, 2), lambda v: v == 2),
    "index": (lambda c: expr.index(c, 1), lambda v: v >= 2),
    "arithmetic": (lambda c: expr.equal(expr.add(c, 3), 1), lambda v: v == 2),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CONDITIONS)
@pytest.mark.parametrize("on", ["aer", "fake_torino"])
def test_a_register_as_a_truth_value(name: str, on: str) -> None:
    make, expected = CONDITIONS[name]
    for value in range(4):
        circuit = QuantumCircuit(3)
        register, told = ClassicalRegister(2, "c"), ClassicalRegister(1, "told")
        circuit.add_register(register, told)
        circuit.x(0)
        bits_measured(circuit, register, value)
        with circuit.if_test(make(register)):
            circuit.x(2)
        circuit.measure(2, told)
        if on == "aer":
            assert counts(circuit, 5, register="told") == {str(int(expected(value))): 5}
        else:
            isa = transpile(circuit, fake_provider.FakeTorino(), optimization_level=0)
            found = counts(isa, 200, on=on, register="told")
            assert max(found, key=lambda key: found[key]) == str(int(expected(value)))


@pytest.mark.parametrize("width", [31, 32, 33, 40, 64])
@pytest.mark.parametrize("name", ["equal", "greater_equal", "less_equal"])
def test_comparisons_are_of_the_whole_register(width: int, name: str) -> None:
    for value, expected in ((1 << width - 1, "1"), (1, "0" if name != "less_equal" else "1")):
        circuit = QuantumCircuit(3)
        register, told = ClassicalRegister(width, "c"), ClassicalRegister(1, "told")
        circuit.add_register(register, told)
        circuit.x(0)
        bits_measured(circuit, register, value)
        with circuit.if_test(getattr(expr, name)(register, 1 << width - 1)):
            circuit.x(2)
        circuit.measure(2, told)
        assert counts(circuit, 3, register="told") == {expected: 3}


def test_a_while_loop_and_a_switch_over_expressions() -> None:
    circuit = QuantumCircuit(2, 3)
    register = circuit.cregs[0]
    number = circuit.add_var("number", expr.lift(0, types.Uint(4)))
    with circuit.while_loop(expr.less(number, 5)):
        circuit.x(0)
        circuit.store(number, expr.add(number, 2))
    with circuit.switch(expr.shift_right(number, 1)) as case:
        with case(3):
            circuit.x(1)
        with case(case.DEFAULT):
            circuit.reset(0)
    circuit.measure([0, 1], register[:2])
    assert counts(circuit) == {"011": 20}


def test_a_variable_declared_in_a_block_starts_anew_in_each_round() -> None:
    circuit = QuantumCircuit(1, 1)
    with circuit.for_loop(range(3)):
        flag = circuit.add_var("flag", False)
        with circuit.if_test(expr.logic_not(flag)):
            circuit.x(0)
        circuit.store(flag, True)
    circuit.measure(0, 0)
    assert counts(circuit) == {"1": 20}


def test_bits_and_registers_are_assigned_to() -> None:
    circuit = QuantumCircuit(1, 4)
    register = circuit.cregs[0]
    circuit.store(register, expr.lift(0b0110, types.Uint(4)))
    circuit.store(register, expr.shift_left(register, 1))
    circuit.store(register[0], expr.lift(True))
    assert counts(circuit) == {"1101": 20}


@pytest.mark.parametrize("value", [expr.lift(3, types.Uint(4)), expr.lift(True)])
def test_a_variable_is_read(value: expr.Expr) -> None:
    circuit = QuantumCircuit(2, 2)
    variable = circuit.add_var("v", value)
    circuit.x(0)
    circuit.measure(0, 0)
    with circuit.if_test(variable if value.type == types.Bool() else expr.equal(variable, 3)):
        circuit.x(1)
    circuit.measure(1, 1)
    assert counts(circuit) == {"11": 20}


def test_what_is_not_of_bits_is_refused() -> None:
    circuit = QuantumCircuit(1, 1)
    with circuit.if_test(expr.less(expr.lift(0.5), 1.5)):
        circuit.x(0)
    circuit.measure(0, 0)
    with pytest.raises(EngineError, match=r"^pub 0: a classical expression has .* Float"):
        sample([circuit])
    circuit = QuantumCircuit(1, 1)
    circuit.add_input("given", types.Uint(3))
    circuit.measure(0, 0)
    with pytest.raises(EngineError, match=r"^pub 0: the circuit has an input variable given"):
        sample([circuit])


# Random programs of operations that leave qubits in 0 or 1, and what they should do.

WIDTH = 3


class Left(Exception):
    """A loop that is left or continued."""

    def __init__(self, ends: bool) -> None:
        self.ends = ends


class Interpreter:
    """Execute a circuit of X, CX, measurements, resets, stores and control flow."""

    def __init__(self) -> None:
        self.qubits: dict[Any, int] = {}
        self.clbits: dict[Any, int] = {}
        self.variables: dict[Any, int] = {}
        self.steps = 0

    def run(self, block: Any, qubits: list[Any], clbits: list[Any]) -> None:
        qubit_of = dict(zip(block.qubits, qubits, strict=True))
        clbit_of = dict(zip(block.clbits, clbits, strict=True))
        for instruction in block.data:
            self.steps += 1
            assume(self.steps < 400)
            operation = instruction.operation
            where = [qubit_of[qubit] for qubit in instruction.qubits]
            bits = [clbit_of[clbit] for clbit in instruction.clbits]
            match operation:
                case Measure():
                    self.clbits[bits[0]] = self.qubits.get(where[0], 0)
                case ForLoopOp():
                    rounds, _, body = operation.params
                    self.loop(iter(rounds), body, where, bits)
                case WhileLoopOp():
                    holds = iter(lambda o=operation: bool(self.value(o.condition)), False)
                    self.loop(holds, operation.blocks[0], where, bits)
                case IfElseOp():
                    yes, *no = operation.blocks
                    chosen = [yes] if self.value(operation.condition) else no
                    for inner in chosen:
                        self.run(inner, where, bits)
                case SwitchCaseOp():
                    value = self.value(operation.target)
                    for values, inner in operation.cases_specifier():
                        if value in values or CASE_DEFAULT in values:
                            self.run(inner, where, bits)
                            break
                case BoxOp():
                    self.run(operation.blocks[0], where, bits)
                case BreakLoopOp() | ContinueLoopOp():
                    raise Left(isinstance(operation, BreakLoopOp))
                case _ if operation.name == "store":
                    self.variables[operation.lvalue.var] = self.value(operation.rvalue)
                case _ if operation.name == "reset":
                    self.qubits[where[0]] = 0
                case _:
                    flip = all(self.qubits.get(qubit, 0) for qubit in where[:-1])
                    self.qubits[where[-1]] = self.qubits.get(where[-1], 0) ^ flip

    def loop(self, rounds: Iterator[Any], body: Any, qubits: list[Any], clbits: list[Any]) -> None:
        for _ in rounds:
            self.steps += 1
            assume(self.steps < 400)
            try:
                self.run(body, qubits, clbits)
            except Left as left:
                if left.ends:
                    break

    def value(self, node: Any) -> int:
        """Return the value of an expression as a number."""
        if isinstance(node, tuple):
            return int(self.value(expr.lift(node[0])) == node[1])
        if not isinstance(node, expr.Expr):
            node = expr.lift(node)
        mask = (1 << getattr(node.type, "width", 1)) - 1
        if isinstance(node, expr.Value):
            return int(node.value)
        if isinstance(node, expr.Var):
            held = node.var
            if isinstance(held, ClassicalRegister):
                return sum(self.clbits.get(bit, 0) << place for place, bit in enumerate(held))
            return self.variables[held] if held in self.variables else self.clbits.get(held, 0)
        if isinstance(node, expr.Cast):
            inner = self.value(node.operand)
            return int(inner != 0) if isinstance(node.type, types.Bool) else inner & mask
        if isinstance(node, expr.Index):
            return self.value(node.target) >> self.value(node.index) & 1
        if isinstance(node, expr.Unary):
            inner = self.value(node.operand)
            return int(not inner) if node.op is expr.Unary.Op.LOGIC_NOT else ~inner & mask
        return int(BINARY[node.op.name](self.value(node.left), self.value(node.right))) & mask


BINARY: dict[str, Callable[[int, int], int]] = {
    "BIT_AND": lambda a, b: a & b,
    "BIT_OR": lambda a, b: a | b,
    "BIT_XOR": lambda a, b: a ^ b,
    "LOGIC_AND": lambda a, b: bool(a and b),
    "LOGIC_OR": lambda a, b: bool(a or b),
    "EQUAL": lambda a, b: a == b,
    "NOT_EQUAL": lambda a, b: a != b,
    "LESS": lambda a, b: a < b,
    "LESS_EQUAL": lambda a, b: a <= b,
    "GREATER": lambda a, b: a > b,
    "GREATER_EQUAL": lambda a, b: a >= b,
    "SHIFT_LEFT": lambda a, b: a << b,
    "SHIFT_RIGHT": lambda a, b: a >> b,
    "ADD": lambda a, b: a + b,
    "SUB": lambda a, b: a - b,
    "MUL": lambda a, b: a * b,
    "DIV": lambda a, b: a // b,
}
UINT = types.Uint(WIDTH)
OPERATIONS = ("add", "sub", "mul", "bit_and", "bit_or", "bit_xor")
COMPARISONS = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")


@st.composite
def numbers(draw: Any, leaves: list[Any], depth: int = 2) -> Any:
    """Draw an expression of type Uint."""
    kind = draw(st.integers(0, 9)) if depth else 0
    if kind <= 3:
        return draw(st.sampled_from(leaves) | st.integers(0, 7).map(lambda n: expr.lift(n, UINT)))
    inner = draw(numbers(leaves, depth - 1))
    match kind:
        case 4:
            return expr.bit_not(inner)
        case 5:
            shift = draw(st.sampled_from([expr.shift_left, expr.shift_right]))
            return shift(inner, draw(numbers(leaves, 0)), UINT)
        case 6:
            return expr.cast(expr.cast(inner, types.Bool()), UINT)
        case 7:
            return expr.div(inner, expr.lift(draw(st.integers(1, 7)), UINT))
    return getattr(expr, draw(st.sampled_from(OPERATIONS)))(inner, draw(numbers(leaves, depth - 1)))


@st.composite
def truths(draw: Any, leaves: list[Any], bits: list[Any]) -> Any:
    """Draw a condition."""
    match draw(st.integers(0, 6)):
        case 0:
            return (draw(st.sampled_from(bits)), draw(st.integers(0, 1)))
        case 1:
            return expr.logic_not(expr.cast(draw(numbers(leaves)), types.Bool()))
        case 2:
            return expr.logic_or(draw(st.sampled_from(bits)), draw(numbers(leaves, 1)))
        case 3:
            return expr.index(draw(numbers(leaves, 1)), draw(numbers(leaves, 0)))
    compare = getattr(expr, draw(st.sampled_from(COMPARISONS)))
    return compare(draw(numbers(leaves)), draw(numbers(leaves, 1)))


@st.composite
def programs(draw: Any) -> QuantumCircuit:
    circuit = QuantumCircuit(3, WIDTH)
    register = circuit.cregs[0]
    number = circuit.add_var("number", expr.lift(draw(st.integers(0, 7)), UINT))
    leaves = [expr.lift(register), number]

    def fill(depth: int, looping: bool) -> None:
        for _ in range(draw(st.integers(1, 3))):
            step(draw(st.integers(0, 11 if depth else 5)), depth, looping)

    def step(kind: int, depth: int, looping: bool) -> None:
        one, other = draw(st.permutations(range(3)))[:2]
        match kind:
            case 0 | 1:
                circuit.x(one)
            case 2:
                circuit.cx(one, other)
            case 3:
                circuit.measure(one, draw(st.integers(0, WIDTH - 1)))
            case 4:
                circuit.store(number, draw(numbers(leaves)))
            case 5:
                if looping:
                    draw(st.sampled_from([circuit.break_loop, circuit.continue_loop]))()
                else:
                    circuit.reset(one)
            case 6 | 7:
                with circuit.if_test(draw(truths(leaves, list(register)))) as otherwise:
                    fill(depth - 1, looping)
                if kind == 7:
                    with otherwise:
                        fill(depth - 1, looping)
            case 8:
                with circuit.for_loop(draw(st.lists(st.integers(0, 2), max_size=3))):
                    fill(depth - 1, True)
            case 9:
                with circuit.while_loop(draw(truths(leaves, list(register)))):
                    fill(depth - 1, True)
            case 10:
                with circuit.switch(draw(numbers(leaves, 1))) as case:
                    values = draw(st.permutations(range(8)))
                    with case(*values[:2]):
                        fill(depth - 1, looping)
                    with case(values[2]):
                        fill(depth - 1, looping)
                    if draw(st.booleans()):
                        with case(case.DEFAULT):
                            fill(depth - 1, looping)
            case _:
                with circuit.box():
                    fill(depth - 1, False)

    fill(2, False)
    last = ClassicalRegister(3, "last")
    circuit.add_register(last)
    circuit.measure(range(3), last)
    return circuit


@pytest.mark.slow
@slow_examples
@given(programs())
def test_programs_do_what_they_say(circuit: QuantumCircuit) -> None:
    model = Interpreter()
    model.run(circuit, circuit.qubits, circuit.clbits)
    [result] = sample([circuit, None, 3])
    for register in circuit.cregs:
        expected = "".join(str(model.clbits.get(bit, 0)) for bit in reversed(register))
        assert result.data[register.name].get_counts() == {expected: 3}


def test_text_with_a_break_and_a_while() -> None:
    text = HEADER + (
        "qubit[2] q;\nbit[2] c;\nwhile (!c[0]) {\n  h q[0];\n  c[0] = measure q[0];\n"
        "  if (c[0]) { x q[1]; break; }\n}\nc[1] = measure q[1];\n"
    )
    assert counts(text) == {"11": 20}


def test_bits_that_nothing_measures_are_read_on_a_device() -> None:
    circuit = QuantumCircuit(133, 3)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[2], 0)):
        circuit.x(1)
    circuit.measure(1, 1)
    found = counts(circuit, 200, on="fake_torino")
    assert max(found, key=lambda key: found[key]) == "010"
