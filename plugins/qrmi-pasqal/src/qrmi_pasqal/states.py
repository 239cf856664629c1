"""The states of tasks at Pasqal's services."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qrmi_core.plugin import Observation, TaskStatus, read_text

_STATES = {
    "PENDING": TaskStatus.Queued,
    "PAUSED": TaskStatus.Queued,
    "RUNNING": TaskStatus.Running,
    "CANCELING": TaskStatus.Running,
    "DONE": TaskStatus.Completed,
    "ERROR": TaskStatus.Failed,
    "TIMED_OUT": TaskStatus.Failed,
    "CANCELED": TaskStatus.Cancelled,
}
"""The states of batches and jobs by the services' names."""


def observation(task: Mapping[str, Any]) -> Observation:
    """Return the state of a batch or a job."""
    state = read_text(task.get("status"))
    return Observation(_STATES.get((state or "").upper()), raw=state)
