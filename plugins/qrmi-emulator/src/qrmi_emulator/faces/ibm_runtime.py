"""IBM Qiskit Runtime, now IBM Quantum Compute Service: its REST API under `/api/v1`.

Also under `/experimental/api/v1`, a path that IBM's own client uses as it is given.
"""

from __future__ import annotations

import asyncio
import datetime
import functools
import itertools
import json
import math
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, ClassVar, Final

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from qrmi_core.values import TaskStatus
from qrmi_emulator.faces import (
    Face,
    Refused,
    ibm_backends as backends,
    ibm_errors as errors,
    ibm_submission as submission,
    ibm_workloads as workloads,
)
from qrmi_emulator.faces.ibm_errors import code_for
from qrmi_emulator.faces.ibm_iam import TOKEN_PATH, Iam, refusal as iam_refusal
from qrmi_emulator.faces.ibm_logs import last_line
from qrmi_emulator.faults import Faults
from qrmi_emulator.state import FINAL, Job, Session, State
from qrmi_local.engines import MissingExtra, qiskit as engine

PREFIXES: Final = ("/api/v1", "/experimental/api/v1")
PLAN: Final = "emulator-plan"
RAN_TOO_LONG: Final = "Cancelled - Ran too long"
_MAX_SESSION_SECONDS: Final = 28800
_TEMPORARY: Final = (9707, "The service has a temporary problem.")
_LARGE_BYTES: Final = 2**20
# A version of the API -> when it ends.
_DEPRECATED: Final = {
    "2026-03-15": "2027-03-15",
    "2026-02-15": "2027-02-15",
    "2026-02-01": "2027-02-01",
    "2025-05-01": "2027-01-01",
    "2025-01-01": "2027-01-01",
    "2024-01-01": "2027-01-01",
}

Endpoint = Callable[[Request], Awaitable[Response]]


class IbmRuntime(Face):
    """The API, for one account with one instance."""

    name: ClassVar[str] = "ibm-runtime"
    types: ClassVar[tuple[str, ...]] = ("ibm-quantum-compute-service", "qiskit-runtime-service")
    default_resource: ClassVar[str] = "fake_fez"

    def __init__(self, state: State, faults: Faults) -> None:
        super().__init__(state, faults)
        self._resources = [resource.resource_id for resource in engine.resources()]
        if not self._resources:
            raise MissingExtra(f"{self.name} needs Qiskit: pip install 'qrmi-emulator[ibm]'")
        self._iam = Iam(state)
        instance = state.credentials(self.name, lambda: {"instance": str(uuid.uuid4())})["instance"]
        self.crn = (
            f"crn:v1:bluemix:public:quantum-computing:us-east:a/{self._iam.account}:{instance}::"
        )

    def owns(self, path: str) -> bool:
        return path == TOKEN_PATH or path.startswith(PREFIXES)

    def refusal(self, path: str, status: int) -> Mapping[str, Any]:
        if path == TOKEN_PATH:
            return iam_refusal("BXNIM0500E", f"The service answers {status}.")
        known: dict[int, tuple[int | str, str]] = {
            401: (1201, "Invalid credentials."),
            403: (1200, "You are not authorized."),
            404: ("not_found", "Not found."),
            405: ("method_not_allowed", "The method is not allowed."),
            408: _TEMPORARY,
            425: _TEMPORARY,
            429: (1202, "Too many requests."),
        }
        other = _TEMPORARY if status >= 500 else ("bad_request", "The request was refused.")
        code, message = known.get(status, other)
        return errors.body(code, message, "Try again later." if status >= 429 else None)

    def resources(self) -> Sequence[str]:
        return self._resources

    def environment(self, resource_type: str, url: str) -> dict[str, str]:
        prefix = "QRMI_IBM_QCS_" if resource_type == self.types[0] else "QRMI_IBM_QRS_"
        values = {
            "ENDPOINT": f"{url}/api/v1",
            "IAM_ENDPOINT": url,
            "IAM_APIKEY": self._iam.api_key,
            "SERVICE_CRN": self.crn,
            "SESSION_MODE": "batch" if self.state.settings.plan == "open" else "dedicated",
        }
        return {prefix + key: value for key, value in values.items()}

    def routes(self) -> list[BaseRoute]:
        api = [
            self._route("/versions", self._versions, guarded=False),
            self._route("/sessions", self._open_session, "POST"),
            self._route("/sessions/{session}", self._show_session, "GET"),
            self._route("/sessions/{session}", self._change_session, "PATCH"),
            self._route("/sessions/{session}/close", self._close_session, "DELETE"),
            self._route("/jobs", self._submit, "POST"),
            self._route("/jobs", self._list_jobs, "GET"),
            self._route("/jobs/{job}", self._show_job, "GET"),
            self._route("/jobs/{job}", self._delete_job, "DELETE"),
            self._route("/jobs/{job}/results", self._results),
            self._route("/jobs/{job}/interim_results", self._interim_results),
            self._route("/jobs/{job}/logs", self._logs),
            self._route("/jobs/{job}/metrics", self._metrics),
            self._route("/jobs/{job}/cancel", self._cancel, "POST"),
            self._route("/jobs/{job}/tags", self._set_tags, "PUT"),
            self._route("/tags", self._tags),
            self._route("/backends", self._list_backends),
            self._route("/backends/{backend}/status", self._backend_status),
            self._route("/backends/{backend}/configuration", self._configuration),
            self._route("/backends/{backend}/properties", self._properties),
            self._route("/backends/{backend}/defaults", self._defaults),
            self._route("/instances/usage", self._usage),
            self._route("/instances/configuration", self._limit),
            self._route("/instances/configuration", self._set_limit, "PUT"),
            self._route("/instance", self._instance),
            self._route("/workloads", self._workloads),
            self._route(f"/{PLAN}", self._plan, guarded=False),
        ]
        return [
            *self._iam.routes(),
            Route("/v3/resources/search", self._search, methods=["POST"]),
            Route(f"/{PLAN}", self._plan),
            *(Mount(prefix, routes=api) for prefix in PREFIXES),
        ]

    def _route(
        self, path: str, endpoint: Endpoint, method: str = "GET", *, guarded: bool = True
    ) -> Route:
        async def check(request: Request) -> Response:
            if not self._iam.accepts(request.headers.get("authorization", "")):
                raise errors.refused(401, 1201, "Invalid credentials.", "Get a new access token.")
            if request.headers.get("service-crn") != self.crn:
                raise errors.refused(404, 1279, "There is no such instance in this region.")
            return await endpoint(request)

        return Route(path, check if guarded else endpoint, methods=[method])

    # The account

    async def _versions(self, _request: Request) -> Response:
        versions = [{"version": "2026-04-15", "status": "live"}]
        versions += [
            {"version": date, "status": "deprecated", "sunset_date": sunset}
            for date, sunset in _DEPRECATED.items()
        ]
        return JSONResponse({"versions": versions})

    async def _search(self, _request: Request) -> Response:
        found = {
            "crn": self.crn,
            "service_plan_unique_id": PLAN,
            "name": "emulator",
            "doc": {"extensions": {"emulator": 1}},
            "tags": [],
        }
        return JSONResponse({"items": [found], "search_cursor": None})

    async def _plan(self, _request: Request) -> Response:
        plan = self.state.settings.plan
        return JSONResponse(
            {
                "overview_ui": {"en": {"display_name": plan.capitalize()}},
                "metadata": {"pricing": {"type": "free" if plan == "open" else "paid"}},
            }
        )

    async def _usage(self, _request: Request) -> Response:
        limit = self.state.settings.usage_limit_seconds
        used = self.state.used_seconds.get(self.name, 0.0)
        today = datetime.datetime.fromtimestamp(self.state.clock(), datetime.UTC)
        start = today.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        end = (start + datetime.timedelta(days=32)).replace(day=1)
        known: dict[str, Any] = {
            "instance_id": self.crn,
            "plan_id": PLAN,
            "usage_consumed_seconds": math.ceil(used),
            "usage_limit_reached": self._limit_reached(),
            "usage_period": {"start_time": start.isoformat(), "end_time": end.isoformat()},
        }
        if limit is not None:
            known |= {"usage_limit_seconds": limit, "usage_allocation_seconds": limit}
        return JSONResponse(known)

    async def _instance(self, _request: Request) -> Response:
        limit = self.state.settings.usage_limit_seconds
        seconds = None if limit is None else str(math.ceil(limit))
        return JSONResponse(
            {
                "plan_id": PLAN,
                "backends": list(self.resources()),
                "instance_limit": limit,
                "instance_limit_seconds": seconds,
                "usage_allocation_seconds": seconds,
            }
        )

    async def _limit(self, _request: Request) -> Response:
        return JSONResponse({"instance_limit": self.state.settings.usage_limit_seconds})

    async def _set_limit(self, request: Request) -> Response:
        body = await _body(request)
        if body.keys() != {"instance_limit"}:
            raise errors.invalid("the body is not an object with instance_limit alone")
        try:
            self.state.settings.change({"usage_limit_seconds": body["instance_limit"]})
        except ValueError as error:
            raise errors.invalid("instance_limit is not a number of 0 or more, or null") from error
        return Response(status_code=204)

    async def _workloads(self, request: Request) -> Response:
        self.state.expire()
        account = workloads.Account(user=self._iam.account, instance=self.crn)
        return JSONResponse(workloads.page(self.state, self.name, account, request, _time, _epoch))

    def _limit_reached(self) -> bool:
        limit = self.state.settings.usage_limit_seconds
        return limit is not None and self.state.used_seconds.get(self.name, 0.0) >= limit

    # Backends

    async def _list_backends(self, request: Request) -> Response:
        if _version(request) < "2025-01-01":
            return JSONResponse({"devices": list(self.resources())})
        waiting = self._waiting()
        return JSONResponse(
            {
                "devices": [
                    backends.device(name, self.state.condition(name), waiting.get(name, 0))
                    for name in self.resources()
                ]
            }
        )

    async def _backend_status(self, request: Request) -> Response:
        name = self._backend(request.path_params["backend"])
        return JSONResponse(
            backends.status(name, self.state.condition(name), self._waiting().get(name, 0))
        )

    async def _configuration(self, request: Request) -> Response:
        name = self._backend(request.path_params["backend"])
        return JSONResponse(backends.configuration(name))

    async def _properties(self, request: Request) -> Response:
        name = self._backend(request.path_params["backend"])
        return JSONResponse(backends.properties(name))

    async def _defaults(self, request: Request) -> Response:
        self._backend(request.path_params["backend"])
        return JSONResponse(None)

    def _waiting(self) -> dict[str, int]:
        waiting: dict[str, int] = {}
        for job in self.state.live.values():
            waiting[job.resource] = waiting.get(job.resource, 0) + 1
        return waiting

    def _backend(self, name: object) -> str:
        if not isinstance(name, str) or name not in self.resources():
            raise errors.refused(
                404, 1216, f"Backend {name!s:.100} was not found.", "Check its name."
            )
        return name

    # Sessions

    async def _open_session(self, request: Request) -> Response:
        body = await _body(request)
        mode = body.get("mode")
        if mode not in ("batch", "dedicated"):
            raise errors.invalid("mode is neither batch nor dedicated")
        limit = body.get("max_ttl", _MAX_SESSION_SECONDS)
        if type(limit) is not int or not 1 <= limit <= 2**31 - 1:
            raise errors.invalid("max_ttl is not a whole number from 1 to 2147483647")
        settings = self.state.settings
        if settings.plan == "open" and mode == "dedicated":
            raise errors.refused(
                *(400, 1352, "You are not authorized to run a session when using the open plan."),
                "Use the batch mode, or the job mode.",
            )
        most = 600 if settings.plan == "open" else _MAX_SESSION_SECONDS
        session = Session(
            id=str(uuid.uuid4()),
            face=self.name,
            resource=self._backend(body.get("backend") or body.get("backend_name")),
            exclusive=mode == "dedicated",
            created=self.state.clock(),
            max_seconds=min(limit, most),
            details={"mode": mode},
        )
        self.state.open(session)
        return JSONResponse(self._session_document(session))

    async def _show_session(self, request: Request) -> Response:
        return JSONResponse(self._session_document(self._session(request)))

    async def _change_session(self, request: Request) -> Response:
        session = self._session(request)
        accepting = (await _body(request)).get("accepting_jobs")
        if not isinstance(accepting, bool):
            raise errors.invalid("accepting_jobs is neither true nor false")
        if not accepting:
            self.state.refuse_jobs(session)
        elif session.closed is None:
            session.accepting = True
            self.state.save(session)
        return Response(status_code=204)

    async def _close_session(self, request: Request) -> Response:
        self.state.close_session(self._session(request), "session_closed_early")
        return Response(status_code=204)

    def _session(self, request: Request) -> Session:
        self.state.expire()
        session = self.state.sessions.get(request.path_params["session"])
        if session is None:
            raise errors.refused(404, "not_found", "Session not found.")
        return session

    def _session_document(self, session: Session) -> dict[str, Any]:
        now = session.closed or self.state.clock()
        state = self.state.state_of(session)
        ran = 0.0 if session.started is None else now - session.started
        left = 0 if state == "closed" else max(0, int(session.max_seconds - ran))
        reason = "session_inactivated_by_interactive_ttl" if state == "inactive" else session.reason
        times = (("open", session.created), ("active", session.started), ("closed", session.closed))
        return {
            "id": session.id,
            "backend_name": session.resource,
            "mode": session.details["mode"],
            "interactive_ttl": int(self.state.settings.session_idle_seconds),
            "max_ttl": int(session.max_seconds),
            "active_ttl": left,
            "state": state,
            "state_reason": reason,
            "accepting_jobs": session.accepting,
            "user_id": self._iam.account,
            "elapsed_time": int(ran) if session.started else None,
            "started_at": _time(session.created),
            "activated_at": _time(session.started),
            "closed_at": _time(session.closed),
            "last_job_started": _time(session.job_started),
            "last_job_completed": _time(session.busy_until),
            "timestamps": [{"status": s, "timestamp": _time(at)} for s, at in times if at],
        }

    # Jobs

    async def _submit(self, request: Request) -> Response:
        self._check_rate()
        body = await _body(request)
        resources = self.resources()
        given = await _in_thread_if_large(request, lambda: submission.read(body, resources))
        session = self._session_for(given.session, given.backend)
        self._check_available(given.backend)
        if self._limit_reached():
            raise errors.refused(409, "conflict", "The instance has reached its usage limit.")
        job = Job(
            face=self.name,
            resource=given.backend,
            argument=given.program,
            created=self.state.clock(),
            seed=self.state.settings.seed,
            session=session.id if session else None,
            tags=given.tags,
            max_seconds=None if given.cost is None else min(given.cost, submission.MAX_COST),
            details={
                "private": given.private,
                "calibration_id": given.calibration,
                "caller": request.headers.get("user-agent"),
            },
        )
        self.faults.take_for_job(job, request.method, request.url.path)
        self.state.submissions.append(job.created)
        self.state.submit(job, given.content)
        return JSONResponse({"id": job.id, "backend": job.resource, **_optional(job)})

    def _check_rate(self) -> None:
        most, recent = self.state.settings.submissions_per_minute, self.state.submissions
        now = self.state.clock()
        while recent and recent[0] < now - 60:
            recent.popleft()
        if most is not None and len(recent) >= most:
            wait = math.ceil(recent[-most] + 60 - now) or 1
            body = errors.body(1202, "Too many requests.", "Submit fewer jobs in a minute.")
            raise Refused(JSONResponse(body, 429, {"Retry-After": str(wait)}))

    def _check_available(self, backend: str) -> None:
        condition = self.state.condition(backend)
        if not condition.takes_jobs:
            why = f" ({condition.reason})" if condition.reason else ""
            raise errors.refused(
                *(400, 1004, f"The backend {backend} is not available: {condition.status}{why}."),
                "Use another backend to run the job.",
            )

    def _session_for(self, session_id: object, backend: str) -> Session | None:
        if session_id is None:
            return None
        self.state.expire()
        session = self.state.sessions.get(str(session_id))
        if session is None:
            raise errors.refused(404, "not_found", "Session not found.")
        if session.closed is not None or not session.accepting:
            raise errors.refused(400, 1217, "The session is closed.", "Open another session.")
        if session.resource != backend:
            raise errors.invalid(f"the session is one of {session.resource}")
        return session

    async def _list_jobs(self, request: Request) -> Response:
        query = request.query_params
        limit = _within(query.get("limit"), 1, 200, default=200)
        offset = _within(query.get("offset"), 0, 2**63, default=0)
        wanted = self._filter(request)
        jobs = [job for job in self.state.jobs.values() if job.face == self.name and wanted(job)]
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

    def _filter(self, request: Request) -> Callable[[Job], bool]:
        query = request.query_params
        tests: list[Callable[[Job], bool]] = []
        if (pending := query.get("pending")) is not None:
            tests.append(lambda job: (job.status not in FINAL) == (pending == "true"))
        for key, attribute in (
            ("session_id", "session"),
            ("backend", "resource"),
            ("program", "argument"),
        ):
            if value := query.get(key):
                tests.append(functools.partial(_has, attribute, value))
        if tags := set(query.getlist("tags")):
            tests.append(lambda job: tags.issubset(job.tags))
        if after := query.get("created_after"):
            since = _epoch(after)
            tests.append(lambda job: job.created >= since)
        if before := query.get("created_before"):
            until = _epoch(before)
            tests.append(lambda job: job.created <= until)
        return lambda job: all(test(job) for test in tests)

    async def _show_job(self, request: Request) -> Response:
        with_input = request.query_params.get("exclude_params", "false") != "true"
        return JSONResponse(self._job_document(self._job(request), request, with_input))

    async def _delete_job(self, request: Request) -> Response:
        job = self._job(request)
        if job.status not in FINAL:
            raise errors.refused(400, 1337, "Only a job that has ended can be deleted.")
        self.state.delete(job)
        return Response(status_code=204)

    async def _results(self, request: Request) -> Response:
        job = self._job(request)
        path = self.state.output(job, "result")
        if job.status is not TaskStatus.Completed or not path.exists():
            return Response(status_code=204)
        # The published package takes nothing but text.
        if not job.details["private"]:
            return FileResponse(path, media_type="text/plain")
        content = path.read_bytes()
        path.unlink()
        return PlainTextResponse(content)

    async def _interim_results(self, request: Request) -> Response:
        self._job(request)
        return PlainTextResponse("")

    async def _logs(self, request: Request) -> Response:
        job = self._job(request)
        path = self.state.output(job, "log")
        written = path.read_text(errors="replace") if path.exists() else ""
        return PlainTextResponse(written + last_line(job))

    async def _metrics(self, request: Request) -> Response:
        job = self._job(request)
        seconds = math.ceil(job.seconds)
        usage: dict[str, Any] = {
            "qpu_charge_time_seconds": seconds,
            "status": "complete" if job.status in FINAL else "pending",
        }
        metrics: dict[str, Any] = {
            "timestamps": {
                "created": _time(job.created),
                "running": _time(job.started),
                "finished": _time(job.finished),
            },
            "usage": usage,
            "qiskit_version": None,
            "caller": job.details.get("caller"),
        }
        version = _version(request)
        if version < "2026-03-15":
            usage |= {"quantum_seconds": seconds, "seconds": seconds}
            metrics |= {"bss": {"seconds": seconds}, "position_in_queue": self._position(job)}
        where = metrics if version >= "2026-04-15" else usage
        where["circuits_execution_time_ns"] = int(job.seconds * 1e9)
        return JSONResponse(metrics)

    async def _cancel(self, request: Request) -> Response:
        job = self._job(request)
        if not self.state.end(job, TaskStatus.Cancelled, "cancelled on request"):
            raise errors.refused(409, 1306, "The job has ended and cannot be cancelled.")
        return Response(status_code=204)

    async def _set_tags(self, request: Request) -> Response:
        job = self._job(request)
        job.tags = submission.tags_of(await _body(request))
        self.state.save(job)
        return Response(status_code=204)

    async def _tags(self, request: Request) -> Response:
        search = request.query_params.get("search", "")
        if not 3 <= len(search) <= 100:
            raise errors.invalid("search is not of 3 to 100 characters")
        found = {tag for job in self.state.jobs.values() for tag in job.tags if search in tag}
        return JSONResponse({"tags": sorted(found)})

    def _job(self, request: Request) -> Job:
        job = self.state.jobs.get(request.path_params["job"])
        if job is None or job.face != self.name:
            raise errors.refused(404, 1291, "Job not found.", "Check the job's id.")
        return job

    def _position(self, job: Job) -> int | None:
        if job.status is not TaskStatus.Queued:
            return None
        before = itertools.takewhile(lambda other: other is not job, self.state.live.values())
        return sum(other.resource == job.resource for other in before) + 1

    def _job_document(self, job: Job, request: Request, with_input: bool) -> dict[str, Any]:
        state: dict[str, Any] = {"status": job.status.name}
        too_long = job.details.get("ran_too_long", False)
        if job.status in (TaskStatus.Failed, TaskStatus.Cancelled):
            code = job.code or (1305 if too_long else None)
            if job.status is TaskStatus.Failed:
                code = code or code_for(job.reason or "")
            state["reason"] = job.reason
            if code is not None:
                state |= {"reason_code": code, "reason_solution": "See the job's logs."}
        seconds = math.ceil(job.seconds)
        usage: dict[str, Any] = {
            "qpu_charge_time_seconds": seconds,
            "status": "complete" if job.status in FINAL else "pending",
        }
        if _version(request) < "2026-03-15":
            usage |= {"quantum_seconds": seconds, "seconds": seconds}
        document = {
            "id": job.id,
            "backend": job.resource,
            "program": {"id": job.argument},
            "created": _time(job.created),
            "state": state,
            "status": RAN_TOO_LONG if too_long else job.status.name,
            "cost": submission.MAX_COST if job.max_seconds is None else int(job.max_seconds),
            "tags": job.tags,
            "user_id": self._iam.account,
            "estimated_running_time_seconds": 1.0,
            "usage": usage,
            **_optional(job),
        }
        if job.started is not None and job.finished is None:
            document["running"] = _time(job.started)
        if job.finished is not None:
            document["ended"] = _time(job.finished)
        path = self.state.input(job)
        if with_input and not job.details["private"] and path.exists():
            document["params"] = json.loads(path.read_bytes())
        return document


def _optional(job: Job) -> dict[str, Any]:
    found = {
        "session_id": job.session,
        "calibration_id": job.details["calibration_id"],
        "private": job.details["private"],
    }
    return {key: value for key, value in found.items() if value}


async def _body(request: Request) -> dict[str, Any]:
    content = await request.body()
    try:
        body = await _in_thread_if_large(request, lambda: json.loads(content))
    except (ValueError, RecursionError) as error:
        raise errors.invalid("the body is not JSON") from error
    if not isinstance(body, dict):
        raise errors.invalid("the body is not a JSON object")
    return body


async def _in_thread_if_large(request: Request, work: Callable[[], Any]) -> Any:
    """Do what takes the longer the larger the body, without holding up others."""
    if len(await request.body()) < _LARGE_BYTES:
        return work()
    return await asyncio.to_thread(work)


def _version(request: Request) -> str:
    return request.headers.get("ibm-api-version", "2024-01-01")


def _has(attribute: str, value: str, job: Job) -> bool:
    return bool(getattr(job, attribute) == value)


def _within(text: str | None, least: int, most: int, *, default: int) -> int:
    """A number of a query; the service takes the default for any that is out of range."""
    try:
        value = int(text or "")
    except ValueError:
        return default
    return value if least <= value <= most else default


def _epoch(text: str) -> float:
    try:
        at = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise errors.invalid(f"not a date and time: {text:.40}") from error
    return (at if at.tzinfo else at.replace(tzinfo=datetime.UTC)).timestamp()


def _time(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    at = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
