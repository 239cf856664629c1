"""A fake of Warden on loopback, in three generations, as far as it is publicly described.

It executes nothing: status requests move a job from pending to running to its final state, which
the text of its sequence selects. Credentials are decoded by a real munged.
"""

from __future__ import annotations

import json
import os
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from qrmi_core.testing import Fault, LoopbackVendor, VendorRequest, VendorResponse
from support.faulty_server import Handler, status
from support.munged import decoded

RESULT = "{'counter': {'00': 36, '10': 64}}"
"""A result in the QPU's format, which is not JSON."""
SPECS = json.dumps({"name": "FRESNEL", "version": "1", "max_runs": 1000, "channels": []})
_FINAL = {"DONE", "ERROR", "CANCELED"}
_REPLAYED, _EXPIRED = 17, 15


def detail(code: int, text: object) -> Fault:
    """Return an error response in Warden's format."""
    return status(code, {"detail": text}, Content_Type="application/json")


class Warden(LoopbackVendor):
    """A Warden; a context manager.

    Attributes:
        headers: The headers of every request.
        bodies: The body of every request that had one.
        jobs: The jobs by id.
        sessions: The sessions by id.
        admins: User ids that may open and revoke sessions.
        authorized: User ids that may have sessions; an empty set allows everybody.
        later: True if it can cancel jobs and has logs, unlike 0.1.0.
        slots: Number of slots of the QPU, None if not counted. With slots, sessions are revoked by
            header only.
        accessible: The response to ``GET /accessible``.
        looks: Number of status requests during which a job is pending, and then as many while it
            runs.

    Args:
        socket: Socket of munged.
    """

    def __init__(self, socket: Path, *, later: bool = True, slots: int | None = None) -> None:
        super().__init__()
        self.host = self.url
        self.socket = socket
        self.headers: list[dict[str, str]] = []
        self.bodies: list[Any] = []
        self.jobs: dict[str, dict[str, Any]] = {}
        self.sessions: dict[str, dict[str, Any]] = {}
        self.admins = {0, os.geteuid()}
        self.authorized: set[str] = set()
        self.later = later
        self.slots = slots
        self.accessible = {"is_accessible": True, "message": "Warden ok."}
        self.looks = 1

    def settings(self, **more: str) -> dict[str, str]:
        """Return the settings of a resource behind this Warden, for the user of this process."""
        return {
            "QRMI_WARDEN_URL": self.host,
            "QRMI_MUNGE_SOCKET": str(self.socket),
            "QRMI_JOB_UID": str(os.geteuid()),
            "QRMI_JOB_ID": "777",
            **more,
        }

    def ids(self) -> set[str]:
        return {*self.jobs, *self.sessions}

    def credentials(self) -> list[str]:
        """Return every received credential."""
        return [found["x-munge-cred"] for found in self.headers if "x-munge-cred" in found]

    def session_for(self, uid: int) -> str:
        """Open a session without a request, and return its id."""
        session_id = str(uuid.uuid4())
        self.sessions[session_id] = {
            "id": session_id,
            "user_id": str(uid),
            "created_at": "2026-01-01T12:00:00Z",
            "revoked_at": None,
        }
        return session_id

    def used_slots(self) -> int:
        return sum(
            session.get("qpu_slots", 1)
            for session in self.sessions.values()
            if session["revoked_at"] is None
        )

    def finish_all(self) -> None:
        """End every job."""
        for job in self.jobs.values():
            job["status"] = job["end"]

    def look(self, job: dict[str, Any]) -> dict[str, Any]:
        """Return the status for a status request, then advance the job."""
        seen = self.shown(job)
        if job["status"] != job["end"]:
            job["looks"] -= 1
            if job["looks"] <= 0:
                job["looks"] = self.looks
                job["status"] = job["end"] if job["status"] == "RUNNING" else "RUNNING"
        return seen

    def shown(self, job: dict[str, Any]) -> dict[str, Any]:
        keys = ("id", "user_id", "created_at", "status")
        results = job.get("results", RESULT) if job["status"] == "DONE" else None
        return {**{key: job[key] for key in keys}, "results": results}

    # Handling of requests

    def path(self, request: VendorRequest) -> list[str]:
        return request.path.removeprefix("/").split("/")  # Warden is strict about slashes

    def log_entry(self, request: VendorRequest) -> str:
        self.headers.append({k.lower(): v for k, v in request.headers.items()})
        if request.body:
            self.bodies.append(request.json())
        return f"{request.method} {'/'.join(self.path(request))}"

    def kinds(self, request: VendorRequest) -> tuple[str, str]:
        path = self.path(request)
        line = f"{request.method} {path[0]}"
        return f"{line}/*/{path[-1]}" if len(path) > 2 else line, line

    def respond(self, request: VendorRequest) -> VendorResponse:
        credential = request.headers.get("X-Munge-Cred")
        code, uid = decoded(credential, self.socket) if credential else (None, None)
        try:
            return _Handler(self, request).route(
                self.path(request), request.json() or {}, code, uid
            )
        except _Refused as refused:
            return refused.response


class _Refused(Exception):
    """A refusal, raised while a request is handled.

    Args:
        response: The response.
    """

    def __init__(self, response: VendorResponse) -> None:
        self.response = response


class _Handler(Handler):
    service: Warden

    def refuse(self, code: int, text: object) -> VendorResponse:
        return self.answer(code, {"detail": text})

    def route(
        self, path: list[str], body: dict[str, Any], code: int | None, uid: Any
    ) -> VendorResponse:
        service = self.service
        match self.command, *path:
            case "GET", "accessible":
                return self.answer(200, service.accessible)
            case "GET", "qpu", "specs":
                return self.answer(200, {"specs": SPECS})
            case "GET", "qpu-slots" if service.slots is not None:
                used = service.used_slots()
                return self.answer(
                    200,
                    {
                        "qpu_slots_total": service.slots,
                        "qpu_slots_used": used,
                        "qpu_slots_available": service.slots - used,
                    },
                )
            case ("POST" | "DELETE", "sessions") | ("DELETE", "sessions", _):
                known = self.command == "POST" or (len(path) == 1) == (service.slots is not None)
            case (_, "jobs") | ("GET", "jobs", _):
                known = self.command in ("GET", "POST")
            case ("POST", "jobs", _, "cancel") | ("GET", "jobs", _, "logs"):
                known = service.later
            case _:
                known = False
        if not known:
            if path == ["sessions"]:
                return self.refuse(405, "Method Not Allowed")
            return self.refuse(404, "Not Found")
        if code is None:
            return self.refuse(401, "Missing MUNGE credential")
        if code == _EXPIRED:
            return self.refuse(401, "MUNGE credential expired")
        if code == _REPLAYED:
            return self.refuse(401, "MUNGE credential replayed")
        if code:
            return self.refuse(500, "MUNGE decode failed")
        if path[0] == "sessions":
            if uid not in service.admins:
                return self.refuse(403, "Endpoint restricted to root user.")
            return self.open_session(body) if self.command == "POST" else self.revoke(path)
        return (
            self.create(body, uid)
            if self.command == "POST" and len(path) == 1
            else (self.job(path, uid))
        )

    def open_session(self, body: dict[str, Any]) -> VendorResponse:
        service = self.service
        if not all(isinstance(body.get(key), str) for key in ("user_id", "slurm_job_id")):
            problem = {"type": "missing", "loc": ["body", "user_id"], "msg": "Field required"}
            return self.refuse(422, [{**problem, "input": body}])
        if service.authorized and body["user_id"] not in service.authorized:
            return self.refuse(403, "User ID not authorized.")
        wanted = body.get("qpu_slots", 1)
        if service.slots is not None and service.used_slots() + wanted > service.slots:
            return self.refuse(409, "Not enough QPU slots available.")
        session = service.sessions[service.session_for(int(body["user_id"]))]
        if service.slots is not None:
            session["qpu_slots"] = wanted
        return self.answer(200, session)

    def session_id(self) -> str:
        """Return the session id in the header."""
        return self.checked(self.headers.get("X-Warden-Session", ""), "header.X-Warden-Session")

    def checked(self, text: str, place: str) -> str:
        """Return an id; raise an exception if it is not a version-4 UUID."""
        with suppress(ValueError):
            if uuid.UUID(text).version == 4:
                return text
        problem = {"type": "uuid_parsing", "loc": place.split("."), "msg": "Input should be a UUID"}
        raise _Refused(self.refuse(422, [{**problem, "input": text}]))

    def revoke(self, path: list[str]) -> VendorResponse:
        service = self.service
        session_id = self.checked(path[1], "path.id") if len(path) == 2 else self.session_id()
        session = service.sessions.get(session_id)
        if session is None:
            if len(path) == 1:
                return self.refuse(403, "Invalid session.")
            return self.refuse(404, "Session not found.")
        session["revoked_at"] = "2026-01-01T13:00:00Z"
        return self.answer(200, session)

    def create(self, body: dict[str, Any], uid: int) -> None:
        service = self.service
        if "X-Warden-Session" not in self.headers:
            return self.refuse(403, "Missing 'X-Warden-Session' header.")
        session_id = self.session_id()
        session = service.sessions.get(session_id)
        if session is None:
            return self.refuse(403, "Invalid session.")
        if session["revoked_at"] is not None:
            return self.refuse(403, "Session has been revoked.")
        if session["user_id"] != str(uid):
            return self.refuse(403, "Session belongs to another user.")
        sequence = body["sequence"]
        end = "RUNNING" if "endless" in sequence else "ERROR" if "fail" in sequence else "DONE"
        number = len(service.jobs) + 1
        job = service.jobs[str(number)] = {
            "id": number,
            "user_id": str(uid),
            "created_at": "2099-01-01T12:00:00.544486",
            "status": "PENDING",
            "end": end,
            "looks": service.looks,
            "sequence": sequence,
            "shots": body["shots"],
            "session": session_id,
        }
        return self.answer(200, service.shown(job))

    def job(self, path: list[str], uid: int) -> None:
        service = self.service
        own = {key: job for key, job in service.jobs.items() if job["user_id"] == str(uid)}
        if len(path) == 1:
            return self.answer(200, [service.look(job) for job in own.values()])
        job = own.get(path[1])
        if job is None:
            return self.refuse(404, "Job not found")
        if path[-1] == "cancel":
            if job["status"] in _FINAL:
                return self.refuse(409, f"Job with status '{job['status']}' can't be canceled")
            job["status"] = job["end"] = "CANCELED"
            return self.answer(200, service.shown(job))
        if path[-1] == "logs":
            failed = "lasers were unlocked" if job["status"] == "ERROR" else None
            return self.answer(200, {"logs": failed or "There are no logs for this job"})
        return self.answer(200, service.look(job))
