"""The states of jobs and backends at IBM's services."""

from __future__ import annotations

from qrmi_core.plugin import (
    InvalidResponseError,
    Observation,
    ResourceStatusCode,
    TaskStatus,
    without_queries,
)

_JOBS = {
    "initializing": TaskStatus.Queued,
    "pending": TaskStatus.Queued,
    "queued": TaskStatus.Queued,
    "running": TaskStatus.Running,
    "completed": TaskStatus.Completed,
    "failed": TaskStatus.Failed,
    "cancelled": TaskStatus.Cancelled,
}
"""The states of a job by the first word of the services' names, in lower case."""

_BACKENDS = {
    "online": ResourceStatusCode.Online,
    "active": ResourceStatusCode.Online,
    "offline": ResourceStatusCode.Offline,
}
"""The states of a backend by the services' names; any other is a pause."""


def observation(
    state: str | None, *, reason: str | None, solution: str | None, code: str | None
) -> Observation:
    """Return the state of a job.

    Args:
        state: The service's name, such as ``Cancelled - Ran too long``.
        reason: The reason for the state.
        solution: A remedy.
        code: The code of the reason.

    Raises:
        InvalidResponseError: The state is missing.
    """
    if state is None:
        raise InvalidResponseError("the service's description of the job has no status")
    first, _, rest = state.lower().partition(" ")
    if reason is None and first == "cancelled" and rest:
        reason = state
    # A reason may show one of a job's presigned URLs.
    parts = [without_queries(part).rstrip(".") for part in (reason, solution) if part]
    return Observation(_JOBS.get(first), reason="; ".join(parts) or None, code=code, raw=state)


def availability(state: str | None) -> ResourceStatusCode | None:
    """Return the state of a backend, None if the service does not report it."""
    return _BACKENDS.get(state.lower(), ResourceStatusCode.Paused) if state else None
