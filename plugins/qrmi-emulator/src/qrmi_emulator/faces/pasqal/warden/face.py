"""The face of Warden, through which a Pasqal QPU on premises is reached, under `/warden`."""

from __future__ import annotations

import asyncio
import json
import math
import os
import uuid
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from qrmi_core import TaskStatus
from qrmi_emulator.config import MARK
from qrmi_emulator.face import Endpoint, Face, FaceJob, Refused, State, allow_body
from qrmi_emulator.faces.pasqal import programs
from qrmi_emulator.faces.pasqal.warden.munge import MungeDecoder, Undecoded
from qrmi_emulator.faces.pasqal.warden.records import WardenJob, WardenSession
from qrmi_emulator.faces.pasqal.warden.requests import (
    body_of,
    missing,
    problem,
    refused,
    unprocessable,
)
from qrmi_emulator.times import iso, utc
from qrmi_local.engines import EngineError, MissingExtra

PREFIX: Final = "/warden"
QPU: Final = "PASQAL_LOCAL"
_DEVICE: Final = "FRESNEL"
_FIRST, _LATEST = "0.1.0", "2026-09"
_NO_LOGS: Final = "There are no logs for this job"
_NAMES: Final = {
    TaskStatus.Queued: "PENDING",
    TaskStatus.Running: "RUNNING",
    TaskStatus.Completed: "DONE",
    TaskStatus.Failed: "ERROR",
    TaskStatus.Cancelled: "CANCELED",
}


class WardenFace(Face):
    """Warden, for the users of this machine, whose credentials a munged decodes."""

    name: ClassVar[str] = "pasqal-local"
    types: ClassVar[tuple[str, ...]] = ("pasqal-local",)
    default_resource: ClassVar[str] = QPU

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self._simulator = programs.device_types().get(_DEVICE)
        if self._simulator is None:
            raise MissingExtra(f"{self.name} needs Pulser: pip install 'qrmi-emulator[pasqal]'")
        try:
            self._munge = MungeDecoder(state.home / "munge", state.settings.munge_socket)
        except MissingExtra as error:
            raise MissingExtra(f"{self.name}: {error}") from error
        known = state.credentials(self.name, lambda: {"job": MARK + str(uuid.uuid4())})
        self._scheduler_job = known["job"]
        self._accessible = (True, "Warden ok.")
        self._jobs = state.jobs_of(self.name, WardenJob)
        self._sessions = state.sessions_of(self.name, WardenSession)
        self._number = max((int(job.name) for job in self._jobs.values()), default=0)

    async def run(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self._munge.close()

    def owns(self, path: str) -> bool:
        return path == PREFIX or path.startswith(f"{PREFIX}/")

    def refusal(self, path: str, status: int) -> Mapping[str, Any]:  # noqa: ARG002
        known = {404: "Not Found", 405: "Method Not Allowed", 500: "Internal Server Error"}
        return {"detail": known.get(status, f"The service responds with {status}.")}

    def environment(self, resource_type: str, url: str) -> dict[str, str]:  # noqa: ARG002
        return {
            "QRMI_WARDEN_URL": url + PREFIX,
            "QRMI_JOB_UID": str(os.geteuid()),
            "QRMI_JOB_ID": self._scheduler_job,
            "QRMI_MUNGE_SOCKET": self._munge.socket,
        }

    def vendor_status(self, job: FaceJob) -> str:
        return _NAMES[job.status]

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
                    Route("/sessions", self._later(self._list_sessions, _LATEST, 405)),
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
        """Return an endpoint that versions before this one do not have."""

        async def check(request: Request) -> Response:
            if self._version < version:
                raise Refused(self.error(request.url.path, status))
            return await endpoint(request)

        return check

    @property
    def _version(self) -> str:
        return self.state.settings.warden

    # Credentials

    async def _uid(self, request: Request) -> int:
        credential = request.headers.get("x-munge-cred")
        if credential is None:
            raise refused(401, "Missing MUNGE credential")
        try:
            uid = await asyncio.to_thread(self._munge.uid, credential)
        except Undecoded as error:
            if error.is_expired:
                raise refused(401, "MUNGE credential expired") from error
            raise refused(500, "MUNGE decode failed") from error
        allow_body(request)
        return uid

    async def _check_admin(self, request: Request) -> None:
        if await self._uid(request) != self.state.settings.warden_admin:
            who = "root" if self._version == _FIRST else "admin"
            raise refused(403, f"Endpoint restricted to {who} user.")

    # The QPU

    async def _root(self, _request: Request) -> Response:
        return JSONResponse({"message": "The warden is operational."})

    async def _is_accessible(self, _request: Request) -> Response:
        is_accessible, message = self._accessible
        condition = self.state.condition(QPU)
        if not condition.accepts_jobs:
            is_accessible, message = False, condition.reason or condition.status
        return JSONResponse({"is_accessible": is_accessible, "message": message})

    async def _set_accessible(self, request: Request) -> Response:
        await self._check_admin(request)
        body = await body_of(request, {"is_accessible": bool})
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
            raise refused(404, "QPU slots are not configured.")
        used = self._used_slots()
        known = {"qpu_slots_total": total, "qpu_slots_used": used}
        return JSONResponse({**known, "qpu_slots_available": max(0, total - used)})

    def _used_slots(self) -> int:
        return sum(session.slots for session in self._sessions.values() if session.is_valid)

    # Sessions

    async def _open_session(self, request: Request) -> Response:
        await self._check_admin(request)
        is_latest = self._version == _LATEST
        key = "slurm_job_id"
        body = await body_of(request, {"user_id": str}, {key: str, "scheduler_job_id": str})
        if not is_latest and key not in body:
            raise unprocessable(missing(key, body))
        job = body.get("scheduler_job_id", body.get(key)) if is_latest else body[key]
        slots = body.get("qpu_slots", 1) if is_latest else 1
        if type(slots) is not int or slots < 1:
            raise unprocessable(problem("greater_than", "qpu_slots", slots))
        if is_latest:
            for session in self._sessions.values():
                if not session.is_valid:
                    continue
                if (session.user_id, session.scheduler_job) == (body["user_id"], job):
                    if session.slots != slots:
                        raise refused(409, "The session exists with different parameters.")
                    return JSONResponse(self._session_document(session))
            total = self.state.settings.warden_slots
            if total is not None and self._used_slots() + slots > total:
                raise refused(409, "Not enough QPU slots available.")
        session = WardenSession(
            id=str(uuid.uuid4()),
            face=self.name,
            resource=QPU,
            exclusive=False,
            created=self.state.clock(),
            max_seconds=math.inf,
            max_unused_seconds=math.inf,
            user_id=body["user_id"],
            scheduler_job=job,
            slots=slots,
        )
        self.state.open(session)
        return JSONResponse(self._session_document(session))

    async def _list_sessions(self, request: Request) -> Response:
        await self._check_admin(request)
        query = request.query_params
        user, job, active = (query.get(n) for n in ("user_id", "scheduler_job_id", "active"))
        return JSONResponse(
            [
                self._session_document(session)
                for session in self._sessions.values()
                if user in (None, session.user_id)
                and job in (None, session.scheduler_job)
                and (active is None or session.is_valid == (active.lower() in ("true", "1")))
            ]
        )

    async def _revoke_by_path(self, request: Request) -> Response:
        if self._version == _LATEST:
            raise Refused(self.error(request.url.path, 404))
        return await self._end_session(request, request.path_params["session"], "path")

    async def _revoke(self, request: Request) -> Response:
        given = request.headers.get("x-warden-session")
        if given is None:
            raise refused(403, "Missing 'X-Warden-Session' header.")
        return await self._end_session(request, given, "header")

    async def _end_session(self, request: Request, given: str, where: str) -> Response:
        await self._check_admin(request)
        session = self._session(given, where)
        if session is None:
            raise refused(404, "Session not found.")
        session.revoked = self.state.clock()
        if self._version == _LATEST:
            for job in self.state.pending(session.id):
                self.state.end(job, TaskStatus.Cancelled, "its session was revoked")
        self.state.refuse_jobs(session)
        return JSONResponse(self._session_document(session))

    def _session(self, given: str, where: str) -> WardenSession | None:
        try:
            is_uuid = uuid.UUID(given).version == 4
        except ValueError:
            is_uuid = False
        if not is_uuid:
            raise unprocessable(problem("uuid_parsing", "x-warden-session", given, where))
        return self._sessions.get(str(uuid.UUID(given)))

    def _session_document(self, session: WardenSession) -> dict[str, Any]:
        document: dict[str, Any] = {
            "id": session.id,
            "user_id": session.user_id,
            "created_at": iso(session.created),
            "revoked_at": iso(session.revoked),
        }
        if self._version == _LATEST:
            document |= {
                "scheduler_job_id": session.scheduler_job,
                "qpu_slots": session.slots,
                "revocation_reason": None if session.is_valid else "manual",
                "idle_expires_at": None,
                "expires_at": None,
            }
        return document

    # Jobs

    async def _submit(self, request: Request) -> Response:
        uid = await self._uid(request)
        given = request.headers.get("x-warden-session")
        if given is None:
            raise refused(403, "Missing 'X-Warden-Session' header.")
        session = self._session(given, "header")
        if session is None:
            raise refused(403, "Invalid session.")
        if not session.is_valid:
            raise refused(403, "Session has been revoked.")
        if session.user_id != str(uid):
            raise refused(403, "Session belongs to another user.")
        body = await body_of(request, {"sequence": str, "shots": int})
        sequence: str = body["sequence"]
        vacant: list[int] = []
        if self._version != _FIRST:
            sequence, vacant = await asyncio.to_thread(_converted, sequence)
        assert self._simulator is not None
        self._number += 1
        job = WardenJob(
            id=f"warden-{self._number}",
            name=str(self._number),
            resource=QPU,
            simulator=self._simulator,
            argument=str(body["shots"]),
            session=session.id,
            user_id=str(uid),
            vacant=vacant,
        )
        self.submit(request, job, sequence.encode())
        return JSONResponse({**self._job_document(job), "created_at": iso(job.created)})

    async def _list_jobs(self, request: Request) -> Response:
        uid = str(await self._uid(request))
        return JSONResponse(
            [self._job_document(job) for job in self._jobs.values() if job.user_id == uid]
        )

    async def _show_job(self, request: Request) -> Response:
        return JSONResponse(self._job_document(await self._job(request)))

    async def _cancel(self, request: Request) -> Response:
        job = await self._job(request)
        if job.has_ended:
            raise refused(409, f"Job with status '{self.vendor_status(job)}' can't be canceled")
        self.state.end(job, TaskStatus.Cancelled, "canceled on request")
        return JSONResponse(self._job_document(job))

    async def _logs(self, request: Request) -> Response:
        job = await self._job(request)
        logs = "\n".join(text for text in (job.reason, self.state.logged(job)) if text)
        return JSONResponse({"logs": logs or _NO_LOGS})

    async def _job(self, request: Request) -> WardenJob:
        uid = str(await self._uid(request))
        number = request.path_params["job"]
        if not (number.isascii() and number.removeprefix("-").isdecimal()):
            raise unprocessable(problem("int_parsing", "id", number, "path"))
        job = self._jobs.get(f"warden-{number}")
        if job is None or job.user_id != uid:
            raise refused(404, "Job not found")
        return job

    def _job_document(self, job: WardenJob) -> dict[str, Any]:
        at = utc(job.created).replace(tzinfo=None)
        return {
            "id": int(job.name),
            "user_id": job.user_id,
            "created_at": at.isoformat(timespec="microseconds"),
            "status": self.vendor_status(job),
            "results": self._results(job),
        }

    def _results(self, job: WardenJob) -> str | None:
        path = self.state.result(job)
        if job.status is not TaskStatus.Completed or not path.exists():
            return None
        counter: dict[str, int] = json.loads(path.read_bytes())["counter"]
        found = {programs.with_vacant(bits, job.vacant): n for bits, n in counter.items()}
        return json.dumps({"counter": found})


def _converted(sequence: str) -> tuple[str, list[int]]:
    """Return a sequence, converted if it is CUDA-Q's, and the vacant sites.

    Raises:
        Refused: It cannot be converted.
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
        raise refused(422, str(error)) from error
