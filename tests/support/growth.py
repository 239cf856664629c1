"""Check that a driver's memory of past tasks is bounded."""

from __future__ import annotations

import gc
import logging
import sys
import uuid
from collections.abc import Callable, Iterator
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import pytest

from qrmi_core import QrmiError, QuantumResource
from qrmi_core.notes import TaskNotes
from qrmi_core.options import TaskOptions

TASKS, LIMIT = 20, 5
_NOT_ENTERED = (ModuleType, type, FunctionType, BuiltinFunctionType, logging.Logger)


def check_that_few_tasks_are_remembered(
    qpu: QuantumResource,
    payload: object,
    monkeypatch: pytest.MonkeyPatch,
    *,
    acquisition: str | None = None,
    use: Callable[[str], object] = str,
) -> None:
    """Run many submissions, lost ones included, and check that the driver keeps few of them.

    Args:
        qpu: The resource.
        payload: The program of every task.
        monkeypatch: Lowers the limit of the driver's notes.
        acquisition: The acquisition of every task.
        use: Called with the id of every started task.
    """
    driver: Any = qpu._driver
    for found in _held(driver):
        if isinstance(found, TaskNotes):
            monkeypatch.setattr(found, "_limit", LIMIT)
            for task_id in found:  # Tasks of other tests.
                found.pop(task_id)
    words = set()
    for _ in range(TASKS):
        submission = uuid.uuid4().hex
        words.add(submission)
        try:
            task_id = driver.task_start(
                payload, submission=submission, acquisition=acquisition, options=TaskOptions()
            )
        except QrmiError:
            continue
        words.add(task_id)
        use(task_id)
    assert len(words) >= TASKS
    texts = {found for found in _held(driver) if isinstance(found, str)}
    assert len(words & texts) <= 2 * LIMIT


def _held(driver: object) -> Iterator[object]:
    """Yield all objects that a driver and the modules of its distribution refer to."""
    package = type(driver).__module__.partition(".")[0]
    waiting: list[object] = [driver]
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == package:
            waiting += [value for own, value in vars(module).items() if not own.startswith("__")]
    seen = set()
    while waiting:
        found = waiting.pop()
        if id(found) in seen or isinstance(found, _NOT_ENTERED):
            continue
        seen.add(id(found))
        yield found
        waiting += gc.get_referents(found)
        if isinstance(found, dict):
            waiting += list(found)  # text keys of attribute dictionaries are not referents
