"""Driver for a QPU behind Warden: maps `Driver` calls to Warden's requests."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator, Mapping, Sequence

import attrs

from qrmi_core.plugin import (
    Acquires,
    CallTimeoutError,
    Driver,
    EnvVarNotSetError,
    InvalidResponseError,
    NotAcquiredError,
    Observation,
    PasqalCloud,
    QrmiError,
    ResourceCapacity,
    ResourceStatus,
    ResourceStatusCode,
    TaskInfo,
    TaskOptions,
    TaskStatus,
    missing_result,
    read_count,
    read_text,
    read_time,
)
from qrmi_pasqal.responses import observation
from qrmi_pasqal.sequence import read_sequence
from qrmi_pasqal.warden.api import WardenApi
from qrmi_pasqal.warden.settings import PasqalLocalSettings

_log = logging.getLogger(__name__)

_LOGS_SHOWN_CHARACTERS = 500
_LIST_BYTES_A_TASK = 10_000
"""Bytes of a list that are worth the request for one task."""


class PasqalLocalDriver(Driver[PasqalLocalSettings, PasqalCloud], Acquires):
    """A QPU on premises, reached through Warden.

    An acquisition is a session of Warden, opened by root for the user of a scheduler's job; a task
    is a job of that user, and its id Warden's number of it.
    """

    contract_version = 1
    settings_class = PasqalLocalSettings
    payloads = (PasqalCloud,)
    counts_slots = True

    def __init__(self, resource_id: str, resource_type: str, settings: PasqalLocalSettings) -> None:
        super().__init__(resource_id, resource_type, settings)
        self._api = WardenApi(settings)
        self._counts_slots = True
        self._list_bytes = 0.0

    def close(self) -> None:
        self._api.close()

    # The resource

    def status(self) -> ResourceStatus:
        report = self._api.accessible()
        accessible = report.get("is_accessible") is True
        return ResourceStatus(
            ResourceStatusCode.Online if accessible else ResourceStatusCode.Paused,
            status_reason=None if accessible else read_text(report.get("message")),
            capacity=self._capacity(),
        )

    def _capacity(self) -> ResourceCapacity | None:
        slots = self._api.slots() if self._counts_slots else None
        if slots is None:
            self._counts_slots = False
            return None
        free = read_count(slots.get("qpu_slots_available"))
        total = read_count(slots.get("qpu_slots_total"))
        return None if free is None or total is None else ResourceCapacity(free, total)

    def target(self) -> bytes:
        specs = self._api.specs()
        try:
            name = json.loads(specs)["name"]
        except (ValueError, RecursionError, LookupError, TypeError):
            raise InvalidResponseError(
                "GET /qpu/specs: the specs are not those of a device with a name, as JSON"
            ) from None
        return json.dumps([{"device_type": name, "specs": specs}]).encode()

    # Acquisition

    def acquire(self, *, detached: bool, slots: int | None) -> str:
        uid, job_id = self.settings.job_uid, self.settings.job_id
        slots = slots or self.settings.qpu_slots
        if uid is None or job_id is None:
            needed = {"QRMI_JOB_UID": uid, "QRMI_JOB_ID": job_id}
            missing = " and ".join(name for name, value in needed.items() if value is None)
            raise EnvVarNotSetError(
                f"settings: acquire needs {missing}, which the scheduler sets: the user and the "
                "job for which it acquires the resource"
            )
        session = self._api.open_session(uid, job_id, slots)
        if slots is not None and "qpu_slots" not in session:
            _log.warning(
                "%s: this Warden does not count slots; QRMI_WARDEN_QPU_SLOTS has no effect",
                self.resource_id,
            )
        return str(session["id"])

    def release(self, token: str, *, cancel_pending: bool) -> None:
        # Warden decides about queued jobs: early ones leave them, later ones cancel them.
        self._api.revoke_session(token)

    # Tasks

    def task_start(
        self,
        payload: PasqalCloud,
        *,
        submission: str,
        acquisition: str | None,
        options: TaskOptions,
    ) -> str:
        if acquisition is None:
            raise NotAcquiredError(
                "a task needs a session of Warden: run inside a job for which the scheduler has "
                f"acquired the resource ({self.resource_id}_QRMI_JOB_ACQUISITION_TOKEN), or "
                "acquire it first, which needs root"
            )
        sequence = read_sequence(payload)
        return self._api.start(acquisition, sequence.text, sequence.runs)

    def task_status(self, task_id: str) -> Observation:
        return observation(self._api.job(task_id))

    def task_statuses(self, task_ids: Sequence[str]) -> Mapping[str, Observation]:
        # The one list has all the user's jobs with their results: it can cost more than it saves.
        if self._list_bytes > _LIST_BYTES_A_TASK * len(task_ids):
            return {}
        try:
            listed = self._api.jobs(transfer=False)
            jobs = {str(job.get("id")): observation(job) for job in listed.items()}
        except (InvalidResponseError, CallTimeoutError):
            self._list_bytes = math.inf  # as a rule it is too large to be read
            return {}
        self._list_bytes = len(listed.content)
        return {task_id: jobs[task_id] for task_id in task_ids if task_id in jobs}

    def task_list(self) -> Iterator[TaskInfo]:
        listed = self._api.jobs(transfer=True).items()
        jobs = [job for job in listed if read_count(job.get("id")) is not None]
        for job in sorted(jobs, key=lambda job: int(job["id"]), reverse=True):
            status = observation(job).status
            yield TaskInfo(str(job["id"]), status, read_time(job.get("created_at")))

    def task_result(self, task_id: str) -> Iterator[bytes]:
        job = self._api.job(task_id)
        report, results = observation(job), job.get("results")
        if report.status is TaskStatus.Completed and isinstance(results, str):
            return iter((results.encode(),))
        if report.status is TaskStatus.Failed:
            report = attrs.evolve(report, reason=self._end_of_logs(task_id))
        raise missing_result(task_id, report, no_reason="Warden gives no reason")

    def _end_of_logs(self, task_id: str) -> str:
        """Return the end of the logs as the reason of a failure; a job itself has none."""
        try:
            logs = " ".join(self._api.logs(task_id).split())
        except QrmiError as error:
            return f"its logs could not be read: {error.message}"
        cut = "..." if len(logs) > _LOGS_SHOWN_CHARACTERS else ""
        return f"its logs: {cut}{logs[-_LOGS_SHOWN_CHARACTERS:]}"

    def task_stop(self, task_id: str) -> None:
        self._api.cancel(task_id)

    def task_logs(self, task_id: str) -> str:
        return self._api.logs(task_id)
