"""Pulser's remote connection to a QRMI resource."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Any, Final

from pulser.backend.remote import BatchStatus, JobStatus, RemoteConnection, RemoteResults

from qrmi_core import (
    ConfigError,
    InvalidArgumentError,
    QrmiError,
    TaskCancelledError,
    TaskFailedError,
    TaskNotReadyError,
    TaskStatus,
    UnsupportedFunctionError,
    WaitTimeoutError,
    poll,
    resources_from_job,
    wait as wait_for_tasks,
)
from qrmi_core.plugin import PasqalCloud
from qrmi_pulser.devices import read_devices
from qrmi_pulser.errors import MissingResultsError, UnsupportedError
from qrmi_pulser.jobs import Program, default_runs_of, make_jobs, read_program
from qrmi_pulser.results import to_results

if TYPE_CHECKING:
    from collections.abc import Sequence as Ordered

    from pulser import Sequence
    from pulser.backend import Results
    from pulser.devices import Device

    from qrmi_core import QuantumResource, Task

_log = logging.getLogger(__name__)

_SEPARATOR: Final = "|"
_EMULATOR: Final = "EMU_"
"""The prefix of Pasqal's names of emulators, which run sequences for any device."""
_STATES: Final = {
    TaskStatus.Queued: JobStatus.PENDING,
    TaskStatus.Running: JobStatus.RUNNING,
    TaskStatus.Completed: JobStatus.DONE,
    TaskStatus.Failed: JobStatus.ERROR,
    TaskStatus.Cancelled: JobStatus.CANCELED,
}
_ALL_ALIKE: Final = {
    JobStatus.PENDING: BatchStatus.PENDING,
    JobStatus.CANCELED: BatchStatus.CANCELED,
    JobStatus.ERROR: BatchStatus.ERROR,
}


class PulserQRMIConnection(RemoteConnection):  # type: ignore[misc]
    """A connection to a resource, for Pulser's backends.

    Each job is a task. The id of a batch is composed of the ids of its jobs, and that of an open
    batch is the vendor's. Any process can therefore read the results of a batch::

        connection = PulserQRMIConnection(resource)
        results = RemoteResults(batch_id, connection).results

    Args:
        qrmi: A resource that accepts `Payload.PasqalCloud`; by default the only accessible one in
            the scheduler's job.
        timeout: Maximum number of seconds that ``wait=True`` waits; None to wait for ever.

    Raises:
        InvalidArgumentError: The resource does not run pulse sequences, or the job has several that
            do.
        ConfigError: The job has no such resource.
    """

    def __init__(
        self, qrmi: QuantumResource | None = None, *, timeout: float | None = None
    ) -> None:
        self._resource = _only_resource() if qrmi is None else qrmi
        kinds = self._resource.payloads()
        if not issubclass(PasqalCloud, kinds):
            raise InvalidArgumentError(
                f"{self._resource.resource_id()} ({self._resource.resource_type()}) does not run "
                f"pulse sequences; it takes {', '.join(kind.kind for kind in kinds) or 'nothing'}",
                resource_id=self._resource.resource_id(),
            )
        self._timeout = timeout
        self._programs: dict[str, Program] = {}
        self._results: dict[str, Results] = {}
        self._updated: tuple[Sequence, Sequence] | None = None
        self._last_batch_id: str | None = None
        # Jobs of the resource's own batches.
        self._job_ids: dict[str, list[str]] = {}

    def __repr__(self) -> str:
        return f"PulserQRMIConnection({self._resource!r})"

    @property
    def resource(self) -> QuantumResource:
        """The resource."""
        return self._resource

    # Devices

    def fetch_available_devices(self) -> dict[str, Device]:
        """Fetch the devices for which sequences can be written, in one request.

        Returns:
            Pulser devices, by the vendor's names.

        Raises:
            UnsupportedError: The resource does not describe its devices.
            InvalidResponseError: Pulser cannot read its description.
        """
        try:
            text = self._resource.target().value
        except UnsupportedFunctionError as error:
            raise UnsupportedError(error.message, resource_id=error.resource_id) from error
        return read_devices(text, self._resource.resource_id())

    def update_sequence_device(self, sequence: Sequence) -> Sequence:
        """Return the sequence for the current version of the device; see Pulser.

        Raises:
            ValueError: The device is not available, or cannot run the sequence.
        """
        updated = super().update_sequence_device(sequence)
        # A QPU's backend calls this and then `submit`, which needs the same devices.
        self._updated = (sequence, updated)
        return updated

    # Batches

    def supports_open_batch(self) -> bool:
        """Return True if jobs can be added to a batch of the resource, as on Pasqal Cloud."""
        return self._resource.supports("batch_open")

    def submit(
        self,
        sequence: Sequence,
        wait: bool = False,
        open: bool = False,
        batch_id: str | None = None,
        **kwargs: Any,
    ) -> RemoteResults:
        """Submit a batch, with one task for each job.

        All jobs are built and checked before the first one is submitted. For a QPU, the sequence
        must be for the current version of its device; emulators (``EMU_...``) accept any device.

        Args:
            sequence: The sequence; a measurement is added if it addresses only one basis.
            wait: True to wait until these jobs have ended, for at most the connection's `timeout`.
            open: True to open a batch that accepts further jobs until it is closed; ``job_params``
                is then optional.
            batch_id: The open batch to add the jobs to.
            kwargs: ``job_params``, a list of ``{"runs": ..., "variables": {...}}``; an emulator's
                backend also passes ``backend_configuration``, whose default number of shots is
                used, and ``device_type``.

        Raises:
            InvalidArgumentError: The sequence or the parameters are wrong.
            UnsupportedError: The resource has no open batches.
            WaitTimeoutError: The jobs have not ended in time; they continue.
            QrmiError: A job could not be submitted; see `QuantumResource.task_start`. The message
                names the batch of the jobs submitted before it.
        """
        if open and batch_id:
            raise InvalidArgumentError(f"batch {batch_id} is open: add jobs to it, or close it")
        if (open or batch_id) and not self.supports_open_batch():
            raise UnsupportedError(
                f"{self._resource.resource_id()} ({self._resource.resource_type()}) has no batches "
                "that can be left open or added to: give all jobs in job_params",
                resource_id=self._resource.resource_id(),
            )
        updated, self._updated = self._updated, None
        default_runs = default_runs_of(kwargs.get("backend_configuration"))
        self._note_device_type(kwargs.get("device_type"))
        max_runs = None
        if not self._resource.resource_id().upper().startswith(_EMULATOR):
            if updated is not None and updated[0] is sequence:
                sequence = updated[1]
            else:
                sequence = super().update_sequence_device(sequence)
            max_runs = sequence.device.max_runs
        sequence = self._add_measurement_to_sequence(sequence)
        job_params = kwargs.get("job_params")
        if open and not job_params:
            return RemoteResults(self._open(), self)
        jobs = make_jobs(sequence, job_params, default_runs, max_runs)
        if open:
            batch_id = self._open()
        if batch_id:
            job_ids = self._add(batch_id, jobs)
        else:
            job_ids = self._start(jobs)
            batch_id = _SEPARATOR.join(job_ids)
        if wait:
            self._wait(batch_id, job_ids)
        return RemoteResults(batch_id, self, job_ids=job_ids)

    def _note_device_type(self, wanted: Any) -> None:
        name = self._resource.resource_id()
        wanted = getattr(wanted, "value", wanted)
        if wanted is not None and str(wanted).upper() != name.upper():
            _log.warning("the sequence runs on %s, though the backend is for %s", name, wanted)

    def _start(self, jobs: list[tuple[PasqalCloud, Program]]) -> list[str]:
        job_ids: list[str] = []
        try:
            for payload, program in jobs:
                job_ids.append(self._resource.task_start(payload))
                self._programs[job_ids[-1]] = program
                self._last_batch_id = _SEPARATOR.join(job_ids)
        except BaseException as error:
            if job_ids:
                told = (
                    f"{len(job_ids)} of {len(jobs)} jobs were submitted before and go on, as batch "
                    f"{self._last_batch_id}: cancel_batch_jobs() stops them"
                )
                if isinstance(error, QrmiError):
                    error.message += f"; {told}"
                else:
                    _log.error("%s: %s", self._resource.resource_id(), told)
            raise
        return job_ids

    def _open(self) -> str:
        batch_id = self._resource.batch_open()
        self._job_ids[batch_id] = []
        self._last_batch_id = batch_id
        return batch_id

    def _add(self, batch_id: str, jobs: list[tuple[PasqalCloud, Program]]) -> list[str]:
        known = self._get_job_ids(batch_id)
        job_ids = self._resource.batch_add(batch_id, [payload for payload, _ in jobs])
        self._programs |= dict(zip(job_ids, (program for _, program in jobs), strict=True))
        self._job_ids[batch_id] = [*known, *job_ids]
        self._last_batch_id = batch_id
        return job_ids

    def _close_batch(self, batch_id: str) -> None:
        self._resource.batch_close(batch_id)

    def _wait(self, batch_id: str, job_ids: list[str]) -> None:
        tasks = [self._resource.task(job_id) for job_id in job_ids]
        try:
            _, pending = wait_for_tasks(tasks, self._timeout)
        except QrmiError as error:
            error.message += f"; the jobs go on, as batch {batch_id}"
            raise
        if pending:
            raise WaitTimeoutError(
                f"{len(pending)} of {len(tasks)} jobs of batch {batch_id} have not ended after "
                f"{self._timeout} s; they continue: read them with "
                "RemoteResults(batch_id, connection)",
                status=pending[0].last_report.status if pending[0].last_report else None,
                resource_id=self._resource.resource_id(),
                task_id=pending[0].id,
            )

    def get_batch_logs(self, batch_id: str | None = None) -> tuple[str, ...]:
        """Fetch the logs of a batch's jobs, in their order.

        Args:
            batch_id: The batch; by default the last one that this connection submitted.

        Raises:
            UnsupportedFunctionError: The vendor has no logs.
            InvalidArgumentError: The batch does not exist.
        """
        return tuple(task.logs() for task in self._tasks(self._last(batch_id)))

    def cancel_batch_jobs(self, batch_id: str | None = None) -> None:
        """Request to stop all unfinished jobs of a batch.

        Args:
            batch_id: The batch; by default the last one that this connection submitted.

        Raises:
            InvalidArgumentError: The batch does not exist.
            QrmiError: A job could not be stopped; the requests for the other jobs were sent.
        """
        failure: QrmiError | None = None
        for task in self._polled(self._tasks(self._last(batch_id))):
            if task.done:
                continue
            try:
                task.stop()
            except QrmiError as error:
                failure = failure or error
        if failure:
            raise failure

    def _last(self, batch_id: str | None) -> str:
        if batch_id is None and self._last_batch_id is None:
            raise InvalidArgumentError("this connection has submitted no batch: give a batch_id")
        return batch_id if batch_id is not None else str(self._last_batch_id)

    # For RemoteResults

    def _get_job_ids(self, batch_id: str) -> list[str]:
        job_ids = batch_id.split(_SEPARATOR)
        if not all(job_ids):
            raise InvalidArgumentError(
                f"{batch_id!r} is not the id of a batch: job ids joined by |"
            )
        if len(job_ids) > 1 or batch_id in self._programs or not self.supports_open_batch():
            return job_ids
        if batch_id not in self._job_ids:
            self._job_ids[batch_id] = self._resource.batch_tasks(batch_id)
        return self._job_ids[batch_id]

    def _get_batch_status(self, batch_id: str) -> BatchStatus:
        return batch_status([_status(task) for task in self._polled(self._tasks(batch_id))])

    def _query_job_progress(self, batch_id: str) -> dict[str, tuple[JobStatus, Results | None]]:
        progress: dict[str, tuple[JobStatus, Results | None]] = {}
        for task in self._polled(self._tasks(batch_id)):
            status, results = _status(task), None
            if status is JobStatus.DONE:
                # A result can become available a little later than the state says.
                with contextlib.suppress(TaskNotReadyError):
                    results = self._results_of(task)
            progress[task.id] = (status, results)
        return progress

    def _fetch_result(self, batch_id: str, job_ids: list[str] | None) -> Ordered[Results]:
        known = self._get_job_ids(batch_id)
        wanted = known if job_ids is None else job_ids
        if unknown := [job_id for job_id in wanted if job_id not in known]:
            raise InvalidArgumentError(f"batch {batch_id} has no job {', '.join(unknown)}")
        tasks = [self._resource.task(job_id) for job_id in wanted]
        for task in self._polled(tasks):
            if not task.done:
                raise MissingResultsError(
                    f"job {task.id} has no results yet; its state is {_status(task).name}",
                    resource_id=self._resource.resource_id(),
                    task_id=task.id,
                    retryable=True,
                )
        try:
            return tuple(self._results_of(task) for task in tasks)
        except (TaskFailedError, TaskCancelledError, TaskNotReadyError) as error:
            raise MissingResultsError(
                error.message,
                resource_id=error.resource_id,
                task_id=error.task_id,
                vendor_code=error.vendor_code,
                retryable=error.retryable,
            ) from error

    def _tasks(self, batch_id: str) -> list[Task]:
        return [self._resource.task(job_id) for job_id in self._get_job_ids(batch_id)]

    def _polled(self, tasks: list[Task]) -> list[Task]:
        """Poll the tasks once, in one request where the vendor can, and return them."""
        for error in poll(tasks).values():
            if error:
                raise error
        return tasks

    def _results_of(self, task: Task) -> Results:
        """Return a task's results, which are fetched once."""
        if task.id not in self._results:
            text = task.result(0).value
            self._results[task.id] = to_results(task, text, self._program_of)
        return self._results[task.id]

    def _program_of(self, task: Task) -> Program | None:
        """Return the program, which is fetched if another connection submitted it."""
        if task.id not in self._programs and self._resource.supports("task_input"):
            try:
                self._programs[task.id] = read_program(self._resource.task_input(task.id))
            except UnsupportedFunctionError:
                pass
            except QrmiError as error:
                _log.warning("the names of the atoms of job %s are not known: %s", task.id, error)
        return self._programs.get(task.id)


def batch_status(jobs: Ordered[JobStatus]) -> BatchStatus:
    """Return the state of a batch, which is pending if it has no job yet.

    If all jobs are in the same state (pending, cancelled or failed), it is also the batch's.
    Otherwise the batch is running until all jobs have ended, and then done.
    """
    different = set(jobs) or {JobStatus.PENDING}
    if len(different) == 1 and (alike := _ALL_ALIKE.get(*different)):
        return alike
    if different & {JobStatus.PENDING, JobStatus.RUNNING, JobStatus.PAUSED}:
        return BatchStatus.RUNNING
    return BatchStatus.DONE


def _status(task: Task) -> JobStatus:
    return _STATES[task.history[-1].status]


def _only_resource() -> QuantumResource:
    found: list[QuantumResource] = []
    reasons: list[str] = []
    for resource in resources_from_job():
        name = resource.resource_id()
        if not issubclass(PasqalCloud, resource.payloads()):
            reasons.append(f"{name} takes no pulse sequences")
            continue
        try:
            status = resource.status()
        except QrmiError as error:
            reasons.append(f"{name}: {error}")
            continue
        if status.status.name == "Online":
            found.append(resource)
        else:
            reasons.append(f"{name} is {status.status.name.lower()}")
    if not found:
        raise ConfigError(
            f"no resource of this job is accessible and runs pulse sequences "
            f"({'; '.join(reasons) or 'it has none'}): give one, PulserQRMIConnection(resource)"
        )
    if len(found) > 1:
        names = ", ".join(resource.resource_id() for resource in found)
        raise InvalidArgumentError(
            f"this job has several resources: {names}; give one, PulserQRMIConnection(resource)"
        )
    return found[0]
