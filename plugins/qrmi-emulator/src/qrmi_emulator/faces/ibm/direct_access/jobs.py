"""The jobs of Direct Access."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from qrmi_core import TaskStatus
from qrmi_emulator.face import ONLINE, Face
from qrmi_emulator.faces.ibm.direct_access.attendant import Attendant
from qrmi_emulator.faces.ibm.direct_access.errors import no_backend, refused
from qrmi_emulator.faces.ibm.direct_access.records import DirectAccessJob
from qrmi_emulator.faces.ibm.direct_access.submission import body_of, check_job
from qrmi_emulator.faces.ibm.direct_access.system import STANDS_FOR, QuantumSystem
from qrmi_emulator.faces.ibm.reasons import RAN_TOO_LONG, code_for
from qrmi_emulator.times import iso
from qrmi_local.engines import qiskit as engine

_PROGRAMS: Final = (*engine.PROGRAMS, "executor")


class DirectAccessJobs:
    """The jobs, their routes, and the service's work on them.

    Args:
        face: The face of the API.
        system: The system that runs them.
    """

    def __init__(self, face: Face, system: QuantumSystem) -> None:
        self._face = face
        self._state = face.state
        self._system = system
        self._attendant = Attendant(face.state)
        jobs = face.state.jobs_of(face.name, DirectAccessJob)
        self._by_name = {job.name: job for job in jobs.values()}

    def routes(self) -> list[Route]:
        """Return the routes of the API."""
        route = self._face.route
        return [
            # The form of a submission is checked before its credentials.
            Route("/v1/jobs", self._submit, methods=["POST"]),
            route("/v1/jobs", self._list_jobs),
            route("/v1/jobs/{job:path}/cancel", self._cancel, "POST"),
            route("/v1/jobs/{job:path}", self._show_job),
            route("/v1/jobs/{job:path}", self._delete_job, "DELETE"),
        ]

    async def run(self) -> None:
        """Work on the jobs, until cancelled."""
        await self._attendant.run(self._by_name)

    async def _submit(self, request: Request) -> Response:
        body = await body_of(request)
        check_job(body)
        self._system.authenticate(request)
        backend, name, program = body["backend"], body["id"], body["program_id"]
        if backend not in self._system.resources:
            raise no_backend(backend, "field")
        condition = self._state.condition(backend)
        if condition.status != ONLINE:
            message = f"The backend is not available: {condition.reason or condition.status}."
            raise refused(400, "1004", message, ("field", "backend"))
        if self._system.is_reserved(backend):
            message = "The backend is reserved, and the job is not one of the reservation."
            raise refused(423, "1233", message, ("field", "backend"))
        if self._held_lanes(backend) >= self._state.settings.lanes:
            raise refused(
                *(429, "1232", "All execution lanes of the backend are taken."),
                solution="Delete jobs that have ended, or wait for others to end.",
            )
        if name in self._by_name:
            raise refused(409, "1231", "There is a job with this id.", ("field", "id"))
        if program not in _PROGRAMS:
            message = f"program_id is none of: {', '.join(_PROGRAMS)}"
            raise refused(400, "1337", message, ("field", "program_id"))
        job = DirectAccessJob(
            name=name,
            resource=backend,
            simulator=STANDS_FOR.get(backend, backend),
            argument=program,
            max_seconds=body["timeout_secs"],
            ready=False,
            log_level=body.get("log_level") or "warning",
            storage=body["storage"],
        )
        self._face.submit(request, job, b"")
        self._by_name[name] = job
        self._attendant.attend(job)
        return Response(status_code=204)

    def _held_lanes(self, backend: str) -> int:
        only_running = self._state.settings.lanes_held == "running"
        return sum(
            job.resource == backend and not (only_running and job.is_final)
            for job in self._by_name.values()
        )

    async def _list_jobs(self, _request: Request) -> Response:
        return JSONResponse({"jobs": [self._document(job) for job in self._by_name.values()]})

    async def _show_job(self, request: Request) -> Response:
        return JSONResponse(self._document(self._job(request)))

    async def _cancel(self, request: Request) -> Response:
        job = self._job(request)
        if job.is_final:
            raise refused(409, "1306", "The job has ended and cannot be cancelled.")
        job.settled = True
        if not self._state.end(job, TaskStatus.Cancelled, "cancelled on request"):
            # It has been executed, and its results were on their way.
            job.status, job.reason = TaskStatus.Cancelled, "cancelled on request"
            self._state.save(job)
        return Response(status_code=204)

    async def _delete_job(self, request: Request) -> Response:
        job = self._job(request)
        if not job.is_final:
            raise refused(409, "1337", "Only a job that has ended can be deleted.")
        self._state.delete(job)
        del self._by_name[job.name]
        return Response(status_code=204)

    def _job(self, request: Request) -> DirectAccessJob:
        job = self._by_name.get(request.path_params["job"])
        if job is None:
            raise refused(404, "1291", "The job was not found.", ("parameter", "id"))
        return job

    def _document(self, job: DirectAccessJob) -> dict[str, Any]:
        times: dict[str, Any] = {"created": iso(job.created)}
        document = {
            "id": job.name,
            "backend": job.resource,
            "program_id": job.argument,
            "status": self._face.vendor_status(job),
            "created_time": times["created"],
            "log_level": job.log_level,
            "timeout_secs": job.max_seconds,
            "storage": job.storage,
            "metrics": {"timestamps": times},
        }
        if not job.is_final:
            return document
        nanoseconds = int(job.seconds * 1e9)
        document["end_time"] = times["finished"] = iso(job.finished or job.created)
        document["usage"] = {"quantum_nanoseconds": nanoseconds}
        document["metrics"]["circuits_execution_time_ns"] = nanoseconds
        if job.status is not TaskStatus.Completed:
            code = job.code
            if code is None and job.status is TaskStatus.Failed:
                code = code_for(job.reason or "")
            if code is None and job.ran_too_long:
                code = RAN_TOO_LONG
            document["reason_message"] = job.reason
            if code is not None:
                document |= {"reason_code": code, "reason_solution": "See the job's logs."}
        return document
