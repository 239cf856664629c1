"""What resources give as the result of a sequence, as Pulser's results."""

from __future__ import annotations

import ast
import json
import re
from typing import TYPE_CHECKING, Any

from pulser.backend import Results

from qrmi_core.errors import InvalidResponseError
from qrmi_pulser.errors import in_short

if TYPE_CHECKING:
    from qrmi_core.task import Task
    from qrmi_pulser.jobs import Program


def to_results(task: Task, text: str, program: Program | None) -> Results:
    """Read the text of a task's result.

    Three forms are known: ``{"counter": {"00": 36, ...}}``, the same as Python writes it, which is
    how QPUs on premises give it, and Pulser's own in a member ``serialised_results``.

    Args:
        task: The task.
        text: Its result.
        program: What was run; where it is not known, atoms are called as the vendor does, else
            ``q0``, ``q1`` and so on, and the duration is 0.

    Raises:
        InvalidResponseError: It is none of these.
    """
    try:
        found = _parsed(text)
        if isinstance(found, dict) and (own := found.get("serialised_results")):
            return Results.from_abstract_repr(own)
        counter, atoms = _counter(found)
        if program is None:
            order, duration = tuple(f"q{number}" for number in range(atoms)), 0
        else:
            order, duration = program.atom_order, program.total_duration
        if len(order) != atoms:
            raise ValueError(
                f"its bit strings have {atoms} bits, and the sequence {len(order)} atoms"
            )
        return Results.from_final_bitstrings(order, duration, counter)
    except Exception as error:
        raise InvalidResponseError(
            f"the result of task {task.id} cannot be read: {in_short(error)}",
            resource_id=task.resource.resource_id(),
            task_id=task.id,
        ) from error


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            raise error from None


def _counter(found: Any) -> tuple[dict[str, int], int]:
    counter = found.get("counter", found) if isinstance(found, dict) else found
    if not isinstance(counter, dict):
        raise ValueError("it has no counts")
    for bits, count in counter.items():
        if not re.fullmatch("[01]+", str(bits)) or type(count) is not int or count < 0:
            raise ValueError(f"{bits!r:.40}: {count!r:.40} is no count of a bit string")
    if not any(counter.values()):
        raise ValueError("it has no counts")
    lengths = {len(bits) for bits in counter}
    if len(lengths) > 1:
        raise ValueError("its bit strings are of different lengths")
    return counter, lengths.pop()
