"""Driver for IBM Quantum: maps `Driver` calls to Runtime API requests."""

from __future__ import annotations

import hashlib
import itertools
import logging
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import attrs

from qrmi_core.plugin import (
    Acquires,
    AcquisitionUsage,
    Discovers,
    Driver,
    InvalidInputError,
    NotAcquiredError,
    Observation,
    PermissionDeniedError,
    QiskitPrimitive,
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
    conditions,
    join_documents,
    missing_result,
    read_count,
    read_number,
    read_object,
    read_text,
    read_time,
    recast,
)
from qrmi_ibm_common.primitives import read_input
from qrmi_ibm_common.states import availability, observation
from qrmi_ibm_runtime.api import NO_SESSIONS, PAGE, RuntimeApi
from qrmi_ibm_runtime.settings import MAX_COST_SECONDS, RuntimeSettings, checked_tags

_log = logging.getLogger(__name__)

_LEAST_SESSION_SECONDS = 60.0


_PROCESS = os.urandom(16).hex()
_started: TaskNotes[str] = TaskNotes()
"""The tasks that this process has started, each with the tag of its group."""


def _stretches(offsets: Iterable[int]) -> int:
    """Return the number of pages that hold all of these offsets, which rise."""
    number, end = 0, -1
    for offset in offsets:
        if offset >= end:
            number, end = number + 1, offset + PAGE
    return number


class RuntimeDriver(Driver[RuntimeSettings, QiskitPrimitive], Acquires, Discovers):
    """A backend of IBM Quantum.

    A task is a job with two tags: its own, by which a submission without a response is found
    again, and that of all tasks which this process has started here, to poll them together.
    """

    contract_version = 1
    settings_class = RuntimeSettings
    payloads = (QiskitPrimitive,)
    task_options = frozenset({"tags", "max_seconds"})

    def __init__(self, resource_id: str, resource_type: str, settings: RuntimeSettings) -> None:
        super().__init__(resource_id, resource_type, settings)
        self._api = RuntimeApi(settings)
        self._has_sessions = settings.session_mode != "job"
        self._session = settings.session_id if self._has_sessions else None

    def supports(self, capability: type[Any]) -> bool:
        return super().supports(capability) and (self._has_sessions or capability is not Acquires)

    def close(self) -> None:
        self._api.close()

    # The resource

    def metadata(self) -> Mapping[str, str]:
        scheduler = self.settings.acquisition_token if self._has_sessions else None
        session = self._session or scheduler
        return {"session_id": session} if session else {}

    def status(self) -> ResourceStatus:
        devices = self._api.backends()
        for device in devices:
            if device.get("name") == self.resource_id:
                info = _info(device)
                return ResourceStatus(
                    ResourceStatusCode.Paused if info.status is None else info.status,
                    status_reason=read_text(read_object(device, "status").get("reason")),
                    pending_job_count=info.pending_job_count,
                )
        raise ResourceNotFoundError(
            f"the instance has no backend {self.resource_id}, but "
            f"{', '.join(str(device.get('name')) for device in devices) or 'none at all'}"
        )

    def target(self) -> bytes:
        return join_documents(
            configuration=self._api.configuration(self.resource_id),
            properties=self._api.properties(self.resource_id),
        )

    @classmethod
    def discover(
        cls, settings: RuntimeSettings, filters: Mapping[str, str]
    ) -> Iterable[ResourceInfo]:
        with closing(RuntimeApi(settings)) as api:
            found = [_info(device) for device in api.backends() if read_text(device.get("name"))]
            if "max_shots" not in filters:
                return found
            # Only the configurations have it, a request each: not for what is not wanted anyway.
            others = conditions({key: text for key, text in filters.items() if key != "max_shots"})
            wanted = [info for info in found if all(passes(info) for passes in others)]
            return [_with_max_shots(api, info) for info in wanted]

    # Acquisition

    def acquire(self, *, detached: bool, slots: int | None) -> str:
        known = self._session
        if known is not None:
            if _usable(self._api.session(known), self.resource_id):
                return known
            _log.warning("session %s has ended or is unknown; a new one is opened", known)
        mode = self.settings.session_mode
        try:
            session = self._open("dedicated" if mode == "auto" else mode)
        except PermissionDeniedError as error:
            if error.vendor_code != NO_SESSIONS or mode != "auto":
                raise
            _log.info("the plan has no dedicated sessions; a batch is opened")
            session = self._open("batch")
        self._session = session
        return session

    def release(self, token: str, *, cancel_pending: bool) -> None:
        self._api.close_session(token, cancel=cancel_pending)
        if self._session == token:
            self._session = None

    def acquisition_usage(self, token: str) -> AcquisitionUsage:
        used = [
            _quantum_seconds(read_object(job, "usage"))
            for job in self._api.jobs(self.resource_id, session=token)
        ]
        known = [seconds for seconds in used if seconds is not None]
        # Half a sum would pass for the whole.
        return AcquisitionUsage(len(used), sum(known, 0.0) if len(known) == len(used) else None)

    def _open(self, mode: str) -> str:
        try:
            return self._api.open_session(
                self.resource_id, mode, self.settings.session_max_ttl_seconds
            )
        except PermissionDeniedError as error:
            if error.vendor_code == NO_SESSIONS:
                instead = "batch or job" if mode == "dedicated" else "job"
                error.message += (
                    f"; the account's plan cannot open a {mode} session: set SESSION_MODE "
                    f"(QRMI_IBM_QCS_SESSION_MODE) to {instead}"
                )
            raise

    # Tasks

    def task_start(
        self,
        payload: QiskitPrimitive,
        *,
        submission: str,
        acquisition: str | None,
        options: TaskOptions,
    ) -> str:
        settings = self.settings
        limit = settings.timeout_seconds or settings.job_timeout_seconds
        if options.max_seconds is not None:
            limit = math.ceil(options.max_seconds)
        session = self._session_for(acquisition)
        optional = {
            "cost": min(limit, MAX_COST_SECONDS) if limit else None,
            "session_id": session,
            "calibration_id": settings.calibration_id,
            "private": settings.private or None,
        }
        program_id, params = read_input(
            payload, resource_id=self.resource_id, submission=_tag(submission)
        )
        fields = {
            "program_id": program_id,
            "backend": self.resource_id,
            "tags": [_tag(submission), self._group(), *self._tags(options)],
            "log_level": settings.log_level,
            **{name: value for name, value in optional.items() if value is not None},
        }
        try:
            task_id = self._api.start(fields, params)
        except NotAcquiredError as error:
            if session is None:
                raise recast(error, ServiceError) from error
            error.message = f"session {session} is closed: {error.message}; acquire again"
            raise
        except ResourceNotFoundError as error:
            # 404 also means that the backend is unknown.
            if session is None or "session" not in error.message.lower():
                raise
            advice = f"the service does not know session {session}; acquire again"
            raise recast(error, NotAcquiredError, advice) from error
        _started[task_id] = self._group()
        return task_id

    def _tags(self, options: TaskOptions) -> tuple[str, ...]:
        """Return the user's tags of a task.

        Raises:
            InvalidInputError: The service would refuse them.
        """
        try:
            return checked_tags((*self.settings.tags, *options.tags))
        except ValueError as error:
            raise InvalidInputError(f"the tags of a task are {error}") from None

    def _group(self) -> str:
        """Return the tag of this process's tasks here, the same for all objects for the backend."""
        # A forked child does not go on with the group of its parent.
        process = f"{_PROCESS} {os.getpid()}"
        backend = f"{self.settings.endpoint} {self.settings.service_crn} {self.resource_id}"
        return f"qrmi-group-{hashlib.sha256(f'{process} {backend}'.encode()).hexdigest()[:32]}"

    def _session_for(self, acquisition: str | None) -> str | None:
        """Return the session to submit into, None in job mode.

        It is the one acquired here, else the one of the settings, else the scheduler's.
        """
        if not self._has_sessions:
            return None
        if acquisition is not None and acquisition != self.settings.acquisition_token:
            return acquisition
        return self.settings.session_id or acquisition

    def find_submission(self, submission: str) -> str | None:
        tag = _tag(submission)
        for job in itertools.islice(self._api.jobs(self.resource_id, tag), PAGE):
            task_id = read_text(job.get("id"))
            if task_id and tag in (job.get("tags") or ()):
                _started[task_id] = self._group()
                return task_id
        return None

    def task_status(self, task_id: str) -> Observation:
        return _observation(self._api.job(task_id))

    def task_statuses(self, task_ids: Sequence[str]) -> Mapping[str, Observation]:
        # Those in the group, in as few pages of its list as hold them.
        found: dict[str, Observation] = {}
        wanted = set(task_ids)
        group = self._group()
        newest_first = [id for id, tag in reversed(_started.items()) if tag == group]
        waiting = {id: offset for offset, id in enumerate(newest_first) if id in wanted}
        pages = -(-len(waiting) // PAGE)
        if _stretches(waiting.values()) > pages:
            # Those between have ended, as a rule.
            jobs = self._api.jobs(self.resource_id, group, pending=True)
            for job in itertools.islice(jobs, pages * PAGE):
                if (task_id := read_text(job.get("id"))) in waiting:
                    found[task_id] = _observation(job)
                    del waiting[task_id]
        shift = 0  # jobs were deleted, or another thread's came between
        while waiting:
            first, offset = next(iter(waiting.items()))
            start, known_shift = max(offset + shift, 0), shift
            page, _ = self._api.page(self.resource_id, group, start)
            for place, job in enumerate(page, start):
                task_id = read_text(job.get("id"))
                if task_id in waiting:
                    found[task_id] = _observation(job)
                    shift = place - waiting.pop(task_id)
            if shift == known_shift:
                waiting.pop(first, None)  # not in the list: it is polled alone
        return found

    def task_list(self) -> Iterator[TaskInfo]:
        for job in self._api.jobs(self.resource_id):
            if task_id := read_text(job.get("id")):
                yield TaskInfo(task_id, _observation(job).status, read_time(job.get("created")))

    def task_result(self, task_id: str) -> Iterator[bytes]:
        empty = True
        try:
            for piece in self._api.result(task_id):
                empty = False
                yield piece
        except TaskNotFoundError:
            pass  # or there is no result: the job's state shows which
        except QrmiError as error:
            # The service has deleted it after this read.
            error.retryable &= not self.settings.private
            raise
        if empty:
            job = self._api.job(task_id)
            report = _observation(job)
            private = job.get("private", self.settings.private) is True
            if report.status is TaskStatus.Completed and private:
                raise ServiceError(
                    f"task {task_id} is private: its result was deleted after it was read",
                    retryable=False,
                )
            raise missing_result(task_id, report)

    def task_stop(self, task_id: str) -> None:
        self._api.cancel(task_id)

    def task_logs(self, task_id: str) -> str:
        return self._api.logs(task_id)

    def task_usage(self, task_id: str) -> TaskUsage:
        metrics = self._api.metrics(task_id)
        times, usage = read_object(metrics, "timestamps"), read_object(metrics, "usage")
        return TaskUsage(
            quantum_seconds=_quantum_seconds(usage, read_object(metrics, "bss").get("seconds")),
            created_at=read_time(times.get("created")),
            started_at=read_time(times.get("running")),
            finished_at=read_time(times.get("finished")),
        )


def _tag(submission: str) -> str:
    return f"qrmi-{submission}"


def _quantum_seconds(usage: dict[str, Any], otherwise: object = None) -> float | None:
    """Return the quantum seconds of any version of the API, None if not reported."""
    values = (usage.get("qpu_charge_time_seconds"), usage.get("quantum_seconds"), otherwise)
    return next((found for value in values if (found := read_number(value)) is not None), None)


def _observation(job: dict[str, Any]) -> Observation:
    state = read_object(job, "state")
    return observation(
        read_text(job.get("status")) or read_text(state.get("status")),
        reason=read_text(state.get("reason")),
        solution=read_text(state.get("reason_solution")),
        code=read_text(state.get("reason_code", state.get("reasonCode"))),
    )


def _info(device: dict[str, Any]) -> ResourceInfo:
    return ResourceInfo(
        resource_id=read_text(device.get("name")) or "",
        num_qubits=read_count(device.get("qubits")),
        is_simulator=device.get("is_simulator") is True,
        status=availability(read_text(read_object(device, "status").get("name"))),
        pending_job_count=read_count(device.get("queue_length")),
    )


def _with_max_shots(api: RuntimeApi, info: ResourceInfo) -> ResourceInfo:
    try:
        configuration = api.configuration(info.resource_id).object()
    except ResourceNotFoundError:
        return info  # listed, but not open to this instance
    return attrs.evolve(info, max_shots=read_count(configuration.get("max_shots")))


def _usable(session: dict[str, Any] | None, backend: str) -> bool:
    """Return True if a session accepts jobs for the backend, and will do so for some time."""
    if session is None:
        return False
    left, whole = read_number(session.get("active_ttl")), read_number(session.get("max_ttl"))
    least = max(_LEAST_SESSION_SECONDS, (whole or 0.0) * 0.01)
    return (
        session.get("state") not in ("closed", "pending_closed")
        and session.get("accepting_jobs") is not False
        and session.get("backend_name") in (None, backend)
        and (left is None or left > least)
    )
