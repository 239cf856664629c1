"""Results of tasks, converted to Pulser's results."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pulser.backend import Results

from qrmi_core import InvalidResponseError, QrmiError, counts_of
from qrmi_pulser.errors import in_short

if TYPE_CHECKING:
    from qrmi_core import Task
    from qrmi_pulser.jobs import Program


def to_results(task: Task, text: str, program_of: Callable[[Task], Program | None]) -> Results:
    """Return the text of a task's result as Pulser results.

    The resource's plugin reads the counts. Pulser's own format, under the key
    ``serialised_results``, is read here.

    Args:
        task: The task.
        text: Its result.
        program_of: Returns the program if the vendor's result lacks its properties. If it is
            unknown, the atoms are named ``q0``, ``q1`` and so on, and the duration is 0.

    Raises:
        InvalidResponseError: The text has neither format.
    """
    try:
        found = _members(text)
        if own := found.get("serialised_results"):
            results = Results.from_abstract_repr(own)
            if results.get_result_tags() != ["bitstrings"] or "counter" not in found:
                return results
            # After deserialisation, the counts are plain dictionaries.
            (counter,) = counts_of(task, text)
            order, duration = results.atom_order, results.total_duration
            return Results.from_final_bitstrings(order, duration, counter)
        (counter,) = counts_of(task, text)
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
    except QrmiError:
        raise
    except Exception as error:
        raise InvalidResponseError(
            f"the result of task {task.id} cannot be read: {in_short(error)}",
            resource_id=task.resource_id,
            task_id=task.id,
        ) from error


def _members(text: str) -> dict[str, Any]:
    """Return the keys and values of a result that is a JSON object; empty for any other."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
