"""Reading the circuits of payloads, and leaving out their idle parts."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Collection
from typing import Any

import attrs
import openqasm3
from openqasm3 import ast
from openqasm3.visitor import QASMVisitor
from qiskit import QuantumCircuit
from qiskit.circuit import (
    AnnotatedOperation,
    BoxOp,
    CircuitError,
    ClassicalRegister,
    ControlFlowOp,
    Gate,
    Qubit,
    SwitchCaseOp,
)
from qiskit.circuit.classical import expr
from qiskit.circuit.controlflow import condition_resources, node_resources
from qiskit.circuit.library import IGate
from qiskit.converters import circuit_to_dag, dag_to_circuit
from qiskit.quantum_info import Operator
from qiskit.transpiler import Target
from qiskit_qasm3_import import ConversionError
from qiskit_qasm3_import.converter import ConvertVisitor
from qiskit_qasm3_import.state import LocalScope

from qrmi_local.engines import EngineError, one_line
from qrmi_local.engines._flat import is_defined_by_circuit

_QUOTED = r"//[^\n]*|/\*.*?(?:\*/|\Z)|\"[^\"\n]*\"?"
_CASE = rf"\bcase\b(?:{_QUOTED}|[^:;{{}}])*+"
# Comments and strings; labels of an old switch, perhaps with the opening brace after them; other
# braces. The time is linear in the text: repetitions are possessive, and what is not rewritten
# matches too, so that nothing is read again.
_BRACES = re.compile(
    rf"{_QUOTED}|(?P<labels>(?:(?:{_CASE}|\bdefault\b\s*+):\s*+)++)(?P<opening>\{{)?|{_CASE}"
    r"|\{|\}(?P<rest>\s*+break\s*+;)?",
    re.DOTALL,
)


@attrs.frozen
class CircuitProgram:
    """A circuit, with the parameters and bits that a payload names by position or name.

    Attributes:
        circuit: Qubit n is the device's qubit n.
        parameters: Their names in the order of the payload's values.
        fields: Name in the result -> indices of the circuit's bits.
        physical: The text speaks of `$n`, so the circuit is as wide as the device.
        prepared: What was made of it to run it, by the qubits that are observed and the noise.
    """

    circuit: Any
    parameters: tuple[str, ...]
    fields: dict[str, tuple[int, ...]]
    physical: bool = False
    prepared: dict[tuple[frozenset[int], object], tuple[Any, list[int], Any]] = attrs.field(
        factory=dict, eq=False, repr=False
    )


def load(form: Any) -> CircuitProgram:
    """Read a circuit, which is OpenQASM 3 text or a QuantumCircuit."""
    return _from_text(form) if isinstance(form, str) else _from_circuit(form)


def _from_text(text: str) -> CircuitProgram:
    tree = _parse(_modern_switch(text.removeprefix("\ufeff")))
    _InlineSwitchTargets().visit(tree)
    try:
        circuit = _Importer().convert(tree).circuit
    except ConversionError as error:
        raise EngineError(f"Qiskit cannot import this OpenQASM 3: line {error}") from error
    _refuse_empty_registers(circuit)
    names = [
        statement.identifier.name
        for statement in tree.statements
        if isinstance(statement, ast.IODeclaration)
    ]
    # The importer sorts parameters by name and gives no register to a single bit.
    return CircuitProgram(
        circuit,
        tuple(names),
        _declared_fields(tree, circuit),
        # A text without instructions does not say how it names its qubits.
        physical=circuit.layout is not None or not circuit.num_qubits,
    )


def check_isa(circuit: Any, target: Target, device: str) -> None:
    """Raise if the device could not execute the circuit unchanged.

    Raises:
        EngineError: An instruction is not the device's, or not on these qubits.
    """
    if circuit.num_qubits > target.num_qubits:
        raise EngineError(
            f"the circuit has {circuit.num_qubits} qubits, {device} {target.num_qubits}"
        )
    _check_block(circuit, list(range(circuit.num_qubits)), target, device)


def compact(circuit: Any, observed: Collection[int] = ()) -> tuple[Any, list[int]]:
    """Return the circuit without idle qubits, and the indices of the qubits that it keeps.

    Args:
        circuit: Any circuit.
        observed: Qubits to keep in any case.
    """
    graph = circuit_to_dag(circuit)
    passive = ("barrier", "delay")
    used = {circuit.qubits[index] for index in observed}
    for node in graph.op_nodes():
        if node.name not in passive:
            used.update(node.qargs)
    used = used or set(circuit.qubits[:1])
    for node in graph.op_nodes():
        if node.name in passive and not used.issuperset(node.qargs):
            graph.remove_op_node(node)
    graph.remove_qubits(*(qubit for qubit in circuit.qubits if qubit not in used))
    return dag_to_circuit(graph), [i for i, qubit in enumerate(circuit.qubits) if qubit in used]


def pieces(circuit: Any, most: int) -> list[tuple[Any, list[int], list[int]]]:
    """Return the circuit in pieces that are independent of one another.

    Args:
        circuit: A circuit.
        most: How many qubits pieces may be put together to.

    Returns:
        Circuits, and the indices of their qubits and bits in the whole; nothing where classical
        variables or assignments, which name no bits, may connect them.
    """
    if circuit.num_vars or "store" in circuit.count_ops():
        return []
    joined: dict[Any, set[Any]] = {bit: {bit} for bit in (*circuit.qubits, *circuit.clbits)}
    instructions = [each for each in circuit.data if each.operation.name != "barrier"]
    for instruction in instructions:
        bits = (*instruction.qubits, *instruction.clbits, *_decisive(instruction.operation))
        if any(joined[bit] is not joined[bits[0]] for bit in bits):
            whole = set().union(*(joined[bit] for bit in bits))
            joined |= dict.fromkeys(whole, whole)
    groups: list[set[Any]] = []
    for part in {id(part): part for part in joined.values()}.values():
        size = sum(bit in part for bit in circuit.qubits)
        if groups and sum(bit in groups[-1] for bit in circuit.qubits) + size <= most:
            groups[-1] |= part
        else:
            groups.append(set(part))
    found = []
    for group in groups:
        qubits = [qubit for qubit in circuit.qubits if qubit in group]
        clbits = [clbit for clbit in circuit.clbits if clbit in group]
        piece = QuantumCircuit(qubits, clbits)
        for register in circuit.cregs:
            if group.issuperset(register):
                piece.add_register(register)
        for instruction in instructions:
            if instruction.qubits and instruction.qubits[0] in group:
                piece.append(instruction)
        indices = [[circuit.find_bit(bit).index for bit in bits] for bits in (qubits, clbits)]
        found.append((piece, *indices))
    return found


def _decisive(operation: Any) -> list[Any]:
    """Return the bits that control flow depends on, which it need not act on."""
    condition = getattr(operation, "condition", None)
    if condition is not None:
        return list(condition_resources(condition).clbits)
    if isinstance(operation, SwitchCaseOp):
        return list(node_resources(expr.lift(operation.target)).clbits)
    return []


def widen(program: CircuitProgram, num_qubits: int) -> CircuitProgram:
    """Add idle qubits up to a width."""
    graph = circuit_to_dag(program.circuit)
    graph.add_qubits([Qubit() for _ in range(num_qubits - program.circuit.num_qubits)])
    return attrs.evolve(program, circuit=dag_to_circuit(graph), prepared={})


def _parse(text: str) -> ast.Program:
    # The parser writes what it found to stderr; its exception says nothing.
    with contextlib.redirect_stderr(io.StringIO()) as found:
        try:
            return openqasm3.parse(text)
        except Exception as error:
            reason = found.getvalue() or _unexpected(error) or one_line(error)
            if isinstance(error, AttributeError):  # of the parser, on a text without any statement
                reason = "the text is empty"
            raise EngineError(f"not OpenQASM 3: {reason}") from error


def _unexpected(error: Exception) -> str | None:
    """Return the place where the parser stopped, for the errors that it does not write."""
    causes = getattr(error.__cause__, "args", ())
    token = getattr(causes[0], "offendingToken", None) if causes else None
    return token and f"line {token.line}:{token.column} unexpected {token.text!r}"


def _modern_switch(text: str) -> str:
    """Rewrite `case 1: case 2: {} break;`, which Qiskit may write, to `case 1, 2 {}`."""
    opened: list[bool] = []

    def rewrite(found: re.Match[str]) -> str:
        lines = "\n" * found[0].count("\n")
        if found["opening"] or found[0] == "{":
            opened.append(bool(found["opening"]))
        if found["opening"]:
            labels = re.sub(_QUOTED, " ", found["labels"], flags=re.DOTALL)
            values = ", ".join(value.strip() for value in re.findall(r"case\b([^:]*)", labels))
            # With other labels in front of it, `default` still takes what no case does.
            return ("default {" if "default" in labels else f"case {values} {{") + lines
        if found[0][0] != "}" or not (opened and opened.pop()):
            return found[0]
        if found["rest"] is None:
            raise EngineError("not OpenQASM 3: a case of a switch lacks its break")
        return "}" + lines

    return _BRACES.sub(rewrite, text)


class _Visitor(QASMVisitor[None]):
    """A visitor that visits the cases of a switch too."""

    def visit_SwitchStatement(self, node: ast.SwitchStatement) -> None:
        for _, block in node.cases:
            self.visit(block)
        self.generic_visit(node)


class _InlineSwitchTargets(_Visitor):
    """A visitor that makes `switch (c)` of `int i; i = c; switch (i)`, as Qiskit writes it."""

    def __init__(self) -> None:
        self._inlined: set[str] = set()

    def visit_Program(self, node: ast.Program) -> None:
        self.generic_visit(node)
        node.statements = [
            statement
            for statement in node.statements
            if not (
                isinstance(statement, ast.ClassicalDeclaration)
                and isinstance(statement.type, ast.IntType)
                and statement.identifier.name in self._inlined
            )
        ]

    def generic_visit(self, node: ast.QASMNode, context: None = None) -> None:
        for block in vars(node).values():
            if isinstance(block, list):
                self._inline(block)
        super().generic_visit(node, context)

    def _inline(self, block: list[Any]) -> None:
        for index in reversed(range(1, len(block))):
            assignment, switch = block[index - 1 : index + 1]
            if (
                isinstance(switch, ast.SwitchStatement)
                and isinstance(switch.target, ast.Identifier)
                and isinstance(assignment, ast.ClassicalAssignment)
                and assignment.op is ast.AssignmentOperator["="]
                and assignment.lvalue == switch.target
            ):
                self._inlined.add(switch.target.name)
                switch.target = assignment.rvalue
                del block[index - 1]


class _Importer(ConvertVisitor):
    """Qiskit's importer, and `switch`, which it lacks."""

    def visit_Include(self, node: ast.Include, context: Any) -> Any:
        context = super().visit_Include(node, context)
        # The importer has it as `U(0, 0, 0)`, which no device has.
        context.symbol_table.get("id", node).data = IGate
        return context

    def visit_SwitchStatement(self, node: ast.SwitchStatement, context: Any) -> Any:
        with context.circuit.switch(self._resolve_carg(node.target, context)) as case:
            cases = [
                ([self._resolve_constant_int(value, context) for value in values], block)
                for values, block in node.cases
            ]
            if node.default is not None:
                cases.append(([case.DEFAULT], node.default))
            for values, block in cases:
                with case(*values), LocalScope(context) as inner:
                    for statement in block.statements:
                        self.visit(statement, inner)
        return context


def _from_circuit(circuit: Any) -> CircuitProgram:
    if not isinstance(circuit, QuantumCircuit):
        raise EngineError("its circuit is neither OpenQASM 3 text nor a QuantumCircuit")
    if circuit.clbits and not circuit.cregs:
        circuit.add_register(ClassicalRegister(bits=circuit.clbits, name="c"))
    _refuse_empty_registers(circuit)
    _refuse_unreadable(circuit)
    if _has_annotated_gates(circuit):
        # The reader of QPY forgets that these have parameters.
        circuit = _appended_anew(circuit)
    return CircuitProgram(
        circuit,
        tuple(parameter.name for parameter in circuit.parameters),
        {
            register.name: tuple(circuit.find_bit(bit).index for bit in register)
            for register in circuit.cregs
        },
    )


def _has_annotated_gates(block: Any) -> bool:
    operations = [instruction.operation for instruction in block.data]
    return any(
        isinstance(operation, AnnotatedOperation)
        or any(map(_has_annotated_gates, getattr(operation, "blocks", ())))
        for operation in operations
    )


def _appended_anew(block: Any) -> Any:
    made = block.copy_empty_like()
    for instruction in block.data:
        operation = instruction.operation
        if isinstance(operation, ControlFlowOp):
            operation = operation.replace_blocks(map(_appended_anew, operation.blocks))
        made.append(operation, instruction.qubits, instruction.clbits)
    return made


def _declared_fields(tree: ast.Program, circuit: Any) -> dict[str, tuple[int, ...]]:
    """Return the declared bits, which the circuit has in that order, some without a register."""
    sizes = {circuit.find_bit(register[0]).index: register.size for register in circuit.cregs}
    fields: dict[str, tuple[int, ...]] = {}
    start = 0
    for statement in tree.statements:
        if not isinstance(statement, ast.ClassicalDeclaration):
            continue
        assert isinstance(statement.type, ast.BitType)  # the importer takes nothing else
        size = 1 if statement.type.size is None else sizes[start]
        fields[statement.identifier.name] = tuple(range(start, start + size))
        start += size
    return fields


def _refuse_empty_registers(circuit: Any) -> None:
    for register in circuit.cregs:
        if not register.size:
            raise EngineError(f"register {register.name} of the circuit has no bits: remove it")


def _refuse_unreadable(block: Any) -> None:
    """Raise EngineError if an instruction, which Qiskit reads late, cannot be read."""
    for instruction in block.data:
        try:
            operation = instruction.operation
        except CircuitError as error:
            raise EngineError(
                f"an instruction cannot be read: {one_line(error)} QPY has no unit of delays: "
                "give them as whole numbers of dt"
            ) from error
        for inner in getattr(operation, "blocks", ()):
            _refuse_unreadable(inner)


def _check_block(block: Any, qubits: list[int], target: Target, device: str) -> None:
    place = dict(zip(block.qubits, qubits, strict=True))
    for instruction in block.data:
        operation = instruction.operation
        where = [place[qubit] for qubit in instruction.qubits]
        on = ", ".join(f"${n}" for n in where)
        if isinstance(operation, BoxOp):
            if operation.duration is not None:
                raise EngineError(
                    f"the box on {on} has a duration, which is not simulated: give delays in it"
                )
        elif operation.name not in ("barrier", "store") and not target.instruction_supported(
            operation.name, tuple(where)
        ):
            raise EngineError(
                f"{device} has no {operation.name} on {on}: "
                "transpile the circuit for this backend first (ISA)"
            )
        elif is_defined_by_circuit(operation) and not _is_gate_of(target, operation):
            raise EngineError(
                f"the circuit defines {operation.name} on {on} in another way than {device}: "
                "give the gate another name, and transpile the circuit for this backend (ISA)"
            )
        if isinstance(operation, ControlFlowOp):
            for inner in operation.blocks:
                _check_block(inner, where, target, device)


def _is_gate_of(target: Target, operation: Any) -> bool:
    """Return True if a gate's own definition is that of the target's gate of its name.

    OpenQASM text defines the gates that its standard library lacks.
    """
    named = target.operation_from_name(operation.name)
    if not (isinstance(named, Gate) and isinstance(operation, Gate)):
        return False
    if len(named.params) != len(operation.params):
        return False
    single = QuantumCircuit(operation.num_qubits)
    single.append(operation, single.qubits)
    # Any values do, as long as no gate has a symmetry there.
    single = single.assign_parameters([0.3 + 0.1 * n for n in range(single.num_parameters)])
    bound = single.data[0].operation
    return bool(Operator(bound.definition).equiv(Operator(named.base_class(*bound.params))))
