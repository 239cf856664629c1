"""Reading the result of a task."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO

from qrmi_core.errors import (
    InvalidResponseError,
    QrmiError,
    TaskCancelledError,
    TaskFailedError,
    TaskNotReadyError,
)
from qrmi_core.polling import wait_for
from qrmi_core.values import TaskStatus

if TYPE_CHECKING:
    from qrmi_core.task import Task

ATTEMPTS = 4
"""How often a result that broke off is read at most."""


def wait_for_result(task: Task, timeout: float | None) -> None:
    """Wait until the task has a result.

    Raises:
        WaitTimeoutError: The time is up; the task goes on.
        TaskFailedError: It failed, and the vendor has told why.
        TaskCancelledError: It was cancelled, likewise.
    """
    status = wait_for(task, timeout)
    report = task.state.observation
    # Without the reason at hand the driver is asked for the result, and its error tells.
    if report is None or report.reason is None or status is TaskStatus.Completed:
        return
    kind = TaskFailedError if status is TaskStatus.Failed else TaskCancelledError
    raise kind(
        f"task {task.id} {status.name.lower()}: {report.reason}",
        resource_id=task.resource.resource_id(),
        task_id=task.id,
        vendor_code=report.code,
    )


def read_text(task: Task) -> str:
    """Read the result of a task that has ended.

    Raises:
        InvalidResponseError: It is not text.
    """
    content = bytearray()

    def collect(pieces: Iterator[bytes]) -> None:
        content.clear()
        for piece in pieces:
            content.extend(piece)

    _read(task, collect)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise InvalidResponseError(
            f"the result of task {task.id} is not text; save it with save_result",
            resource_id=task.resource.resource_id(),
            task_id=task.id,
        ) from error


def write(task: Task, stream: BinaryIO) -> None:
    """Copy the result of a task that has ended into a file that can seek back, or a pipe."""
    written = False

    def copy(pieces: Iterator[bytes]) -> None:
        nonlocal written
        if written:
            stream.seek(0)
            stream.truncate()
        for piece in pieces:
            written = True
            stream.write(piece)

    _read(task, copy)


def _read(task: Task, consume: Callable[[Iterator[bytes]], None]) -> None:
    from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

    begun = False

    def pieces() -> Iterator[bytes]:
        nonlocal begun
        for piece in task.resource.result_pieces(task.id):
            begun = True
            yield piece

    def can_help(error: BaseException) -> bool:
        # A result may appear a little later than the state tells. What else fails before the first
        # byte was repeated in the call, as far as that helps, unless it was an answer: a page in
        # place of a result.
        if isinstance(error, TaskNotReadyError):
            return True
        return (
            isinstance(error, QrmiError)
            and error.retryable
            and (begun or isinstance(error, InvalidResponseError))
        )

    try:
        Retrying(
            retry=retry_if_exception(can_help),
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_exponential(multiplier=0.5),
            sleep=task.resource.sleep,
            reraise=True,
        )(lambda: consume(pieces()))
    except (TaskFailedError, TaskCancelledError) as error:
        report = task.state.observation
        error.vendor_code = error.vendor_code or (report.code if report else None)
        raise
