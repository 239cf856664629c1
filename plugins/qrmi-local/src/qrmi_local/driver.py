"""Driver for simulators on this machine, type `local`."""

from __future__ import annotations

import datetime
import logging
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import BinaryIO

from qrmi_core.plugin import (
    Acquires,
    AcquisitionUsage,
    ChoosesIds,
    ConfigError,
    Discovers,
    Driver,
    InvalidInputError,
    Observation,
    PasqalCloud,
    QiskitPrimitive,
    QrmiError,
    ResourceCapacity,
    ResourceInfo,
    ResourceNotFoundError,
    ResourceStatus,
    ResourceStatusCode,
    ServiceError,
    TaskCancelledError,
    TaskFailedError,
    TaskInfo,
    TaskNotFoundError,
    TaskNotReadyError,
    TaskOptions,
    TaskStatus,
    TaskUsage,
    read_content,
)
from qrmi_local.engines import (
    Engine,
    EngineError,
    MissingExtra,
    UnknownResource,
    engine_for,
    pulser,
    qiskit,
)
from qrmi_local.pool import open_store, start_workers
from qrmi_local.settings import LocalSettings
from qrmi_local.store import StoredTask

_log = logging.getLogger(__name__)

_PIECE_BYTES = 2**20
_DEFAULT_LEASE_SECONDS = 86400.0
_UPKEEP_SECONDS = 0.2


class LocalDriver(
    Driver[LocalSettings, QiskitPrimitive | PasqalCloud], Acquires, ChoosesIds, Discovers
):
    """A simulator on this machine.

    Tasks are kept in a store on disk and executed by worker processes, which start when a task
    needs one; see `qrmi_local.store` and `qrmi_local.worker`.
    """

    contract_version = 1
    settings_class = LocalSettings
    discovers_offline = True
    min_pause_seconds = 0.004

    def __init__(self, resource_id: str, resource_type: str, settings: LocalSettings) -> None:
        super().__init__(resource_id, resource_type, settings)
        self._store = open_store(settings)
        self._upkeep_at = 0.0
        # The resource's one name in the store. Pulser's may be written in any case.
        self._name = resource_id
        try:
            engine = engine_for(resource_id)
        except UnknownResource:
            self.payloads = (QiskitPrimitive, PasqalCloud)
        else:
            self.payloads = (QiskitPrimitive if engine is qiskit else PasqalCloud,)
            if engine is pulser:
                self._name = resource_id.upper()

    def close(self) -> None:
        self._store.close()

    # The resource

    def status(self) -> ResourceStatus:
        try:
            self._check_resource()
        except ConfigError as error:  # no simulator is installed
            return _offline(error)
        try:
            start_workers(self._store, self.settings)
        except ServiceError as error:
            return _offline(error)
        running = self._store.counts()[TaskStatus.Running]
        pending = self._store.counts(self._name)[TaskStatus.Queued]
        free = max(0, self.settings.slots - running)
        held = self._store.held_exclusively(self._name)
        reasons = ["held by an exclusive acquisition"] * held
        if not free:
            reasons.append("tasks run in all slots of the store, maybe of its other resources")
        return ResourceStatus(
            ResourceStatusCode.Online,
            status_reason="; ".join(reasons) or None,
            healthy=True,
            busy=held or not free,
            capacity=ResourceCapacity(0 if held else free, self.settings.slots),
            pending_job_count=pending,
        )

    def metadata(self) -> Mapping[str, str]:
        return {
            "payloads": ", ".join(kind.kind for kind in self.payloads),
            "acquisition": self.settings.acquisition,
            "store": str(self.settings.home),
        }

    def target(self) -> bytes:
        engine = self._check_resource()
        with _translated():
            return engine.target(self.resource_id)

    @classmethod
    def discover(
        cls, settings: LocalSettings, filters: Mapping[str, str]
    ) -> Iterable[ResourceInfo]:
        store = open_store(settings)
        try:
            pending = store.pending()
        finally:
            store.close()
        return [
            ResourceInfo(
                found.resource_id,
                num_qubits=found.num_qubits,
                max_shots=found.max_shots,
                is_simulator=True,
                status=ResourceStatusCode.Online,
                pending_job_count=pending.get(found.resource_id, 0),
            )
            for engine in (qiskit, pulser)
            for found in engine.resources()
        ]

    # Acquisition

    def acquire(self, *, detached: bool, slots: int | None) -> str:
        self._check_resource()
        settings = self.settings
        lease = settings.lease_seconds or settings.job_timeout_seconds or _DEFAULT_LEASE_SECONDS
        return self._store.acquire(
            self._name,
            exclusive=settings.acquisition == "exclusive",
            holders=settings.slots,
            lease_seconds=lease if detached else None,
        )

    def release(self, token: str, *, cancel_pending: bool) -> None:
        self._store.release(self._name, token, cancel_pending=cancel_pending)

    def acquisition_usage(self, token: str) -> AcquisitionUsage:
        self._store.settle()
        tasks, seconds = self._store.used(self._name, token)
        return AcquisitionUsage(tasks, seconds)

    # Tasks

    def task_start(
        self,
        payload: QiskitPrimitive | PasqalCloud,
        *,
        submission: str,
        acquisition: str | None,
        options: TaskOptions,
    ) -> str:
        engine = self._check_resource()
        task_id = str(uuid.UUID(submission))
        with _translated():
            match payload:
                case QiskitPrimitive():
                    content = read_content(payload.input)
                    argument = payload.program_id
                    warning = engine.check(argument, content)
                    if warning:
                        _log.warning("task %s on %s: %s", task_id, self.resource_id, warning)
                case PasqalCloud():
                    content = read_content(payload.sequence)
                    argument = str(payload.job_runs)
                    engine.check(argument, content)
        self._store.submit(
            task_id,
            self._name,
            argument,
            content,
            seed=self.settings.seed,
            acquisition=acquisition,
        )
        try:
            start_workers(self._store, self.settings)
        except Exception as error:
            # The task exists, and the next poll tries again and reports the error.
            _log.warning("task %s waits for a worker: %s", task_id, error)
        return task_id

    def task_status(self, task_id: str) -> Observation:
        return self._observation(self._current(task_id))

    def task_statuses(self, task_ids: Sequence[str]) -> Mapping[str, Observation]:
        tasks = self._look(task_ids)
        return {task.id: self._observation(task) for task in tasks}

    def task_result(self, task_id: str) -> Iterator[bytes]:
        task = self._current(task_id)
        match task.status:
            case TaskStatus.Completed:
                with self._store.explained():
                    try:
                        stream = self._store.path(task, "result").open("rb")
                    except FileNotFoundError:
                        raise TaskNotFoundError(
                            f"the result of task {task_id} has been deleted"
                        ) from None
                return self._pieces(stream)
            case TaskStatus.Failed:
                raise TaskFailedError(f"task {task_id} failed: {task.reason}")
            case TaskStatus.Cancelled:
                raise TaskCancelledError(f"task {task_id} was cancelled: {task.reason}")
        raise TaskNotReadyError(f"task {task_id} has no result yet: {task.status.name}")

    def task_stop(self, task_id: str) -> None:
        self._store.stop(self._find(task_id).id)

    def task_list(self) -> Iterable[TaskInfo]:
        self._store.settle()
        return [
            TaskInfo(task.id, task.status, _time(task.created))
            for task in self._store.tasks_of(self._name)
        ]

    def task_logs(self, task_id: str) -> str:
        with self._store.explained():
            try:
                return self._store.path(self._find(task_id), "log").read_text(errors="replace")
            except FileNotFoundError:
                return ""  # it has not started

    def task_usage(self, task_id: str) -> TaskUsage:
        task = self._current(task_id)
        seconds = None
        if task.started is not None and task.finished is not None:
            seconds = max(0.0, task.finished - task.started)
        return TaskUsage(
            quantum_seconds=seconds,
            created_at=_time(task.created),
            started_at=_time(task.started),
            finished_at=_time(task.finished),
        )

    # Helpers

    def _check_resource(self) -> Engine:
        """The engine, once it is sure that the resource exists and its simulator is installed."""
        with _translated():
            engine = engine_for(self.resource_id)
            engine.known(self.resource_id)
        return engine

    def _pieces(self, stream: BinaryIO) -> Iterator[bytes]:
        with stream, self._store.explained():
            while piece := stream.read(_PIECE_BYTES):
                yield piece

    def _find(self, task_id: str) -> StoredTask:
        task = self._store.task(task_id)
        if task is None or task.resource != self._name:
            raise TaskNotFoundError(
                f"unknown task {task_id}; it may have been pruned", task_id=task_id
            )
        return task

    def _current(self, task_id: str) -> StoredTask:
        tasks = self._look([task_id])
        return tasks[0] if tasks else self._find(task_id)

    def _look(self, task_ids: Sequence[str]) -> list[StoredTask]:
        """The tasks as they are now; from time to time, dead workers are noticed and replaced.

        That takes a transaction, which workers wait for.
        """
        tasks = self._mine(task_ids)
        statuses = {task.status for task in tasks} & {TaskStatus.Queued, TaskStatus.Running}
        if not statuses or time.monotonic() < self._upkeep_at:
            return tasks
        if TaskStatus.Queued in statuses:
            start_workers(self._store, self.settings)
        changed = TaskStatus.Running in statuses and self._store.settle()
        # After an error the next poll does it again, and has the same one for the user.
        self._upkeep_at = time.monotonic() + _UPKEEP_SECONDS
        return self._mine(task_ids) if changed else tasks

    def _mine(self, task_ids: Sequence[str]) -> list[StoredTask]:
        return [task for task in self._store.tasks(task_ids) if task.resource == self._name]

    def _observation(self, task: StoredTask) -> Observation:
        queued = task.status is TaskStatus.Queued
        reason = task.reason
        if queued:
            try:
                self._check_resource()
            except (ConfigError, ResourceNotFoundError) as error:
                reason = f"it waits for a worker of another Python: {error.message}"
        return Observation(
            task.status,
            reason=reason,
            raw=task.status.name,
            queue_position=self._store.queue_position(task) if queued else None,
        )


def _offline(error: QrmiError) -> ResourceStatus:
    return ResourceStatus(ResourceStatusCode.Offline, status_reason=error.message)


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what engines raise into the library's errors."""
    try:
        yield
    except EngineError as error:
        raise InvalidInputError(str(error)) from error
    except MissingExtra as error:
        raise ConfigError(str(error)) from error
    except UnknownResource as error:
        raise ResourceNotFoundError(str(error)) from error
    except OSError as error:
        raise ServiceError(f"the simulator cannot be loaded: {error}", retryable=True) from error


def _time(seconds: float | None) -> datetime.datetime | None:
    return None if seconds is None else datetime.datetime.fromtimestamp(seconds, datetime.UTC)
