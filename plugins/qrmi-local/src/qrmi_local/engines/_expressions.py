"""Classical expressions as logic of single bits.

Aer evaluates the logic of single bits correctly. It inverts casts of registers to Bool, compares
the first 32 bits of a register only, and has neither arithmetic nor shifts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from qiskit.circuit.classical import expr, types

from qrmi_local.engines import EngineError

Bit: TypeAlias = Any
"""A bool, or an `expr.Expr` of type Bool without registers and variables."""


class Logic:
    """A translator of expressions to bits, the least significant bit first.

    Args:
        read: Return the bits of an `expr.Var`.
        keep: Store the value of an expression, and return the variable that holds it. Sums and
            shifts use intermediate bits several times; without `keep` the logic would grow
            exponentially.
    """

    def __init__(self, read: Callable[[Any], list[Bit]], keep: Callable[[Any], Any]) -> None:
        self._read = read
        self._keep_expression = keep

    def bits(self, node: Any) -> list[Bit]:
        """Return the bits of an expression's value.

        Raises:
            EngineError: The expression has a type or an operation that is not of bits.
        """
        if isinstance(node, expr.Value) and isinstance(node.type, (types.Bool, types.Uint)):
            return [bool(node.value >> place & 1) for place in range(_width(node))]
        if isinstance(node, expr.Var) and isinstance(node.type, (types.Bool, types.Uint)):
            return self._read(node)
        if isinstance(node, expr.Cast):
            operand, width = self.bits(node.operand), _width(node)
            if isinstance(node.type, types.Bool):
                return [_any(operand)]
            return (operand + [False] * width)[:width]
        if isinstance(node, expr.Index):
            return self._shifted(self.bits(node.target), self.bits(node.index), left=False)[:1]
        if isinstance(node, expr.Unary) and node.op.name in ("BIT_NOT", "LOGIC_NOT"):
            return [_not(bit) for bit in self.bits(node.operand)]
        if isinstance(node, expr.Binary):
            return self._binary(node.op.name, self.bits(node.left), self.bits(node.right))
        operation = getattr(node, "op", None)
        what = operation.name.lower() if operation is not None else type(node).__name__.lower()
        raise EngineError(
            f"a classical expression has a {what} of type {node.type}, which cannot be simulated: "
            "use registers, and variables of type Bool and Uint"
        )

    def equal(self, left: Sequence[Bit], right: Sequence[Bit]) -> Bit:
        """Return a bit that is true if two values are equal."""
        return _not(_any([_xor(a, b) for a, b in zip(left, right, strict=True)]))

    def choose(self, condition: Bit, yes: Bit, no: Bit) -> Bit:
        """Return one bit if the condition holds, else another."""
        return _or(_and(condition, yes), _and(_not(condition), no))

    def _binary(self, name: str, left: list[Bit], right: list[Bit]) -> list[Bit]:
        bitwise = {
            "BIT_AND": _and,
            "BIT_OR": _or,
            "BIT_XOR": _xor,
            "LOGIC_AND": _and,
            "LOGIC_OR": _or,
        }
        if name in bitwise:
            return [bitwise[name](a, b) for a, b in zip(left, right, strict=True)]
        match name:
            case "EQUAL":
                return [self.equal(left, right)]
            case "NOT_EQUAL":
                return [_not(self.equal(left, right))]
            case "LESS":
                return [_less(left, right)]
            case "LESS_EQUAL":
                return [_not(_less(right, left))]
            case "GREATER":
                return [_less(right, left)]
            case "GREATER_EQUAL":
                return [_not(_less(left, right))]
            case "SHIFT_LEFT" | "SHIFT_RIGHT":
                return self._shifted(left, right, left=name == "SHIFT_LEFT")
            case "ADD":
                return self._sum(left, right)
            case "SUB":
                return self._difference(left, right)
            case "MUL":
                return self._product(left, right)
            case "DIV":
                return self._quotient(left, right)
        raise EngineError(f"a classical expression has the operation {name}, which is unknown")

    def _keep(self, bit: Bit) -> Bit:
        return bit if isinstance(bit, (bool, expr.Var)) else self._keep_expression(bit)

    def _shifted(self, value: list[Bit], distance: list[Bit], *, left: bool) -> list[Bit]:
        width = len(value)
        for place, bit in enumerate(distance):
            step = min(1 << place, width)
            zeros: list[Bit] = [False] * step
            moved = zeros + value[: width - step] if left else value[step:] + zeros
            pairs = zip(moved, value, strict=True)
            value = [self._keep(self.choose(bit, yes, no)) for yes, no in pairs]
        return value

    def _sum(self, left: list[Bit], right: list[Bit], carry: Bit = False) -> list[Bit]:
        total = []
        for a, b in zip(left, right, strict=True):
            half = self._keep(_xor(a, b))
            total.append(self._keep(_xor(half, carry)))
            carry = self._keep(_or(_and(a, b), _and(half, carry)))
        return total

    def _difference(self, left: list[Bit], right: list[Bit]) -> list[Bit]:
        return self._sum(left, [_not(bit) for bit in right], True)

    def _product(self, left: list[Bit], right: list[Bit]) -> list[Bit]:
        width = len(left)
        total: list[Bit] = [False] * width
        for place, bit in enumerate(right):
            row = [_and(bit, other) for other in left[: width - place]]
            total = self._sum(total, [False] * place + row)
        return total

    def _quotient(self, left: list[Bit], right: list[Bit]) -> list[Bit]:
        divisor: list[Bit] = [*right, False]
        rest: list[Bit] = [False] * len(divisor)
        found: list[Bit] = []
        for bit in reversed(left):
            rest = [bit, *rest[:-1]]
            fits = self._keep(_not(_less(rest, divisor)))
            pairs = zip(self._difference(rest, divisor), rest, strict=True)
            rest = [self._keep(self.choose(fits, yes, no)) for yes, no in pairs]
            found.insert(0, fits)
        return found


def _width(node: Any) -> int:
    return node.type.width if isinstance(node.type, types.Uint) else 1


def _not(bit: Bit) -> Bit:
    return not bit if isinstance(bit, bool) else expr.logic_not(bit)


def _and(one: Bit, other: Bit) -> Bit:
    if isinstance(one, bool):
        return other if one else False
    if isinstance(other, bool):
        return one if other else False
    return expr.logic_and(one, other)


def _or(one: Bit, other: Bit) -> Bit:
    if isinstance(one, bool):
        return True if one else other
    if isinstance(other, bool):
        return True if other else one
    return expr.logic_or(one, other)


def _xor(one: Bit, other: Bit) -> Bit:
    if isinstance(one, bool):
        return _not(other) if one else other
    if isinstance(other, bool):
        return _not(one) if other else one
    return expr.not_equal(one, other)


def _any(bits: Sequence[Bit]) -> Bit:
    found: Bit = False
    for bit in bits:
        found = _or(found, bit)
    return found


def _less(left: Sequence[Bit], right: Sequence[Bit]) -> Bit:
    found: Bit = False
    for a, b in zip(left, right, strict=True):
        found = _or(_and(_not(a), b), _and(_not(_xor(a, b)), found))
    return found
