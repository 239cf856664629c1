"""The one tree of errors.

::

    RuntimeError
    └── QrmiError
        ├── ConfigError                     a setting is missing, malformed or contradictory
        │   └── EnvVarNotSetError           a required environment variable is not set
        ├── PluginError                     a driver or command plugin cannot be used
        │   ├── DriverDefectError           ... since it breaks the contract of drivers
        │   └── UnsupportedResourceTypeError    no installed driver has this resource type
        ├── InvalidInputError               an argument, payload or filter is wrong
        │   ├── InvalidArgumentError        ... a value of an argument (also a ValueError)
        │   └── UnsupportedPayloadError     the resource rejects this kind of payload
        ├── UnsupportedFunctionError        the resource cannot do this
        ├── AuthenticationFailedError       the credential was refused
        ├── TransportError                  the vendor was not reached, or its response was lost
        │   └── CallTimeoutError            ... not in time (also a TimeoutError)
        ├── ServiceError                    the vendor responded with an error
        │   ├── InvalidResponseError        ... with something that is not of its API
        │   ├── PermissionDeniedError       ... that this account may not do this
        │   ├── ResourceNotFoundError       ... that it has no such resource
        │   └── TaskNotFoundError           ... that it has no such task
        ├── ResourceBusyError               the resource is held by others, or has no free slot
        ├── NotAcquiredError                the operation needs an acquisition that is not there
        ├── SubmissionUncertainError        a task may or may not have been created
        ├── BatchSubmissionError            some of many tasks were not submitted
        │   └── BatchInterruptedError       ... since Ctrl-C was pressed (also a KeyboardInterrupt)
        ├── TaskNotReadyError               the task has no result yet
        │   └── WaitTimeoutError            ... when the time was up (also a TimeoutError)
        ├── TaskFailedError                 the task ended in failure
        └── TaskCancelledError              the task was cancelled

Anything the library raises on purpose is a `QrmiError`; Python's own `TypeError` is left for
wrong argument types. `retryable` is True if the same call may succeed later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from qrmi_core.values import TaskStatus

_ErrorT = TypeVar("_ErrorT", bound="QrmiError")

PASSING = (KeyboardInterrupt, SystemExit, GeneratorExit)
"""Exceptions that end a program, and are not a defect of a driver."""


class QrmiError(RuntimeError):
    """Base class of all errors.

    Args:
        message: The problem and advice.
        resource_id: The resource concerned; set by `QuantumResource` if the driver does not set it.
        task_id: The task concerned, likewise.
        status_code: HTTP status code of the vendor's response.
        vendor_code: The vendor's own error code.
        request_id: The vendor's id of the request, to quote to their support.
        retryable: True if the same call may succeed later.
        retry_after: Seconds that the vendor asks to wait before the next attempt.
        uncertain: True if the vendor may have carried out the call although it failed.

    Attributes:
        details: Further fields of the vendor's response, under the vendor's names.
    """

    retryable: bool = False

    def __init__(
        self,
        message: str = "",
        *,
        resource_id: str | None = None,
        task_id: str | None = None,
        status_code: int | None = None,
        vendor_code: str | None = None,
        request_id: str | None = None,
        retryable: bool | None = None,
        retry_after: float | None = None,
        uncertain: bool = False,
    ) -> None:
        super().__init__(message)
        self.resource_id = resource_id
        self.task_id = task_id
        self.status_code = status_code
        self.vendor_code = vendor_code
        self.request_id = request_id
        if retryable is not None:
            self.retryable = retryable
        self.retry_after = retry_after
        self.uncertain = uncertain
        self.details: dict[str, str] = {}

    @property
    def message(self) -> str:
        """The problem and advice; `str` adds the ids and the code."""
        message: str = self.args[0] if self.args else ""
        return message

    @message.setter
    def message(self, message: str) -> None:
        self.args = (message,)

    def __str__(self) -> str:
        details = [
            f"{label} {value}"
            for label, value in (
                ("resource", self.resource_id),
                ("task", self.task_id),
                ("code", self.vendor_code),
                ("request", self.request_id),
            )
            if value and str(value) not in self.message
        ]
        return f"{self.message} [{', '.join(details)}]" if details else self.message


def recast(error: QrmiError, kind: type[_ErrorT], advice: str = "") -> _ErrorT:
    """Return an error of another class with the same message and attributes.

    It is `retryable` or `uncertain` if the error or the new class is.

    Args:
        error: The original error.
        kind: The class of the new error.
        advice: Advice, appended to the message.
    """
    new = kind(f"{error.message}; {advice}" if advice else error.message)
    retryable, uncertain = new.retryable or error.retryable, new.uncertain or error.uncertain
    vars(new).update(vars(error), retryable=retryable, uncertain=uncertain)
    return new


class ConfigError(QrmiError):
    """A setting is missing, malformed or contradicts another; the message names each one."""


class EnvVarNotSetError(ConfigError):
    """One or more required environment variables are not set; the message names each one."""


class PluginError(QrmiError):
    """A plugin cannot be loaded, has the wrong type, or shares its name with another."""


class DriverDefectError(PluginError):
    """A driver broke its contract by an exception or a result; report it to its authors."""


class UnsupportedResourceTypeError(PluginError):
    """No installed driver has this resource type, or the driver cannot discover resources."""


class InvalidInputError(QrmiError):
    """An argument, a payload or a filter is wrong. Nothing was submitted."""


class InvalidArgumentError(InvalidInputError, ValueError):
    """The value of an argument is wrong. Nothing was submitted.

    It is also a ``ValueError``, which the frameworks behind the front ends raise.
    """


class UnsupportedPayloadError(InvalidInputError):
    """The resource rejects this kind of payload. Nothing was submitted."""


class UnsupportedFunctionError(QrmiError):
    """The resource cannot do this; check `QuantumResource.supports` first."""


class AuthenticationFailedError(QrmiError):
    """The vendor rejected the credential, also after its renewal."""


class TransportError(QrmiError):
    """The vendor was not reached, or its response was lost on the way."""

    retryable = True


class CallTimeoutError(TransportError, TimeoutError):
    """The vendor did not respond to one call in time."""


class ServiceError(QrmiError):
    """The vendor responded with an error; see `status_code` and `vendor_code`."""


class InvalidResponseError(ServiceError):
    """The response breaks the API's contract: not JSON, too large, or a proxy's error page."""


class PermissionDeniedError(ServiceError):
    """The account may not do this."""


class ResourceNotFoundError(ServiceError):
    """The vendor has no such resource."""


class TaskNotFoundError(ServiceError):
    """The vendor has no such task; it may have been deleted, or belong to another account."""


class ResourceBusyError(QrmiError):
    """Others hold the resource, or it has no free slot for another task."""

    retryable = True


class NotAcquiredError(QrmiError):
    """The operation needs an acquisition, which is missing or has ended."""


class SubmissionUncertainError(QrmiError):
    """The response to a submission was lost, so the task may or may not exist.

    Check the candidates before submitting again, since the task may be running and may be billed.
    ::

        try:
            task = resource.run(payload)
        except SubmissionUncertainError as error:
            print("check these tasks before you submit again:", error.candidates)
            raise

    Args:
        message: The problem and advice.
        submission: The tag that the submission carried.
        candidates: Ids of tasks created since, where the vendor can list them.
        resource_id: The resource concerned.
    """

    def __init__(
        self,
        message: str = "",
        *,
        submission: str = "",
        candidates: tuple[str, ...] = (),
        resource_id: str | None = None,
    ) -> None:
        super().__init__(message, resource_id=resource_id, uncertain=True)
        self.submission = submission
        self.candidates = candidates


class TaskNotReadyError(QrmiError):
    """The task has no result yet."""

    retryable = True


class WaitTimeoutError(TaskNotReadyError, TimeoutError):
    """The waiting time is over. The task was not stopped and may still finish.

    Args:
        message: The awaited event and the time waited.
        status: The last reported status, or None.
        resource_id: The resource concerned.
        task_id: The task.
    """

    def __init__(
        self,
        message: str = "",
        *,
        status: TaskStatus | None = None,
        resource_id: str | None = None,
        task_id: str | None = None,
    ) -> None:
        super().__init__(message, resource_id=resource_id, task_id=task_id)
        self.status = status


class TaskFailedError(QrmiError):
    """The task ended in failure; the message gives the vendor's reason."""


class TaskCancelledError(QrmiError):
    """The task was cancelled, so it has no result."""
