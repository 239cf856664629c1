"""The object that users hold: what is the same for every vendor."""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import BinaryIO, NoReturn, Self, TypeVar

from qrmi_core.deadline import Clock, Sleep, current
from qrmi_core.driver import Driver
from qrmi_core.errors import (
    DriverDefectError,
    InvalidInputError,
    InvalidResponseError,
    QrmiError,
    TaskCancelledError,
    TaskFailedError,
    TaskNotReadyError,
    UnsupportedPayloadError,
)
from qrmi_core.files import atomic_output
from qrmi_core.payload import Payload
from qrmi_core.polling import OnWait, PollingPolicy, until_free, wait_for
from qrmi_core.registry import find_driver
from qrmi_core.submission import submit
from qrmi_core.task import OnTransition, Task, TaskState
from qrmi_core.values import (
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
        if not isinstance(resource_id, str) or not isinstance(resource_type, str):
            raise TypeError("resource_id and resource_type must be strings")
        if not resource_id:
            raise InvalidInputError("the resource id is empty")
        self._id = resource_id
        self._type = resource_type
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
        self._states: dict[str, TaskState] = {}
        self._tokens: list[str] = []
        with self._explained():
            self._driver: Driver = driver_class(resource_id, resource_type, settings)

    @classmethod
    def from_config(
        cls, resource_id: str, resource_type: str, config: Mapping[str, str]
    ) -> QuantumResource:
        """Make a resource of a mapping of settings; the environment is not read."""
        return cls(resource_id, resource_type, config)

    def __repr__(self) -> str:
        return f"QuantumResource({self._id!r}, {str(self._type)!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a QuantumResource holds credentials and is not pickled: "
            "pass its id, its type and the task's id, and make it again"
        )

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            token = self._tokens[-1] if self._tokens else None
        try:
            if token is not None:
                self.release(token, cancel_pending=kind is not None)
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
        if self._scheduler_token is not None:
            token = self._scheduler_token
        elif not self._driver.supports("acquire"):
            token = f"nothing-held-{uuid.uuid4()}"
            _log.info("%s cannot be reserved; the acquisition holds nothing", self._id)
        else:
            with self._explained():
                token = self._until_free(
                    lambda: self._driver.acquire(timeout=current().remaining(), detached=detached),
                    timeout,
                )
        with self._lock:
            self._tokens.append(token)
        return token

    def release(self, token: str, *, cancel_pending: bool = False) -> None:
        """Give a reservation back. The scheduler's own is left alone.

        Args:
            token: What `acquire` gave, here or in another process.
            cancel_pending: Whether to cancel what is still queued under it.
        """
        if not isinstance(token, str):
            raise TypeError(f"the acquisition token must be a string, not {type(token).__name__}")
        if token == self._scheduler_token:
            _log.info("%s was acquired by the scheduler, which will release it", self._id)
        elif self._driver.supports("release") and not token.startswith("nothing-held-"):
            with self._explained():
                self._driver.release(token, cancel_pending=cancel_pending)
        with self._lock:
            if token in self._tokens:
                self._tokens.remove(token)

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
        """A handle for a task, also one that another process started; costs no request."""
        if not isinstance(task_id, str):
            raise TypeError(f"the task's id must be a string, not {type(task_id).__name__}")
        if not task_id:
            raise InvalidInputError("the task's id is empty", resource_id=self._id)
        with self._lock:
            state = self._states.get(task_id)
            if state is None:
                state = self._states[task_id] = TaskState(f"task {task_id} on {self._id}")
                if len(self._states) > _REMEMBERED_TASKS:
                    del self._states[next(iter(self._states))]
        return Task(self, task_id, state, on_transition or self.on_transition)

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
        if not isinstance(payload, Payload):
            raise TypeError(f"the payload must be a Payload, not {type(payload).__name__}")
        if not isinstance(payload, self._driver.payloads):
            takes = ", ".join(kind.kind for kind in self._driver.payloads)
            raise UnsupportedPayloadError(
                f"{self._id} ({self._type}) does not take a {payload.kind} payload, but {takes}",
                resource_id=self._id,
            )
        tag = uuid.uuid4().hex
        with self._lock:
            acquisition = self._tokens[-1] if self._tokens else self._scheduler_token
        if acquisition is not None and acquisition.startswith("nothing-held-"):
            acquisition = None
        with self._explained():
            task_id = self._until_free(
                lambda: submit(self._driver, payload, tag, acquisition, self.sleep), timeout
            )
        _log.info("task %s started on %s", task_id, self._id)
        return task_id

    def task_status(self, task_id: str) -> TaskStatus:
        """Look at a task once; costs no request once it has ended.

        Raises:
            TaskNotFoundError: The vendor has no such task.
        """
        task = self.task(task_id)
        if not task.state.final:
            self.look([task])
        status = task.state.status
        assert status is not None  # look() leaves a state or raises
        return status

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
        pieces = bytearray()

        def collect(chunks: Iterator[bytes]) -> None:
            pieces.clear()
            for chunk in chunks:
                pieces.extend(chunk)

        self._read_result(task_id, collect, timeout)
        try:
            return TaskResult(pieces.decode())
        except UnicodeDecodeError as error:
            raise InvalidResponseError(
                f"the result of task {task_id} is not text; save it with save_result",
                resource_id=self._id,
                task_id=task_id,
            ) from error

    def save_task_result(
        self, task_id: str, path: str | os.PathLike[str], timeout: float | None = None
    ) -> None:
        """Wait for a task and stream its result into a file; see `Task.save_result`."""
        self._wait_for_result(task_id, timeout)
        with atomic_output(path) as stream:
            self.write_task_result(task_id, stream)

    def write_task_result(
        self, task_id: str, stream: BinaryIO, timeout: float | None = None
    ) -> None:
        """Wait for a task and stream its result into an open binary file.

        Args:
            task_id: The task's id.
            stream: Where to write; emptied and written again when a read breaks off, which a stream
                that cannot seek makes an `OSError`.
            timeout: Seconds to wait for the end; None for ever, 0 looks once.
        """

        written = False

        def write(chunks: Iterator[bytes]) -> None:
            nonlocal written
            # Only then: a pipe and /dev/null cannot be rewound.
            if written:
                stream.seek(0)
                stream.truncate()
            for chunk in chunks:
                written = True
                stream.write(chunk)

        self._read_result(task_id, write, timeout)

    def task_stop(self, task_id: str) -> None:
        """Ask to stop a task; returning means that the vendor has taken the request.

        It always reaches the vendor, also for a task that has ended. What is cancelled and what
        is deleted is said by the vendor's plugin.

        Raises:
            TaskNotFoundError: The vendor has no such task.
        """
        with self._explained(self.task(task_id).id):
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

    def task_list(self) -> list[TaskInfo]:
        """List the user's tasks, newest first.

        Raises:
            UnsupportedFunctionError: The vendor cannot list them.
        """
        with self._explained():
            return list(self._driver.task_list())

    def look(self, tasks: Sequence[Task]) -> None:
        """Look once at tasks of this resource, in one request where the driver can."""
        if len(tasks) > 1 and self._driver.supports("task_statuses"):
            with self._explained():
                reports = self._driver.task_statuses([task.id for task in tasks])
        else:
            reports = {}
        for task in tasks:
            report = reports.get(task.id)
            if report is None:
                # Alone, an unknown task is an error that names it.
                with self._explained(task.id):
                    report = self._driver.task_status(task.id)
            task.observe(report)

    def _wait_for_result(self, task_id: str, timeout: float | None) -> None:
        task = self.task(task_id)
        status = wait_for(task, timeout)
        report = task.state.observation
        # Without the reason at hand the driver is asked for the result, and its error tells.
        if report is None or report.reason is None or status is TaskStatus.Completed:
            return
        kind = TaskFailedError if status is TaskStatus.Failed else TaskCancelledError
        raise kind(
            f"task {task_id} {status.name.lower()}: {report.reason}",
            resource_id=self._id,
            task_id=task_id,
            vendor_code=report.code,
        )

    def _read_result(
        self, task_id: str, consume: Callable[[Iterator[bytes]], None], timeout: float | None
    ) -> None:
        from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

        self._wait_for_result(task_id, timeout)

        begun = False

        def pieces() -> Iterator[bytes]:
            nonlocal begun
            with self._explained(task_id):
                for piece in self._driver.task_result(task_id):
                    begun = True
                    yield piece

        def can_help(error: BaseException) -> bool:
            # What fails before the first byte was repeated in the call, as far as that helps;
            # but a result may appear a little later than the state tells.
            return isinstance(error, TaskNotReadyError) or (
                begun and isinstance(error, QrmiError) and error.retryable
            )

        Retrying(
            retry=retry_if_exception(can_help),
            stop=stop_after_attempt(4),
            wait=wait_exponential(multiplier=0.5),
            sleep=self.sleep,
            reraise=True,
        )(lambda: consume(pieces()))

    def _until_free(self, attempt: Callable[[], _T], timeout: float | None) -> _T:
        return until_free(
            attempt,
            timeout,
            policy=self.polling,
            clock=self.clock,
            sleep=self.sleep,
            on_wait=self.on_wait,
        )

    @contextmanager
    def _explained(self, task_id: str | None = None) -> Iterator[None]:
        """Say which resource and task an error of the driver is about."""
        try:
            yield
        except QrmiError as error:
            error.resource_id = error.resource_id or self._id
            error.task_id = error.task_id or task_id
            raise
        except Exception as error:
            raise DriverDefectError(
                f"the driver of {self._type} raised {type(error).__name__}: {error}; "
                "tell the authors of the plugin",
                resource_id=self._id,
                task_id=task_id,
            ) from error
