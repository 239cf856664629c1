"""Pasqal's QPU on premises: the REST API of Warden, under `/warden`."""

from __future__ import annotations

import asyncio
import datetime
import json
import math
import os
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, ClassVar, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from qrmi_core.values import TaskStatus
from qrmi_emulator.config import MARK
from qrmi_emulator.faces import Face, Refused, pasqal_programs as programs
from qrmi_emulator.faults import Faults
from qrmi_emulator.munge import Munge, Undecoded
from qrmi_emulator.state import FINAL, Job, Session, State
from qrmi_local.engines import EngineError, MissingExtra

PREFIX: Final = "/warden"
QPU: Final = "PASQAL_LOCAL"
_DEVICE: Final = "FRESNEL"
_FIRST, _LATEST = "0.1.0", "2026-09"
_NO_LOGS: Final = "There are no logs for this job"
_WORDS: Final = {
    TaskStatus.Queued: "PENDING",
    TaskStatus.Running: "RUNNING",
    TaskStatus.Completed: "DONE",
    TaskStatus.Failed: "ERROR",
    TaskStatus.Cancelled: "CANCELED",
}

Endpoint = Callable[[Request], Awaitable[Response]]


class PasqalLocal(Face):
    """The API, for the users of this machine, whose credentials a munged decodes."""

    name: ClassVar[str] = "pasqal-local"
    types: ClassVar[tuple[str, ...]] = ("pasqal-local",)
    default_resource: ClassVar[str] = QPU

    def __init__(self, state: State, faults: Faults) -> None:
        super().__init__(state, faults)
        self._simulator = programs.device_types().get(_DEVICE)
        if self._simulator is None:
            raise MissingExtra(f"{self.name} needs Pulser: pip install 'qrmi-emulator[pasqal]'")
        try:
            self._munge = Munge(state.home / "munge", state.settings.munge_socket)
        except MissingExtra as error:
            raise MissingExtra(f"{self.name}: {error}") from error
        known = state.credentials(self.name, lambda: {"job": MARK + str(uuid.uuid4())})
        self._scheduler_job = known["job"]
        self._accessible = (True, "Warden ok.")
        numbers = (int(job.name) for job in state.jobs.values() if job.face == self.name)
        self._number = max(numbers, default=0)

    async def run(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self._munge.close()

    def owns(self, path: str) -> bool:
        return path == PREFIX or path.startswith(f"{PREFIX}/")

    def refusal(self, path: str, status: int) -> Mapping[str, Any]:  # noqa: ARG002
        known = {404: "Not Found", 405: "Method Not Allowed", 500: "Internal Server Error"}
        return {"detail": known.get(status, f"The service answers {status}.")}

    def resources(self) -> Sequence[str]:
        return [QPU]

    def environment(self, resource_type: str, url: str) -> dict[str, str]:  # noqa: ARG002
        return {
            "QRMI_WARDEN_URL": url + PREFIX,
            "QRMI_JOB_UID": str(os.geteuid()),
            "QRMI_JOB_ID": self._scheduler_job,
            "QRMI_MUNGE_SOCKET": self._munge.socket,
        }

    def word(self, job: Job) -> str:
        return _WORDS[job.status]

    def routes(self) -> list[BaseRoute]:
        return [
            Mount(
                PREFIX,
                routes=[
                    Route("/", self._root),
                    Route("/accessible", self._is_accessible),
                    Route("/accessible", self._set_accessible, methods=["POST"]),
                    Route("/qpu/specs", self._specs),
                    Route("/qpu-slots", self._later(self._slots, _LATEST)),
                    Route("/sessions", self._open_session, methods=["POST"]),
                    Route("/sessions", self._later(self._sessions, _LATEST, 405)),
                    Route("/sessions", self._later(self._revoke, _LATEST, 405), methods=["DELETE"]),
                    Route("/sessions/{session}", self._revoke_by_path, methods=["DELETE"]),
                    Route("/jobs", self._submit, methods=["POST"]),
                    Route("/jobs", self._list_jobs),
                    Route("/jobs/{job}", self._show_job),
                    Route("/jobs/{job}/cancel", self._later(self._cancel), methods=["POST"]),
                    Route("/jobs/{job}/logs", self._later(self._logs)),
                ],
            )
        ]

    def _later(self, endpoint: Endpoint, version: str = "2026-06", status: int = 404) -> Endpoint:
        """A route that versions before this one do not have."""

        async def check(request: Request) -> Response:
            if self._version < version:
                raise Refused(self.error(request.url.path, status))
            return await endpoint(request)

        return check

    @property
    def _version(self) -> str:
        return self.state.settings.warden

    # Who asks

    async def _uid(self, request: Request) -> int:
        credential = request.headers.get("x-munge-cred")
        if credential is None:
            raise _refused(401, "Missing MUNGE credential")
        try:
            return await asyncio.to_thread(self._munge.uid, credential)
        except Undecoded as error:
            if error.is_expired:
                raise _refused(401, "MUNGE credential expired") from error
            raise _refused(500, "MUNGE decode failed") from error

    async def _check_admin(self, request: Request) -> None:
        if await self._uid(request) != self.state.settings.warden_admin:
            who = "root" if self._version == _FIRST else "admin"
            raise _refused(403, f"Endpoint restricted to {who} user.")

    # The QPU

    async def _root(self, _request: Request) -> Response:
        return JSONResponse({"message": "The warden is operational."})

    async def _is_accessible(self, _request: Request) -> Response:
        is_accessible, message = self._accessible
        condition = self.state.condition(QPU)
        if not condition.takes_jobs:
            is_accessible, message = False, condition.reason or condition.status
        return JSONResponse({"is_accessible": is_accessible, "message": message})

    async def _set_accessible(self, request: Request) -> Response:
        await self._check_admin(request)
        body = await _body(request, {"is_accessible": bool})
        self._accessible = (
            body["is_accessible"],
            str(body.get("message", "Accessibility toggled")),
        )
        return await self._is_accessible(request)

    async def _specs(self, _request: Request) -> Response:
        return JSONResponse({"specs": await asyncio.to_thread(programs.specs, _DEVICE)})

    async def _slots(self, _request: Request) -> Response:
        total = self.state.settings.warden_slots
        if total is None:
            raise _refused(404, "QPU slots are not configured.")
        used = self._used_slots()
        known = {"qpu_slots_total": total, "qpu_slots_used": used}
        return JSONResponse({**known, "qpu_slots_available": max(0, total - used)})

    def _used_slots(self) -> int:
        return sum(session.details["slots"] for session in self._own_sessions() if _lives(session))

    # Sessions

    async def _open_session(self, request: Request) -> Response:
        await self._check_admin(request)
        is_latest = self._version == _LATEST
        key = "slurm_job_id"
        body = await _body(request, {"user_id": str}, {key: str, "scheduler_job_id": str})
        if not is_latest and key not in body:
            raise _unprocessable(_missing(key, body))
        job = body.get("scheduler_job_id", body.get(key)) if is_latest else body[key]
        slots = body.get("qpu_slots", 1) if is_latest else 1
        if type(slots) is not int or slots < 1:
            raise _unprocessable(_problem("greater_than", "qpu_slots", slots))
        if is_latest:
            for session in filter(_lives, self._own_sessions()):
                known = session.details
                if (known["user_id"], known["job"]) == (body["user_id"], job):
                    if known["slots"] != slots:
                        raise _refused(409, "The session exists with different parameters.")
                    return JSONResponse(self._session_document(session))
            total = self.state.settings.warden_slots
            if total is not None and self._used_slots() + slots > total:
                raise _refused(409, "Not enough QPU slots available.")
        session = Session(
            id=str(uuid.uuid4()),
            face=self.name,
            resource=QPU,
            exclusive=False,
            created=self.state.clock(),
            max_seconds=math.inf,
            max_unused_seconds=math.inf,
            details={"user_id": body["user_id"], "job": job, "slots": slots, "revoked": None},
        )
        self.state.open(session)
        return JSONResponse(self._session_document(session))

    async def _sessions(self, request: Request) -> Response:
        await self._check_admin(request)
        query = request.query_params
        user, job, active = (query.get(n) for n in ("user_id", "scheduler_job_id", "active"))
        return JSONResponse(
            [
                self._session_document(session)
                for session in self._own_sessions()
                if user in (None, session.details["user_id"])
                and job in (None, session.details["job"])
                and (active is None or _lives(session) == (active.lower() in ("true", "1")))
            ]
        )

    async def _revoke_by_path(self, request: Request) -> Response:
        if self._version == _LATEST:
            raise Refused(self.error(request.url.path, 404))
        return await self._end_session(request, request.path_params["session"], "path")

    async def _revoke(self, request: Request) -> Response:
        given = request.headers.get("x-warden-session")
        if given is None:
            raise _refused(403, "Missing 'X-Warden-Session' header.")
        return await self._end_session(request, given, "header")

    async def _end_session(self, request: Request, given: str, where: str) -> Response:
        await self._check_admin(request)
        session = self._session(given, where)
        if session is None:
            raise _refused(404, "Session not found.")
        session.details["revoked"] = self.state.clock()
        if self._version == _LATEST:
            for job in self.state.pending(session=session.id):
                self.state.end(job, TaskStatus.Cancelled, "its session was revoked")
        self.state.refuse_jobs(session)
        return JSONResponse(self._session_document(session))

    def _own_sessions(self) -> list[Session]:
        return [session for session in self.state.sessions.values() if session.face == self.name]

    def _session(self, given: str, where: str) -> Session | None:
        try:
            is_uuid = uuid.UUID(given).version == 4
        except ValueError:
            is_uuid = False
        if not is_uuid:
            raise _unprocessable(_problem("uuid_parsing", "x-warden-session", given, where))
        found = self.state.sessions.get(str(uuid.UUID(given)))
        return found if found is not None and found.face == self.name else None

    def _session_document(self, session: Session) -> dict[str, Any]:
        known = session.details
        document = {
            "id": session.id,
            "user_id": known["user_id"],
            "created_at": _time(session.created),
            "revoked_at": _time(known["revoked"]),
        }
        if self._version == _LATEST:
            document |= {
                "scheduler_job_id": known["job"],
                "qpu_slots": known["slots"],
                "revocation_reason": None if _lives(session) else "manual",
                "idle_expires_at": None,
                "expires_at": None,
            }
        return document

    # Jobs

    async def _submit(self, request: Request) -> Response:
        uid = await self._uid(request)
        given = request.headers.get("x-warden-session")
        if given is None:
            raise _refused(403, "Missing 'X-Warden-Session' header.")
        session = self._session(given, "header")
        if session is None:
            raise _refused(403, "Invalid session.")
        if not _lives(session):
            raise _refused(403, "Session has been revoked.")
        if session.details["user_id"] != str(uid):
            raise _refused(403, "Session belongs to another user.")
        body = await _body(request, {"sequence": str, "shots": int})
        sequence: str = body["sequence"]
        vacant: list[int] = []
        if self._version != _FIRST:
            sequence, vacant = await asyncio.to_thread(_converted, sequence)
        assert self._simulator is not None
        self._number += 1
        job = Job(
            id=f"warden-{self._number}",
            name=str(self._number),
            face=self.name,
            resource=QPU,
            simulator=self._simulator,
            argument=str(body["shots"]),
            created=self.state.clock(),
            seed=self.state.settings.seed,
            session=session.id,
            details={"user_id": str(uid), "vacant": vacant},
        )
        self.faults.take_for_job(job, request.method, request.url.path)
        self.state.submit(job, sequence.encode())
        return JSONResponse({**self._job_document(job), "created_at": _time(job.created)})

    async def _list_jobs(self, request: Request) -> Response:
        uid = str(await self._uid(request))
        return JSONResponse(
            [
                self._job_document(job)
                for job in self.state.jobs.values()
                if job.face == self.name and job.details["user_id"] == uid
            ]
        )

    async def _show_job(self, request: Request) -> Response:
        return JSONResponse(self._job_document(await self._job(request)))

    async def _cancel(self, request: Request) -> Response:
        job = await self._job(request)
        if job.status in FINAL:
            raise _refused(409, f"Job with status '{self.word(job)}' can't be canceled")
        self.state.end(job, TaskStatus.Cancelled, "canceled on request")
        return JSONResponse(self._job_document(job))

    async def _logs(self, request: Request) -> Response:
        job = await self._job(request)
        path = self.state.output(job, "log")
        written = path.read_text(errors="replace") if path.exists() else ""
        logs = "\n".join(text for text in (job.reason, written) if text)
        return JSONResponse({"logs": logs or _NO_LOGS})

    async def _job(self, request: Request) -> Job:
        uid = str(await self._uid(request))
        number = request.path_params["job"]
        if not (number.isascii() and number.removeprefix("-").isdecimal()):
            raise _unprocessable(_problem("int_parsing", "id", number, "path"))
        job = self.state.jobs.get(f"warden-{number}")
        if job is None or job.details["user_id"] != uid:
            raise _refused(404, "Job not found")
        return job

    def _job_document(self, job: Job) -> dict[str, Any]:
        at = datetime.datetime.fromtimestamp(job.created, datetime.UTC).replace(tzinfo=None)
        return {
            "id": int(job.name),
            "user_id": job.details["user_id"],
            "created_at": at.isoformat(timespec="microseconds"),
            "status": self.word(job),
            "results": self._results(job),
        }

    def _results(self, job: Job) -> str | None:
        path = self.state.output(job, "result")
        if job.status is not TaskStatus.Completed or not path.exists():
            return None
        counter: dict[str, int] = json.loads(path.read_bytes())["counter"]
        vacant = job.details["vacant"]
        return json.dumps(
            {"counter": {programs.with_vacant(bits, vacant): n for bits, n in counter.items()}}
        )


def _converted(sequence: str) -> tuple[str, list[int]]:
    """A sequence, and the vacant sites; one of Pulser's as it is.

    Raises:
        Refused: It is CUDA-Q's, and cannot be converted.
    """
    try:
        program = json.loads(sequence)
    except (ValueError, RecursionError):
        return sequence, []
    if not isinstance(program, dict) or not program.keys() >= {"setup", "hamiltonian"}:
        return sequence, []
    try:
        return programs.from_ahs(program, _DEVICE)
    except EngineError as error:
        raise _refused(422, str(error)) from error


def _lives(session: Session) -> bool:
    return session.details["revoked"] is None


async def _body(
    request: Request, wanted: Mapping[str, type], optional: Mapping[str, type] | None = None
) -> dict[str, Any]:
    """A body with members of these types.

    Raises:
        Refused: It has not.
    """
    content = await request.body()
    try:
        body = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _unprocessable(_problem("json_invalid", "0", None)) from error
    if not isinstance(body, dict):
        raise _unprocessable(_problem("model_attributes_type", "0", body))
    for name, kind in {**wanted, **(optional or {})}.items():
        if name not in body:
            if name in wanted:
                raise _unprocessable(_missing(name, body))
        elif type(body[name]) is not kind:
            raise _unprocessable(_problem(f"{kind.__name__}_type", name, body[name]))
    return body


def _missing(name: str, body: object) -> dict[str, Any]:
    return {"type": "missing", "loc": ["body", name], "msg": "Field required", "input": body}


def _problem(kind: str, name: str, value: object, where: str = "body") -> dict[str, Any]:
    message = f"Input should be valid ({kind})"
    return {"type": kind, "loc": [where, name], "msg": message, "input": value}


def _unprocessable(problem: Mapping[str, Any]) -> Refused:
    return Refused(JSONResponse({"detail": [problem]}, 422))


def _refused(status: int, detail: str) -> Refused:
    return Refused(JSONResponse({"detail": detail}, status))


def _time(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    at = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")
