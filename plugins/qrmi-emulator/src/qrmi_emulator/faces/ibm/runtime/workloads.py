"""The list of workloads: sessions, and the jobs outside of sessions, in pages by cursor."""

from __future__ import annotations

import math
from typing import Any, Final

import attrs
from starlette.requests import Request

from qrmi_core import TaskStatus
from qrmi_emulator.face import State
from qrmi_emulator.faces.ibm.runtime.errors import invalid
from qrmi_emulator.faces.ibm.runtime.records import RuntimeJob, RuntimeSession
from qrmi_emulator.faces.ibm.runtime.service import RuntimeService, epoch_of
from qrmi_emulator.times import iso_milliseconds

_DEFAULT_LIMIT, _MOST = 10, 50
_NAMES: Final = {
    TaskStatus.Queued: "pending",
    TaskStatus.Running: "in_progress",
    TaskStatus.Completed: "completed",
    TaskStatus.Cancelled: "canceled",
    TaskStatus.Failed: "failed",
}
_SESSION_NAMES: Final = {
    "open": "pending",
    "inactive": "pending",
    "active": "in_progress",
    "closed": "completed",
}


def page(service: RuntimeService, request: Request) -> dict[str, Any]:
    """Return a page of the account's workloads.

    Args:
        service: The account, with its records.
        request: Its query selects the workloads, its URL leads to the other pages.

    Raises:
        Refused: The service does not accept the query.
    """
    state = service.state
    state.expire()
    query = request.query_params
    limit = query.get("limit", str(_DEFAULT_LIMIT))
    if not limit.isdecimal() or not 1 <= int(limit) <= _MOST:
        raise invalid(f"limit is not a whole number from 1 to {_MOST}")
    if (sort := query.get("sort", "createdAt")) not in ("createdAt", "-createdAt"):
        raise invalid("sort is neither createdAt nor -createdAt")
    if query.get("user", "me") != "me":
        raise invalid("user is not me")
    jobs: dict[str | None, list[RuntimeJob]] = {}
    for job in service.jobs.values():
        jobs.setdefault(job.session, []).append(job)
    found = [_Workload(job, [job]) for job in jobs.get(None, ())]
    found += [_Workload(session, jobs.get(session.id, [])) for session in service.sessions.values()]
    found = [workload for workload in found if _matches(state, workload, request)]
    found.sort(key=lambda workload: workload.record.created, reverse=sort.startswith("-"))
    size = int(limit)
    start = _start(found, request, size)
    shown = found[start : start + size]
    document: dict[str, Any] = {
        "workloads": [_document(service, workload) for workload in shown],
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

    record: RuntimeJob | RuntimeSession
    jobs: list[RuntimeJob]

    @property
    def tags(self) -> set[str]:
        return {tag for job in self.jobs for tag in job.tags}

    @property
    def mode(self) -> str:
        if isinstance(self.record, RuntimeJob):
            return "job"
        return "batch" if self.record.mode == "batch" else "session"

    def status(self, state: State) -> str:
        if isinstance(self.record, RuntimeJob):
            return _NAMES[self.record.status]
        return _SESSION_NAMES[state.state_of(self.record)]


def _start(found: list[_Workload], request: Request, size: int) -> int:
    """Return the index at which the page begins: a cursor is the workload before or after it."""
    places = {workload.record.id: place for place, workload in enumerate(found)}
    for name, first in (("next", 1), ("previous", -size)):
        cursor = request.query_params.get(name)
        if cursor is not None:
            if cursor not in places:
                raise invalid(f"{name} is not the cursor of a page of this list")
            return max(0, places[cursor] + first)
    return 0


def _matches(state: State, workload: _Workload, request: Request) -> bool:
    query, record = request.query_params, workload.record
    after, before = query.get("created_after"), query.get("created_before")
    search, statuses, tags = query.get("search"), query.getlist("status"), query.getlist("tags")
    return (
        query.get("backend") in (None, record.resource)
        and query.get("mode") in (None, workload.mode)
        and (not statuses or workload.status(state) in statuses)
        and (after is None or record.created >= epoch_of(after))
        and (before is None or record.created <= epoch_of(before))
        and (not tags or workload.tags.issuperset(tags))
        and (search is None or any(search in text for text in (record.id, *workload.tags)))
    )


def _document(service: RuntimeService, workload: _Workload) -> dict[str, Any]:
    record = workload.record
    seconds = math.ceil(sum(job.seconds for job in workload.jobs))
    usage: dict[str, Any] = {"qpu_charge_time_seconds": seconds}
    found: dict[str, Any] = {
        "id": record.id,
        "created": iso_milliseconds(record.created),
        "backend": record.resource,
        "instance": service.crn,
        "user_id": service.iam.account,
        "mode": workload.mode,
        "status": workload.status(service.state),
        "tags": sorted(workload.tags),
        "usage_seconds": seconds,
        "usage": usage,
    }
    if isinstance(record, RuntimeSession):
        found["accepting_jobs"] = record.accepting
        ended = record.closed
    else:
        found |= {"accepting_jobs": None, "estimated_running_time_seconds": 1.0}
        usage["status"] = "complete" if record.has_ended else "pending"
        if record.reason and record.has_ended:
            found["status_reason"] = record.reason
        ended = record.finished
    if ended is not None:
        found["ended"] = iso_milliseconds(ended)
    return found
