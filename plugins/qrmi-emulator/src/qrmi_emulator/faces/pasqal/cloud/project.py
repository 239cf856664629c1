"""The project: its records and their documents, and how jobs are submitted and cancelled."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Sequence
from typing import Any, Final

from starlette.requests import Request

from qrmi_core import TaskStatus
from qrmi_emulator.face import ONLINE, Face, FaceJob
from qrmi_emulator.faces.pasqal import programs
from qrmi_emulator.faces.pasqal.cloud.auth import PasqalLogin
from qrmi_emulator.faces.pasqal.cloud.envelope import invalid, refused
from qrmi_emulator.faces.pasqal.cloud.records import JobInput, PasqalBatch, PasqalJob
from qrmi_emulator.faces.pasqal.cloud.requests import values_of
from qrmi_emulator.faults import CANCELLED, HELD
from qrmi_emulator.files import StorageError
from qrmi_emulator.times import utc
from qrmi_local.engines import MissingExtra, pulser as engine

_SECONDS_A_JOB: Final = 10
_PENDING, _RUNNING, _DONE, _ERROR = "PENDING", "RUNNING", "DONE", "ERROR"
_CANCELED, _CANCELING, _TIMED_OUT, _PAUSED = "CANCELED", "CANCELING", "TIMED_OUT", "PAUSED"
_NAMES: Final = {
    TaskStatus.Queued: _PENDING,
    TaskStatus.Running: _RUNNING,
    TaskStatus.Completed: _DONE,
    TaskStatus.Failed: _ERROR,
    TaskStatus.Cancelled: _CANCELED,
}


class CloudProject:
    """One project of one user.

    Args:
        face: The face of the API.

    Raises:
        MissingExtra: Pulser is not installed.
    """

    def __init__(self, face: Face) -> None:
        self.face = face
        self.state = face.state
        self.devices = programs.device_types()
        if not self.devices:
            raise MissingExtra(f"{face.name} needs Pulser: pip install 'qrmi-emulator[pasqal]'")
        self.auth = PasqalLogin(face.state)
        self.jobs = face.state.jobs_of(face.name, PasqalJob)
        self.batches = face.state.sessions_of(face.name, PasqalBatch)

    # Requests

    def authenticate(self, request: Request) -> None:
        """Check the token of a request.

        Raises:
            Refused: It is missing or not valid.
        """
        if not self.auth.accepts(request.headers.get("authorization", "")):
            raise refused(401, "Unauthorized", "The access token is missing or not valid")

    def check(self, project: object) -> None:
        """Check the project of a body.

        Raises:
            Refused: It is not this one.
        """
        if not isinstance(project, str) or not project:
            raise invalid("project_id is missing")
        if project != self.auth.project_id:
            raise refused(400, "Bad request", "There is no such project, or it is not yours")

    def is_asked(self, request: Request) -> bool:
        """Return True if the filters of a request include this project and its user."""
        projects, users = values_of(request, "project_id"), values_of(request, "user_id")
        return (not projects or self.auth.project_id in projects) and (
            not users or self.auth.user_id in users
        )

    def device(self, name: object) -> str:
        """Return the name of a device that accepts jobs.

        Raises:
            Refused: The device is unknown, or it accepts no jobs.
        """
        if not isinstance(name, str) or name.upper() not in self.devices:
            raise invalid(f"device_type is none of: {', '.join(self.devices)}")
        if not self.state.condition(name.upper()).accepts_jobs:
            raise refused(400, "Bad request", f"Device {name.upper()} is not available")
        return name.upper()

    def batch(self, request: Request) -> PasqalBatch:
        """Return the batch of a request's path, in its present state.

        Raises:
            Refused: The batch is unknown.
        """
        self.state.expire()
        batch = self.batches.get(request.path_params["batch"])
        if batch is None:
            raise refused(404, "Batch not found")
        return batch

    def job(self, request: Request) -> PasqalJob:
        """Return the job of a request's path.

        Raises:
            Refused: The job is unknown.
        """
        job = self.jobs.get(request.path_params["job"])
        if job is None:
            raise refused(404, "Job not found")
        return job

    # Submitting and cancelling

    def new_batch(
        self, device: str, *, tags: list[str], accepting: bool = False, is_cudaq: bool = False
    ) -> PasqalBatch:
        """Return a batch that `start` is to open."""
        return PasqalBatch(
            id=str(uuid.uuid4()),
            face=self.face.name,
            resource=device,
            exclusive=False,
            created=self.state.clock(),
            max_seconds=math.inf,
            max_unused_seconds=math.inf,
            accepting=accepting,
            is_cudaq=is_cudaq,
            tags=tags,
        )

    def start(
        self,
        request: Request,
        batch: PasqalBatch,
        sequence: str | None,
        inputs: Sequence[JobInput],
    ) -> None:
        """Open a batch and submit its jobs."""
        self.submit(request, batch, inputs, None if sequence is None else sequence.encode())

    def submit(
        self,
        request: Request,
        batch: PasqalBatch,
        inputs: Sequence[JobInput],
        shared: bytes | None = None,
    ) -> None:
        """Submit jobs of a batch that is open, or new, and may then have a sequence for all."""
        jobs = [
            PasqalJob(
                id=str(uuid.uuid4()),
                resource=batch.resource,
                simulator=self.devices[batch.resource],
                argument=each.runs,
                session=batch.id,
                **each.fields,
            )
            for each in inputs
        ]
        former = batch.job_ids
        batch.job_ids = [*former, *(job.id for job in jobs)]
        contents = [each.content for each in inputs]
        try:
            self.face.submit_all(request, list(zip(jobs, contents, strict=True)), batch, shared)
        except StorageError:
            batch.job_ids = former
            raise

    def cancel(self, batch: PasqalBatch) -> None:
        """Cancel a batch; one that has ended is left unchanged."""
        if batch.closed is not None:
            return
        batch.canceled = True
        for job_id in batch.job_ids:
            if not self.jobs[job_id].has_ended:
                self.cancel_job(self.jobs[job_id])
        self.state.refuse_jobs(batch)

    def cancel_job(self, job: PasqalJob) -> None:
        """Cancel a job that has not ended."""
        seconds = self.state.settings.cancel_seconds
        if not seconds:
            self.state.end(job, TaskStatus.Cancelled)
        elif not job.canceling:
            job.canceling = True
            self.state.set_fate(job, CANCELLED, seconds)

    # Records

    def jobs_of(self, batch: PasqalBatch) -> list[PasqalJob]:
        """Return the jobs of a batch, in the order of submission."""
        return [self.jobs[job_id] for job_id in batch.job_ids]

    def sequence(self, batch: PasqalBatch) -> str | None:
        """Return the sequence of a batch, None if only its jobs have one."""
        path = self.state.input(batch)
        return path.read_text() if path.exists() else None

    def status_name(self, job: FaceJob) -> str:
        """Return the service's name of a job's status."""
        if isinstance(job, PasqalJob) and job.canceling and not job.has_ended:
            return _CANCELING
        if job.fate == HELD and job.status is TaskStatus.Queued:
            return _PAUSED
        return _NAMES[job.status]

    def counts(self, batch: PasqalBatch) -> dict[str, int]:
        """Return the numbers of a batch's jobs by status."""
        counts: dict[str, int] = {}
        for job in self.jobs_of(batch):
            name = self.status_name(job)
            counts[name] = counts.get(name, 0) + 1
        return counts

    def status_of(self, batch: PasqalBatch) -> str:
        """Return the status of a batch, which follows from its jobs."""
        jobs = self.jobs_of(batch)
        names = {self.status_name(job) for job in jobs}
        if _CANCELING in names:
            return _CANCELING
        if names & {_PENDING, _RUNNING, _PAUSED}:
            if names <= {_PENDING, _PAUSED}:
                return _PAUSED if _PAUSED in names else _PENDING
            return _RUNNING
        if batch.accepting:
            return _RUNNING if names else _PENDING
        if any(job.ran_too_long for job in jobs):
            return _TIMED_OUT
        if batch.canceled:
            return _CANCELED
        return names.pop() if len(names) == 1 else _DONE

    def counter(self, job: PasqalJob) -> dict[str, int] | None:
        """Return how often each bit string was measured, None without a result."""
        path = self.state.result(job)
        if job.status is not TaskStatus.Completed or not path.exists():
            return None
        counter: dict[str, int] = json.loads(path.read_bytes())["counter"]
        return {programs.with_vacant(bits, job.vacant): count for bits, count in counter.items()}

    def results(self, batch: PasqalBatch) -> dict[str, Any]:
        """Return the results of a batch's jobs that have some, by id."""
        found = ((job.id, self.counter(job)) for job in self.jobs_of(batch))
        return {job_id: {"counter": counter} for job_id, counter in found if counter is not None}

    # Documents

    def device_document(self, name: str) -> dict[str, Any]:
        """Return the document of a device."""
        condition = self.state.condition(name)
        waiting = self.state.queue_length(name)
        is_emulator = name in programs.EMULATORS
        return {
            "id": str(uuid.uuid5(uuid.NAMESPACE_OID, name)),
            "name": name,
            "device_type": name,
            "description": condition.reason or ("Emulator" if is_emulator else "QPU"),
            "status": "UP" if condition.status == ONLINE else "DOWN",
            "availability": "ACTIVE" if condition.accepts_jobs else "INACTIVE",
            "active": condition.accepts_jobs,
            "average_queue_time": waiting * _SECONDS_A_JOB,
            "max_atom_num": engine.known(self.devices[name]).num_qubits,
            "is_emulator": is_emulator,
            "bill_usage": not is_emulator,
            "channels": ["rydberg_global"],
            "allowed_result_types": ["counter", "raw"],
            "default_result_types": ["counter"],
        }

    def batch_document(
        self, batch: PasqalBatch, *, sequence: str | None = None, with_jobs: bool = False
    ) -> dict[str, Any]:
        """Return the document of a batch."""
        jobs = self.jobs_of(batch)
        status = self.status_of(batch)
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
            "project_id": self.auth.project_id,
            "user_id": self.auth.user_id,
            "priority": 0,
            "queue_priority": "MEDIUM",
            "job_ids": [job.id for job in jobs],
            "jobs_count": len(jobs),
            "jobs_count_per_status": self.counts(batch),
            "start_datetime": _time(batch.started),
            "end_datetime": _time(max(ends, default=batch.closed)) if is_over else None,
            "device_status": self.device_document(batch.resource)["status"],
            "parent_id": batch.parent_id,
            "webhook": batch.options.get("webhook"),
            "configuration": batch.options.get("configuration"),
            "backend_configuration": batch.options.get("backend_configuration"),
            "tags": batch.tags,
        }
        if sequence is not None:
            document["sequence_builder"] = sequence
        if with_jobs:
            document["jobs"] = [self.job_document(job) for job in jobs]
        return document

    def job_document(self, job: PasqalJob) -> dict[str, Any]:
        """Return the document of a job."""
        is_over = job.status in (TaskStatus.Failed, TaskStatus.Cancelled)
        return {
            "id": job.id,
            "batch_id": job.session,
            "project_id": self.auth.project_id,
            "status": self.status_name(job),
            "runs": int(job.argument),
            "created_at": _time(job.created),
            "updated_at": _time(job.finished or job.started or job.created),
            "start_timestamp": _time(job.started),
            "end_timestamp": _time(job.finished),
            "errors": [job.reason] if is_over and job.reason else None,
            "variables": job.variables,
            "parent_id": job.parent_id,
        }


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else utc(seconds).isoformat(timespec="microseconds")
