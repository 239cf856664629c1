"""What a vendor implements: one class, one exchange with the vendor for each method."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import ClassVar

from qrmi_core.errors import UnsupportedFunctionError
from qrmi_core.payload import Payload
from qrmi_core.settings import Settings
from qrmi_core.values import (
    AcquisitionUsage,
    Observation,
    ResourceInfo,
    ResourceStatus,
    TaskInfo,
    TaskUsage,
)


class Driver(abc.ABC):
    """One resource of one vendor.

    A driver translates calls into the vendor's exchange and its answers into values and errors. It
    does not poll, does not wait, does not retry (`qrmi_core.http` repeats what is safe to repeat)
    and remembers no tasks: `QuantumResource` does all that for every vendor alike. Construction
    contacts nobody. Methods may be called from many threads at once, and obey
    `qrmi_core.deadline.current()`, which `qrmi_core.http` does for them.

    Errors are those of `qrmi_core.errors`, with the vendor's code and request id as attributes;
    the resource's and the task's id are filled in by the caller. Leaving an optional method out
    makes it unsupported, which users can ask for with `QuantumResource.supports`.

    Attributes:
        settings_class: The settings the driver needs.
        payloads: The kinds of payload it takes.
        holds_acquisition: Whether `acquire` really reserves something at the vendor.
        client_chooses_id: Whether a submission repeated with the same tag is one task for the
            vendor, since the task's id is made of the tag.
        discovers_offline: True if `discover` contacts nobody and takes milliseconds, so that
            shells may complete names with it.
        own_filters: Keys of discovery filters that `discover` applies by itself.
    """

    settings_class: ClassVar[type[Settings]] = Settings
    payloads: tuple[type[Payload], ...] = ()
    holds_acquisition: bool = False
    client_chooses_id: ClassVar[bool] = False
    discovers_offline: ClassVar[bool] = False
    own_filters: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, resource_id: str, resource_type: str, settings: Settings) -> None:
        self.resource_id = resource_id
        self.resource_type = resource_type
        self.settings = settings

    def supports(self, function: str) -> bool:
        """Whether an optional method, such as ``task_logs``, is there."""
        return getattr(type(self), function, None) is not getattr(Driver, function, None)

    @abc.abstractmethod
    def task_start(self, payload: Payload, *, submission: str, acquisition: str | None) -> str:
        """Submit a task and give its id.

        An error with `uncertain` set says that the vendor may have created the task all the same.
        So does any exception that is not a `QrmiError`. Every other error means that no task was
        created.

        Args:
            payload: What to run; an instance of one of `payloads`.
            submission: A unique tag of 32 hexadecimal digits, by which the vendor can tell this
                submission from others; the same for each repetition of it.
            acquisition: The acquisition token, None without an acquisition.

        Raises:
            ResourceBusyError: No place is free now; the caller waits and asks again.
            InvalidInputError: The payload is wrong; found before anything is sent if possible.
        """

    @abc.abstractmethod
    def task_status(self, task_id: str) -> Observation:
        """Look at a task once.

        Raises:
            TaskNotFoundError: The vendor has no such task.
        """

    @abc.abstractmethod
    def task_result(self, task_id: str) -> Iterator[bytes]:
        """Read the result once, in pieces of any size.

        The errors are raised by the call or by the first step of the iterator. The caller reads
        again after a later one that is `retryable`, and after an `InvalidResponseError` that is.

        Raises:
            TaskNotReadyError: The task is not final.
            TaskFailedError: It failed; with the vendor's reason.
            TaskCancelledError: It was cancelled.
            TaskNotFoundError: The vendor has no such task.
        """

    @abc.abstractmethod
    def task_stop(self, task_id: str) -> None:
        """Ask to stop a task; returning means that the vendor has taken the request.

        A task that has ended already is not an error.

        Raises:
            TaskNotFoundError: The vendor has no such task. Where stopping deletes the task, that
                is one that was stopped before, and no error.
        """

    @abc.abstractmethod
    def status(self) -> ResourceStatus:
        """Ask for the state of the resource."""

    def close(self) -> None:  # noqa: B027 - most drivers have something to close, none must
        """Close connections. The driver can be used again afterwards."""

    def give_up(self, submission: str) -> None:  # noqa: B027 - most drivers left nothing behind
        """Told that a submission ended without a task, and will not be repeated.

        For a driver that prepares something at the vendor before it submits, such as an upload, and
        keeps it while `task_start` is repeated. Raises nothing, and takes seconds at most.

        Args:
            submission: The tag that `task_start` had.
        """

    def metadata(self) -> Mapping[str, str]:
        """Facts about the resource that need no request, and no secrets."""
        return {}

    def find_submission(self, submission: str) -> str | None:
        """Find the task that carries this tag, None if the vendor has none (optional)."""
        raise self._unsupported("find_submission")

    def task_statuses(self, task_ids: Sequence[str]) -> Mapping[str, Observation]:
        """Look at many tasks in fewer requests (optional); unknown ids are left out."""
        raise self._unsupported("task_statuses")

    def task_list(self) -> Iterable[TaskInfo]:
        """List this user's tasks, newest first (optional)."""
        raise self._unsupported("task_list")

    def task_logs(self, task_id: str) -> str:
        """Fetch a task's logs (optional).

        Raises:
            TaskNotFoundError: The vendor has no such task.
        """
        raise self._unsupported("task_logs")

    def task_usage(self, task_id: str) -> TaskUsage:
        """Ask what a task consumed (optional).

        Raises:
            TaskNotFoundError: The vendor has no such task.
        """
        raise self._unsupported("task_usage")

    def task_input(self, task_id: str) -> bytes:
        """Fetch what a task was asked to run (optional), as the vendor keeps it.

        Raises:
            TaskNotFoundError: The vendor has no such task.
        """
        raise self._unsupported("task_input")

    def batch_open(self) -> str:
        """Open a batch that takes tasks until it is closed, and give its id (optional).

        A driver that has this has the other three methods too.
        """
        raise self._unsupported("batch_open")

    def batch_add(self, batch_id: str, payloads: Sequence[Payload]) -> Sequence[str]:
        """Submit tasks into an open batch, all or none, and give their ids in the same order.

        `uncertain` of an error means the same as for `task_start`.

        Raises:
            TaskNotFoundError: The vendor has no such batch.
        """
        raise self._unsupported("batch_add")

    def batch_close(self, batch_id: str) -> None:
        """Let a batch take no more tasks; those in it go on.

        Raises:
            TaskNotFoundError: The vendor has no such batch.
        """
        raise self._unsupported("batch_close")

    def batch_tasks(self, batch_id: str) -> Sequence[str]:
        """List the ids of a batch's tasks, oldest first.

        Raises:
            TaskNotFoundError: The vendor has no such batch.
        """
        raise self._unsupported("batch_tasks")

    def acquisition_usage(self, token: str) -> AcquisitionUsage:
        """Ask what was done under a reservation, also one that has ended (optional).

        One that the vendor does not know is none under which anything was done.

        Args:
            token: What `acquire` gave.
        """
        raise self._unsupported("acquisition_usage")

    def acquire(self, *, timeout: float | None, detached: bool) -> str:
        """Reserve the resource and give the acquisition token (optional).

        Args:
            timeout: Seconds that a vendor with a waiting call of its own may use; None for no
                limit. Other drivers raise at once.
            detached: Whether the reservation outlives this process, which matters only where it
                would otherwise end with it.

        Raises:
            ResourceBusyError: It is taken; the caller waits and asks again.
        """
        raise self._unsupported("acquire")

    def release(self, token: str, *, cancel_pending: bool) -> None:
        """Give the reservation back (optional); one that has ended already is not an error.

        Args:
            token: What `acquire` gave.
            cancel_pending: Whether to cancel what is still queued under it.
        """
        raise self._unsupported("release")

    def target(self) -> bytes:
        """Fetch the description of the device for compilers (optional), as the vendor sends it."""
        raise self._unsupported("target")

    @classmethod
    def discover(cls, settings: Settings, filters: Mapping[str, str]) -> Iterable[ResourceInfo]:
        """List the resources that these settings reach (optional).

        The caller applies the common filters and sorts; a driver may use them to save requests,
        and applies those of `own_filters`.

        Args:
            settings: Settings as for one resource.
            filters: The filters given, values not interpreted.
        """
        raise UnsupportedFunctionError(f"{cls.__name__} cannot discover resources")

    def _unsupported(self, function: str) -> UnsupportedFunctionError:
        return UnsupportedFunctionError(
            f"resources of type {self.resource_type} do not support {function}",
            resource_id=self.resource_id,
        )
