"""Driver for a QPU behind Warden: maps `Driver` calls to Warden's requests."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

from qrmi_core.plugin import (
    Acquires,
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
    TaskCancelledError,
    TaskFailedError,
    TaskInfo,
    TaskNotReadyError,
    TaskOptions,
    TaskStatus,
    read_time as to_time,
)
from qrmi_pasqal.sequence import read_sequence
from qrmi_pasqal.warden.api import WardenApi
from qrmi_pasqal.warden.settings import PasqalLocalSettings

_log = logging.getLogger(__name__)

_STATES = {
    "PENDING": TaskStatus.Queued,
    "RUNNING": TaskStatus.Running,
    "DONE": TaskStatus.Completed,
    "ERROR": TaskStatus.Failed,
    "CANCELED": TaskStatus.Cancelled,
}
_LOGS_SHOWN_CHARACTERS = 500


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

    def close(self) -> None:
        self._api.close()

    # The resource

    def status(self) -> ResourceStatus:
        told = self._api.accessible()
        open_to_all = told.get("is_accessible") is True
        message = told.get("message")
        return ResourceStatus(
            ResourceStatusCode.Online if open_to_all else ResourceStatusCode.Paused,
            status_reason=message if isinstance(message, str) and not open_to_all else None,
            capacity=self._capacity(),
        )

    def _capacity(self) -> ResourceCapacity | None:
        slots = self._api.slots() if self._counts_slots else None
        if slots is None:
            self._counts_slots = False
            return None
        free, total = slots.get("qpu_slots_available"), slots.get("qpu_slots_total")
        if isinstance(free, int) and isinstance(total, int):
            return ResourceCapacity(available_slots=free, max_slots=total)
        return None

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
        session_id = session["id"]
        assert isinstance(session_id, str)
        return session_id

    def release(self, token: str, *, cancel_pending: bool) -> None:
        # Whether what is queued is cancelled is Warden's decision: early ones leave it, later ones
        # cancel it.
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
        sequence.check_runs(payload.job_runs)
        return self._api.start(acquisition, sequence.text, payload.job_runs)

    def task_status(self, task_id: str) -> Observation:
        return _observation(self._api.job(task_id))

    def task_list(self) -> Iterator[TaskInfo]:
        for job in sorted(self._api.jobs(), key=_number, reverse=True):
            if _number(job) >= 0:
                status = _observation(job).status
                yield TaskInfo(str(job["id"]), status, to_time(job.get("created_at")))

    def task_result(self, task_id: str) -> Iterator[bytes]:
        job = self._api.job(task_id)
        seen = _observation(job)
        match seen.status:
            case TaskStatus.Completed:
                results = job.get("results")
                if not isinstance(results, str):
                    raise TaskNotReadyError(f"task {task_id} has ended without a result until now")
                yield results.encode()
            case TaskStatus.Failed:
                raise TaskFailedError(f"task {task_id} failed; {self._logs_of(task_id)}")
            case TaskStatus.Cancelled:
                raise TaskCancelledError(f"task {task_id} was cancelled")
            case _:
                raise TaskNotReadyError(f"task {task_id} has no result yet; it is {seen.raw}")

    def _logs_of(self, task_id: str) -> str:
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


def _observation(job: dict[str, Any]) -> Observation:
    word = str(job.get("status"))
    return Observation(_STATES.get(word.upper()), raw=word)


def _number(job: dict[str, Any]) -> int:
    number = job.get("id")
    return number if isinstance(number, int) and not isinstance(number, bool) else -1
