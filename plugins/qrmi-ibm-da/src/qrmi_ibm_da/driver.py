"""Driver for IBM Direct Access: maps `Driver` calls to requests to an on-premises system."""

from __future__ import annotations

import functools
import logging
import math
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import attrs

from qrmi_core.plugin import (
    ChoosesIds,
    Deadline,
    Discovers,
    Driver,
    InvalidResponseError,
    Observation,
    Prepares,
    QiskitPrimitive,
    QrmiError,
    ResourceBusyError,
    ResourceCapacity,
    ResourceInfo,
    ResourceStatus,
    ResourceStatusCode,
    ServiceError,
    TaskInfo,
    TaskNotes,
    TaskNotFoundError,
    TaskNotReadyError,
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
    within,
)
from qrmi_ibm_common.primitives import read_input
from qrmi_ibm_common.states import availability, observation
from qrmi_ibm_da.api import DUPLICATE, SystemApi
from qrmi_ibm_da.settings import SystemSettings
from qrmi_ibm_da.storage import Store, may_be_missing

_log = logging.getLogger(__name__)

_PROGRAMS = ("sampler", "estimator", "executor")
_CLEANUP_SECONDS = 5.0


class SystemDriver(Driver[SystemSettings, QiskitPrimitive], ChoosesIds, Discovers, Prepares):
    """A backend of an on-premises quantum computer.

    A task consists of a job, whose id is derived from the submission's tag, and three objects in a
    bucket, named after the job. The input stays there while its submission is retried, and is
    deleted when the submission is refused.
    """

    contract_version = 1
    settings_class = SystemSettings
    payloads = (QiskitPrimitive,)
    task_options = frozenset({"max_seconds"})

    def __init__(self, resource_id: str, resource_type: str, settings: SystemSettings) -> None:
        super().__init__(resource_id, resource_type, settings)
        self._api = SystemApi(settings)
        # Submissions with an input in the bucket; True if the job may exist too.
        self._unsettled: TaskNotes[bool] = TaskNotes()
        # Tasks cancelled here, and deleted from the service.
        self._cancelled: TaskNotes[None] = TaskNotes()
        # Tasks submitted here; True if their end was fully reported, so that they only hold a lane.
        self._reported: TaskNotes[bool] = TaskNotes()

    @property
    def _store(self) -> Store:
        """The bucket; cheap to create, since it uses the connections of the API's client."""
        return Store(self.settings, self._api.http)

    def close(self) -> None:
        self._api.close()

    # The resource

    def status(self) -> ResourceStatus:
        backend = self._api.backend(self.resource_id)
        lanes = self._api.lanes(self.resource_id)
        taken = sum(job.get("backend") == self.resource_id for job in self._api.jobs())
        total = read_count(read_object(lanes or {}, "hpc_workload_manager").get("lanes"))
        return ResourceStatus(
            _availability(backend),
            status_reason=read_text(backend.get("message")),
            busy=backend.get("locked") is True,
            capacity=None if total is None else ResourceCapacity(max(total - taken, 0), total),
        )

    def target(self) -> bytes:
        return join_documents(
            configuration=self._api.configuration(self.resource_id),
            properties=self._api.properties(self.resource_id),
        )

    @classmethod
    def discover(
        cls, settings: SystemSettings, filters: Mapping[str, str]
    ) -> Iterable[ResourceInfo]:
        # The list of backends has only these; each configuration costs another request.
        first = conditions({key: filters[key] for key in ("name", "status") if key in filters})
        with closing(SystemApi(settings)) as api:
            listed = [
                ResourceInfo(name, status=_availability(backend))
                for backend in api.backends()
                if (name := read_text(backend.get("name")))
            ]
            return [_described(api, info) for info in listed if all(it(info) for it in first)]

    # Tasks

    def task_start(
        self,
        payload: QiskitPrimitive,
        *,
        submission: str,
        acquisition: str | None,
        options: TaskOptions,
    ) -> str:
        task_id = str(uuid.UUID(submission))
        asked = options.max_seconds
        limit = self.settings.task_seconds() if asked is None else math.ceil(asked)
        url_seconds = self.settings.url_seconds(limit)
        program_id, content = read_input(
            payload, resource_id=self.resource_id, submission=task_id, programs=_PROGRAMS
        )
        doubtful = self._unsettled.get(submission)
        if doubtful is None:
            self._unsettled[submission] = False
            try:
                self._store.put(_key("input", task_id), content)
            except BaseException:
                # The object may have been stored nevertheless.
                self.give_up(submission)
                raise
        del content  # It may be large, and is not needed while the service is working.
        self._unsettled[submission] = True  # until the response is there
        try:
            # URLs are signed anew for each attempt.
            self._api.start(
                functools.partial(self._document, task_id, program_id, limit, url_seconds)
            )
        except QrmiError as error:
            if error.uncertain:
                raise
            if error.vendor_code == DUPLICATE:
                # Nobody else can have this id: an earlier attempt succeeded.
                _log.info("task %s was submitted before", task_id)
            elif doubtful:
                # The submitted job itself may have taken the last lane, hence the refusal.
                if not self._exists(task_id):
                    raise
                _log.warning("task %s was submitted by an attempt without a response", task_id)
            else:
                self._unsettled[submission] = False
                if not isinstance(error, ResourceBusyError):
                    self.give_up(submission)
                raise
        self._unsettled.pop(submission)
        self._reported[task_id] = False
        return task_id

    def make_room(self, busy: ResourceBusyError) -> bool:
        # Free a lane: delete one task whose end was reported.
        if busy.status_code != 429:
            return False
        for task_id in [known for known, reported in self._reported.items() if reported]:
            if self._reported.pop(task_id) and self._free_lane(task_id):
                _log.info("task %s was deleted, since every lane was taken", task_id)
                return True
        return False

    def give_up(self, submission: str) -> None:
        # The job may exist nevertheless, and then it needs its input.
        if self._unsettled.pop(submission) is not False:
            return
        key = _key("input", str(uuid.UUID(submission)))
        try:
            with within(Deadline(_CLEANUP_SECONDS), extend=True):
                self._store.delete(key)
        except QrmiError as error:
            _log.warning("%s, which has no task, may still be in the bucket: %s", key, error)

    def _document(
        self, task_id: str, program_id: str, limit: int, url_seconds: int
    ) -> dict[str, Any]:
        """Return the description of a job, with freshly signed URLs."""
        store = self._store
        return {
            "id": task_id,
            "backend": self.resource_id,
            "program_id": program_id,
            "log_level": self.settings.log_level,
            "timeout_secs": limit,
            "storage": {
                kind: {
                    "type": "s3_compatible",
                    "presigned_url": store.service_url(method, _key(kind, task_id), url_seconds),
                }
                for kind, method in (("input", "GET"), ("results", "PUT"), ("logs", "PUT"))
            },
        }

    def _exists(self, task_id: str) -> bool:
        try:
            self._api.job(task_id)
        except TaskNotFoundError:
            return False
        except QrmiError as error:
            error.uncertain = True
            raise
        return True

    def task_status(self, task_id: str) -> Observation:
        try:
            return self._noted(task_id, self._api.job(task_id))
        except TaskNotFoundError:
            if task_id in self._cancelled:
                return _CANCELLED
            raise

    def _noted(self, task_id: str, job: dict[str, Any]) -> Observation:
        report = _observation(job)
        # A task without a result needs only its lane.
        without_result = report.status in (TaskStatus.Failed, TaskStatus.Cancelled)
        if without_result and task_id in self._reported:
            self._reported[task_id] = True
        return report

    def task_statuses(self, task_ids: Sequence[str]) -> Mapping[str, Observation]:
        wanted = set(task_ids)
        found = dict.fromkeys(wanted.intersection(self._cancelled), _CANCELLED)
        for job in self._api.jobs():
            if job.get("id") in wanted:
                found[job["id"]] = self._noted(job["id"], job)
        return found

    def task_list(self) -> Iterable[TaskInfo]:
        found = [
            TaskInfo(task_id, _observation(job).status, read_time(job.get("created_time")))
            for job in self._api.jobs()
            if job.get("backend") == self.resource_id and (task_id := read_text(job.get("id")))
        ]
        return sorted(
            found,
            key=lambda info: info.created_at.timestamp() if info.created_at else 0.0,
            reverse=True,
        )

    def task_result(self, task_id: str) -> Iterator[bytes]:
        try:
            yield from self._store.get(_key("results", task_id))
        except QrmiError as error:
            if not may_be_missing(error):
                raise
            report = self.task_status(task_id)
            if report.status is not TaskStatus.Completed:
                raise missing_result(task_id, report) from error
            error.message += (
                "; the task has completed, so its result was removed, or the service could not "
                "write it: see the task's logs"
            )
            raise
        if self.settings.delete_finished:
            self._free_lane(task_id)
        elif task_id in self._reported:
            self._reported[task_id] = True

    def _free_lane(self, task_id: str) -> bool:
        try:
            return self._api.delete(task_id)
        except TaskNotFoundError:
            return True
        except QrmiError as error:
            _log.warning("task %s has ended and still holds its lane: %s", task_id, error)
            return False

    def task_stop(self, task_id: str) -> None:
        kinds = ("input", "results", "logs") if self.settings.delete_objects else ()
        keys = [_key(kind, task_id) for kind in kinds]
        try:
            self._cancel_and_delete(task_id)
        except TaskNotFoundError:
            _log.info("task %s does not exist (any more), so it need not be stopped", task_id)
        self._reported.pop(task_id)
        for key in keys:
            self._store.delete(key)

    def _cancel_and_delete(self, task_id: str) -> None:
        refusal: QrmiError | None = None
        cancelled: bool | None = False
        try:
            cancelled = self._api.cancel(task_id)
        except QrmiError as error:
            error.message = (
                f"the task could not be cancelled, and still holds its lane: {error.message}"
            )
            if error.status_code != 409:
                raise
            refusal = error  # which does not matter if it can be deleted
        if cancelled or (cancelled is None and self._is_cancelled(task_id)):
            self._cancelled[task_id] = None
        try:
            if self._api.delete(task_id):
                return
        except QrmiError as error:
            if refusal is None or isinstance(error, TaskNotFoundError):
                raise
            _log.info("task %s cannot be deleted either: %s", task_id, error)
        if refusal:
            raise refusal
        known = task_id in self._cancelled
        what = "was cancelled, but runs on for now" if known else "has not quite ended yet"
        raise TaskNotReadyError(
            f"task {task_id} {what} and so cannot be deleted: "
            "it holds its lane until task_stop is called again",
            status_code=409,
        )

    def _is_cancelled(self, task_id: str) -> bool:
        """Return True if a job that has ended was cancelled, False if this is unknown."""
        try:
            return _observation(self._api.job(task_id)).status is TaskStatus.Cancelled
        except TaskNotFoundError:
            raise
        except QrmiError as error:
            _log.warning("how task %s ended is not known: %s", task_id, error)
            return False

    def task_logs(self, task_id: str) -> str:
        try:
            return self._store.read(_key("logs", task_id)).decode("utf-8", "replace")
        except QrmiError as error:
            if not may_be_missing(error):
                raise
            status = self.task_status(task_id).status
            if status in (None, TaskStatus.Running):
                raise TaskNotReadyError(
                    f"task {task_id} has no logs yet; the service writes them at its end"
                ) from error
            error.message += "; the task has ended, so its logs were removed or never written"
            raise

    def task_usage(self, task_id: str) -> TaskUsage:
        job = self._api.job(task_id)
        nanoseconds = read_number(read_object(job, "usage").get("quantum_nanoseconds"))
        return TaskUsage(
            quantum_seconds=None if nanoseconds is None else nanoseconds / 1e9,
            created_at=read_time(job.get("created_time")),
            finished_at=read_time(job.get("end_time")),
        )


_CANCELLED = Observation(
    TaskStatus.Cancelled, reason="it was stopped, and deleted at the service", raw="Cancelled"
)


def _key(kind: str, task_id: str) -> str:
    """Return the key of a task's object: its ``input``, ``results`` or ``logs``."""
    if "/" in task_id or ".." in task_id or not task_id.strip("."):
        # The key could be another object's, or lead out of the bucket.
        raise TaskNotFoundError(f"{task_id!r} is not the id of a task")
    return f"{kind}_{task_id}.json"


def _availability(backend: dict[str, Any]) -> ResourceStatusCode:
    status = availability(read_text(backend.get("status")))
    if status is None:
        raise InvalidResponseError("the service's description of the backend has no status")
    return status


def _observation(job: dict[str, Any]) -> Observation:
    return observation(
        read_text(job.get("status")),
        reason=read_text(job.get("reason_message")),
        solution=read_text(job.get("reason_solution")),
        code=read_text(job.get("reason_code")),
    )


def _described(api: SystemApi, info: ResourceInfo) -> ResourceInfo:
    """Return the information, extended from the backend's configuration if that can be read."""
    try:
        configuration = api.configuration(info.resource_id).object()
    except ServiceError as error:
        _log.warning("%s is listed without its details: %s", info.resource_id, error)
        return info
    simulator = configuration.get("simulator")
    return attrs.evolve(
        info,
        num_qubits=read_count(configuration.get("n_qubits")),
        max_shots=read_count(configuration.get("max_shots")),
        is_simulator=simulator if isinstance(simulator, bool) else None,
    )
