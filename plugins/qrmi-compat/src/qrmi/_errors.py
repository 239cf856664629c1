"""The core's errors, with subclasses that published names catch as well."""

import qrmi_core as core
from qrmi_core import (
    AuthenticationFailedError as AuthenticationFailedError,
    ConfigError as ConfigError,
    EnvVarNotSetError as EnvVarNotSetError,
    InvalidInputError as InvalidInputError,
    QrmiError as QrmiError,
    ResourceNotFoundError as ResourceNotFoundError,
    TaskNotFoundError as TaskNotFoundError,
    TaskNotReadyError as TaskNotReadyError,
    UnsupportedFunctionError as UnsupportedFunctionError,
    UnsupportedPayloadError as UnsupportedPayloadError,
    UnsupportedResourceTypeError as UnsupportedResourceTypeError,
)


class TaskFailedError(core.TaskFailedError, TaskNotReadyError):
    """The task ended in failure; the published package raises "not ready" for this."""

    retryable = False


class TaskCancelledError(core.TaskCancelledError, TaskNotReadyError):
    """The task was cancelled; the published package raises "not ready" for this."""

    retryable = False


class JobVariablesError(ConfigError, ValueError):
    """The job's variables contradict each other; published as a ValueError."""


class ArgumentError(core.InvalidArgumentError, TypeError):
    """An option is unknown or wrong; published as a TypeError."""
