"""IBM's list of workloads: sessions, and the jobs that are in none, in pages by cursor."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import attrs
from starlette.requests import Request

from qrmi_core.values import TaskStatus
from qrmi_emulator.faces.ibm_errors import invalid
from qrmi_emulator.state import FINAL, Job, Session, State

_DEFAULT_LIMIT, _MOST = 10, 50
_WORDS: Final = {
    TaskStatus.Queued: "pending",
    TaskStatus.Running: "in_progress",
    TaskStatus.Completed: "completed",
    TaskStatus.Cancelled: "canceled",
    TaskStatus.Failed: "failed",
}
_SESSION_WORDS: Final = {
    "open": "pending",
    "inactive": "pending",
    "active": "in_progress",
    "closed": "completed",
}


@attrs.frozen(kw_only=True)
class Account:
    """Whose workloads they are.

    Attributes:
        user: The user's id.
        instance: The instance's CRN.
    """

    user: str
    instance: str


def page(
    state: State,
    face: str,
    account: Account,
    request: Request,
    time_of: Callable[[float | None], str | None],
    epoch: Callable[[str], float],
) -> dict[str, Any]:
    """A page of the workloads.

    Args:
        state: The emulator's memory.
        face: Whose jobs and sessions.
        account: Whose workloads they are.
        request: Its query says which; its URL is that of the other pages.
        time_of: Writes a time.
        epoch: Reads one.

    Raises:
        Refused: The query is not as the service takes it.
    """
    query = request.query_params
    limit = query.get("limit", str(_DEFAULT_LIMIT))
    if not limit.isdecimal() or not 1 <= int(limit) <= _MOST:
        raise invalid(f"limit is not a whole number from 1 to {_MOST}")
    if (sort := query.get("sort", "createdAt")) not in ("createdAt", "-createdAt"):
        raise invalid("sort is neither createdAt nor -createdAt")
    if query.get("user", "me") != "me":
        raise invalid("user is not me")
    jobs: dict[str | None, list[Job]] = {}
    for job in state.jobs.values():
        if job.face == face:
            jobs.setdefault(job.session, []).append(job)
    found = [_Workload(job, [job]) for job in jobs.get(None, ())]
    for session in state.sessions.values():
        if session.face == face:
            found.append(_Workload(session, jobs.get(session.id, [])))
    found = [workload for workload in found if _matches(state, workload, request, epoch)]
    found.sort(key=lambda workload: workload.record.created, reverse=sort.startswith("-"))
    size = int(limit)
    start = _start(found, request, size)
    shown = found[start : start + size]
    document: dict[str, Any] = {
        "workloads": [_document(state, workload, account, time_of) for workload in shown],
        "total_count": len(found),
        "limit": size,
    }
    url = request.url.remove_query_params(["previous", "next"])
    if start > 0:
        before = url.include_query_params(previous=shown[0].record.id)
        document["previous"] = {"href": str(before)}
    if start + size < len(found):
        after = url.include_query_params(next=shown[-1].record.id)
        document["next"] = {"href": str(after)}
    return document


@attrs.frozen
class _Workload:
    """A job or a session, and its jobs."""

    record: Job | Session
    jobs: list[Job]

    @property
    def tags(self) -> set[str]:
        return {tag for job in self.jobs for tag in job.tags}

    @property
    def mode(self) -> str:
        if isinstance(self.record, Job):
            return "job"
        return "batch" if self.record.details["mode"] == "batch" else "session"

    def status(self, state: State) -> str:
        if isinstance(self.record, Job):
            return _WORDS[self.record.status]
        return _SESSION_WORDS[state.state_of(self.record)]


def _start(found: list[_Workload], request: Request, size: int) -> int:
    """Where the page begins: a cursor is the workload before or after it."""
    places = {workload.record.id: place for place, workload in enumerate(found)}
    for name, first in (("next", 1), ("previous", -size)):
        cursor = request.query_params.get(name)
        if cursor is not None:
            if cursor not in places:
                raise invalid(f"{name} is not the cursor of a page of this list")
            return max(0, places[cursor] + first)
    return 0


def _matches(
    state: State, workload: _Workload, request: Request, epoch: Callable[[str], float]
) -> bool:
    query, record = request.query_params, workload.record
    after, before = query.get("created_after"), query.get("created_before")
    search, statuses, tags = query.get("search"), query.getlist("status"), query.getlist("tags")
    return (
        query.get("backend") in (None, record.resource)
        and query.get("mode") in (None, workload.mode)
        and (not statuses or workload.status(state) in statuses)
        and (after is None or record.created >= epoch(after))
        and (before is None or record.created <= epoch(before))
        and (not tags or workload.tags.issuperset(tags))
        and (search is None or any(search in text for text in (record.id, *workload.tags)))
    )


def _document(
    state: State,
    workload: _Workload,
    account: Account,
    time_of: Callable[[float | None], str | None],
) -> dict[str, Any]:
    record = workload.record
    seconds = math.ceil(sum(job.seconds for job in workload.jobs))
    usage: dict[str, Any] = {"qpu_charge_time_seconds": seconds}
    found: dict[str, Any] = {
        "id": record.id,
        "created": time_of(record.created),
        "backend": record.resource,
        "instance": account.instance,
        "user_id": account.user,
        "mode": workload.mode,
        "status": workload.status(state),
        "tags": sorted(workload.tags),
        "usage_seconds": seconds,
        "usage": usage,
    }
    if isinstance(record, Session):
        found["accepting_jobs"] = record.accepting
        ended = record.closed
    else:
        found |= {"accepting_jobs": None, "estimated_running_time_seconds": 1.0}
        usage["status"] = "complete" if record.status in FINAL else "pending"
        if record.reason and record.status in FINAL:
            found["status_reason"] = record.reason
        ended = record.finished
    if ended is not None:
        found["ended"] = time_of(ended)
    return found
