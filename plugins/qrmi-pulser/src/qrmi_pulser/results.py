"""What resources give as the result of a sequence, as Pulser's results."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pulser.backend import Results

from qrmi_core.counts import counts_of, parse_result
from qrmi_core.errors import InvalidResponseError
from qrmi_pulser.errors import in_short

if TYPE_CHECKING:
    from qrmi_core.task import Task
    from qrmi_pulser.jobs import Program


def to_results(task: Task, text: str, program_of: Callable[[Task], Program | None]) -> Results:
    """Read the text of a task's result.

    Three forms are known: ``{"counter": {"00": 36, ...}}``, the same as Python writes it, which is
    how QPUs on premises give it, and Pulser's own in a member ``serialised_results``.

    Args:
        task: The task.
        text: Its result.
        program_of: Tells what was run, and is asked if the vendor's result does not; where it is
            not known, atoms are called ``q0``, ``q1`` and so on, and the duration is 0.

    Raises:
        InvalidResponseError: It is none of these.
    """
    try:
        found = parse_result(text)
        if isinstance(found, dict) and (own := found.get("serialised_results")):
            results = Results.from_abstract_repr(own)
            if results.get_result_tags() != ["bitstrings"] or "counter" not in found:
                return results
            order, duration = results.atom_order, results.total_duration
            # Read back, their counts are no Counter.
            return Results.from_final_bitstrings(order, duration, counts_of(found))
        counter = counts_of(found)
        atoms = len(next(iter(counter)))
        program = program_of(task)
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
