"""Pasqal Cloud: its REST API under `/core-fast/api`, and what its clients need of `/account`."""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import hmac
import json
import math
import random
import uuid
import zlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, ClassVar, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from qrmi_core.values import TaskStatus
from qrmi_emulator import s3
from qrmi_emulator.faces import Face, Refused, pasqal_programs as programs
from qrmi_emulator.faces.pasqal_auth import TOKEN_PATH, PasqalAuth, refusal as auth_refusal
from qrmi_emulator.faults import CANCELLED, HELD, Faults
from qrmi_emulator.state import FINAL, ONLINE, Job, Session, State, write_private
from qrmi_local.engines import EngineError, MissingExtra, pulser as engine

API: Final = "/core-fast/api"
ACCOUNT: Final = "/account/api"
RESULTS: Final = "/pasqal-results"
_LINK_SECONDS: Final = 900
_MOST_BODY_BYTES: Final = 2**26
_MOST_PAGE: Final = 100
_MOST_JOBS: Final = 2000
_SECONDS_A_JOB: Final = 10
_PENDING, _RUNNING, _DONE, _ERROR = "PENDING", "RUNNING", "DONE", "ERROR"
_CANCELED, _CANCELING, _TIMED_OUT, _PAUSED = "CANCELED", "CANCELING", "TIMED_OUT", "PAUSED"
_WORDS: Final = {
    TaskStatus.Queued: _PENDING,
    TaskStatus.Running: _RUNNING,
    TaskStatus.Completed: _DONE,
    TaskStatus.Failed: _ERROR,
    TaskStatus.Cancelled: _CANCELED,
}

Endpoint = Callable[[Request], Awaitable[Response]]


class PasqalCloud(Face):
    """The API, for one user with one project.

    A batch is a session here, and its jobs are those of the session. A job of CUDA-Q's is a batch
    with one job.
    """

    name: ClassVar[str] = "pasqal-cloud"
    types: ClassVar[tuple[str, ...]] = ("pasqal-cloud",)
    default_resource: ClassVar[str] = "EMU_FREE"

    def __init__(self, state: State, faults: Faults) -> None:
        super().__init__(state, faults)
        self._devices = programs.device_types()
        if not self._devices:
            raise MissingExtra(f"{self.name} needs Pulser: pip install 'qrmi-emulator[pasqal]'")
        self._auth = PasqalAuth(state)

    def owns(self, path: str) -> bool:
        return path == TOKEN_PATH or path.startswith((f"{API}/", f"{ACCOUNT}/", f"{RESULTS}/"))

    def refusal(self, path: str, status: int) -> Mapping[str, Any]:  # noqa: ARG002
        known = {
            401: "Unauthorized",
            403: "Forbidden",
            404: "Not found",
            405: "Method not allowed",
            429: "Too many requests",
        }
        other = "Internal server error" if status >= 500 else "Bad request"
        return _failure(status, known.get(status, other))

    def error(self, path: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
        if path.startswith(f"{RESULTS}/"):
            return s3.error(path, status, headers)
        if path == TOKEN_PATH:
            code = "too_many_attempts" if status == 429 else "access_denied"
            answer = auth_refusal(status, code, f"The service answers {status}.")
            answer.headers.update(headers or {})
            return answer
        return super().error(path, status, headers)

    def resources(self) -> Sequence[str]:
        return list(self._devices)

    def environment(self, resource_type: str, url: str) -> dict[str, str]:  # noqa: ARG002
        auth = self._auth
        return {
            "QRMI_PASQAL_CLOUD_BASE_URL": url,
            "QRMI_PASQAL_CLOUD_AUTH_ENDPOINT": url + TOKEN_PATH,
            "QRMI_PASQAL_CLOUD_PROJECT_ID": auth.project_id,
            "QRMI_PASQAL_CLOUD_CLIENT_ID": auth.client_id,
            "QRMI_PASQAL_CLOUD_CLIENT_SECRET": auth.client_secret,
            "PASQAL_USERNAME": auth.username,
            "PASQAL_PASSWORD": auth.password,
        }

    def word(self, job: Job) -> str:
        if job.details.get("canceling") and job.status not in FINAL:
            return _CANCELING
        if job.fate == HELD and job.status is TaskStatus.Queued:
            return _PAUSED
        return _WORDS[job.status]

    def routes(self) -> list[BaseRoute]:
        api: list[BaseRoute] = [
            Route("/v1/devices", self._list_devices),
            Route("/v1/devices/public-specs", self._public_specs),
            self._route("/v1/devices/specs", self._all_specs),
            self._route("/v1/devices/specs/{device}", self._show_specs),
            self._route("/v1/batches", self._create_batch, "POST"),
            self._route("/v1/batches", self._list_batches),
            self._route("/v1/batches/cancel", self._cancel_batches, "PATCH"),
            self._route("/v1/batches/{batch}/status", self._batch_status),
            self._route("/v1/batches/{batch}/full_results", self._full_results),
            self._route("/v1/batches/{batch}/tags", self._set_tags, "PATCH"),
            self._route("/v1/batches/{batch}/rebatch", self._rebatch, "POST"),
            self._route("/v2/batches/{batch}", self._show_batch),
            self._route("/v2/batches/{batch}/cancel", self._cancel_batch, "PATCH"),
            self._route("/v2/batches/{batch}/cancel/jobs", self._cancel_jobs, "PATCH"),
            self._route("/v2/batches/{batch}/complete", self._complete_batch, "PATCH"),
            self._route("/v2/batches/{batch}/jobs", self._add_jobs, "POST"),
            self._route("/v2/jobs", self._list_jobs),
            self._route("/v2/jobs/{job}", self._show_job),
            self._route("/v2/jobs/{job}/cancel", self._cancel_job, "PATCH"),
            self._route("/v1/jobs/{job}/status", self._job_status),
            self._route("/v1/jobs/{job}/results_link", self._results_link),
            self._route("/v1/cudaq/job", self._create_cudaq_job, "POST"),
            self._route("/v1/cudaq/job/{job}", self._show_cudaq_job),
        ]
        return [
            *self._auth.routes(),
            Mount(API, routes=api),
            self._route(f"{ACCOUNT}/v1/projects", self._projects),
            Route(f"{RESULTS}/{{job}}.json", self._results_file),
        ]

    def _route(self, path: str, endpoint: Endpoint, method: str = "GET") -> Route:
        async def check(request: Request) -> Response:
            if not self._auth.accepts(request.headers.get("authorization", "")):
                raise _refused(401, "Unauthorized", "The access token is missing or not valid")
            return await endpoint(request)

        return Route(path, check, methods=[method])

    async def _projects(self, _request: Request) -> Response:
        project = {"id": self._auth.project_id, "name": "emulator", "status": "ACTIVE"}
        return _success([project])

    # Devices

    async def _list_devices(self, request: Request) -> Response:
        types = {name.upper() for name in _all(request, "device_type")}
        wanted = {word.upper() for word in _all(request, "availability")}
        found = [
            self._device_document(name) for name in self._devices if not types or name in types
        ]
        return _success([each for each in found if not wanted or each["availability"] in wanted])

    async def _public_specs(self, _request: Request) -> Response:
        known = await asyncio.to_thread(_specs)
        return _success([{"device_type": name, "specs": text} for name, text in known.items()])

    async def _all_specs(self, _request: Request) -> Response:
        return _success(await asyncio.to_thread(_specs))

    async def _show_specs(self, request: Request) -> Response:
        name = request.path_params["device"].upper()
        if name not in programs.QPUS:
            raise _refused(404, "Device not found", f"There are no specs of {name!s:.60}")
        text = await asyncio.to_thread(programs.specs, name)
        return _success({"device_type": name, "specs": text})

    def _device_document(self, name: str) -> dict[str, Any]:
        condition = self.state.condition(name)
        waiting = condition.queue_length + len(self.state.pending(resource=name))
        is_emulator = name in programs.EMULATORS
        return {
            "id": str(uuid.uuid5(uuid.NAMESPACE_OID, name)),
            "name": name,
            "device_type": name,
            "description": condition.reason or ("Emulator" if is_emulator else "QPU"),
            "status": "UP" if condition.status == ONLINE else "DOWN",
            "availability": "ACTIVE" if condition.takes_jobs else "INACTIVE",
            "active": condition.takes_jobs,
            "average_queue_time": waiting * _SECONDS_A_JOB,
            "max_atom_num": engine.known(self._devices[name]).num_qubits,
            "is_emulator": is_emulator,
            "bill_usage": not is_emulator,
            "channels": ["rydberg_global"],
            "allowed_result_types": ["counter", "raw"],
            "default_result_types": ["counter"],
        }

    # Batches

    async def _create_batch(self, request: Request) -> Response:
        body = await _document(request)
        self._check_project(body.get("project_id"))
        sequence, tags = body.get("sequence_builder"), body.get("tags") or []
        is_open = body.get("open", not body.get("complete", True))
        if sequence is not None and not isinstance(sequence, str):
            raise _invalid("sequence_builder is not text")
        if not isinstance(is_open, bool):
            raise _invalid("open is neither true nor false")
        device = self._device(body.get("device_type") or programs.device_of(sequence or ""))
        jobs = body.get("jobs")
        if jobs == [] and not is_open:
            raise _invalid("a batch that is not open needs jobs")
        batch = self._new_batch(device, "batch", tags=_tags(tags), accepting=is_open)
        for name in ("backend_configuration", "configuration", "webhook"):
            batch.details[name] = body.get(name)
        inputs = await self._inputs(batch, sequence, jobs or [])
        self._start(request, batch, sequence, inputs)
        return _success(self._batch_document(batch, sequence=sequence, with_jobs=True))

    async def _add_jobs(self, request: Request) -> Response:
        batch = self._batch(request)
        jobs = await _json(request)
        self._check_open(batch)
        sequence = self._sequence(batch)
        inputs = await self._inputs(batch, sequence, jobs)
        # It may have been closed meanwhile.
        self._check_open(batch)
        self._submit(request, batch, inputs)
        return _success(self._batch_document(batch, with_jobs=True))

    async def _rebatch(self, request: Request) -> Response:
        former = self._batch(request)
        wanted = self._job_filter(request)
        jobs = [job for job in self._jobs_of(former) if wanted(job)]
        if not jobs:
            raise _refused(400, "Bad request", "No job of the batch matches the filters")
        batch = self._new_batch(
            former.resource, "batch", tags=former.details["tags"], accepting=False
        )
        batch.details |= {"parent_id": former.id}
        for name in ("backend_configuration", "configuration", "webhook"):
            batch.details[name] = former.details.get(name)
        inputs = [
            (
                self.state.input(job).read_bytes(),
                job.argument,
                {**job.details, "parent_id": job.id, "canceling": False},
            )
            for job in jobs
        ]
        self._start(request, batch, self._sequence(former), inputs)
        return _success(self._batch_document(batch, with_jobs=True))

    async def _show_batch(self, request: Request) -> Response:
        batch = self._batch(request)
        return _success(self._batch_document(batch, sequence=self._sequence(batch)))

    async def _batch_status(self, request: Request) -> Response:
        batch = self._batch(request)
        known = {"id": batch.id, "status": self._status(batch)}
        return _success({**known, "jobs_count_per_status": self._counts(batch)})

    async def _list_batches(self, request: Request) -> Response:
        query = request.query_params
        states, devices = _all(request, "status"), _all(request, "device_type")
        ids, tags, is_open = _all(request, "id"), _all(request, "tag"), query.get("open")
        owns = self._owner_filter(request)
        since, until = _date(query.get("start_date")), _date(query.get("end_date"))
        found = [
            batch
            for batch in reversed(self.state.sessions.values())
            if batch.face == self.name
            and owns
            and (not ids or batch.id in ids)
            and (not tags or not tags.isdisjoint(batch.details["tags"]))
            and (not devices or batch.resource in devices)
            and (is_open is None or batch.accepting == (is_open.lower() in ("true", "1")))
            and (since is None or batch.created >= since)
            and (until is None or batch.created <= until)
            and (not states or self._status(batch) in states)
        ]
        return _page(request, found, self._batch_document)

    async def _cancel_batch(self, request: Request) -> Response:
        batch = self._batch(request)
        self._cancel(batch)
        return _success(self._batch_document(batch))

    async def _cancel_batches(self, request: Request) -> Response:
        ids = (await _document(request)).get("batch_ids")
        if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
            raise _invalid("batch_ids is not a list of ids")
        canceled, errors = [], {}
        for batch_id in dict.fromkeys(ids):
            batch = self.state.sessions.get(batch_id)
            if batch is None or batch.face != self.name:
                errors[batch_id] = "Batch not found"
            elif batch.closed is not None:
                errors[batch_id] = f"Batch is {self._status(batch)}"
            else:
                self._cancel(batch)
                canceled.append(self._batch_document(batch))
        return _success({"batches": canceled, "errors": errors})

    async def _cancel_jobs(self, request: Request) -> Response:
        batch = self._batch(request)
        wanted = self._job_filter(request)
        canceled, errors = [], {}
        for job in self._jobs_of(batch):
            if not wanted(job):
                continue
            if job.status in FINAL:
                errors[job.id] = f"Job is {self.word(job)}"
            else:
                self._cancel_one(job)
                canceled.append(self._job_document(job))
        return _success({"jobs": canceled, "errors": errors})

    async def _complete_batch(self, request: Request) -> Response:
        batch = self._batch(request)
        self.state.refuse_jobs(batch)
        return _success(self._batch_document(batch))

    async def _set_tags(self, request: Request) -> Response:
        batch = self._batch(request)
        batch.details["tags"] = _tags(await _json(request))
        self.state.save(batch)
        return _success(self._batch_document(batch))

    async def _full_results(self, request: Request) -> Response:
        return _success(self._results(self._batch(request)))

    def _check_project(self, project: object) -> None:
        if not isinstance(project, str) or not project:
            raise _invalid("project_id is missing")
        if project != self._auth.project_id:
            raise _refused(400, "Bad request", "There is no such project, or it is not yours")

    def _check_open(self, batch: Session) -> None:
        if not batch.accepting:
            raise _refused(400, "Bad request", "The batch is closed and takes no more jobs")

    def _device(self, name: object) -> str:
        if not isinstance(name, str) or name.upper() not in self._devices:
            raise _invalid(f"device_type is none of: {', '.join(self._devices)}")
        if not self.state.condition(name.upper()).takes_jobs:
            raise _refused(400, "Bad request", f"Device {name.upper()} is not available")
        return name.upper()

    def _new_batch(self, device: str, kind: str, *, tags: list[str], accepting: bool) -> Session:
        return Session(
            id=str(uuid.uuid4()),
            face=self.name,
            resource=device,
            exclusive=False,
            created=self.state.clock(),
            max_seconds=math.inf,
            max_unused_seconds=math.inf,
            accepting=accepting,
            details={"kind": kind, "tags": tags, "jobs": []},
        )

    async def _inputs(
        self, batch: Session, sequence: str | None, jobs: Any
    ) -> list[tuple[bytes, str, dict[str, Any]]]:
        """What is to run for each of the jobs, how often, and what is kept of each.

        Raises:
            Refused: One of them cannot be run.
        """
        if not isinstance(jobs, list) or len(jobs) > _MOST_JOBS:
            raise _invalid(f"jobs is not a list of at most {_MOST_JOBS}")
        inputs = []
        for number, job in enumerate(jobs):
            where = f"jobs[{number}]"
            if not isinstance(job, dict):
                raise _invalid(f"{where} is not an object")
            runs, variables = job.get("runs"), job.get("variables") or {}
            text = job.get("sequence") or sequence
            if runs is None and batch.resource in programs.EMULATORS:
                runs = _default_runs(batch.details.get("backend_configuration"))
            most = await asyncio.to_thread(programs.most_runs, batch.resource)
            if type(runs) is not int or not 1 <= runs <= most:
                raise _invalid(f"{where}: runs is not a whole number from 1 to {most}")
            if not isinstance(text, str) or not isinstance(variables, dict):
                raise _invalid(f"{where} has no sequence, or variables that are no object")
            try:
                if variables:
                    content = (await asyncio.to_thread(programs.built, text, variables)).encode()
                else:
                    content = text.encode()
                await asyncio.to_thread(engine.check, str(runs), content)
            except (EngineError, UnicodeError) as error:
                raise _invalid(f"{where}: {error}") from error
            own = job.get("sequence") is not None
            inputs.append((content, str(runs), {"variables": variables or None, "own": own}))
        return inputs

    def _start(
        self,
        request: Request,
        batch: Session,
        sequence: str | None,
        inputs: list[tuple[bytes, str, dict[str, Any]]],
    ) -> None:
        """Keep a new batch and submit its jobs."""
        if sequence is not None:
            write_private(self.state.input(batch), sequence)
        self.state.open(batch)
        self._submit(request, batch, inputs)

    def _submit(
        self, request: Request, batch: Session, inputs: list[tuple[bytes, str, dict[str, Any]]]
    ) -> None:
        for content, runs, details in inputs:
            job = Job(
                id=str(uuid.uuid4()),
                face=self.name,
                resource=batch.resource,
                simulator=self._devices[batch.resource],
                argument=runs,
                created=self.state.clock(),
                seed=self.state.settings.seed,
                session=batch.id,
                details=details,
            )
            self.faults.take_for_job(job, request.method, request.url.path)
            batch.details["jobs"].append(job.id)
            self.state.submit(job, content)
        self.state.save(batch)

    def _cancel(self, batch: Session) -> None:
        if batch.closed is not None:
            return
        batch.details["canceled"] = True
        for job in self.state.pending(session=batch.id):
            self._cancel_one(job)
        self.state.refuse_jobs(batch)

    def _cancel_one(self, job: Job) -> None:
        seconds = self.state.settings.cancel_seconds
        if not seconds:
            self.state.end(job, TaskStatus.Cancelled)
        elif not job.details.get("canceling"):
            job.details["canceling"] = True
            self.state.doom(job, CANCELLED, seconds)

    def _batch(self, request: Request) -> Session:
        self.state.expire()
        batch = self.state.sessions.get(request.path_params["batch"])
        if batch is None or batch.face != self.name:
            raise _refused(404, "Batch not found")
        return batch

    def _jobs_of(self, batch: Session) -> list[Job]:
        return [self.state.jobs[job_id] for job_id in batch.details["jobs"]]

    def _sequence(self, batch: Session) -> str | None:
        path = self.state.input(batch)
        return path.read_text() if path.exists() else None

    def _counts(self, batch: Session) -> dict[str, int]:
        counts: dict[str, int] = {}
        for job in self._jobs_of(batch):
            counts[self.word(job)] = counts.get(self.word(job), 0) + 1
        return counts

    def _status(self, batch: Session) -> str:
        jobs = self._jobs_of(batch)
        words = {self.word(job) for job in jobs}
        if _CANCELING in words:
            return _CANCELING
        if words & {_PENDING, _RUNNING, _PAUSED}:
            if words <= {_PENDING, _PAUSED}:
                return _PAUSED if _PAUSED in words else _PENDING
            return _RUNNING
        if batch.accepting:
            return _RUNNING if words else _PENDING
        if any(job.details.get("ran_too_long") for job in jobs):
            return _TIMED_OUT
        if batch.details.get("canceled"):
            return _CANCELED
        return words.pop() if len(words) == 1 else _DONE

    def _batch_document(
        self, batch: Session, *, sequence: str | None = None, with_jobs: bool = False
    ) -> dict[str, Any]:
        jobs = self._jobs_of(batch)
        status = self._status(batch)
        ends = [job.finished for job in jobs if job.finished is not None]
        is_over = len(ends) == len(jobs) and not batch.accepting
        changed = [batch.created, *ends, *(job.started for job in jobs if job.started)]
        document = {
            "id": batch.id,
            "status": status,
            "open": batch.accepting,
            "complete": not batch.accepting,
            "created_at": _time(batch.created),
            "updated_at": _time(max(changed)),
            "device_type": batch.resource,
            "project_id": self._auth.project_id,
            "user_id": self._auth.user_id,
            "priority": 0,
            "queue_priority": "MEDIUM",
            "job_ids": [job.id for job in jobs],
            "jobs_count": len(jobs),
            "jobs_count_per_status": self._counts(batch),
            "start_datetime": _time(batch.started),
            "end_datetime": _time(max(ends, default=batch.closed)) if is_over else None,
            "device_status": self._device_document(batch.resource)["status"],
            "parent_id": batch.details.get("parent_id"),
            "webhook": batch.details.get("webhook"),
            "configuration": batch.details.get("configuration"),
            "backend_configuration": batch.details.get("backend_configuration"),
            "tags": batch.details["tags"],
        }
        if sequence is not None:
            document["sequence_builder"] = sequence
        if with_jobs:
            document["jobs"] = [self._job_document(job) for job in jobs]
        return document

    # Jobs

    async def _list_jobs(self, request: Request) -> Response:
        wanted = self._job_filter(request)
        batches = _all(request, "batch_id")
        if batches:
            known = (self.state.sessions.get(batch) for batch in batches)
            jobs = [
                job
                for batch in known
                if batch is not None and batch.face == self.name
                for job in self._jobs_of(batch)
            ]
        else:
            jobs = [job for job in self.state.jobs.values() if job.face == self.name]
        found = [job for job in jobs if wanted(job)]
        if request.query_params.get("order_by_direction", "DESC").upper() != "ASC":
            found.reverse()
        return _page(request, found, self._job_document)

    async def _show_job(self, request: Request) -> Response:
        job = self._job(request)
        own = self.state.input(job).read_text() if job.details.get("own") else None
        return _success({**self._job_document(job), "sequence": own})

    async def _job_status(self, request: Request) -> Response:
        job = self._job(request)
        return _success({"id": job.id, "status": self.word(job)})

    async def _cancel_job(self, request: Request) -> Response:
        job = self._job(request)
        if job.status not in FINAL:
            self._cancel_one(job)
        return _success(self._job_document(job))

    def _job(self, request: Request) -> Job:
        job = self.state.jobs.get(request.path_params["job"])
        if job is None or job.face != self.name:
            raise _refused(404, "Job not found")
        return job

    def _owner_filter(self, request: Request) -> bool:
        projects, users = _all(request, "project_id"), _all(request, "user_id")
        return (not projects or self._auth.project_id in projects) and (
            not users or self._auth.user_id in users
        )

    def _job_filter(self, request: Request) -> Callable[[Job], bool]:
        query = request.query_params
        ids, states = _all(request, "id"), _all(request, "status")
        owns = self._owner_filter(request)
        since, until = _date(query.get("start_date")), _date(query.get("end_date"))
        least, most = _number(query.get("min_runs")), _number(query.get("max_runs"))
        errors = query.get("errors")

        def wanted(job: Job) -> bool:
            return (
                owns
                and (not ids or job.id in ids)
                and (not states or self.word(job) in states)
                and (since is None or job.created >= since)
                and (until is None or job.created <= until)
                and (least is None or int(job.argument) >= least)
                and (most is None or int(job.argument) <= most)
                and (errors is None or bool(job.reason) == (errors.lower() in ("true", "1")))
            )

        return wanted

    def _job_document(self, job: Job) -> dict[str, Any]:
        is_over = job.status in (TaskStatus.Failed, TaskStatus.Cancelled)
        return {
            "id": job.id,
            "batch_id": job.session,
            "project_id": self._auth.project_id,
            "status": self.word(job),
            "runs": int(job.argument),
            "created_at": _time(job.created),
            "updated_at": _time(job.finished or job.started or job.created),
            "start_timestamp": _time(job.started),
            "end_timestamp": _time(job.finished),
            "errors": [job.reason] if is_over and job.reason else None,
            "variables": job.details.get("variables"),
            "parent_id": job.details.get("parent_id"),
        }

    # Results

    async def _results_link(self, request: Request) -> Response:
        job = self._job(request)
        link = None
        if self._counter(job) is not None:
            at = datetime.datetime.fromtimestamp(self.state.clock(), datetime.UTC)
            date = f"{at:%Y%m%dT%H%M%SZ}"
            query = f"X-Amz-Date={date}&X-Amz-Expires={_LINK_SECONDS}&X-Amz-SignedHeaders=host"
            signature = self._signature(job.id, query)
            host = f"{request.url.scheme}://{request.headers['host']}"
            link = f"{host}{RESULTS}/{job.id}.json?{query}&X-Amz-Signature={signature}"
        return _success({"results_link": link})

    async def _results_file(self, request: Request) -> Response:
        query, _, signature = request.url.query.rpartition("&X-Amz-Signature=")
        job = self.state.jobs.get(request.path_params["job"])
        wanted = self._signature(request.path_params["job"], query)
        if "authorization" in request.headers:
            # The store takes one kind of credential with a request, not two.
            return s3.error(request.url.path, 400)
        counter = None if job is None else self._counter(job)
        if not hmac.compare_digest(signature.encode(), wanted.encode()) or self._is_over(query):
            return s3.error(request.url.path, 403)
        if job is None or counter is None:
            return s3.error(request.url.path, 404)
        document = {"counter": counter, "raw": _shots(counter, job.id)}
        if not job.details.get("vacant"):
            sequence = self.state.input(job).read_text()
            text = await asyncio.to_thread(programs.results, sequence, counter)
            document["serialised_results"] = text
        return JSONResponse(document)

    def _signature(self, job_id: str, query: str) -> str:
        text = f"{job_id}?{query}".encode()
        return hmac.new(self._auth.signing_key.encode(), text, hashlib.sha256).hexdigest()

    def _is_over(self, query: str) -> bool:
        date = query.partition("X-Amz-Date=")[2].partition("&")[0]
        at = datetime.datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.UTC)
        return self.state.clock() > at.timestamp() + _LINK_SECONDS

    def _results(self, batch: Session) -> dict[str, Any]:
        found = ((job.id, self._counter(job)) for job in self._jobs_of(batch))
        return {job_id: {"counter": counter} for job_id, counter in found if counter is not None}

    def _counter(self, job: Job) -> dict[str, int] | None:
        path = self.state.output(job, "result")
        if job.status is not TaskStatus.Completed or not path.exists():
            return None
        counter: dict[str, int] = json.loads(path.read_bytes())["counter"]
        vacant = job.details.get("vacant") or []
        return {programs.with_vacant(bits, vacant): count for bits, count in counter.items()}

    # CUDA-Q

    async def _create_cudaq_job(self, request: Request) -> Response:
        body = await _document(request)
        self._check_project(body.get("project_id"))
        device, shots = self._device(body.get("machine")), body.get("shots")
        program = body.get("sequence")
        most = await asyncio.to_thread(programs.most_runs, device)
        if type(shots) is not int or not 1 <= shots <= most:
            raise _invalid(f"shots is not a whole number from 1 to {most}")
        try:
            # CUDA-Q used to send it as text.
            program = json.loads(program) if isinstance(program, str) else program
            sequence, vacant = await asyncio.to_thread(programs.from_ahs, program, device)
        except (EngineError, ValueError, RecursionError) as error:
            raise _invalid(f"sequence: {error}") from error
        batch = self._new_batch(device, "cudaq", tags=[], accepting=False)
        self._start(request, batch, sequence, [(sequence.encode(), str(shots), {"vacant": vacant})])
        return _success(self._cudaq_document(batch))

    async def _show_cudaq_job(self, request: Request) -> Response:
        self.state.expire()
        task_id = request.path_params["job"]
        job = self.state.jobs.get(task_id)
        batch = self.state.sessions.get(task_id if job is None else job.session or "")
        if batch is None or batch.face != self.name or batch.details["kind"] != "cudaq":
            raise _refused(404, "Job not found")
        return _success(self._cudaq_document(batch))

    def _cudaq_document(self, batch: Session) -> dict[str, Any]:
        (job,) = self._jobs_of(batch)
        return {
            "id": batch.id if self.state.settings.cudaq_ids == "batch" else job.id,
            "batch_id": batch.id,
            "status": self._status(batch),
            "created_at": _time(batch.created),
            "machine": batch.resource,
            "project_id": self._auth.project_id,
            "shots": int(job.argument),
            "errors": self._job_document(job)["errors"],
            "result": self._results(batch) or None,
        }


def _specs() -> dict[str, str]:
    return {name: programs.specs(name) for name in programs.QPUS}


def _default_runs(configuration: object) -> object:
    """How often an emulator runs what does not say: as the configuration of the backend says."""
    try:
        return json.loads(str(configuration)).get("default_num_shots") or programs.DEFAULT_RUNS
    except (ValueError, RecursionError, AttributeError):
        return programs.DEFAULT_RUNS


def _shots(counter: Mapping[str, int], seed: str) -> list[str]:
    """One bit string a shot, in an order that is always the same for a job."""
    shots = [bits for bits, count in counter.items() for _ in range(count)]
    random.Random(seed).shuffle(shots)
    return shots


async def _json(request: Request) -> Any:
    content = await request.body()
    try:
        if request.headers.get("content-encoding") == "gzip":
            decoder = zlib.decompressobj(31)
            content = decoder.decompress(content, _MOST_BODY_BYTES)
            if decoder.unconsumed_tail:
                raise _refused(413, "Payload too large")
            if not decoder.eof:
                raise _invalid("the body ends in the middle")
        return json.loads(content)
    except (ValueError, RecursionError, zlib.error) as error:
        raise _invalid("the body is not JSON") from error


async def _document(request: Request) -> dict[str, Any]:
    body = await _json(request)
    if not isinstance(body, dict):
        raise _invalid("the body is not a JSON object")
    return body


def _tags(tags: Any) -> list[str]:
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise _invalid("tags is not a list of texts")
    return tags


def _all(request: Request, name: str) -> set[str]:
    """The values of a filter, which is written with brackets too."""
    query = request.query_params
    return {*query.getlist(name), *query.getlist(f"{name}[]")}


def _page(
    request: Request, found: Sequence[Any], document: Callable[[Any], dict[str, Any]]
) -> Response:
    limit = _number(request.query_params.get("limit"))
    limit = _MOST_PAGE if limit is None else limit
    start = _number(request.query_params.get("offset")) or 0
    if not 1 <= limit <= _MOST_PAGE or start < 0:
        raise _invalid(f"limit is not from 1 to {_MOST_PAGE}, or offset is negative")
    shown = found[start : start + limit]
    pagination = {"total": len(found), "start": start, "end": start + len(shown)}
    return _success([document(each) for each in shown], pagination=pagination)


def _number(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return int(text)
    except ValueError as error:
        raise _invalid(f"not a whole number: {text:.40}") from error


def _date(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        at = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise _invalid(f"not a date and time: {text:.40}") from error
    return (at if at.tzinfo else at.replace(tzinfo=datetime.UTC)).timestamp()


def _time(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    at = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return at.isoformat(timespec="microseconds")


def _success(data: object, **more: object) -> Response:
    envelope = {"status": "success", "message": "OK.", "code": "200", "data": data}
    return JSONResponse({**envelope, **more})


def _failure(status: int, message: str, description: str | None = None) -> dict[str, Any]:
    return {
        "status": "error" if status >= 500 else "fail",
        "message": message,
        "code": str(status),
        "data": {"description": description or message},
    }


def _refused(status: int, message: str, description: str | None = None) -> Refused:
    return Refused(JSONResponse(_failure(status, message, description), status))


def _invalid(description: str) -> Refused:
    return _refused(422, "Unprocessable entity", description)
