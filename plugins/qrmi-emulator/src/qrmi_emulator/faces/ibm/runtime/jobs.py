"""The jobs."""

from __future__ import annotations

import functools
import itertools
import json
import math
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from qrmi_core import TaskStatus
from qrmi_emulator.face import Refused
from qrmi_emulator.faces.ibm.reasons import RAN_TOO_LONG, code_for, last_line
from qrmi_emulator.faces.ibm.runtime import errors, submission
from qrmi_emulator.faces.ibm.runtime.records import RuntimeJob, RuntimeSession
from qrmi_emulator.faces.ibm.runtime.service import (
    RuntimeRoutes,
    RuntimeService,
    body_of,
    epoch_of,
    in_thread_if_large,
    version_of,
)
from qrmi_emulator.times import iso_milliseconds

_RAN_TOO_LONG: Final = "Cancelled - Ran too long"


class RuntimeJobRoutes(RuntimeRoutes):
    """The routes of the jobs."""

    def __init__(self, service: RuntimeService) -> None:
        super().__init__(service)
        self._submissions: deque[float] = deque()

    def routes(self) -> list[Route]:
        """Return the routes of the API."""
        route = self._service.face.route
        return [
            route("/jobs", self._submit, "POST"),
            route("/jobs", self._list_jobs),
            route("/jobs/{job}", self._show_job),
            route("/jobs/{job}", self._delete_job, "DELETE"),
            route("/jobs/{job}/results", self._results),
            route("/jobs/{job}/interim_results", self._interim_results),
            route("/jobs/{job}/logs", self._logs),
            route("/jobs/{job}/metrics", self._metrics),
            route("/jobs/{job}/cancel", self._cancel, "POST"),
            route("/jobs/{job}/tags", self._set_tags, "PUT"),
            route("/tags", self._tags),
        ]

    async def _submit(self, request: Request) -> Response:
        self._check_rate()
        body = await body_of(request)
        resources = self._service.resources
        given = await in_thread_if_large(request, lambda: submission.read(body, resources))
        session = self._session_for(given.session, given.backend)
        self._check_available(given.backend)
        if self._service.limit_reached():
            raise errors.refused(409, "conflict", "The instance has reached its usage limit.")
        job = RuntimeJob(
            resource=given.backend,
            argument=given.program,
            session=session.id if session else None,
            tags=given.tags,
            max_seconds=None if given.cost is None else min(given.cost, submission.MAX_COST),
            private=given.private,
            calibration_id=given.calibration,
            caller=request.headers.get("user-agent"),
        )
        self._service.face.submit(request, job, given.content)
        self._submissions.append(job.created)
        return JSONResponse({"id": job.id, "backend": job.resource, **_optional(job)})

    def _check_rate(self) -> None:
        most, recent = self._state.settings.submissions_per_minute, self._submissions
        now = self._state.clock()
        while recent and recent[0] < now - 60:
            recent.popleft()
        if most is not None and len(recent) >= most:
            wait = math.ceil(recent[-most] + 60 - now) or 1
            body = errors.body(1202, "Too many requests.", "Submit fewer jobs in a minute.")
            raise Refused(JSONResponse(body, 429, {"Retry-After": str(wait)}))

    def _check_available(self, backend: str) -> None:
        condition = self._state.condition(backend)
        if not condition.accepts_jobs:
            why = f" ({condition.reason})" if condition.reason else ""
            raise errors.refused(
                *(400, 1004, f"The backend {backend} is not available: {condition.status}{why}."),
                "Use another backend to run the job.",
            )

    def _session_for(self, session_id: object, backend: str) -> RuntimeSession | None:
        if session_id is None:
            return None
        session = self._service.session(str(session_id))
        if session.closed is not None or not session.accepting:
            raise errors.refused(400, 1217, "The session is closed.", "Open another session.")
        if session.resource != backend:
            raise errors.invalid(f"the session is one of {session.resource}")
        return session

    async def _list_jobs(self, request: Request) -> Response:
        query = request.query_params
        limit = _within(query.get("limit"), 1, 200, default=200)
        offset = _within(query.get("offset"), 0, 2**63, default=0)
        jobs = list(self._service.jobs.values())
        for accepts in self._filters(request):
            jobs = [job for job in jobs if accepts(job)]
        if query.get("sort", "DESC").upper() != "ASC":
            jobs.reverse()
        with_input = query.get("exclude_params", "true") == "false"
        shown = jobs[offset : offset + limit]
        return JSONResponse(
            {
                "jobs": [self._job_document(job, request, with_input) for job in shown],
                "count": len(jobs),
                "limit": limit,
                "offset": offset,
            }
        )

    def _filters(self, request: Request) -> list[Callable[[RuntimeJob], bool]]:
        query = request.query_params
        filters: list[Callable[[RuntimeJob], bool]] = []
        if (pending := query.get("pending")) is not None:
            filters.append(lambda job: (not job.has_ended) == (pending == "true"))
        for key, attribute in (
            ("session_id", "session"),
            ("backend", "resource"),
            ("program", "argument"),
        ):
            if value := query.get(key):
                filters.append(functools.partial(_has, attribute, value))
        if tags := set(query.getlist("tags")):
            filters.append(lambda job: tags.issubset(job.tags))
        if after := query.get("created_after"):
            since = epoch_of(after)
            filters.append(lambda job: job.created >= since)
        if before := query.get("created_before"):
            until = epoch_of(before)
            filters.append(lambda job: job.created <= until)
        return filters

    async def _show_job(self, request: Request) -> Response:
        with_input = request.query_params.get("exclude_params", "false") != "true"
        return JSONResponse(self._job_document(self._job(request), request, with_input))

    async def _delete_job(self, request: Request) -> Response:
        job = self._job(request)
        if not job.has_ended:
            raise errors.refused(400, 1337, "Only a job that has ended can be deleted.")
        self._state.delete(job)
        return Response(status_code=204)

    async def _results(self, request: Request) -> Response:
        job = self._job(request)
        path = self._state.result(job)
        if job.status is not TaskStatus.Completed or not path.exists():
            return Response(status_code=204)
        # The published package accepts nothing but text.
        if not job.private:
            return FileResponse(path, media_type="text/plain")
        content = path.read_bytes()
        path.unlink()
        return PlainTextResponse(content)

    async def _interim_results(self, request: Request) -> Response:
        self._job(request)
        return PlainTextResponse("")

    async def _logs(self, request: Request) -> Response:
        job = self._job(request)
        return PlainTextResponse(self._state.logged(job) + last_line(job))

    async def _metrics(self, request: Request) -> Response:
        job = self._job(request)
        seconds = math.ceil(job.seconds)
        usage: dict[str, Any] = {
            "qpu_charge_time_seconds": seconds,
            "status": "complete" if job.has_ended else "pending",
        }
        metrics: dict[str, Any] = {
            "timestamps": {
                "created": iso_milliseconds(job.created),
                "running": iso_milliseconds(job.started),
                "finished": iso_milliseconds(job.finished),
            },
            "usage": usage,
            "qiskit_version": None,
            "caller": job.caller,
        }
        version = version_of(request)
        if version < "2026-03-15":
            usage |= {"quantum_seconds": seconds, "seconds": seconds}
            metrics |= {"bss": {"seconds": seconds}, "position_in_queue": self._position(job)}
        where = metrics if version >= "2026-04-15" else usage
        where["circuits_execution_time_ns"] = int(job.seconds * 1e9)
        return JSONResponse(metrics)

    async def _cancel(self, request: Request) -> Response:
        job = self._job(request)
        if not self._state.end(job, TaskStatus.Cancelled, "cancelled on request"):
            raise errors.refused(409, 1306, "The job has ended and cannot be cancelled.")
        return Response(status_code=204)

    async def _set_tags(self, request: Request) -> Response:
        job = self._job(request)
        job.tags = submission.tags_of(await body_of(request))
        self._state.save(job)
        return Response(status_code=204)

    async def _tags(self, request: Request) -> Response:
        search = request.query_params.get("search", "")
        if not 3 <= len(search) <= 100:
            raise errors.invalid("search is not of 3 to 100 characters")
        found = {tag for job in self._service.jobs.values() for tag in job.tags if search in tag}
        return JSONResponse({"tags": sorted(found)})

    def _job(self, request: Request) -> RuntimeJob:
        job = self._service.jobs.get(request.path_params["job"])
        if job is None:
            raise errors.refused(404, 1291, "Job not found.", "Check the job's id.")
        return job

    def _position(self, job: RuntimeJob) -> int | None:
        if job.status is not TaskStatus.Queued:
            return None
        before = itertools.takewhile(lambda other: other is not job, self._state.live.values())
        return sum(other.resource == job.resource for other in before) + 1

    def _job_document(self, job: RuntimeJob, request: Request, with_input: bool) -> dict[str, Any]:
        state: dict[str, Any] = {"status": job.status.name}
        too_long = job.ran_too_long
        if job.status in (TaskStatus.Failed, TaskStatus.Cancelled):
            code = job.code or (RAN_TOO_LONG if too_long else None)
            if job.status is TaskStatus.Failed:
                code = code or code_for(job.reason or "")
            state["reason"] = job.reason
            if code is not None:
                state |= {"reason_code": code, "reason_solution": "See the job's logs."}
        seconds = math.ceil(job.seconds)
        usage: dict[str, Any] = {
            "qpu_charge_time_seconds": seconds,
            "status": "complete" if job.has_ended else "pending",
        }
        if version_of(request) < "2026-03-15":
            usage |= {"quantum_seconds": seconds, "seconds": seconds}
        document = {
            "id": job.id,
            "backend": job.resource,
            "program": {"id": job.argument},
            "created": iso_milliseconds(job.created),
            "state": state,
            "status": _RAN_TOO_LONG if too_long else job.status.name,
            "cost": submission.MAX_COST if job.max_seconds is None else int(job.max_seconds),
            "tags": job.tags,
            "user_id": self._service.iam.account,
            "estimated_running_time_seconds": 1.0,
            "usage": usage,
            **_optional(job),
        }
        if job.started is not None and job.finished is None:
            document["running"] = iso_milliseconds(job.started)
        if job.finished is not None:
            document["ended"] = iso_milliseconds(job.finished)
        path = self._state.input(job)
        if with_input and not job.private and path.exists():
            document["params"] = json.loads(path.read_bytes())
        return document


def _optional(job: RuntimeJob) -> dict[str, Any]:
    found = {
        "session_id": job.session,
        "calibration_id": job.calibration_id,
        "private": job.private,
    }
    return {key: value for key, value in found.items() if value}


def _has(attribute: str, value: str, job: RuntimeJob) -> bool:
    return bool(getattr(job, attribute) == value)


def _within(text: str | None, least: int, most: int, *, default: int) -> int:
    """Return a number of a query; the default for one that is out of range, as the service does."""
    try:
        value = int(text or "")
    except ValueError:
        return default
    return value if least <= value <= most else default
