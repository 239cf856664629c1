"""A fake of IBM's IAM and Qiskit Runtime REST API on loopback, after their documentation.

It executes nothing: status requests move a job from queued to running to its final state, which the
text in its input selects.
"""

from __future__ import annotations

import json
import time
import uuid
from typing import Any
from urllib.parse import parse_qs

from qrmi_core import Payload
from qrmi_core.testing import (
    Fault,
    LoopbackVendor,
    VendorRequest,
    VendorResponse,
)
from support.faulty_server import Handler, status

KEY = "an-api-key-that-is-secret"
CRN = "crn:v1:bluemix:public:quantum-computing:us-east:a/0123:4567::"
RESULT = b'{"results": [{"data": {"c": {"samples": ["0x0", "0x3"], "num_bits": 2}}}]}'
USAGE = {"qpu_charge_time_seconds": 2, "status": "complete"}
DEVICES = [
    {
        "name": "ibm_fez",
        "status": {"name": "online", "reason": "available"},
        "is_simulator": False,
        "qubits": 156,
        "queue_length": 7,
    },
    {
        "name": "ibm_marrakesh",
        "status": {"name": "paused", "reason": "calibration"},
        "is_simulator": False,
        "qubits": 156,
        "queue_length": 1,
    },
    {
        "name": "ibm_sim",
        "status": {"name": "online"},
        "is_simulator": True,
        "qubits": 5,
        "queue_length": 0,
    },
]


def sampler(text: str = "OPENQASM 3.0;") -> Payload:
    """Return an input for the sampler."""
    return Payload.QiskitPrimitive({"pubs": [[text, None, 10]], "version": 2}, "sampler")


class SamplerHooks:
    """Contract hooks with payloads for drivers that accept sampler inputs."""

    def payload(self) -> Payload:
        return sampler()

    def failing_payload(self) -> Payload:
        return sampler("fail")

    def slow_payload(self) -> Payload:
        return sampler("endless")


def error(code: int, vendor_code: object, message: str, **more: str) -> Fault:
    """Return an error response in the API's format."""
    body = {"errors": [{"code": vendor_code, "message": message, **more}], "trace": "trace-1"}
    return status(code, body)


class IbmService(LoopbackVendor):
    """The service; a context manager.

    Attributes:
        bodies: The body of every submission, as it arrived.
        headers: The headers of every request to the API.
        jobs: The jobs by id, oldest first.
        sessions: The sessions by id.
        open_plan: True to reject dedicated sessions.
        token_seconds: Lifetime of a token in seconds.
        looks: Number of status requests during which a job is queued, and then as many while it
            runs.
        result: The result of a job.
        key: The API key that IAM accepts; it begins with `KEY`.
    """

    secrets = (KEY, "token-")

    def __init__(self) -> None:
        super().__init__(tokens=())
        self.host = self.url
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.jobs: dict[str, dict[str, Any]] = {}
        self.sessions: dict[str, dict[str, Any]] = {}
        self.open_plan = False
        self.token_seconds = 3600
        self.looks = 1
        self.result = RESULT
        # a new one each time, since tokens are cached by key and ports are reused
        self.key = f"{KEY}-{uuid.uuid4().hex}"
        self.url = f"{self.host}/api/v1"

    def settings(self, **more: str) -> dict[str, str]:
        """Return the settings of a resource of this service; keywords add or replace some."""
        return {
            "QRMI_IBM_QCS_ENDPOINT": self.url,
            "QRMI_IBM_QCS_IAM_ENDPOINT": self.host,
            "QRMI_IBM_QCS_IAM_APIKEY": self.key,
            "QRMI_IBM_QCS_SERVICE_CRN": CRN,
            **{
                name if name.startswith("QRMI_") else f"QRMI_IBM_QCS_{name}": text
                for name, text in more.items()
            },
        }

    def ids(self) -> set[str]:
        return {*self.jobs, *self.sessions}

    # Actions of the service

    def start(self, body: dict[str, Any]) -> dict[str, Any]:
        text = json.dumps(body["params"])
        end = {"status": "Completed"}
        if "fail" in text:
            end = {
                "status": "Failed",
                "reason": "the instruction is not in the target",
                "reason_code": 1517,
                "reason_solution": "transpile the circuit",
            }
        elif "endless" in text:
            end = {"status": "Running"}
        elif "too long" in text:
            end = {"status": "Cancelled - Ran too long", "reason_code": 1305}
        job_id = f"d{uuid.uuid4().hex[:19]}"
        with self.lock:
            self.jobs[job_id] = {
                "id": job_id,
                "backend": body["backend"],
                "program": {"id": body["program_id"]},
                "created": "2026-01-01T12:00:00.000Z",
                "cost": body.get("cost", 10000),
                "tags": body.get("tags", []),
                "session_id": body.get("session_id"),
                "looks": self.looks,
                "now": {"status": "Queued"},
                "end": end,
            }
        return {"id": job_id, "backend": body["backend"]}

    def look(self, job: dict[str, Any]) -> dict[str, Any]:
        """Return the status for a status request, then advance the job."""
        seen = dict(job["now"])
        if job["now"]["status"] in {"Queued", "Running"} and job["now"] != job["end"]:
            job["looks"] -= 1
            if job["looks"] <= 0:
                job["looks"] = self.looks
                running = {"status": "Running"}
                job["now"] = job["end"] if job["now"] == running else running
        word = seen["status"]
        seen["status"] = word.partition(" ")[0]
        hidden = ("looks", "now", "end")
        return {
            **{key: value for key, value in job.items() if key not in hidden},
            "usage": USAGE if word == "Completed" else {},
            "status": word,
            "state": seen,
        }

    def finish_all(self) -> None:
        """End every job."""
        for job in self.jobs.values():
            job["now"] = job["end"]

    # Handling of requests

    def path(self, request: VendorRequest) -> list[str]:
        return request.path.removeprefix("/api/v1").strip("/").split("/")

    def log_entry(self, request: VendorRequest) -> str:
        path = self.path(request)
        if path[0] != "identity":
            self.headers.append({k.lower(): v for k, v in request.headers.items()})
        line = f"{request.method} {'/'.join(path)}"
        return f"{line}?{request.query_string}" if request.query_string else line

    def kinds(self, request: VendorRequest) -> tuple[str, str]:
        path = self.path(request)
        line = f"{request.method} {path[0]}"
        return f"{line}/*/{path[-1]}" if len(path) > 2 else line, line

    def needs_token(self, request: VendorRequest) -> bool:
        return self.path(request)[0] != "identity"

    def unauthorized(self, request: VendorRequest) -> VendorResponse:
        return IbmHandler(self, request).refuse(401, 1201, "invalid credentials")

    def respond(self, request: VendorRequest) -> VendorResponse:
        handler, path = IbmHandler(self, request), self.path(request)
        if path[0] == "identity":
            return handler.identity(request.body)
        if request.headers.get("Service-CRN") != CRN:
            return handler.refuse(404, 1279, "instance not found")
        return handler.route(path, parse_qs(request.query_string), request.body)


class IbmHandler(Handler):
    service: IbmService

    def refuse(self, code: int, vendor_code: object, message: str, **more: str) -> VendorResponse:
        return self.as_by(error(code, vendor_code, message, **more))

    def identity(self, body: bytes) -> VendorResponse:
        service = self.service
        form = parse_qs(body.decode())
        if form.get("grant_type") != ["urn:ibm:params:oauth:grant-type:apikey"]:
            return self.answer(400, {"errorCode": "BXNIM0109E", "errorMessage": "Property missing"})
        elif form.get("apikey") != [service.key]:
            return self.answer(
                400,
                {
                    "errorCode": "BXNIM0415E",
                    "errorMessage": "Provided API key could not be found.",
                    "context": {"requestId": "iam-request-1"},
                },
            )
        else:
            token = f"token-{uuid.uuid4().hex}"
            service.tokens.add(token)
            return self.answer(
                200,
                {
                    "access_token": token,
                    "token_type": "Bearer",
                    "expires_in": service.token_seconds,
                    "expiration": int(time.time()) + service.token_seconds,
                },
            )

    def route(self, path: list[str], query: dict[str, list[str]], body: bytes) -> VendorResponse:
        service = self.service
        match self.command, *path:
            case "GET", "backends":
                return self.answer(200, {"devices": DEVICES})
            case "GET", "backends", name, what:
                return self.backend(name, what)
            case "POST", "sessions":
                return self.open_session(json.loads(body))
            case method, "sessions", session_id, *rest:
                session = service.sessions.get(session_id)
                if session is None:
                    return self.refuse(404, "not_found", "Not Found")
                elif method == "GET":
                    return self.answer(200, session)
                elif method == "PATCH":
                    session["accepting_jobs"] = json.loads(body)["accepting_jobs"]
                    return self.answer(204)
                elif rest != ["close"]:
                    return self.refuse(404, "not_found", "Not Found")
                else:
                    session |= {"state": "closed", "accepting_jobs": False}
                    for job in service.jobs.values():
                        if job["session_id"] == session_id and job["now"]["status"] == "Queued":
                            job["now"] = job["end"] = {"status": "Cancelled"}
                    return self.answer(204)
            case "POST", "jobs":
                service.bodies.append(body)
                wanted = json.loads(body)
                session = service.sessions.get(wanted.get("session_id"), {})
                if wanted["backend"] not in {device["name"] for device in DEVICES}:
                    return self.refuse(404, 1216, "backend not found")
                elif "session_id" in wanted and not session.get("accepting_jobs"):
                    return self.refuse(400, 1217, "Session is closed", solution="open another")
                else:
                    return self.answer(200, service.start(wanted))
            case "GET", "jobs":
                return self.jobs(query)
            case method, "jobs", job_id, *rest:
                job = service.jobs.get(job_id)
                if job is None:
                    return self.refuse(404, 1291, "Job not found", solution="check the id")
                else:
                    return self.job(job, "/".join([method, *rest]))
            case _:
                return self.refuse(404, "not_found", "Not Found")

    def backend(self, name: str, what: str) -> VendorResponse:
        device = next((device for device in DEVICES if device["name"] == name), None)
        if device is None:
            return self.refuse(404, 1216, "backend not found")
        elif what == "configuration":
            shots = 100_000 if name == "ibm_fez" else 20_000
            return self.answer(200, {"backend_name": name, "n_qubits": 156, "max_shots": shots})
        elif what == "properties" and not device["is_simulator"]:
            return self.answer(200, {"backend_name": name, "qubits": []})
        else:
            return self.refuse(404, "not_found", "Not Found")

    def open_session(self, wanted: dict[str, Any]) -> VendorResponse:
        service = self.service
        if service.open_plan and wanted["mode"] == "dedicated":
            return self.refuse(
                400, 1352, "You are not authorized to run a session", solution="use job"
            )
        session_id = str(uuid.uuid4())
        service.sessions[session_id] = {
            "id": session_id,
            "backend_name": wanted["backend"],
            "mode": wanted["mode"],
            "state": "open",
            "accepting_jobs": True,
            "max_ttl": wanted["max_ttl"],
            "active_ttl": wanted["max_ttl"],
        }
        return self.answer(200, service.sessions[session_id])

    def jobs(self, query: dict[str, list[str]]) -> VendorResponse:
        service = self.service
        found = [
            job
            for job in reversed(service.jobs.values())
            if set(query.get("tags", ())) <= set(job["tags"])
            and query.get("backend", [job["backend"]]) == [job["backend"]]
            and query.get("session_id", [job["session_id"]]) == [job["session_id"]]
            and ("pending" not in query or job["now"]["status"] in {"Queued", "Running"})
        ]
        offset, limit = (int(query.get(key, ["0"])[0]) for key in ("offset", "limit"))
        page = [service.look(job) for job in found[offset : offset + min(limit or 200, 200)]]
        return self.answer(
            200, {"jobs": page, "count": len(found), "limit": limit, "offset": offset}
        )

    def job(self, job: dict[str, Any], what: str) -> VendorResponse:
        service = self.service
        completed = job["now"]["status"] == "Completed"
        match what:
            case "GET":
                return self.answer(200, service.look(job))
            case "GET/results" if completed:
                return self.answer(200, service.result, {"Content-Type": "text/plain"})
            case "GET/results":
                return self.answer(204)
            case "GET/logs":
                return self.answer(200, b"a line of the log\n", {"Content-Type": "text/plain"})
            case "GET/metrics":
                return self.answer(
                    200,
                    {
                        "timestamps": {
                            "created": "2026-01-01T12:00:00.000Z",
                            "running": "2026-01-01T12:00:01Z",
                            "finished": "2026-01-01T12:00:03Z",
                        },
                        "usage": USAGE,
                    },
                )
            case "POST/cancel":
                if job["now"]["status"] in {"Queued", "Running"}:
                    job["now"] = job["end"] = {"status": "Cancelled"}
                    return self.answer(204)
                else:
                    return self.refuse(409, 1306, "Job is not cancellable")
            case _:
                return self.refuse(404, "not_found", "Not Found")
