"""`QuantumResource`, the vendor-neutral entry point."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self

from qrmi_core.acquisition import Acquisitions
from qrmi_core.blocks import Blocks
from qrmi_core.channel import Channel, checked_id, defects_named
from qrmi_core.deadline import Clock, Sleep
from qrmi_core.driver import Acquires, Driver
from qrmi_core.errors import QrmiError
from qrmi_core.outcomes import decoded
from qrmi_core.payload import Payload
from qrmi_core.registry import find_driver
from qrmi_core.reports import checked
from qrmi_core.retry import OnWait, PollingPolicy
from qrmi_core.runs import Runs
from qrmi_core.values import (
    AcquisitionUsage,
    ResourceDescription,
    ResourceStatus,
    ResourceStatusCode,
    ResourceType,
    Target,
    TaskEstimate,
    TaskInfo,
    TaskResult,
    TaskStatus,
    TaskUsage,
)

if TYPE_CHECKING:
    from qrmi_core.task import OnTransition


class QuantumResource(Runs):
    """A quantum computer, or a simulator that stands in for one.

    Creating the object only reads settings; it makes no request. It may be used from many threads.
    As a context manager it acquires the resource on entry and releases it on exit. Left by
    ``KeyboardInterrupt``, it first stops the unfinished tasks submitted in the block, for 20
    seconds at most, and cancels those queued under the acquisition; after any other exception they
    go on, and a warning names them.

    Args:
        resource_id: The vendor's name of the resource.
        resource_type: The type, which names the driver; any string.
        config: Settings with unprefixed keys; the environment is then not read. Without it the
            environment is read, ``<resource_id>_<KEY>``.
        polling: The pauses between polls of a task, or between attempts at a busy resource.
        on_transition: Called with every transition of every task, unless the task has a function
            of its own.
        on_wait: Called before every pause in which a busy resource is waited for.
        stop_on_interrupt: False to let tasks go on when ``KeyboardInterrupt`` leaves a ``with``
            block, as they do after any other exception.
        clock: Monotonic clock in seconds.
        sleep: Sleeps for a number of seconds.
        driver_class: The driver to use in place of the installed one, for tests above all.
        environment: A mapping to read in place of the process environment.

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
        stop_on_interrupt: bool = True,
        clock: Clock = time.monotonic,
        sleep: Sleep = time.sleep,
        driver_class: type[Driver[Any, Any]] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._id = checked_id(resource_id, "resource id")
        self._type = checked_id(resource_type, "resource type")
        if config is not None and not isinstance(config, Mapping):
            raise TypeError(f"config must be a mapping, not {type(config).__name__}")
        driver_class = driver_class or find_driver(resource_type)
        if config is None:
            settings = driver_class.settings_class.from_environment(resource_id, environment)
        else:
            settings = driver_class.settings_class.from_mapping(config, resource_id)
        try:
            with defects_named(settings):
                self._driver = driver_class(resource_id, resource_type, settings)
        except QrmiError as error:
            error.resource_id = error.resource_id or self._id
            raise
        policy = polling or PollingPolicy(min_pause_seconds=self._driver.min_pause_seconds)
        channel = Channel(self._driver, policy, clock, sleep, on_wait)
        acquisitions = Acquisitions(channel, settings.acquisition_token)
        # A mapping may be that of an entry of a configuration file, which is known by its name.
        name = resource_id if config is not None else f"{self._type!s}:{resource_id}"
        blocks = Blocks(channel, acquisitions, name, stop_on_interrupt=stop_on_interrupt)
        super().__init__(channel, acquisitions, blocks, on_transition)

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
        self._blocks.enter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._blocks.leave(error)

    def close(self) -> None:
        """Close connections; the object can be used again afterwards."""
        with self._channel.calling() as driver:
            driver.close()

    # The resource

    def resource_id(self) -> str:
        """Return the id, as given."""
        return self._id

    def resource_type(self) -> ResourceType:
        """Return the type, as given."""
        given = self._type
        return given if isinstance(given, ResourceType) else ResourceType(given)

    def supports(self, function: str) -> bool:
        """Return True if the resource has an operation, before it is called.

        Args:
            function: A method's name, such as ``task_logs`` or ``acquire``.
        """
        return self._channel.offers(function)

    def payloads(self) -> tuple[type[Payload], ...]:
        """Return the kinds of payload that the resource accepts."""
        return self._driver.payloads

    def is_accessible(self) -> bool:
        """Return True if the resource takes work now: one `status` request."""
        return self.status().status is ResourceStatusCode.Online

    def status(self) -> ResourceStatus:
        """Return the present state of the resource."""
        with self._channel.calling() as driver:
            return checked("status", driver.status())

    def target(self) -> Target:
        """Return the description of the device for compilers, as the vendor sends it.

        Raises:
            UnsupportedFunctionError: The vendor has none.
            InvalidResponseError: It is not text.
        """
        with self._channel.calling() as driver:
            return Target(
                decoded(checked("target", driver.target()), "the description of the device")
            )

    def describe(self) -> ResourceDescription:
        """Return facts about the device for people and for choosing a resource.

        Raises:
            UnsupportedFunctionError: The driver does not report them.
        """
        with self._channel.calling() as driver:
            return checked("describe", driver.describe())

    def estimate(self, payload: Payload) -> TaskEstimate:
        """Return the expected consumption of a task, without submitting it.

        Args:
            payload: The task's program.

        Raises:
            UnsupportedFunctionError: The driver makes no estimates.
            UnsupportedPayloadError: The resource does not accept this kind.
            InvalidInputError: The payload is wrong.
        """
        self._channel.check_payload(payload)
        with self._channel.calling() as driver:
            return checked("estimate", driver.estimate(payload))

    def metadata(self) -> dict[str, str]:
        """Return facts about the resource that need no request, and no secrets."""
        with self._channel.calling() as driver:
            return {"backend_name": self._id, **checked("metadata", driver.metadata())}

    # Acquisition

    def acquire(
        self, timeout: float | None = None, *, detached: bool = False, slots: int | None = None
    ) -> str:
        """Reserve the resource and return the acquisition token.

        One object has one acquisition: while it is held, this returns its token, and each call
        needs one of `release`. The tasks of all threads run under it. Make a second object for a
        second acquisition.

        Inside a scheduler's job that has acquired the resource this is the scheduler's token,
        without a request. Where the resource cannot be reserved (``supports("acquire")`` is
        False) it is a token that stands for nothing.

        Args:
            timeout: Seconds to wait for a busy resource; None for ever, 0 tries once.
            detached: True if the reservation must outlive this process, as a scheduler's does; it
                matters only for drivers that would otherwise end it with the process.
            slots: The number of slots to reserve, None for the vendor's default.

        Raises:
            ResourceBusyError: The resource was busy until the time was up.
            UnsupportedFunctionError: Slots cannot be reserved on this resource.
            InvalidArgumentError: The object already holds an acquisition with other `slots`, or one
                that is not detached.
        """
        return self._acquisitions.acquire(timeout, detached=detached, slots=slots)

    def release(self, token: str, *, cancel_pending: bool = False) -> None:
        """End a reservation, once for each call of `acquire`; the last one ends it.

        Tokens that have ended or are unknown are ignored. The scheduler's own is left alone, as is
        that of the parent process in a forked child.

        Args:
            token: The token that `acquire` returned, here or in another process.
            cancel_pending: True to cancel the tasks that are still queued under it when it ends.
        """
        checked_id(token, "acquisition token", self._id)
        self._acquisitions.release(token, cancel_pending=cancel_pending)

    def acquisition_usage(self, token: str) -> AcquisitionUsage:
        """Return the consumption under a reservation, also under one that has ended.

        Args:
            token: The token that `acquire` returned, here or in another process.

        Raises:
            UnsupportedFunctionError: The vendor does not report it.
        """
        checked_id(token, "acquisition token", self._id)
        with self._channel.calling():
            acquires = self._channel.needed(Acquires, "acquisition_usage")
            return checked("acquisition_usage", acquires.acquisition_usage(token))

    # Tasks

    def task_status(self, task_id: str) -> TaskStatus:
        """Poll a task once and return its state; costs no request once it has ended.

        Raises:
            TaskNotFoundError: The vendor has no such task.
        """
        return self.task(task_id).status()

    def task_result(self, task_id: str, timeout: float | None = None) -> TaskResult:
        """Wait for a task and return its result.

        Args:
            task_id: The task's id.
            timeout: Seconds to wait for the end; None for ever, 0 polls once.

        Raises:
            WaitTimeoutError: The time is up; the task goes on.
            TaskFailedError: The task failed.
            TaskCancelledError: The task was cancelled.
            TaskNotFoundError: The vendor has no such task.
        """
        return self.task(task_id).result(timeout)

    def task_stop(self, task_id: str) -> None:
        """Ask to stop a task; returning means that the vendor has accepted the request.

        The request always reaches the vendor, also for a task that has ended. Whether
        the task is deleted is documented by the vendor's plugin.

        Raises:
            TaskNotFoundError: The vendor has no such task; not where stopping deletes it.
        """
        self.task(task_id).stop()

    def task_logs(self, task_id: str) -> str:
        """Return a task's logs.

        Raises:
            UnsupportedFunctionError: The vendor has none.
            TaskNotFoundError: The vendor has no such task.
        """
        return self.task(task_id).logs()

    def task_usage(self, task_id: str) -> TaskUsage:
        """Return the consumption of a task, and its times.

        Raises:
            UnsupportedFunctionError: The vendor does not report it.
            TaskNotFoundError: The vendor has no such task.
        """
        return self.task(task_id).usage()

    def task_input(self, task_id: str) -> str:
        """Return a task's program as the vendor keeps it.

        Raises:
            UnsupportedFunctionError: The vendor does not give it back.
            TaskNotFoundError: The vendor has no such task.
        """
        return self.task(task_id).input()

    def task_list(self) -> list[TaskInfo]:
        """Return the user's tasks, newest first.

        Raises:
            UnsupportedFunctionError: The vendor cannot list them.
        """
        with self._channel.calling() as driver:
            return list(checked("task_list", driver.task_list()))
