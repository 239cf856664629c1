"""The driver contract: the class that a vendor implements, and the capabilities it may add.

A driver is one class. It derives from `Driver`, names its settings and payloads, and implements
five methods; everything else has a default. A feature of some vendors is a capability, a
mix-in class of this module: `Acquires`, `Discovers`, `OpenBatches`, `ChoosesIds`, `Prepares`. ::

    class CoinDriver(Driver[CoinSettings, Coin]):
        contract_version = 1
        settings_class = CoinSettings
        payloads = (Coin,)

For every method:

* It makes one exchange with the vendor, as a rule one request. It does not poll, wait, sleep or
  try again: the core does, the same for every vendor. `HttpClient` repeats requests by itself
  where that is safe.
* It may be called from many threads at once. It remembers facts about tasks in
  `TaskNotes`.
* It honours the deadline in force, `qrmi_core.deadline.current()`. `HttpClient` does so by itself;
  a driver that uses another client passes ``current().remaining()`` seconds to it.
* It raises errors of `qrmi_core.errors`, with the vendor's code and request id as attributes. The
  core adds the ids of the resource and the task. Any other exception becomes a
  `DriverDefectError`. After an error nothing has changed at the vendor, unless the method says
  otherwise or the error is marked `uncertain`.
"""

from __future__ import annotations

import abc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from qrmi_core.errors import ResourceBusyError, UnsupportedFunctionError
from qrmi_core.options import TaskOptions
from qrmi_core.payload import Payload
from qrmi_core.settings import Settings
from qrmi_core.values import (
    AcquisitionUsage,
    Observation,
    ResourceDescription,
    ResourceInfo,
    ResourceStatus,
    TaskEstimate,
    TaskInfo,
    TaskUsage,
)

CONTRACT_VERSION = 1
"""The version of the contract of this module; it grows when a correct driver must change."""

SettingsT = TypeVar("SettingsT", bound=Settings)
PayloadT = TypeVar("PayloadT", bound=Payload)


class Driver(abc.ABC, Generic[SettingsT, PayloadT]):
    """One resource of one vendor.

    Creating a driver reads no files and makes no request. A driver that overrides ``__init__``
    calls this one first, with the same arguments.

    Args:
        resource_id: The resource's id at the vendor, as the user gave it.
        resource_type: The resource type, the name of the driver's entry point.
        settings: The settings, an instance of `settings_class`.

    Attributes:
        contract_version: The version of this contract that the driver is written for, a literal
            integer such as ``1``. It has no default: releases of the core and of drivers differ.
        settings_class: The class of the settings.
        payloads: The kinds of payload that the resource accepts; of the class, or of an instance
            where that depends on the resource.
        task_options: The names of the fields of `TaskOptions` that `task_start` honours. The core
            refuses the others before it submits anything.
        min_pause_seconds: The shortest pause between two polls, unless the user sets a
            `PollingPolicy`; less than the default only where a poll costs next to nothing.
    """

    contract_version: ClassVar[int]
    settings_class: ClassVar[type[Settings]] = Settings
    payloads: tuple[type[Payload], ...] = ()
    task_options: ClassVar[frozenset[str]] = frozenset()
    min_pause_seconds: ClassVar[float] = 0.2

    def __init__(self, resource_id: str, resource_type: str, settings: SettingsT) -> None:
        self.resource_id = resource_id
        self.resource_type = resource_type
        self.settings = settings

    def supports(self, capability: type[Any]) -> bool:
        """Return True if this resource has a capability, such as `Acquires`.

        By default it has those that its class is derived from. An instance may narrow this by its
        settings; the methods of a capability that it lacks are never called.

        Args:
            capability: A capability class of this module.
        """
        return isinstance(self, capability)

    # Required

    @abc.abstractmethod
    def task_start(
        self, payload: PayloadT, *, submission: str, acquisition: str | None, options: TaskOptions
    ) -> str:
        """Submit a task and return its id.

        After an error no task exists, unless the error's `uncertain` is set: then the vendor may
        have created it, and the core finds out (see `find_submission` and `ChoosesIds`). An
        exception that is not a `QrmiError` counts as uncertain.

        Args:
            payload: The task's program; an instance of one of `payloads`.
            submission: A unique tag of 32 hexadecimal digits, the same for each attempt at this
                task. The driver sends it along where the vendor keeps it.
            acquisition: The token of the acquisition to run under, None without one.
            options: Options of the task; those that `task_options` does not name are not set.

        Returns:
            The vendor's id, by which another process finds the task again; not empty.

        Raises:
            ResourceBusyError: No slot is free now. The core waits, at least the error's
                `retry_after` seconds, and calls again until the user's time is up.
            InvalidInputError: The payload is wrong; found before anything is sent, if possible.
            NotAcquiredError: The vendor needs an acquisition, and `acquisition` is None or over.
        """

    @abc.abstractmethod
    def task_status(self, task_id: str) -> Observation:
        """Return the present state of a task.

        A status that the driver does not know is reported as None with the vendor's word in `raw`;
        the core takes it for running and warns once.

        Raises:
            TaskNotFoundError: The vendor has no such task.
        """

    @abc.abstractmethod
    def task_result(self, task_id: str) -> Iterator[bytes]:
        """Return the result in pieces of any size, each time from its beginning.

        The pieces together are UTF-8 text as a rule, and reach the user unchanged. Errors are
        raised by the call or by a step of the iterator. After a `retryable` error the core reads
        again from the beginning, for as long as a wait would outlive it; a `TaskNotReadyError` is
        one, since the result of a completed task may lag behind its status.

        Raises:
            TaskNotReadyError: The task has not ended, or its result is not there yet.
            TaskFailedError: The task failed; with the vendor's reason and code.
            TaskCancelledError: The task was cancelled.
            TaskNotFoundError: The vendor has no such task.
        """

    @abc.abstractmethod
    def task_stop(self, task_id: str) -> None:
        """Ask to stop a task; returning means that the vendor has accepted the request.

        Stopping a task that has ended is not an error.

        Raises:
            TaskNotReadyError: The vendor has accepted the request but needs a moment before it can
                be completed. The core calls again, at most 4 times in all, and the user gets the
                last error.
            TaskNotFoundError: The vendor has no such task. Where stopping deletes tasks, an
                unknown one was stopped before, and is not an error.
        """

    @abc.abstractmethod
    def status(self) -> ResourceStatus:
        """Return the present state of the resource.

        Raises:
            ResourceNotFoundError: The vendor has no such resource.
        """

    # Optional

    def close(self) -> None:
        """Close the connections of this thread. The driver can be used again afterwards."""

    def metadata(self) -> Mapping[str, str]:
        """Return facts about the resource that need no request, and no secrets."""
        return {}

    def target(self) -> bytes:
        """Return the description of the device for compilers, as the vendor sends it (UTF-8).

        Raises:
            ResourceNotFoundError: The vendor has no such resource.
        """
        raise unsupported("target")

    def describe(self) -> ResourceDescription:
        """Return facts about the device for people and for choosing a resource.

        Raises:
            ResourceNotFoundError: The vendor has no such resource.
        """
        raise unsupported("describe")

    def estimate(self, payload: PayloadT) -> TaskEstimate:
        """Return the expected consumption of a task, without submitting it.

        Args:
            payload: The task's program; an instance of one of `payloads`.

        Raises:
            InvalidInputError: The payload is wrong.
        """
        raise unsupported("estimate")

    def find_submission(self, submission: str) -> str | None:
        """Return the id of the task that carries a tag, None if the vendor has no such task.

        The core calls it, several times since lists may lag behind, when the response to a
        submission was lost. None makes it submit again: a driver that cannot be sure raises.

        Args:
            submission: The tag that `task_start` had.
        """
        raise unsupported("find_submission")

    def task_statuses(self, task_ids: Sequence[str]) -> Mapping[str, Observation]:
        """Return the states of many tasks, in fewer requests than `task_status` needs for them.

        The core polls those that are missing in the result alone, unknown ones among them.

        Args:
            task_ids: Any number of ids, without duplicates.
        """
        return {}

    def task_list(self) -> Iterable[TaskInfo]:
        """Return this user's tasks on the resource, newest first; pages are read on demand."""
        raise unsupported("task_list")

    def task_logs(self, task_id: str) -> str:
        """Return a task's logs, empty if it has none yet.

        Raises:
            TaskNotReadyError: The vendor has the logs only at the end of the task.
            TaskNotFoundError: The vendor has no such task.
        """
        raise unsupported("task_logs")

    def task_usage(self, task_id: str) -> TaskUsage:
        """Return the consumption of a task until now, and its times.

        Raises:
            TaskNotFoundError: The vendor has no such task.
        """
        raise unsupported("task_usage")

    def task_input(self, task_id: str) -> bytes:
        """Return a task's program as the vendor keeps it (UTF-8).

        Raises:
            TaskNotFoundError: The vendor has no such task.
        """
        raise unsupported("task_input")


class Acquires(abc.ABC):
    """Capability: the resource can be reserved.

    A reservation is known by its token, also in another process. The core keeps the tokens, and
    passes the one that a task runs under to `Driver.task_start`.

    Attributes:
        counts_slots: True if `acquire` honours `slots`; else the core refuses a number of slots.
    """

    counts_slots: ClassVar[bool] = False

    @abc.abstractmethod
    def acquire(self, *, detached: bool, slots: int | None) -> str:
        """Reserve the resource and return the acquisition token, which is not empty.

        Args:
            detached: True if the reservation must outlive this process, which matters only where it
                would otherwise end with it.
            slots: The number of slots to reserve, None for the vendor's default.

        Raises:
            ResourceBusyError: The resource is reserved by others. The core waits, at least the
                error's `retry_after` seconds, and calls again until the user's time is up.
        """

    @abc.abstractmethod
    def release(self, token: str, *, cancel_pending: bool) -> None:
        """End a reservation; one that has ended or is unknown is not an error.

        Args:
            token: The token that `acquire` returned, here or in another process.
            cancel_pending: True to cancel the tasks that are still queued under it.
        """

    def acquisition_usage(self, token: str) -> AcquisitionUsage:
        """Return the consumption under a reservation, also under one that has ended (optional).

        It is zero under one that the vendor does not have.

        Args:
            token: The token that `acquire` returned, here or in another process.
        """
        raise unsupported("acquisition_usage")


class Discovers(abc.ABC):
    """Capability: the vendor can list the resources that an account reaches.

    Attributes:
        discovers_offline: True if `discover` makes no request and takes milliseconds, so that
            shells may complete names with it.
    """

    discovers_offline: ClassVar[bool] = False

    @classmethod
    @abc.abstractmethod
    def discover(cls, settings: Any, filters: Mapping[str, str]) -> Iterable[ResourceInfo]:
        """Return the resources that these settings reach, in any order.

        The core applies the common filters to the result and sorts it. A driver may use them to
        save requests, and leaves a fact that costs a request for each resource out unless a filter
        needs it.

        Args:
            settings: An instance of the driver's `settings_class`.
            filters: The user's filters, values not interpreted.
        """


class OpenBatches(abc.ABC):
    """Capability: tasks can be added to a batch until it is closed."""

    @abc.abstractmethod
    def batch_open(self) -> str:
        """Open a batch and return its id, which is not empty."""

    @abc.abstractmethod
    def batch_add(self, batch_id: str, payloads: Sequence[Any]) -> Sequence[str]:
        """Submit tasks into an open batch, all or none, and return their ids in the same order.

        `uncertain` of an error has the same meaning as for `Driver.task_start`.

        Args:
            batch_id: The id that `batch_open` returned.
            payloads: The tasks' programs; instances of `Driver.payloads`.

        Raises:
            InvalidInputError: A payload is wrong, or the batch is closed.
            TaskNotFoundError: The vendor has no such batch.
        """

    @abc.abstractmethod
    def batch_close(self, batch_id: str) -> None:
        """Let a batch accept no more tasks; those in it go on.

        Raises:
            TaskNotFoundError: The vendor has no such batch.
        """

    @abc.abstractmethod
    def batch_tasks(self, batch_id: str) -> Sequence[str]:
        """Return the ids of a batch's tasks, oldest first.

        Raises:
            TaskNotFoundError: The vendor has no such batch.
        """


class ChoosesIds:
    """Capability: the client chooses a task's id, made of the submission's tag.

    `Driver.task_start` called again with the same tag then returns the same id and makes no second
    task, so that the core repeats it when the response was lost.
    """


class Prepares(abc.ABC):
    """Capability: the driver keeps something at the vendor beside the tasks themselves."""

    @abc.abstractmethod
    def give_up(self, submission: str) -> None:
        """Clean up after a submission that created no task and will not be tried again.

        For a driver that prepares a submission, with an upload for instance, and keeps
        it while `task_start` is repeated. Takes seconds at most; errors are logged.

        Args:
            submission: The tag that `task_start` had.
        """

    def make_room(self, busy: ResourceBusyError) -> bool:
        """Free a slot that an ended task of this driver still holds; return True if that was done.

        The core then submits again at once. By default it returns False.

        Args:
            busy: The error of `task_start`.
        """
        return False


CONTRACT: tuple[type[Any], ...]
CONTRACT = (Driver, Acquires, Discovers, OpenBatches, ChoosesIds, Prepares)
"""The classes of the contract."""


def offers(driver: Driver[Any, Any], function: str) -> bool:
    """Return True if a driver implements a method of the contract, and its instance supports it."""
    for home in CONTRACT:
        if function in vars(home):
            return driver.supports(home) and getattr(type(driver), function) is not getattr(
                home, function
            )
    return False


def unsupported(function: str) -> UnsupportedFunctionError:
    """Return the error for a method that a driver does not implement."""
    return UnsupportedFunctionError(f"the resource does not support {function}")
