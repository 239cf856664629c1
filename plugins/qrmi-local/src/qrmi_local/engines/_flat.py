"""Circuits as one sequence of gates, measurements, jumps and stores, which is what Aer executes.

Aer's own translator of control flow is not used. It confuses rounds of a loop that have the same
index, and reads classical expressions as `_expressions` describes.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from qiskit import QuantumCircuit
from qiskit.circuit import (
    AnnotatedOperation,
    BoxOp,
    BreakLoopOp,
    CircuitInstruction,
    ClassicalRegister,
    Clbit,
    ContinueLoopOp,
    ControlledGate,
    Delay,
    ForLoopOp,
    Gate,
    IfElseOp,
    Instruction,
    Measure,
    Store,
    SwitchCaseOp,
    WhileLoopOp,
)
from qiskit.circuit.classical import expr, types
from qiskit.circuit.controlflow import CASE_DEFAULT
from qiskit.exceptions import QiskitError
from qiskit.transpiler import PassManager, Target
from qiskit.transpiler.preset_passmanagers.common import generate_translation_passmanager
from qiskit_aer import AerSimulator
from qiskit_aer.library.control_flow_instructions import AerJump, AerMark, AerStore

from qrmi_local.engines import EngineError
from qrmi_local.engines._expressions import Bit, Logic

# The names of what control flow becomes.
JUMPS: Final = {"jump": AerJump, "mark": AerMark, "aer_store": AerStore}
# For loops are unrolled.
MAX_INSTRUCTIONS: Final = 500_000
# Aer ignores errors of these.
_WITHOUT_ERRORS: Final = frozenset({"barrier", "pauli"})
_GENERIC: Final = (Gate, Instruction, ControlledGate)


def flatten(circuit: Any, *, ideal: bool, noisy: Collection[str] = ()) -> Any:
    """Return a circuit without control flow, variables and registers that does the same.

    The classical bits keep their indices; those of variables and of intermediate values follow.

    Args:
        circuit: Any circuit.
        ideal: Leave out delays, and replace gates that the circuit defines by their definitions.
        noisy: The names and labels of instructions with errors, which must stay as they are.

    Raises:
        EngineError: An instruction cannot be simulated.
    """
    return _Flattener(circuit, ideal, noisy).made


def translate(circuit: Any, gates: Iterable[str], kept: Collection[str] = ()) -> Any:
    """Return a flat circuit in some of the gates of Qiskit's library.

    Some gates have no definition until their parameters have values. A circuit with such a gate is
    returned as it is, to be translated when it has the values.

    Args:
        circuit: A flat circuit.
        gates: The names of the gates.
        kept: The names of the other instructions that stay.

    Raises:
        QiskitError: A gate without parameters has no definition.
    """
    operations = [instruction.operation for instruction in circuit.data]
    others = {each.name: type(each) for each in operations if each.name in kept}
    try:
        return _translation(tuple(gates), frozenset(others.items())).run(circuit)
    except QiskitError:
        if circuit.num_parameters:
            return circuit
        raise


def with_errors(circuit: Any, noisy: Collection[str]) -> set[str]:
    """Return the names of the instructions of a flat circuit that have errors.

    Args:
        circuit: A flat circuit.
        noisy: Names and labels.

    Raises:
        EngineError: Aer cannot execute one of the instructions with its errors.
    """
    names = set()
    for instruction in circuit.data:
        operation = instruction.operation
        if _is_one_of(noisy, operation):
            if operation.name not in native() - _WITHOUT_ERRORS:
                _refuse_errors(operation)
            names.add(operation.name)
    return names


@functools.cache
def native() -> frozenset[str]:
    """Return the names of the instructions that Aer executes as they are."""
    return frozenset((*AerSimulator().configuration().basis_gates, "barrier", "measure", *JUMPS))


def is_defined_by_circuit(operation: Any) -> bool:
    """Return True for an instruction with a definition that came with the circuit."""
    return type(operation) in _GENERIC and operation.definition is not None


def _is_one_of(names: Collection[str], operation: Any) -> bool:
    return operation.name in names or getattr(operation, "label", None) in names


def _refuse_errors(operation: Any) -> None:
    raise EngineError(
        f"options.simulator.noise_model has errors of {operation.name}, which is executed as "
        "other gates, or without errors: give the errors to other gates, and transpile to them"
    )


@functools.cache
def _translation(gates: tuple[str, ...], others: frozenset[tuple[str, type]]) -> PassManager:
    """Return what `transpile` does to a circuit without places at its lowest level.

    It would import the plugins of all stages first, and with them all of qiskit-ibm-runtime.
    """
    target = Target.from_configuration(basis_gates=[*gates, "measure", "reset", "delay"])
    for name, kind in (*JUMPS.items(), *others):
        if name not in target.operation_names:
            target.add_instruction(kind, name=name)
    return generate_translation_passmanager(
        target, basis_gates=list(target.operation_names), approximation_degree=1.0
    )


class _Flattener:
    """Appends the instructions of a circuit and of its blocks to `made`."""

    def __init__(self, circuit: Any, ideal: bool, noisy: Collection[str]) -> None:
        self.made = QuantumCircuit(circuit.qubits, circuit.clbits, name=circuit.name)
        self._ideal = ideal
        self._noisy = noisy
        self._homes: dict[Any, list[Clbit]] = {}
        self._labels = itertools.count()
        self._targets: set[str] = set()
        self._logic = Logic(self._read, self._keep)
        # Bits for intermediate values, and how many of them the statement at hand uses.
        self._spare: list[Clbit] = []
        self._kept = 0
        self._clbits: Mapping[Any, Any] = {}
        for variable in circuit.iter_input_vars():
            raise EngineError(
                f"the circuit has an input variable {variable.name}, for which a pub cannot give a "
                "value: declare it with add_var, or use a Parameter"
            )
        self._walk(circuit, circuit.qubits, circuit.clbits, None)
        # Without the marks that nobody jumps to, loops of gates alone are gates alone.
        data = [
            each
            for each in self.made.data
            if each.operation.name != "mark" or each.operation.params[0] in self._targets
        ]
        if any(each.operation.name in JUMPS for each in data):
            # With noise, Aer keeps the bits up to the last one that is measured, and aborts the
            # process where it reads another. Nothing reads this one.
            if "measure" in noisy:
                raise EngineError(
                    "options.simulator.noise_model has errors of measure, which cannot be "
                    "simulated together with control flow: use readout errors"
                )
            last = self._new_bit()
            data.insert(0, CircuitInstruction(Measure(), self.made.qubits[:1], [last]))
        self.made.data = data
        if self.made.clbits:
            # The readers of results need a register of each bit.
            self.made.add_register(ClassicalRegister(bits=self.made.clbits, name="bits"))

    def _walk(
        self,
        block: Any,
        qubits: Iterable[Any],
        clbits: Iterable[Any],
        loop: tuple[str, str] | None,
    ) -> None:
        """Append a block.

        Args:
            block: A circuit.
            qubits: The qubits of `made` that its qubits are.
            clbits: Its bits likewise.
            loop: The labels at which the innermost loop continues and ends.
        """
        self.made.global_phase += block.global_phase
        qubit_of = dict(zip(block.qubits, qubits, strict=True))
        clbit_of = dict(zip(block.clbits, clbits, strict=True))
        for instruction in block.data:
            operation = instruction.operation
            where = [qubit_of[qubit] for qubit in instruction.qubits]
            bits = [clbit_of[clbit] for clbit in instruction.clbits]
            self._clbits = clbit_of
            match operation:
                case ForLoopOp():
                    self._for(operation, where, bits)
                case WhileLoopOp():
                    self._while(operation, where, bits)
                case IfElseOp():
                    self._if(operation, where, bits, loop)
                case SwitchCaseOp():
                    self._switch(operation, where, bits, loop)
                case BoxOp():
                    self.made.barrier(where)
                    self._walk(operation.body, where, bits, loop)
                    self.made.barrier(where)
                case ContinueLoopOp() | BreakLoopOp():
                    if loop is None:
                        raise EngineError(f"{operation.name} is not inside of a loop")
                    self._jump(loop[isinstance(operation, BreakLoopOp)])
                case Store():
                    self._store(operation.lvalue, operation.rvalue)
                case Delay():
                    if not self._ideal:
                        self._append(_timed(operation), where)
                    elif _is_one_of(self._noisy, operation):
                        self._append(Delay(0), where)
                case AnnotatedOperation() if self._ideal:
                    base = self._renamed(operation.base_op)
                    self._append(AnnotatedOperation(base, operation.modifiers), where)
                case _ if self._ideal and is_defined_by_circuit(operation):
                    if _is_one_of(self._noisy, operation):
                        _refuse_errors(operation)
                    self._walk(self._definition(operation), where, bits, None)
                case _ if self._ideal and type(operation) in _GENERIC:
                    raise EngineError(
                        f"instruction {operation.name} has no definition and is unknown to the "
                        "simulator: give it a definition in gates"
                    )
                case _:
                    self._append(operation, where, bits)

    def _append(self, operation: Any, qubits: Iterable[Any], clbits: Iterable[Any] = ()) -> None:
        if len(self.made.data) >= MAX_INSTRUCTIONS:
            raise EngineError(
                f"the circuit has more than {MAX_INSTRUCTIONS} instructions with its for loops "
                "unrolled: use fewer rounds"
            )
        self.made.append(operation, qubits, clbits)

    def _for(self, operation: Any, qubits: list[Any], clbits: list[Any]) -> None:
        rounds, parameter, body = operation.params
        end = self._label("break")
        for index in rounds:
            turn = self._label("continue")
            inner = body
            if isinstance(parameter, expr.Var):
                self._store(parameter, expr.lift(int(index), parameter.type))
            elif parameter is not None and parameter in body.parameters:
                inner = body.assign_parameters({parameter: index})
            self._walk(inner, qubits, clbits, (turn, end))
            self._mark(turn)
        self._mark(end)

    def _while(self, operation: Any, qubits: list[Any], clbits: list[Any]) -> None:
        start, end = self._label("continue"), self._label("break")
        self._mark(start)
        self._jump(end, unless=self._decided(operation.condition))
        self._walk(operation.blocks[0], qubits, clbits, (start, end))
        self._jump(start)
        self._mark(end)

    def _if(
        self,
        operation: Any,
        qubits: list[Any],
        clbits: list[Any],
        loop: tuple[str, str] | None,
    ) -> None:
        other, end = self._label("else"), self._label("end")
        yes, *no = operation.blocks
        self._jump(other, unless=self._decided(operation.condition))
        self._walk(yes, qubits, clbits, loop)
        if no:
            self._jump(end)
        self._mark(other)
        if no:
            self._walk(no[0], qubits, clbits, loop)
            self._mark(end)

    def _switch(
        self,
        operation: Any,
        qubits: list[Any],
        clbits: list[Any],
        loop: tuple[str, str] | None,
    ) -> None:
        end, default = self._label("end"), None
        self._kept = 0
        target = self._logic.bits(expr.lift(operation.target))
        cases = [(self._label("case"), *case) for case in operation.cases_specifier()]
        for label, values, _ in cases:
            for value in values:
                if value is CASE_DEFAULT:
                    default = label
                else:
                    wanted: list[Bit] = [bool(value >> n & 1) for n in range(len(target))]
                    if value >> len(target) == 0:
                        self._jump(label, when=self._logic.equal(target, wanted))
        self._jump(default or end)
        for label, _, body in cases:
            self._mark(label)
            self._walk(body, qubits, clbits, loop)
            self._jump(end)
        self._mark(end)

    def _decided(self, condition: Any) -> Bit:
        if not isinstance(condition, expr.Expr):
            condition = expr.lift_legacy_condition(condition)
        self._kept = 0
        return self._logic.bits(condition)[0]

    def _store(self, lvalue: Any, rvalue: Any) -> None:
        self._kept = 0
        values = self._logic.bits(rvalue)
        if isinstance(lvalue, expr.Index):
            index, [value] = self._logic.bits(lvalue.index), values
            places = self._read(lvalue.target)
            values = []
            for number, bit in enumerate(places):
                wanted: list[Bit] = [bool(number >> n & 1) for n in range(len(index))]
                here = number >> len(index) == 0 and self._logic.equal(index, wanted)
                values.append(self._logic.choose(here, value, bit))
        else:
            places = self._read(lvalue)
        if len(places) > 1:
            # The new value may be made of the old one.
            values = [bit if isinstance(bit, bool) else self._keep(bit) for bit in values]
        for place, bit in zip(places, values, strict=True):
            self._set(place, bit)

    def _set(self, place: Any, value: Bit) -> None:
        store = Store(place, expr.lift(value) if isinstance(value, bool) else value)
        self._append(AerStore(self.made.num_qubits, 0, store), self.made.qubits)

    def _read(self, variable: Any) -> list[Bit]:
        held = variable.var
        if isinstance(held, Clbit):
            places = [held]
        elif isinstance(held, ClassicalRegister):
            places = list(held)
        else:
            if variable not in self._homes:
                width = variable.type.width if isinstance(variable.type, types.Uint) else 1
                self._homes[variable] = [self._new_bit() for _ in range(width)]
            places = self._homes[variable]
        return [expr.Var(self._clbits.get(place, place), types.Bool()) for place in places]

    def _keep(self, value: expr.Expr) -> Any:
        if self._kept == len(self._spare):
            self._spare.append(self._new_bit())
        place = expr.Var(self._spare[self._kept], types.Bool())
        self._kept += 1
        self._set(place, value)
        return place

    def _new_bit(self) -> Clbit:
        bit = Clbit()
        self.made.add_bits([bit])
        return bit

    def _label(self, kind: str) -> str:
        return f"{kind}_{next(self._labels)}"

    def _mark(self, label: str) -> None:
        self._append(AerMark(label, self.made.num_qubits), self.made.qubits)

    def _jump(self, label: str, *, when: Bit = True, unless: Bit = False) -> None:
        if unless is not False:
            when = not unless if isinstance(unless, bool) else expr.logic_not(unless)
        if when is False:
            return
        self._targets.add(label)
        jump = AerJump(label, self.made.num_qubits)
        self._append(jump if when is True else jump.set_conditional(when), self.made.qubits)

    def _definition(self, operation: Any) -> Any:
        """Return the definition of an instruction that the circuit defines.

        Qiskit derives a controlled gate from the name of its base gate, which may be that of
        another gate in the library.
        """
        if isinstance(operation, ControlledGate) and is_defined_by_circuit(operation.base_gate):
            base = self._renamed(operation.base_gate)
            operation = base.control(operation.num_ctrl_qubits, ctrl_state=operation.ctrl_state)
        return operation.definition

    def _renamed(self, operation: Any) -> Any:
        """Return a gate of the library's gates alone, under a name that no other gate has."""
        if isinstance(operation, AnnotatedOperation):
            base = self._renamed(operation.base_op)
            return AnnotatedOperation(base, operation.modifiers)
        if not is_defined_by_circuit(operation):
            return operation
        single = QuantumCircuit(operation.num_qubits)
        single.append(operation, single.qubits)
        gate = flatten(single, ideal=True, noisy=self._noisy).to_gate()
        gate.name = self._label("gate")
        return gate


def _timed(delay: Any) -> Any:
    """Return a delay whose duration is a number."""
    duration = delay.duration
    if not isinstance(duration, expr.Expr):
        return delay
    if not isinstance(duration, expr.Value):
        raise EngineError(
            "the duration of a delay is a stretch or an expression, which is not resolved here: "
            "give a number"
        )
    return Delay(duration.value.value(), unit=duration.value.unit())
