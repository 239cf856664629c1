"""A vendor in memory, with drivers of several kinds and faults on demand."""

from __future__ import annotations

import datetime
import itertools
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import attrs

from qrmi_core.driver import Acquires, ChoosesIds, Discovers, Driver, OpenBatches
from qrmi_core.errors import (
    InvalidInputError,
    QrmiError,
    ResourceBusyError,
    TaskCancelledError,
    TaskFailedError,
    TaskNotFoundError,
    TaskNotReadyError,
    TransportError,
)
from qrmi_core.locks import Lock
from qrmi_core.options import TaskOptions
from qrmi_core.payload import Payload, QiskitPrimitive
from qrmi_core.settings import Settings
from qrmi_core.states import FINAL
from qrmi_core.values import (
    AcquisitionUsage,
    Observation,
    ResourceDescription,
    ResourceInfo,
    ResourceStatus,
    ResourceStatusCode,
    TaskEstimate,
    TaskInfo,
    TaskStatus,
    TaskUsage,
)

_QUANTUM_SECONDS = 1.5


@attrs.define
class FakeTask:
    """A task of the fake vendor.

    Args:
        id: Its id.
        submission: The tag that the submission carried.
        payload: The payload.
        reports: The reports of the following polls; the last one stays.
        result: The result.
        created_at: When it was submitted.
        acquisition: The acquisition it was submitted under.
        options: The options it was submitted with.
    """

    id: str
    submission: str
    payload: Payload
    reports: deque[Observation]
    result: bytes
    created_at: datetime.datetime
    acquisition: str | None
    options: TaskOptions


@attrs.define(slots=False)
class FakeVendor:
    """A vendor in memory.

    Args:
        reports: The reports of successive polls of a new task; the last one stays. By default a
            task is queued, runs, and completes.
        result: The result of a completed task.
        holders: The number of acquisitions that may be held at once.
        calls: The number of calls of each function of the driver.
        faults: Errors to raise, by function, one a call, before anything happens.
        lost_responses: Errors to raise, by function, one a call, after the effect.
        on_call: Called with the function's name at each call, for instance to let time pass.
    """

    reports: Sequence[Observation] = (
        Observation(TaskStatus.Queued, queue_position=1),
        Observation(TaskStatus.Running),
        Observation(TaskStatus.Completed),
    )
    result: bytes = b'{"counter": {"00": 1}}'
    holders: int = 1
    calls: Counter[str] = attrs.field(factory=Counter)
    faults: dict[str, list[BaseException]] = attrs.field(factory=lambda: defaultdict(list))
    lost_responses: dict[str, list[BaseException]] = attrs.field(factory=lambda: defaultdict(list))
    on_call: Callable[[str], object] | None = None
    tasks: dict[str, FakeTask] = attrs.field(factory=dict)
    tokens: list[str] = attrs.field(factory=list)
    open_batches: dict[str, list[str]] = attrs.field(factory=dict)
    closed_batches: set[str] = attrs.field(factory=set)
    _lock: Lock = attrs.field(factory=lambda: Lock(reentrant=True), repr=False)
    _numbers: Iterator[int] = attrs.field(factory=lambda: itertools.count(1), repr=False)

    def driver(
        self,
        *,
        chooses_ids: bool = False,
        findable: bool = False,
        batched: bool = False,
        open_batches: bool = False,
    ) -> type[FakeDriver]:
        """Make a driver class for this vendor.

        Args:
            chooses_ids: True if a task's id is made of the submission's tag.
            findable: True if a task can be found by the submission's tag.
            batched: True if many tasks can be polled in one call.
            open_batches: True if batches can be left open for further tasks.
        """
        members: dict[str, Any] = {"vendor": self}
        if findable:
            members["find_submission"] = FakeDriver._find_submission
        if batched:
            members["task_statuses"] = FakeDriver._task_statuses
        bases: tuple[type, ...] = (_Batching if open_batches else FakeDriver,)
        return type("FakeDriver", (*bases, ChoosesIds) if chooses_ids else bases, members)

    def called(self, function: str) -> None:
        """Count a call and raise the fault that is due."""
        with self._lock:
            self.calls[function] += 1
            fault = self.faults[function].pop(0) if self.faults[function] else None
        if self.on_call:
            self.on_call(function)
        if fault:
            raise fault

    def responded(self, function: str) -> None:
        """Raise the error that stands for a lost response, if one is due."""
        with self._lock:
            lost = self.lost_responses[function].pop(0) if self.lost_responses[function] else None
        if lost:
            raise lost

    def start(
        self,
        payload: Payload,
        submission: str,
        acquisition: str | None,
        options: TaskOptions,
        id: str,
    ) -> str:
        """Create a task, or return the id of the one that has this id."""
        with self._lock:
            task_id = id or f"task-{next(self._numbers)}"
            self.tasks.setdefault(
                task_id,
                FakeTask(
                    task_id,
                    submission,
                    payload,
                    deque(self.reports),
                    self.result,
                    datetime.datetime.now(datetime.UTC),
                    acquisition,
                    options,
                ),
            )
        return task_id

    def task(self, task_id: str) -> FakeTask:
        """Return a task by its id.

        Raises:
            TaskNotFoundError: The vendor has no such task.
        """
        try:
            return self.tasks[task_id]
        except KeyError:
            raise TaskNotFoundError(f"the fake vendor has no task {task_id}") from None

    def report(self, task_id: str) -> Observation:
        """Return the report of one poll."""
        with self._lock:
            reports = self.task(task_id).reports
            return reports.popleft() if len(reports) > 1 else reports[0]

    def acquire(self) -> str:
        """Hand out an acquisition token.

        Raises:
            ResourceBusyError: Too many are held.
        """
        with self._lock:
            if len(self.tokens) >= self.holders:
                raise ResourceBusyError("the fake resource is held by another")
            self.tokens.append(f"token-{next(self._numbers)}")
            return self.tokens[-1]


class FakeDriver(Driver[Settings, QiskitPrimitive], Acquires, Discovers):
    """A driver of a `FakeVendor`; `FakeVendor.driver` makes one with the vendor in it."""

    contract_version = 1
    payloads = (QiskitPrimitive,)
    task_options = frozenset({"name", "tags", "max_seconds"})
    counts_slots = True
    vendor: ClassVar[FakeVendor]

    def task_start(
        self,
        payload: QiskitPrimitive,
        *,
        submission: str,
        acquisition: str | None,
        options: TaskOptions,
    ) -> str:
        self.vendor.called("task_start")
        chosen = submission if self.supports(ChoosesIds) else ""
        task_id = self.vendor.start(payload, submission, acquisition, options, chosen)
        self.vendor.responded("task_start")
        return task_id

    def task_status(self, task_id: str) -> Observation:
        self.vendor.called("task_status")
        return self.vendor.report(task_id)

    def task_result(self, task_id: str) -> Iterator[bytes]:
        self.vendor.called("task_result")
        task = self.vendor.task(task_id)
        report = task.reports[0]
        match report.status:
            case TaskStatus.Failed:
                raise TaskFailedError(
                    f"task {task_id} failed: {report.reason or 'no reason given'}"
                )
            case TaskStatus.Cancelled:
                raise TaskCancelledError(f"task {task_id} was cancelled")
            case TaskStatus.Completed:
                return self._pieces(task.result)
        raise TaskNotReadyError(f"task {task_id} has no result yet")

    def _pieces(self, result: bytes) -> Iterator[bytes]:
        middle = len(result) // 2
        yield result[:middle]
        self.vendor.responded("task_result")
        yield result[middle:]

    def task_stop(self, task_id: str) -> None:
        self.vendor.called("task_stop")
        task = self.vendor.task(task_id)
        if task.reports[0].status not in FINAL:
            task.reports = deque([Observation(TaskStatus.Cancelled, reason="stopped")])
        self.vendor.responded("task_stop")

    def task_logs(self, task_id: str) -> str:
        self.vendor.called("task_logs")
        return f"log of {self.vendor.task(task_id).id}\n"

    def task_usage(self, task_id: str) -> TaskUsage:
        self.vendor.called("task_usage")
        return TaskUsage(_QUANTUM_SECONDS, self.vendor.task(task_id).created_at)

    def task_list(self) -> Iterable[TaskInfo]:
        self.vendor.called("task_list")
        tasks = reversed(self.vendor.tasks.values())
        return [TaskInfo(task.id, task.reports[0].status, task.created_at) for task in tasks]

    def status(self) -> ResourceStatus:
        self.vendor.called("status")
        return ResourceStatus(ResourceStatusCode.Online, busy=bool(self.vendor.tokens))

    def target(self) -> bytes:
        self.vendor.called("target")
        return b'{"num_qubits": 2}'

    def describe(self) -> ResourceDescription:
        self.vendor.called("describe")
        return ResourceDescription(num_qubits=2, max_shots=1000, is_simulator=False)

    def estimate(self, payload: QiskitPrimitive) -> TaskEstimate:
        self.vendor.called("estimate")
        return TaskEstimate(_QUANTUM_SECONDS, cost=0.75, currency="EUR")

    def acquire(self, *, detached: bool, slots: int | None) -> str:
        self.vendor.called("acquire")
        return self.vendor.acquire()

    def release(self, token: str, *, cancel_pending: bool) -> None:
        self.vendor.called("release")
        if token in self.vendor.tokens:
            self.vendor.tokens.remove(token)

    def acquisition_usage(self, token: str) -> AcquisitionUsage:
        self.vendor.called("acquisition_usage")
        tasks = sum(task.acquisition == token for task in self.vendor.tasks.values())
        return AcquisitionUsage(tasks, tasks * _QUANTUM_SECONDS)

    @classmethod
    def discover(cls, settings: Settings, filters: Mapping[str, str]) -> Iterable[ResourceInfo]:
        cls.vendor.called("discover")
        return [
            ResourceInfo("fake_busy", 5, 1000, False, ResourceStatusCode.Online, 7),
            ResourceInfo("fake_idle", 2, 1000, False, ResourceStatusCode.Online, 0),
        ]

    def _find_submission(self, submission: str) -> str | None:
        self.vendor.called("find_submission")
        found = (task.id for task in self.vendor.tasks.values() if task.submission == submission)
        return next(found, None)

    def _task_statuses(self, task_ids: Sequence[str]) -> Mapping[str, Observation]:
        self.vendor.called("task_statuses")
        return {
            task_id: self.vendor.report(task_id)
            for task_id in task_ids
            if task_id in self.vendor.tasks
        }


class _Batching(FakeDriver, OpenBatches):
    def batch_open(self) -> str:
        self.vendor.called("batch_open")
        batch_id = f"batch-{len(self.vendor.open_batches) + 1}"
        self.vendor.open_batches[batch_id] = []
        return batch_id

    def batch_add(self, batch_id: str, payloads: Sequence[QiskitPrimitive]) -> Sequence[str]:
        self.vendor.called("batch_add")
        tasks = self._batch(batch_id)
        if batch_id in self.vendor.closed_batches:
            raise InvalidInputError(f"batch {batch_id} is closed")
        options = TaskOptions()
        new = [self.vendor.start(payload, "", None, options, "") for payload in payloads]
        tasks += new
        self.vendor.responded("batch_add")
        return new

    def batch_close(self, batch_id: str) -> None:
        self.vendor.called("batch_close")
        self._batch(batch_id)
        self.vendor.closed_batches.add(batch_id)

    def batch_tasks(self, batch_id: str) -> Sequence[str]:
        self.vendor.called("batch_tasks")
        return list(self._batch(batch_id))

    def _batch(self, batch_id: str) -> list[str]:
        try:
            return self.vendor.open_batches[batch_id]
        except KeyError:
            raise TaskNotFoundError(f"the fake vendor has no batch {batch_id}") from None


def lost(message: str = "the connection was reset") -> QrmiError:
    """Return an error after which the vendor may have carried out the call."""
    return TransportError(message, uncertain=True)
