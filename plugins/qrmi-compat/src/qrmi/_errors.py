"""The published errors are the core's; those below are caught by published names as well."""

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
    """The task ended in failure; the published package calls that not ready."""

    retryable = False


class TaskCancelledError(core.TaskCancelledError, TaskNotReadyError):
    """The task was cancelled; the published package calls that not ready."""

    retryable = False


class JobVariablesError(ConfigError, ValueError):
    """The job's variables contradict each other, which is published as a ValueError."""


class ArgumentError(core.InvalidArgumentError, TypeError):
    """An option is unknown or wrong, which is published as a TypeError."""
