"""Delays in the device's time steps, the only unit that QPY can represent.

QPY stores the duration of a delay without its unit, and cannot read back a parameter in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from qiskit.circuit import ControlFlowOp, Delay, Instruction, ParameterExpression
from qiskit.circuit.classical import expr

from qrmi_core import InvalidArgumentError

if TYPE_CHECKING:
    from qiskit import QuantumCircuit
    from qiskit.primitives.containers.bindings_array import BindingsArray

_SECONDS: Final = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "ps": 1e-12}


def delays_in_dt(
    circuit: QuantumCircuit, values: BindingsArray, time_step: Callable[[], float | None]
) -> QuantumCircuit:
    """Return the circuit with all delays in whole time steps; unchanged if it has none.

    Args:
        circuit: The circuit.
        values: The values of its parameters, which are finite.
        time_step: Return the device's time step in seconds, None if it is unknown.

    Raises:
        InvalidArgumentError: A duration is negative or not a whole number of dt, needs a time step
            that is unknown, or differs between the sets of values.
    """
    if not any(_delays(circuit)):
        return circuit

    def convert(delay: Any, qubits: list[Any]) -> Any:
        try:
            duration, unit = _number(delay, values)
            if duration is None:
                return delay  # a stretch, which the service resolves
            if unit != "dt":
                step = time_step()
                if step is None:
                    raise InvalidArgumentError("the resource names no time step: give it in dt")
                duration = round(duration * _SECONDS[unit] / step)
            if duration < 0 or duration != round(duration):
                raise InvalidArgumentError("dt are whole numbers of at least 0")
        except InvalidArgumentError as error:
            found = circuit.find_bit(qubits[0]).index if qubits[0] in circuit.qubits else None
            where = "" if found is None else f" on qubit {found}"
            raise InvalidArgumentError(
                f"its delay of {delay.duration} {delay.unit}{where} cannot be sent: {error}"
            ) from None
        return Delay(round(duration), "dt")

    return _replaced(circuit, convert)


def _delays(circuit: QuantumCircuit) -> Iterator[Any]:
    for instruction in circuit.data:
        operation = instruction.operation
        if isinstance(operation, Delay):
            yield operation
        for block in _blocks(operation):
            yield from _delays(block)


def _blocks(operation: Any) -> tuple[QuantumCircuit, ...]:
    if isinstance(operation, ControlFlowOp):
        return tuple(operation.blocks)
    # an instruction made from a circuit; gates contain no delays
    if type(operation) is Instruction and operation.definition is not None:
        return (operation.definition,)
    return ()


def _replaced(circuit: QuantumCircuit, convert: Callable[[Any, list[Any]], Any]) -> QuantumCircuit:
    made = circuit.copy_empty_like()
    for instruction in circuit.data:
        operation = instruction.operation
        if isinstance(operation, Delay):
            operation = convert(operation, instruction.qubits)
        elif any(any(_delays(block)) for block in _blocks(operation)):
            blocks = [_replaced(block, convert) for block in _blocks(operation)]
            if isinstance(operation, ControlFlowOp):
                operation = operation.replace_blocks(blocks)
            else:
                operation = operation.copy()
                [operation.definition] = blocks
        made.append(operation, instruction.qubits, instruction.clbits)
    return made


def _number(delay: Any, values: BindingsArray) -> tuple[float | None, str]:
    """Return a delay's duration and unit, or None if it is resolved later."""
    duration, unit = delay.duration, delay.unit
    if isinstance(duration, expr.Value):
        return duration.value.value(), duration.value.unit()
    if isinstance(duration, expr.Expr):
        return None, unit
    if not isinstance(duration, ParameterExpression):
        return duration, unit
    if not {parameter.name for parameter in duration.parameters} <= _columns(values).keys():
        raise InvalidArgumentError("it depends on the round of a loop: use one delay a round")
    found = set(evaluated(duration, values))
    if len(found) > 1:
        raise InvalidArgumentError("the values of its parameter differ: use one pub for each")
    [number] = found
    return number, unit


def evaluated(expression: ParameterExpression, values: BindingsArray) -> Iterator[float]:
    """Yield the value of an expression for each set of parameter values."""
    if not expression.parameters:
        yield float(expression)
        return
    parameters, columns = tuple(expression.parameters), _columns(values)
    for row in zip(*(columns[parameter.name] for parameter in parameters), strict=True):
        yield float(expression.bind(dict(zip(parameters, row, strict=True))))


def _columns(values: BindingsArray) -> dict[str, Any]:
    """Return the values of each parameter in all sets, by name."""
    return {
        name: array[..., n].ravel()
        for names, array in values.data.items()
        for n, name in enumerate(names)
    }
