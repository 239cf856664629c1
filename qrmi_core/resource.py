"""The object that users hold: what is the same for every vendor."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import NoReturn, Self, TypeVar
from weakref import WeakValueDictionary

import attrs

from qrmi_core.deadline import Clock, Sleep
from qrmi_core.driver import Driver
from qrmi_core.errors import (
    InvalidInputError,
    QrmiError,
    ResourceBusyError,
    SubmissionUncertainError,
    TransportError,
    UnsupportedPayloadError,
)
from qrmi_core.payload import Payload
from qrmi_core.polling import OnWait, PollingPolicy, until_free
from qrmi_core.registry import find_driver
from qrmi_core.submission import Submission, defects_named
from qrmi_core.task import OnTransition, Task
from qrmi_core.values import (
    AcquisitionUsage,
    Observation,
    ResourceStatus,
    ResourceStatusCode,
    ResourceType,
    Target,
    TaskInfo,
    TaskResult,
    TaskStatus,
    TaskUsage,
)

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

_REMEMBERED_TASKS = 10_000


class QuantumResource:
    """A quantum computer, or a simulator that stands in for one.

    Construction reads the settings and contacts nobody. The object may be used from many threads.
    As a context manager it acquires the resource on entry and releases it on exit.

    Args:
        resource_id: The vendor's name of the resource.
        resource_type: The type, which names the driver; any string.
        config: Settings with unprefixed keys; the environment is then not read. Without it the
            environment is read, ``<resource_id>_<KEY>``.
        polling: How often to look at a task, or at a busy resource.
        on_transition: Called with every move of every task, unless the task has one of its own.
        on_wait: Called before every pause in which a busy resource is waited for.
        clock: Monotonic clock in seconds.
        sleep: Sleeps for a number of seconds.
        driver_class: The driver to use in place of the installed one, for tests above all.
        environment: What to read in place of the process environment.

    Raises:
        UnsupportedResourceTypeError: No installed driver has this type.
        PluginError: The driver cannot be used.
        ConfigError: Settings are missing or malformed; all are named.
    """

    def __init__(
        self,
        resource_id: str,
        resource_type: str,
        config: Mapping[str, str] | None = None,
        *,
        polling: PollingPolicy | None = None,
        on_transition: OnTransition | None = None,
        on_wait: OnWait | None = None,
        clock: Clock = time.monotonic,
        sleep: Sleep = time.sleep,
        driver_class: type[Driver] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._id = _checked_id(resource_id, "resource id")
        self._type = _checked_id(resource_type, "resource type")
        if config is not None and not isinstance(config, Mapping):
            raise TypeError(f"config must be a mapping, not {type(config).__name__}")
        self.polling = polling or PollingPolicy()
        self.on_transition = on_transition
        self.on_wait = on_wait
        self.clock = clock
        self.sleep = sleep
        driver_class = driver_class or find_driver(resource_type)
        if config is None:
            settings = driver_class.settings_class.from_environment(resource_id, environment)
        else:
            settings = driver_class.settings_class.from_mapping(config, resource_id)
        self._scheduler_token = settings.acquisition_token
        self._lock = threading.Lock()
        # Handles that somebody holds, and the newest of those that nobody does.
        self._tasks: WeakValueDictionary[str, Task] = WeakValueDictionary()
        self._recent: deque[Task] = deque(maxlen=_REMEMBERED_TASKS)
        self._held: list[_Held] = []
        with self._explained():
            self._driver: Driver = driver_class(resource_id, resource_type, settings)

    @classmethod
    def from_config(
        cls, resource_id: str, resource_type: str, config: Mapping[str, str]
    ) -> QuantumResource:
        """Make a resource of a mapping of settings; the environment is not read."""
        if not isinstance(config, Mapping):
            raise TypeError(f"config must be a mapping, not {type(config).__name__}")
        return cls(resource_id, resource_type, config)

    def __repr__(self) -> str:
        return f"QuantumResource({self._id!r}, {str(self._type)!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a QuantumResource holds credentials and is not pickled: "
            "pass its id, its type and the task's id, and make it again"
        )

    def __enter__(self) -> Self:
        self._take(None, detached=False, thread=threading.get_ident())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            entered = [held for held in self._held if held.thread is not None]
            ours = [held for held in entered if held.thread == threading.get_ident()]
            held = next(reversed(ours or entered), None)
        try:
            if held is not None:
                self.release(held.token, cancel_pending=kind is not None)
        except QrmiError as failure:
            if error is None:
                raise
            # The error under way matters more than that of the release.
            _log.error("%s could not be released: %s", self._id, failure)
        finally:
            self.close()

    def close(self) -> None:
        """Close connections; the object can be used again afterwards."""
        self._driver.close()

    # The resource

    def resource_id(self) -> str:
        """The id, as given."""
        return self._id

    def resource_type(self) -> ResourceType:
        """The type, as given."""
        given = self._type
        return given if isinstance(given, ResourceType) else ResourceType(given)

    def supports(self, function: str) -> bool:
        """Whether an operation is there, before it is called.

        Args:
            function: A method's name, such as ``task_logs`` or ``task_list``.
        """
        return self._driver.supports(function)

    def payloads(self) -> tuple[type[Payload], ...]:
        """The kinds of payload that the resource takes."""
        return self._driver.payloads

    def holds_acquisition(self) -> bool:
        """Whether `acquire` really reserves something, at the vendor or here."""
        return self._driver.supports("acquire") and self._driver.holds_acquisition

    def is_accessible(self) -> bool:
        """Whether the resource takes work now: one `status` request."""
        return self.status().status is ResourceStatusCode.Online

    def status(self) -> ResourceStatus:
        """Ask for the state of the resource."""
        with self._explained():
            return self._driver.status()

    def target(self) -> Target:
        """Fetch the description of the device for compilers, as the vendor sends it.

        Raises:
            UnsupportedFunctionError: The vendor has none.
        """
        with self._explained():
            return Target(self._driver.target().decode())

    def metadata(self) -> dict[str, str]:
        """Facts about the resource that need no request, and no secrets."""
        with self._explained():
            return {"backend_name": self._id, **self._driver.metadata()}

    # Acquisition

    def acquire(self, timeout: float | None = None, *, detached: bool = False) -> str:
        """Reserve the resource and give the acquisition token.

        Inside a scheduler's job that has acquired the resource this is the scheduler's token, at
        no request. Where nothing can be held (see `holds_acquisition`) it is a token that stands
        for nothing.

        Args:
            timeout: Seconds to wait for a busy resource; None for ever, 0 tries once.
            detached: Whether the reservation outlives this process, as a scheduler's must; it
                matters only for drivers that would otherwise end it with the process.

        Raises:
            ResourceBusyError: It was busy until the time was up.
        """
        return self._take(timeout, detached=detached, thread=None)

    def _take(self, timeout: float | None, *, detached: bool, thread: int | None) -> str:
        real = True
        if self._scheduler_token is not None:
            token = self._scheduler_token
        elif self._driver.supports("acquire"):

            def acquire(left: float | None) -> str:
                with self._explained():
                    return self._driver.acquire(timeout=left, detached=detached)

            token = self._until_free(acquire, timeout)
        else:
            token, real = f"nothing-held-{uuid.uuid4()}", False
            _log.info("%s cannot be reserved; the acquisition holds nothing", self._id)
        with self._lock:
            self._held.append(_Held(token, real, thread))
        return token

    def release(self, token: str, *, cancel_pending: bool = False) -> None:
        """Give a reservation back. The scheduler's own is left alone.

        Args:
            token: What `acquire` gave, here or in another process.
            cancel_pending: Whether to cancel what is still queued under it.
        """
        _checked_id(token, "acquisition token", self._id)
        with self._lock:
            held = next((held for held in self._held if held.token == token), None)
        if token == self._scheduler_token:
            _log.info("%s was acquired by the scheduler, which will release it", self._id)
        elif self._driver.supports("release") and (held is None or held.real):
            with self._explained():
                self._driver.release(token, cancel_pending=cancel_pending)
        with self._lock:
            if held in self._held:
                self._held.remove(held)

    def acquisition_usage(self, token: str) -> AcquisitionUsage:
        """Ask what was done under a reservation until now, also under one that has ended.

        Args:
            token: What `acquire` gave, here or in another process.

        Raises:
            UnsupportedFunctionError: The vendor does not tell.
        """
        _checked_id(token, "acquisition token", self._id)
        with self._explained():
            return self._driver.acquisition_usage(token)

    def _acquisition(self) -> str | None:
        """The token for a task of this thread: of its own ``with``, else the newest there is."""
        with self._lock:
            ours = [held for held in self._held if held.thread == threading.get_ident()]
            newest = next(reversed(ours or self._held), None)
        if newest is None:
            return self._scheduler_token
        return newest.token if newest.real else None

    # Tasks

    def run(
        self,
        payload: Payload,
        timeout: float | None = None,
        *,
        on_transition: OnTransition | None = None,
    ) -> Task:
        """Submit a task; see `task_start`.

        Args:
            payload: What to run.
            timeout: Seconds to wait for a free place; None for ever, 0 tries once.
            on_transition: Called with every move of this task.
        """
        return self.task(self.task_start(payload, timeout), on_transition=on_transition)

    def task(self, task_id: str, *, on_transition: OnTransition | None = None) -> Task:
        """The handle of a task, also one that another process started; costs no request."""
        _checked_id(task_id, "task's id", self._id)
        with self._lock:
            task = self._tasks.get(task_id)
            if task is None:
                task = self._tasks[task_id] = Task(self, task_id)
                self._recent.append(task)
        if on_transition:
            task.tell(on_transition)
        return task

    def task_start(self, payload: Payload, timeout: float | None = None) -> str:
        """Submit a task exactly once and give its id.

        Args:
            payload: What to run.
            timeout: Seconds to wait for a free place; None for ever, 0 tries once.

        Raises:
            UnsupportedPayloadError: The resource does not take this kind.
            InvalidInputError: The payload is wrong.
            ResourceBusyError: There was no free place until the time was up.
            SubmissionUncertainError: The answer was lost, and whether the task exists cannot be
                found out. With any other error no task was created.
        """
        self._check_payload(payload)
        tag = uuid.uuid4().hex
        submission = Submission(self._driver, payload, tag, self._acquisition(), self.sleep)
        with self._named():
            try:
                task_id = self._until_free(lambda _left: submission.send(), timeout)
            except ResourceBusyError as busy:
                submission.give_up()
                raise submission.busy(busy) from busy.__cause__
            except BaseException:
                submission.give_up()
                raise
        _log.info("task %s started on %s", task_id, self._id)
        return task_id

    def task_status(self, task_id: str) -> TaskStatus:
        """Look at a task once; costs no request once it has ended.

        Raises:
            TaskNotFoundError: The vendor has no such task.
        """
        return self.task(task_id).status()

    def task_result(self, task_id: str, timeout: float | None = None) -> TaskResult:
        """Wait for a task and fetch its result.

        Args:
            task_id: The task's id.
            timeout: Seconds to wait for the end; None for ever, 0 looks once.

        Raises:
            WaitTimeoutError: The time is up; the task goes on.
            TaskFailedError: It failed.
            TaskCancelledError: It was cancelled.
            TaskNotFoundError: The vendor has no such task.
        """
        return self.task(task_id).result(timeout)

    def task_stop(self, task_id: str) -> None:
        """Ask to stop a task; returning means that the vendor has taken the request.

        It always reaches the vendor, also for a task that has ended. What is cancelled and what
        is deleted is said by the vendor's plugin.

        Raises:
            TaskNotFoundError: The vendor has no such task; not where stopping deletes it.
        """
        task_id = self.task(task_id).id
        with self._explained(task_id):
            self._driver.task_stop(task_id)

    def task_logs(self, task_id: str) -> str:
        """Fetch a task's logs.

        Raises:
            UnsupportedFunctionError: The vendor has none.
            TaskNotFoundError: The vendor has no such task.
        """
        with self._explained(self.task(task_id).id):
            return self._driver.task_logs(task_id)

    def task_usage(self, task_id: str) -> TaskUsage:
        """Ask what a task consumed, and when.

        Raises:
            UnsupportedFunctionError: The vendor does not tell.
            TaskNotFoundError: The vendor has no such task.
        """
        with self._explained(self.task(task_id).id):
            return self._driver.task_usage(task_id)

    def task_input(self, task_id: str) -> str:
        """Fetch what a task was asked to run, as the vendor keeps it.

        Raises:
            UnsupportedFunctionError: The vendor does not tell.
            TaskNotFoundError: The vendor has no such task.
        """
        with self._explained(self.task(task_id).id):
            return self._driver.task_input(task_id).decode()

    def task_list(self) -> list[TaskInfo]:
        """List the user's tasks, newest first.

        Raises:
            UnsupportedFunctionError: The vendor cannot list them.
        """
        with self._explained():
            return list(self._driver.task_list())

    # Batches that are left open

    def batch_open(self) -> str:
        """Open a batch, which takes tasks until `batch_close`, and give its id.

        Raises:
            UnsupportedFunctionError: The vendor has no such batches.
        """
        with self._explained():
            batch_id = self._driver.batch_open()
        _log.info("batch %s opened on %s", batch_id, self._id)
        return batch_id

    def batch_add(self, batch_id: str, payloads: Sequence[Payload]) -> list[str]:
        """Submit tasks into an open batch, all or none, and give their ids in the same order.

        Raises:
            TaskNotFoundError: The vendor has no such batch.
            InvalidInputError: A payload is wrong, or the batch is closed.
            SubmissionUncertainError: The answer was lost, and the tasks may exist. With any other
                error no task was created.
        """
        _checked_id(batch_id, "batch's id", self._id)
        for payload in payloads:
            self._check_payload(payload)
        try:
            with self._named(), defects_named(uncertain=True):
                task_ids = list(self._driver.batch_add(batch_id, payloads))
        except QrmiError as error:
            if not error.uncertain:
                raise
            raise SubmissionUncertainError(
                f"the answer was lost ({error.message}), and the tasks may be in batch {batch_id}; "
                "look at its tasks (batch_tasks) before submitting again",
                resource_id=self._id,
            ) from error
        _log.info("tasks %s started in batch %s on %s", ", ".join(task_ids), batch_id, self._id)
        return task_ids

    def batch_close(self, batch_id: str) -> None:
        """Let a batch take no more tasks; those in it go on.

        Raises:
            TaskNotFoundError: The vendor has no such batch.
        """
        _checked_id(batch_id, "batch's id", self._id)
        with self._explained():
            self._driver.batch_close(batch_id)

    def batch_tasks(self, batch_id: str) -> list[str]:
        """List the ids of a batch's tasks, oldest first.

        Raises:
            TaskNotFoundError: The vendor has no such batch.
        """
        _checked_id(batch_id, "batch's id", self._id)
        with self._explained():
            return list(self._driver.batch_tasks(batch_id))

    def look(self, tasks: Sequence[Task]) -> dict[Task, QrmiError | None]:
        """Look once at tasks of this resource, in one request where the driver can.

        Returns:
            What each look came to: None, or the error. Tasks that are not in it were not looked
            at, since the vendor was out of reach.
        """
        reports: Mapping[str, Observation] = {}
        outcomes: dict[Task, QrmiError | None] = {}
        if len(tasks) > 1 and self._driver.supports("task_statuses"):
            try:
                with self._explained():
                    reports = self._driver.task_statuses([task.id for task in tasks])
            except QrmiError as error:
                return dict.fromkeys(tasks, error)
        for task in tasks:
            try:
                with self._explained(task.id):
                    # Alone, an unknown task is an error that names it.
                    report = reports.get(task.id) or self._driver.task_status(task.id)
                    if not isinstance(report, Observation):
                        raise TypeError(f"task_status must give an Observation, not {report!r}")
            except QrmiError as error:
                outcomes[task] = error
                if isinstance(error, TransportError):
                    break
            else:
                task.observe(report)
                outcomes[task] = None
        return outcomes

    def result_pieces(self, task_id: str) -> Iterator[bytes]:
        """Read a result once, in pieces; see `Driver.task_result`."""
        with self._explained(task_id):
            yield from self._driver.task_result(task_id)

    def _check_payload(self, payload: Payload) -> None:
        if not isinstance(payload, Payload):
            raise TypeError(f"the payload must be a Payload, not {type(payload).__name__}")
        if not isinstance(payload, self._driver.payloads):
            takes = ", ".join(kind.kind for kind in self._driver.payloads)
            raise UnsupportedPayloadError(
                f"{self._id} ({self._type}) does not take a {payload.kind} payload, but {takes}",
                resource_id=self._id,
            )

    def _until_free(self, attempt: Callable[[float | None], _T], timeout: float | None) -> _T:
        return until_free(
            attempt,
            timeout,
            policy=self.polling,
            clock=self.clock,
            sleep=self.sleep,
            on_wait=self.on_wait,
        )

    @contextmanager
    def _named(self, task_id: str | None = None) -> Iterator[None]:
        """Say which resource and task an error is about."""
        try:
            yield
        except QrmiError as error:
            error.resource_id = error.resource_id or self._id
            error.task_id = error.task_id or task_id
            raise

    @contextmanager
    def _explained(self, task_id: str | None = None) -> Iterator[None]:
        """The same for a call of the driver, whose other exceptions are its defects."""
        with self._named(task_id), defects_named():
            yield


@attrs.frozen
class _Held:
    """An acquisition.

    Args:
        token: What stands for it.
        real: Whether it holds anything at the vendor.
        thread: The thread whose ``with`` made it, None for a call of `acquire`.
    """

    token: str = attrs.field(repr=False)
    real: bool
    thread: int | None


def _checked_id(value: object, what: str, resource_id: str | None = None) -> str:
    if not isinstance(value, str):
        raise TypeError(f"the {what} must be a string, not {type(value).__name__}")
    if not value:
        raise InvalidInputError(f"the {what} is empty", resource_id=resource_id)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidInputError(
            f"the {what} {value!r} is not text", resource_id=resource_id
        ) from None
    return value
