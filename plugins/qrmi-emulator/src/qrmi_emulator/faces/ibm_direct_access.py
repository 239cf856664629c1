"""IBM Quantum System, before: Direct Access: its REST API under `/v1`, and an S3 store.

The service has no queue: a job has a lane at once, or is refused. It reads the input from S3 and
writes results and logs there, by presigned URLs that come with the job.
"""

from __future__ import annotations

import asyncio
import datetime
import fnmatch
import functools
import importlib.util
import json
import secrets
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send

from qrmi_core.values import TaskStatus
from qrmi_emulator import s3
from qrmi_emulator.config import MARK
from qrmi_emulator.faces import Face, Refused, ibm_backends as backends
from qrmi_emulator.faces.ibm_errors import code_for
from qrmi_emulator.faces.ibm_iam import TOKEN_PATH, Iam, refusal as iam_refusal
from qrmi_emulator.faces.ibm_logs import last_line
from qrmi_emulator.faults import Faults
from qrmi_emulator.state import FINAL, MAINTENANCE, OFFLINE, ONLINE, PAUSED, Job, State
from qrmi_emulator.threads import in_thread
from qrmi_emulator.transfer import TransferError, download, upload
from qrmi_local.engines import EngineError, MissingExtra, qiskit as engine

VERSIONS: Final = ("2025-08-01", "2025-08-15")
RENSSELAER: Final = "ibm_rensselaer"
# A device of the same kind, 127 qubits of an Eagle, of which there is a snapshot.
_STANDS_FOR: Final = {RENSSELAER: "fake_sherbrooke"}
_WORDS: Final = {ONLINE: "online", PAUSED: "paused", OFFLINE: "offline", MAINTENANCE: "offline"}
_PROGRAMS: Final = (*engine.PROGRAMS, "executor")
_NEEDED: Final = ("flask", "flask_cors", "moto")
_LOG_LEVELS: Final = ("critical", "error", "warning", "info", "debug")
_AGENT: Final = "ibm-quantum-system"
_MOST_BODY_BYTES: Final = 2**20
_MOST_INPUT_BYTES: Final = 2**30
_PAUSES_SECONDS: Final = (0.1, 0.4, 1.6)
_TRANSFERS: Final = 8
_RAN_TOO_LONG: Final = 1305
_FAILED: Final = 5203
_TITLES: Final = {
    400: "input is invalid",
    401: "not authorized",
    404: "not found",
    409: "conflict",
    413: "request is too large",
    423: "backend is reserved",
    429: "execution lanes are taken",
}
_CODES: Final = {400: "1337", 401: "1201", 404: "", 423: "1233", 429: "1232"}

Endpoint = Callable[[Request], Awaitable[Response]]


class IbmDirectAccess(Face):
    """The API, for one client, and the bucket of its site."""

    name: ClassVar[str] = "ibm-da"
    types: ClassVar[tuple[str, ...]] = ("ibm-quantum-system", "direct-access")
    default_resource: ClassVar[str] = RENSSELAER

    def __init__(self, state: State, faults: Faults) -> None:
        super().__init__(state, faults)
        missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
        if missing or not engine.resources():
            raise MissingExtra(f"{self.name} needs more: pip install 'qrmi-emulator[ibm-da]'")
        self._iam = Iam(state)
        known = state.credentials(
            self.name,
            lambda: {
                "instance": str(uuid.uuid4()),
                "bucket": MARK + secrets.token_hex(8),
                "access_key": f"QRMIEMULATOR{secrets.token_hex(4).upper()}",
                "secret_key": MARK + secrets.token_urlsafe(32),
            },
        )
        self.crn = (
            "crn:v1:bluemix:public:quantum-computing:us-east:"
            f"a/{self._iam.account}:{known['instance']}::"
        )
        self.store = s3.ObjectStore(
            state.home,
            bucket=known["bucket"],
            access_key=known["access_key"],
            secret_key=known["secret_key"],
            clock=state.clock,
        )
        self._jobs = {job.name: job for job in state.jobs.values() if job.face == self.name}
        self._ends: dict[str, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        # Of its own, so that what waits for the store leaves others to those that answer.
        self._threads = ThreadPoolExecutor(_TRANSFERS, "qrmi-emulator-transfer")
        state.on_end.append(self._note_end)

    def owns(self, path: str) -> bool:
        return (
            path in (TOKEN_PATH, "/version", "/versions", "/v1")
            or path.startswith("/v1/")
            or self.store.owns(path)
        )

    def refusal(self, path: str, status: int) -> Mapping[str, Any]:
        if path == TOKEN_PATH:
            return iam_refusal("BXNIM0500E", f"The service answers {status}.")
        message = "The service is inactive." if status >= 500 else "The request was refused."
        return _errors(status, _CODES.get(status, ""), message)

    def error(self, path: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
        if self.store.owns(path):
            return s3.error(path, status, headers)
        return super().error(path, status, headers)

    def resources(self) -> Sequence[str]:
        return [*_STANDS_FOR, *(resource.resource_id for resource in engine.resources())]

    def environment(self, resource_type: str, url: str) -> dict[str, str]:
        is_latest = resource_type == self.types[0]
        prefix, suffix = ("QRMI_IBM_QS_", "QSAPI") if is_latest else ("QRMI_IBM_DA_", "DAAPI")
        values = {
            "ENDPOINT": url,
            "IAM_ENDPOINT": url,
            "IAM_APIKEY": self._iam.api_key,
            "SERVICE_CRN": self.crn,
            "AWS_ACCESS_KEY_ID": self.store.access_key,
            "AWS_SECRET_ACCESS_KEY": self.store.secret_key,
            "S3_ENDPOINT": url,
            f"S3_ENDPOINT_FOR_{suffix}": url,
            "S3_BUCKET": self.store.bucket,
            "S3_REGION": "us-east-1",
        }
        prefixed = {prefix + key: value for key, value in values.items()}
        return {**prefixed, "QRMI_JOB_TIMEOUT_SECONDS": "86400"}

    def routes(self) -> list[BaseRoute]:
        return [
            *self._iam.routes(),
            Route("/version", self._version),
            Route("/versions", self._versions),
            self._route("/v1/backends", self._list_backends),
            self._route("/v1/backends/{backend}", self._show_backend),
            self._route("/v1/backends/{backend}/configuration", self._configuration),
            self._route("/v1/backends/{backend}/properties", self._properties),
            self._route("/v1/backends/{backend}/lanes", self._lanes),
            # The form of what it brings is looked at before who brings it.
            Route("/v1/jobs", self._submit, methods=["POST"]),
            self._route("/v1/jobs", self._list_jobs),
            self._route("/v1/jobs/{job:path}/cancel", self._cancel, "POST"),
            self._route("/v1/jobs/{job:path}", self._show_job),
            self._route("/v1/jobs/{job:path}", self._delete_job, "DELETE"),
            _S3Route(self.store),
        ]

    def word(self, job: Job) -> str:
        return job.status.name if _is_final(job) else TaskStatus.Running.name

    def _route(self, path: str, endpoint: Endpoint, method: str = "GET") -> Route:
        async def check(request: Request) -> Response:
            self._authenticate(request)
            return await endpoint(request)

        return Route(path, check, methods=[method])

    def _authenticate(self, request: Request) -> None:
        if not self._iam.accepts(request.headers.get("authorization", "")):
            raise _refused(401, "1201", "The credentials are invalid.")
        if request.headers.get("service-crn") != self.crn:
            message = "The instance is not known to this system."
            raise _refused(401, "1200", message, ("header", "Service-CRN"))

    # The system

    async def _version(self, _request: Request) -> Response:
        return JSONResponse({"version": VERSIONS[-1]})

    async def _versions(self, _request: Request) -> Response:
        return JSONResponse({"versions": VERSIONS})

    async def _list_backends(self, _request: Request) -> Response:
        return JSONResponse({"backends": [self._backend_document(n) for n in self.resources()]})

    async def _show_backend(self, request: Request) -> Response:
        return JSONResponse(self._backend_document(self._backend(request)))

    async def _configuration(self, request: Request) -> Response:
        name = self._backend(request)
        document = backends.configuration(_STANDS_FOR.get(name, name))
        return JSONResponse(document if name not in _STANDS_FOR else _named(document, name))

    async def _properties(self, request: Request) -> Response:
        name = self._backend(request)
        document = backends.properties(_STANDS_FOR.get(name, name))
        return JSONResponse(document if name not in _STANDS_FOR else _named(document, name))

    async def _lanes(self, request: Request) -> Response:
        self._backend(request)
        lanes = self.state.settings.lanes
        return JSONResponse(
            {"hpc_workload_manager": {"lanes": lanes}, "ibm_quantum_compute": {"lanes": 0}}
        )

    def _backend(self, request: Request) -> str:
        name: str = request.path_params["backend"]
        if name not in self.resources():
            raise _no_backend(name, "parameter")
        return name

    def _backend_document(self, name: str) -> dict[str, Any]:
        condition = self.state.condition(name)
        known: dict[str, Any] = {
            "name": name,
            "status": _WORDS[condition.status],
            "message": condition.reason or condition.status,
            "version": "1.0.0",
        }
        if condition.status == ONLINE:
            known["locked"] = self._is_reserved(name)
        return known

    def _is_reserved(self, backend: str) -> bool:
        reserved = self.state.settings.reserved
        return reserved is not None and fnmatch.fnmatchcase(backend, reserved)

    # Jobs

    async def _submit(self, request: Request) -> Response:
        body = await _body(request)
        _check_job(body)
        self._authenticate(request)
        backend, name, program = body["backend"], body["id"], body["program_id"]
        if backend not in self.resources():
            raise _no_backend(backend, "field")
        condition = self.state.condition(backend)
        if condition.status != ONLINE:
            message = f"The backend is not available: {condition.reason or condition.status}."
            raise _refused(400, "1004", message, ("field", "backend"))
        if self._is_reserved(backend):
            message = "The backend is reserved, and the job is not one of the reservation."
            raise _refused(423, "1233", message, ("field", "backend"))
        if self._held_lanes(backend) >= self.state.settings.lanes:
            raise _refused(
                *(429, "1232", "All execution lanes of the backend are taken."),
                solution="Delete jobs that have ended, or wait for others to end.",
            )
        if name in self._jobs:
            raise _refused(409, "1231", "There is a job with this id.", ("field", "id"))
        if program not in _PROGRAMS:
            message = f"program_id is none of: {', '.join(_PROGRAMS)}"
            raise _refused(400, "1337", message, ("field", "program_id"))
        job = Job(
            name=name,
            face=self.name,
            resource=backend,
            simulator=_STANDS_FOR.get(backend, backend),
            argument=program,
            created=self.state.clock(),
            seed=self.state.settings.seed,
            max_seconds=body["timeout_secs"],
            ready=False,
            details={
                "log_level": body.get("log_level") or "warning",
                "storage": body["storage"],
                "settled": False,
            },
        )
        self.faults.take_for_job(job, request.method, request.url.path)
        self._jobs[name] = job
        self.state.submit(job, b"")
        self._attend(job)
        return Response(status_code=204)

    def _held_lanes(self, backend: str) -> int:
        only_running = self.state.settings.lanes_held == "running"
        return sum(
            job.resource == backend and not (only_running and _is_final(job))
            for job in self._jobs.values()
        )

    async def _list_jobs(self, _request: Request) -> Response:
        return JSONResponse({"jobs": [self._document(job) for job in self._jobs.values()]})

    async def _show_job(self, request: Request) -> Response:
        return JSONResponse(self._document(self._job(request)))

    async def _cancel(self, request: Request) -> Response:
        job = self._job(request)
        if _is_final(job):
            raise _refused(409, "1306", "The job has ended and cannot be cancelled.")
        job.details["settled"] = True
        if not self.state.end(job, TaskStatus.Cancelled, "cancelled on request"):
            # It has been executed, and its results were on their way.
            job.status, job.reason = TaskStatus.Cancelled, "cancelled on request"
            self.state.save(job)
        return Response(status_code=204)

    async def _delete_job(self, request: Request) -> Response:
        job = self._job(request)
        if not _is_final(job):
            raise _refused(409, "1337", "Only a job that has ended can be deleted.")
        del self._jobs[job.name]
        self.state.delete(job)
        return Response(status_code=204)

    def _job(self, request: Request) -> Job:
        job = self._jobs.get(request.path_params["job"])
        if job is None:
            raise _refused(404, "1291", "The job was not found.", ("parameter", "id"))
        return job

    def _document(self, job: Job) -> dict[str, Any]:
        times: dict[str, Any] = {"created": _time(job.created)}
        document = {
            "id": job.name,
            "backend": job.resource,
            "program_id": job.argument,
            "status": self.word(job),
            "created_time": times["created"],
            "log_level": job.details["log_level"],
            "timeout_secs": job.max_seconds,
            "storage": job.details["storage"],
            "metrics": {"timestamps": times},
        }
        if not _is_final(job):
            return document
        nanoseconds = int(job.seconds * 1e9)
        document["end_time"] = times["finished"] = _time(job.finished or job.created)
        document["usage"] = {"quantum_nanoseconds": nanoseconds}
        document["metrics"]["circuits_execution_time_ns"] = nanoseconds
        if job.status is not TaskStatus.Completed:
            code = job.code
            if code is None and job.status is TaskStatus.Failed:
                code = code_for(job.reason or "")
            if code is None and job.details.get("ran_too_long"):
                code = _RAN_TOO_LONG
            document["reason_message"] = job.reason
            if code is not None:
                document |= {"reason_code": code, "reason_solution": "See the job's logs."}
        return document

    # What the service does with a job

    async def run(self) -> None:
        """Attend the jobs, until cancelled."""
        for job in self._jobs.values():
            if job.id not in self._ends and not _is_final(job):
                self._attend(job)
        try:
            await asyncio.Event().wait()
        finally:
            for task in self._tasks:
                task.cancel()
            self._threads.shutdown(wait=False, cancel_futures=True)
            await self.store.close()

    def _attend(self, job: Job) -> None:
        ended = self._ends[job.id] = asyncio.Event()
        if job.status in FINAL:
            ended.set()
        task = asyncio.create_task(self._see_through(job, ended))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _note_end(self, job: Job) -> None:
        if ended := self._ends.get(job.id):
            ended.set()

    async def _see_through(self, job: Job, ended: asyncio.Event) -> None:
        if not job.ready and job.status not in FINAL:
            await self._read_input(job)
        await ended.wait()
        del self._ends[job.id]
        if job.status is TaskStatus.Completed:
            problem = await self._write(job, "results", "result", "application/json")
            if problem and not _is_final(job):
                job.status, job.code = TaskStatus.Failed, _FAILED
                job.reason = f"The results could not be written to their presigned URL: {problem}"
        if "logs" in job.details["storage"]:
            with open(self.state.output(job, "log"), "a") as log:
                log.write(last_line(job))
            await self._write(job, "logs", "log", "text/plain")
        # Only now, so that whoever sees the end finds the objects.
        if not _is_final(job):
            job.details["settled"] = True
            self.state.save(job)

    async def _read_input(self, job: Job) -> None:
        path, url = self.state.input(job), job.details["storage"]["input"]["presigned_url"]
        problem = await self._transfer(
            functools.partial(download, url, path, agent=_AGENT, most_bytes=_MOST_INPUT_BYTES)
        )
        reason, code = f"The input could not be read from its presigned URL: {problem}", _FAILED
        if not problem:
            try:
                if job.argument in engine.PROGRAMS:
                    await asyncio.to_thread(lambda: engine.check(job.argument, path.read_bytes()))
            except EngineError as error:
                reason, code = str(error), code_for(str(error))
            else:
                job.ready = True
        if job.status in FINAL:
            path.unlink(missing_ok=True)
        elif job.ready:
            self.state.save(job)
        else:
            self.state.end(job, TaskStatus.Failed, reason, code=code)

    async def _write(self, job: Job, member: str, kind: str, content_type: str) -> str | None:
        url, path = job.details["storage"][member]["presigned_url"], self.state.output(job, kind)
        return await self._transfer(
            functools.partial(upload, url, path, agent=_AGENT, content_type=content_type)
        )

    async def _transfer(self, work: Callable[[], None]) -> str | None:
        """Do it, again while that may help; what was the matter in the end."""
        for pause in (*_PAUSES_SECONDS, None):
            try:
                await in_thread(self._threads, work)
            except TransferError as error:
                if pause is None or not error.is_passing:
                    return str(error)
                await asyncio.sleep(pause)
            else:
                break
        return None


class _S3Route(BaseRoute):
    """The store's requests, and no other's, whatever their paths look like."""

    def __init__(self, store: s3.ObjectStore) -> None:
        self._store = store

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        is_ours = scope["type"] == "http" and self._store.is_meant(scope)
        return (Match.FULL if is_ours else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = await self._store.answer(Request(scope, receive))
        await answer(scope, receive, send)


def _is_final(job: Job) -> bool:
    """Whether a job has ended and its objects were written."""
    return job.status in FINAL and bool(job.details["settled"])


def _named(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {**document, "backend_name": name}


async def _body(request: Request) -> dict[str, Any]:
    content = b""
    async for block in request.stream():
        content += block
        if len(content) > _MOST_BODY_BYTES:
            raise _refused(413, "", f"The body is larger than {_MOST_BODY_BYTES} bytes.")
    try:
        body = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _invalid("", "The body is not JSON.") from error
    if not isinstance(body, dict):
        raise _invalid("", "The body is not a JSON object.")
    return body


def _check_job(body: Mapping[str, Any]) -> None:
    for field in ("id", "backend", "program_id"):
        value = body.get(field)
        if not isinstance(value, str) or not 1 <= len(value) <= 256:
            raise _invalid(field, "It is not a text of 1 to 256 characters.")
    seconds = body.get("timeout_secs")
    if type(seconds) is not int or not 1 <= seconds < 2**63:
        raise _invalid("timeout_secs", "It is not a whole number of 1 or more.")
    if body.get("log_level") not in (None, *_LOG_LEVELS):
        raise _invalid("log_level", f"It is none of: {', '.join(_LOG_LEVELS)}")
    storage = body.get("storage")
    if not isinstance(storage, dict):
        raise _invalid("storage", "It is not an object.")
    for member in ("input", "results", "logs"):
        if member == "logs" and storage.get(member) is None:
            storage.pop(member, None)
            continue
        place = storage.get(member)
        field = f"storage.{member}"
        if not isinstance(place, dict) or place.get("type") != "s3_compatible":
            raise _invalid(field, "It is not an object of the type s3_compatible.")
        if not _is_address(place.get("presigned_url")):
            raise _invalid(f"{field}.presigned_url", "It is not an HTTP URL.")


def _is_address(url: object) -> bool:
    if not isinstance(url, str) or not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _errors(
    status: int,
    code: str,
    message: str,
    target: tuple[str, str] | None = None,
    solution: str | None = None,
) -> dict[str, Any]:
    error: dict[str, Any] = {
        "code": code,
        "message": message if solution is None else f"{message} {solution}",
        "more_info": f"https://quantum.cloud.ibm.com/docs/errors#{code}",
    }
    if target:
        error["target"] = {"type": target[0], "name": target[1]}
    return {
        "status_code": status,
        "title": _TITLES.get(status, "service error"),
        "trace": str(uuid.uuid4()),
        "correlation_id": secrets.token_hex(10),
        "errors": [error],
    }


def _refused(
    status: int,
    code: str,
    message: str,
    target: tuple[str, str] | None = None,
    solution: str | None = None,
) -> Refused:
    return Refused(JSONResponse(_errors(status, code, message, target, solution), status))


def _invalid(field: str, message: str) -> Refused:
    return _refused(400, "1337", message, ("field", field) if field else None)


def _no_backend(name: str, where: str) -> Refused:
    return _refused(404, "1216", f"Backend {name:.100} was not found.", (where, "backend"))


def _time(seconds: float) -> str:
    at = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")
