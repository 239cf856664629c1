"""Results, and what else a driver returns as bytes; the error of a task that has no result."""

from __future__ import annotations

from qrmi_core.errors import (
    InvalidResponseError,
    QrmiError,
    TaskCancelledError,
    TaskFailedError,
    TaskNotReadyError,
)
from qrmi_core.values import Observation, TaskStatus


def missing_result(
    task_id: str,
    observation: Observation,
    *,
    no_reason: str = "the service gives no reason; see the task's logs",
) -> QrmiError:
    """Return the error of a task that has no result.

    `TaskFailedError` or `TaskCancelledError` with the vendor's reason and code; in any other state
    `TaskNotReadyError`, since a result may appear later than the state that announces it.

    Args:
        task_id: The task.
        observation: Its state.
        no_reason: The reason where the vendor gives none.
    """
    kind: type[QrmiError]
    match observation.status:
        case TaskStatus.Failed:
            kind, what = TaskFailedError, "failed"
        case TaskStatus.Cancelled:
            kind, what = TaskCancelledError, "was cancelled"
        case status:
            state = observation.raw or (status.name if status is not None else "unknown")
            return TaskNotReadyError(f"task {task_id} has no result; its state is {state}")
    reason = observation.reason or no_reason
    return kind(f"task {task_id} {what}: {reason}", vendor_code=observation.code)


def decoded(content: bytes, what: str) -> str:
    """Return the text of a document of the vendor's.

    Args:
        content: The document.
        what: Its name, for the error.

    Raises:
        InvalidResponseError: It is not UTF-8.
    """
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise InvalidResponseError(f"{what} is not text in UTF-8") from error
