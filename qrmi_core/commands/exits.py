"""Exit statuses and one-line messages for errors."""

from __future__ import annotations

import click

from qrmi_core._imports import broken_dependency
from qrmi_core.commands.signals import SIGNAL_BASE, Interrupted
from qrmi_core.errors import (
    ConfigError,
    DriverDefectError,
    InvalidInputError,
    NotAcquiredError,
    PluginError,
    QrmiError,
    ResourceBusyError,
    ResourceNotFoundError,
    SubmissionUncertainError,
    TaskCancelledError,
    TaskFailedError,
    TaskNotFoundError,
    UnsupportedFunctionError,
    WaitTimeoutError,
)
from qrmi_core.redaction import one_line

FAILED = 1
USAGE = 2
CANCELLED = 3
TIMED_OUT = 4
SERVICE = 5
UNCERTAIN = 6
DEFECT = 70
INTERRUPTED = 130
BROKEN_PIPE = 141

STATUSES: tuple[tuple[type[BaseException], int], ...] = (
    (KeyboardInterrupt, INTERRUPTED),  # before the errors, as BatchInterruptedError is both
    (TaskFailedError, FAILED),
    (TaskCancelledError, CANCELLED),
    (WaitTimeoutError, TIMED_OUT),
    (ResourceBusyError, TIMED_OUT),
    (SubmissionUncertainError, UNCERTAIN),
    (DriverDefectError, DEFECT),
    (ConfigError, USAGE),
    (PluginError, USAGE),
    (InvalidInputError, USAGE),
    (UnsupportedFunctionError, USAGE),
    (NotAcquiredError, USAGE),
    (ResourceNotFoundError, USAGE),
    (TaskNotFoundError, USAGE),
    (QrmiError, SERVICE),
    (click.ClickException, USAGE),
    (click.Abort, INTERRUPTED),
    (BrokenPipeError, BROKEN_PIPE),
    (OSError, USAGE),
    (BaseException, DEFECT),
)
"""The status for each class of errors; the first that fits counts."""


def status_of(error: BaseException) -> int:
    """Return the exit status for an error."""
    if isinstance(error, Interrupted):
        return SIGNAL_BASE + error.number
    status = next(status for kind, status in STATUSES if isinstance(error, kind))
    if status == DEFECT and not isinstance(error, QrmiError) and broken_dependency(error):
        return USAGE
    return status


def describe(error: BaseException) -> str:
    """Return an error as one line."""
    match error:
        case click.UsageError(ctx=click.Context() as context):
            text = f"{error.format_message()} (see {context.command_path} --help)"
        case click.ClickException():
            text = error.format_message()
        case DriverDefectError():
            text = f"{error}; -vv shows where"
        case QrmiError():
            text = str(error)
        case OSError(strerror=str(reason), filename=str() | bytes() as name):
            text = f"{name!s}: {reason}"
        case OSError(strerror=str(reason)):
            text = reason
        case KeyboardInterrupt() | click.Abort():
            text = "interrupted"
        case _:
            text = broken_dependency(error) or (
                f"{type(error).__name__}: {error}; this is a defect of qrmi, -vv shows where"
            )
    notes: list[str] = getattr(error, "__notes__", [])
    return one_line("; ".join([text, *notes]))
