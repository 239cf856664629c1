"""Driver for Pasqal Cloud: maps `Driver` calls to requests of its API."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence as Ordered
from contextlib import closing, suppress
from typing import Any

import attrs

from qrmi_core.plugin import (
    FINAL,
    ConfigError,
    Discovers,
    Driver,
    InvalidInputError,
    InvalidResponseError,
    Lock,
    Observation,
    OpenBatches,
    PasqalCloud,
    QrmiError,
    ResourceInfo,
    ResourceNotFoundError,
    ResourceStatus,
    ResourceStatusCode,
    ServiceError,
    TaskInfo,
    TaskNotes,
    TaskNotFoundError,
    TaskOptions,
    TaskStatus,
    TaskUsage,
    UnsupportedFunctionError,
    missing_result,
    read_count,
    read_number,
    read_text,
    read_time,
)
from qrmi_pasqal.cloud.api import CloudApi
from qrmi_pasqal.cloud.results import read_result, result_text, several_jobs
from qrmi_pasqal.cloud.settings import IN_THE_FILE, PasqalCloudSettings
from qrmi_pasqal.responses import observation
from qrmi_pasqal.sequence import read_sequence

DEVICE_TYPES = (
    *("FRESNEL", "FRESNEL_CAN1", "FRESNEL_SA1", "FRESNEL8", "FRESNEL_RD"),
    *("EMU_FREE", "EMU_FRESNEL", "EMU_MPS", "EMU_SV", "EMU_TN", "EMU_C"),
)
"""Device types, for messages alone: the service decides."""

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NO_REASONS = {"CANCELED": "no result was kept", "TIMED_OUT": "its time was up"}
"""Reasons by the service's states, where the service gives none."""
_OPEN_BATCH = "qrmi-open-batch"
"""The tag of a batch that was left open: its one job, too, is a task of its own."""


class PasqalCloudDriver(Driver[PasqalCloudSettings, PasqalCloud], Discovers, OpenBatches):
    """A device of Pasqal Cloud.

    A task is a batch of one job, or a job of CUDA-Q. A batch carries a tag, by which a submission
    without a response is found again. Ids do not show which of the two a task is: the first poll
    requests a batch and, if it does not exist, a job of CUDA-Q, which is remembered to save a
    request.

    A task in a batch that was left open is one of its jobs, ``<batch>:<job>``.
    """

    contract_version = 1
    settings_class = PasqalCloudSettings
    payloads = (PasqalCloud,)
    task_options = frozenset({"tags"})

    def __init__(self, resource_id: str, resource_type: str, settings: PasqalCloudSettings) -> None:
        super().__init__(resource_id, resource_type, settings)
        self._api = CloudApi(settings)
        self._device_type = resource_id.upper()
        self._emulated = self._device_type.startswith("EMU_")
        self._cudaq: TaskNotes[None] = TaskNotes()
        self._untagged: TaskNotes[None] = TaskNotes()
        self._adding = Lock()

    def close(self) -> None:
        self._api.close()

    # The resource

    def status(self) -> ResourceStatus:
        for device in self._api.devices(self._device_type):
            if device.get("device_type", self._device_type) == self._device_type:
                return _resource_status(device)
        raise ResourceNotFoundError(f"Pasqal Cloud has no device {self._device_type}{self._hint()}")

    def target(self) -> bytes:
        if self._emulated:
            found = self._api.public_specs()
        else:
            try:
                specs = self._api.specs(self._device_type)
            except (InvalidInputError, ResourceNotFoundError) as error:
                error.message += self._hint()
                raise
            found = [{"device_type": self._device_type, **specs}]
        return json.dumps(found, separators=(",", ":")).encode()

    @classmethod
    def discover(
        cls, settings: PasqalCloudSettings, filters: Mapping[str, str]
    ) -> Iterable[ResourceInfo]:
        if settings.are_all_default():
            # No request for those who have nothing to do with Pasqal.
            raise ConfigError(
                "no setting of Pasqal Cloud is there: set PASQAL_USERNAME or "
                "QRMI_PASQAL_CLOUD_PROJECT_ID, which have no resource's id in front here, or put "
                f"them into {IN_THE_FILE}"
            )
        with closing(CloudApi(settings)) as api:
            found = [
                _info(device) for device in api.devices() if read_text(device.get("device_type"))
            ]
            if "max_shots" not in filters:
                return found
            shots = {
                entry.get("device_type"): _max_runs(entry.get("specs"))
                for entry in api.public_specs()
            }
            return [attrs.evolve(info, max_shots=shots.get(info.resource_id)) for info in found]

    def _hint(self) -> str:
        if self._device_type in DEVICE_TYPES:
            return ""
        return f"; device types are {', '.join(DEVICE_TYPES)}"

    # Tasks

    def task_start(
        self,
        payload: PasqalCloud,
        *,
        submission: str,
        acquisition: str | None,
        options: TaskOptions,
    ) -> str:
        project_id = self._project_id("task_start")
        sequence = read_sequence(payload, emulated=self._emulated)
        if sequence.is_cudaq and options.tags:
            raise UnsupportedFunctionError("jobs of CUDA-Q carry no tags")
        try:
            if not sequence.is_cudaq:
                tags = [_tag(submission), *options.tags]
                return self._api.create_batch(sequence, self._device_type, project_id, tags)
            task_id = self._api.create_cudaq(sequence, self._device_type, project_id)
        except QrmiError as error:
            if isinstance(error, InvalidInputError | ResourceNotFoundError):
                error.message += self._hint()
            if error.uncertain and sequence.is_cudaq:
                self._untagged[submission] = None
            raise
        self._cudaq[task_id] = None
        return task_id

    def find_submission(self, submission: str) -> str | None:
        if submission in self._untagged:
            raise UnsupportedFunctionError(
                "a job of CUDA-Q carries no tag, so it cannot be found again"
            )
        tag = _tag(submission)
        for batch in self._api.batches(self._project_id("find_submission"), tag=tag):
            if "tags" not in batch:
                raise InvalidResponseError("the list of batches does not include their tags")
            task_id = read_text(batch.get("id"))
            if task_id and tag in (batch["tags"] or ()):
                return task_id
        return None

    def task_status(self, task_id: str) -> Observation:
        return observation(self._found(task_id))

    def task_statuses(self, task_ids: Ordered[str]) -> Mapping[str, Observation]:
        # An id that is not a UUID could have the whole list refused. Jobs of CUDA-Q may be listed
        # as batches, too.
        batches = {id: id for id in task_ids if _UUID.fullmatch(id)}
        jobs = {_job_part(id): id for id in task_ids if _UUID.fullmatch(_job_part(id))}
        reports: dict[str, Observation] = {}
        try:
            for path, wanted in (("/v1/batches", batches), ("/v2/jobs", jobs)):
                for entry in self._api.found(path, list(wanted)):
                    report = observation(entry)
                    if report.raw and (task_id := wanted.get(str(entry.get("id")))):
                        reports[task_id] = report
        except (InvalidInputError, ServiceError) as error:
            # A service that refuses the list is polled for each task alone.
            if error.retryable or isinstance(error, InvalidResponseError):
                raise
        return reports

    def task_list(self) -> Iterable[TaskInfo]:
        batches = self._api.batches(self._project_id("task_list"), device_type=self._device_type)
        found = [
            TaskInfo(task_id, observation(batch).status, read_time(batch.get("created_at")))
            for batch in batches
            if (task_id := read_text(batch.get("id")))
        ]
        # The service promises no order.
        return sorted(
            found, key=lambda info: info.created_at.timestamp() if info.created_at else 0.0
        )[::-1]

    def task_result(self, task_id: str) -> Iterator[bytes]:
        result = None
        job_id = _job_part(task_id)
        if job_id:
            # Not with those of the other jobs of its batch.
            result = self._linked_result(job_id)
        elif task_id not in self._cudaq:
            # A 404: it is a job of CUDA-Q; or the route, which is not documented, has gone.
            with suppress(TaskNotFoundError):
                result = read_result(self._api.full_results(task_id), "data")
        if result is not None:
            return result
        found = self._found(task_id)
        report = observation(found)
        if report.status is TaskStatus.Completed and not job_id:
            result = self._second_source(task_id, found)
            if result is not None:
                return result
        if report.status in (TaskStatus.Failed, TaskStatus.Cancelled):
            reason = "; ".join(_errors(self._job_of(task_id, found)))
            report = attrs.evolve(report, reason=reason, code=report.raw)
        no_reason = _NO_REASONS.get(report.raw or "", "the service gives no reason")
        raise missing_result(task_id, report, no_reason=no_reason)

    def task_stop(self, task_id: str) -> None:
        try:
            if job_id := _job_part(task_id):
                self._api.cancel_job(job_id)
            else:
                self._api.cancel_batch(task_id)
        except QrmiError as error:
            if error.status_code not in (400, 404, 409, 422):
                raise
            found = self._found(task_id)
            if observation(found).status in FINAL:
                return
            if task_id not in self._cudaq:
                raise
            batch_id = read_text(found.get("batch_id"))
            if batch_id is None or batch_id == task_id:
                raise UnsupportedFunctionError(
                    "Pasqal Cloud does not cancel this job of CUDA-Q"
                ) from error
            self._api.cancel_batch(batch_id)

    def task_logs(self, task_id: str) -> str:
        job = self._job_of(task_id, self._found(task_id))
        return "".join(f"{line}\n" for line in _errors(job))

    def task_usage(self, task_id: str) -> TaskUsage:
        found = self._found(task_id)
        job = self._job_of(task_id, found)
        return TaskUsage(
            created_at=read_time(job.get("created_at", found.get("created_at"))),
            started_at=read_time(job.get("start_timestamp") or found.get("start_datetime")),
            finished_at=read_time(job.get("end_timestamp") or found.get("end_datetime")),
        )

    def task_input(self, task_id: str) -> bytes:
        found = self._found(task_id)
        text = read_text(found.get("sequence" if _job_part(task_id) else "sequence_builder"))
        if text is None:
            raise UnsupportedFunctionError(
                f"Pasqal Cloud does not return the sequence of task {task_id}"
            )
        return text.encode()

    # Batches that are left open

    def batch_open(self) -> str:
        project_id = self._project_id("batch_open")
        return self._api.open_batch(self._device_type, project_id, _OPEN_BATCH)

    def batch_add(self, batch_id: str, payloads: Ordered[PasqalCloud]) -> list[str]:
        jobs = [read_sequence(payload, emulated=self._emulated) for payload in payloads]
        if any(sequence.is_cudaq for sequence in jobs):
            raise UnsupportedFunctionError("programs of CUDA-Q cannot share a batch")
        # The response does not show which jobs are the new ones.
        with self._adding:
            known = set(self._api.job_ids(batch_id))
            self._api.add_jobs(batch_id, jobs)
            try:
                new = [each for each in self._api.job_ids(batch_id) if each not in known]
            except QrmiError as error:
                error.uncertain = True
                raise
        if len(new) != len(jobs):
            raise InvalidResponseError(
                f"{len(jobs)} jobs were added to the batch, and {len(new)} are new in it",
                uncertain=True,
            )
        return [f"{batch_id}:{job_id}" for job_id in new]

    def batch_close(self, batch_id: str) -> None:
        self._api.close_batch(batch_id)

    def batch_tasks(self, batch_id: str) -> list[str]:
        batch = self._api.batch(batch_id)
        if _OPEN_BATCH not in (batch.get("tags") or ()) and len(batch.get("job_ids") or ()) == 1:
            return [batch_id]
        return [f"{batch_id}:{job_id}" for job_id in self._api.job_ids(batch_id)]

    def _project_id(self, operation: str) -> str:
        if self.settings.project_id is None:
            raise ConfigError(
                f"{operation} needs the project: set QRMI_PASQAL_CLOUD_PROJECT_ID, or project_id "
                f"in {IN_THE_FILE}"
            )
        return self.settings.project_id

    def _found(self, task_id: str) -> dict[str, Any]:
        """Return the batch or job of a task, or its job of CUDA-Q."""
        if job_id := _job_part(task_id):
            return self._api.job(job_id)
        if task_id not in self._cudaq:
            with suppress(TaskNotFoundError):
                return self._api.batch(task_id)
        job = self._api.cudaq_job(task_id)
        self._cudaq[task_id] = None
        return job

    def _job_of(self, task_id: str, found: dict[str, Any]) -> dict[str, Any]:
        """Return the one job of a batch; a job, or a batch without one, is returned as it is."""
        is_job = _job_part(task_id) or task_id in self._cudaq
        job_id = None if is_job else _job_id(found)
        return found if job_id is None else self._api.job(job_id)

    def _linked_result(self, job_id: str) -> Iterator[bytes] | None:
        response = self._api.result_file(job_id)
        return None if response is None else read_result(response)

    def _second_source(self, task_id: str, found: dict[str, Any]) -> Iterator[bytes] | None:
        """Return the result of a task that has ended from where else it may be."""
        if task_id not in self._cudaq:
            job_id = _job_id(found)
            if job_id and (result := self._linked_result(job_id)):
                return result
            # A job of CUDA-Q may be listed as a batch too.
            try:
                found = self._api.cudaq_job(task_id)
            except TaskNotFoundError:
                return None
        text = result_text(found.get("result"))
        return None if text is None else iter((text,))


def _job_part(task_id: str) -> str:
    """Return the job in the id of a task in an open batch; empty for other tasks."""
    return task_id.partition(":")[2]


def _tag(submission: str) -> str:
    return f"qrmi-{submission}"


def _job_id(batch: dict[str, Any]) -> str | None:
    match batch.get("job_ids"):
        case [str(job_id)]:
            return job_id
        case [_, _, *_] as several:
            raise several_jobs(len(several))
    return None


def _errors(job: dict[str, Any]) -> list[str]:
    found = job.get("errors")
    return [str(line) for line in found] if isinstance(found, list) else []


def _resource_status(device: dict[str, Any]) -> ResourceStatus:
    availability = read_text(device.get("availability")) or "unknown"
    queue_time = read_number(device.get("average_queue_time"))
    online = availability.upper() == "ACTIVE"
    down = str(device.get("status", "UP")).upper() == "DOWN"
    reasons = [] if online else [f"its availability is {availability}"]
    if down:
        reasons.append("the device is down; tasks are queued" if online else "the device is down")
    if queue_time:
        reasons.append(f"average queue time: {device['average_queue_time']}")
    return ResourceStatus(
        ResourceStatusCode.Online if online else ResourceStatusCode.Offline,
        status_reason="; ".join(reasons) or None,
        healthy=not down if "status" in device else None,
        busy=None if queue_time is None else online and queue_time > 0,
    )


def _info(device: dict[str, Any]) -> ResourceInfo:
    emulator = device.get("is_emulator")
    return ResourceInfo(
        resource_id=str(device["device_type"]),
        num_qubits=read_count(device.get("max_atom_num")),
        is_simulator=emulator if isinstance(emulator, bool) else None,
        status=_resource_status(device).status,
    )


def _max_runs(specs: object) -> int | None:
    try:
        return read_count(json.loads(specs)["max_runs"])  # type: ignore[arg-type]
    except (ValueError, RecursionError, LookupError, TypeError):
        return None
