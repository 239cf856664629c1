"""`Task`, the handle of one task: its state, waiting for its end, and its result."""

from __future__ import annotations

import datetime
import io
import logging
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO

from qrmi_core.channel import Channel
from qrmi_core.deadline import Deadline
from qrmi_core.errors import QrmiError, TaskCancelledError, TaskFailedError, TaskNotReadyError
from qrmi_core.outcomes import decoded, missing_result
from qrmi_core.polling import as_completed, poll
from qrmi_core.reports import checked
from qrmi_core.retry import Waiting, repeat
from qrmi_core.states import TaskState, Transition
from qrmi_core.values import Observation, TaskResult, TaskStatus, TaskUsage

if TYPE_CHECKING:
    import os

_log = logging.getLogger(__name__)


OnTransition = Callable[["Task", TaskStatus | None, TaskStatus, datetime.datetime], object]
"""Called with the task, the old state (None at first), the new one and the time (UTC)."""


class Task(TaskState):
    """A task on a resource; `QuantumResource.run` and `QuantumResource.task` return it.

    Attributes:
        id: The vendor's id of the task, by which another process finds it again.
        resource_id: The id of the resource it runs on.
        done: True if the task has ended, as far as it has been polled; costs no request.
        last_report: The vendor's last report, an unknown status replaced by Running; None before a
            poll.
        history: Every transition observed, with its time, in order.
    """

    def __init__(
        self, channel: Channel, task_id: str, on_transition: OnTransition | None = None
    ) -> None:
        super().__init__(f"task {task_id} on {channel.resource_id}")
        self.channel = channel
        self.id = task_id
        self.resource_id = channel.resource_id
        self._default_hook = on_transition
        self._hooks: list[OnTransition] = []

    def __repr__(self) -> str:
        return f"<Task {self.id} on {self.resource_id}: {self.last_status}>"

    def add_hook(self, on_transition: OnTransition) -> None:
        """Have a function called with every transition from now on, not the resource's."""
        if on_transition not in self._hooks:
            self._hooks.append(on_transition)

    def observe(self, report: Observation) -> tuple[TaskStatus | None, Transition] | None:
        """Apply a report of the driver and call the hooks; for the core."""
        moved = super().observe(report)
        if moved:
            for hook in self._hooks or filter(None, [self._default_hook]):
                try:
                    hook(self, moved[0], moved[1].status, moved[1].at)
                except Exception:
                    _log.exception("on_transition of task %s failed", self.id)
        return moved

    def status(self) -> TaskStatus:
        """Poll the task and return its state; costs no request once it has ended.

        Raises:
            TaskNotFoundError: The vendor has no such task.
        """
        if error := poll([self]).get(self):
            raise error
        return self.history[-1].status

    def wait(self, timeout: float | None = None) -> TaskStatus:
        """Wait until the task has ended, whichever way, and return its final state.

        Args:
            timeout: Seconds; None for ever, 0 polls once.

        Raises:
            WaitTimeoutError: The time is up; the task goes on.
        """
        for _ in as_completed([self], timeout):
            pass
        return self.history[-1].status

    def result(self, timeout: float | None = None) -> TaskResult:
        """Wait for the task and return its result.

        Args:
            timeout: Seconds to wait for the end; None for ever, 0 polls once.

        Raises:
            WaitTimeoutError: The time is up; the task goes on.
            TaskFailedError: The task failed.
            TaskCancelledError: The task was cancelled.
            InvalidResponseError: The result is not text.
        """
        content = io.BytesIO()
        self.write_result(content, timeout)
        with self.channel.calling(self.id):
            what = "the result, which save_result can save all the same,"
            return TaskResult(decoded(content.getvalue(), what))

    def counts(self, timeout: float | None = None) -> list[dict[str, int]]:
        """Wait for the task and return how often each bit string was measured, by circuit.

        A plugin reads them; the vendor's text is what `result` returns.

        Args:
            timeout: Seconds to wait for the end; None for ever, 0 polls once.

        Raises:
            UnsupportedFunctionError: No plugin is installed that reads such results.
            InvalidResponseError: The result has no counts.
            PluginError: The only reader that might read it cannot be used.
            WaitTimeoutError: The time is up; the task goes on.
            TaskFailedError: The task failed.
            TaskCancelledError: The task was cancelled.
        """
        from qrmi_core.counts import counts_of

        return counts_of(self, self.result(timeout).value)

    def save_result(self, path: str | os.PathLike[str], timeout: float | None = None) -> None:
        """Wait for the task and stream its result into a file, which appears whole or not at all.

        Args:
            path: The file to write; its folder must be writable.
            timeout: Seconds to wait for the end; None for ever, 0 polls once.

        Raises:
            OSError: The file cannot be written.
            WaitTimeoutError: The time is up; the task goes on.
            TaskFailedError: The task failed.
            TaskCancelledError: The task was cancelled.
        """
        from qrmi_core.files import atomic_output

        patience = self._wait_for_result(timeout)
        with atomic_output(path) as stream:
            self._copy_result(stream, patience)

    def write_result(self, stream: BinaryIO, timeout: float | None = None) -> None:
        """Wait for the task and stream its result into an open binary file.

        Args:
            stream: Where to write; emptied and written again when a read breaks off, which a
                stream that cannot seek makes an `OSError`.
            timeout: Seconds to wait for the end; None for ever, 0 polls once.

        Raises:
            OSError: The stream cannot be written.
            WaitTimeoutError: The time is up; the task goes on.
            TaskFailedError: The task failed.
            TaskCancelledError: The task was cancelled.
        """
        self._copy_result(stream, self._wait_for_result(timeout))

    def stop(self) -> None:
        """Ask to stop the task; see `QuantumResource.task_stop`."""

        def stop() -> None:
            with self.channel.calling(self.id) as driver:
                driver.task_stop(self.id)

        self.channel.few_attempts(stop, lambda error: isinstance(error, TaskNotReadyError))

    def logs(self) -> str:
        """Return the task's logs; see `QuantumResource.task_logs`."""
        with self.channel.calling(self.id) as driver:
            return checked("task_logs", driver.task_logs(self.id))

    def usage(self) -> TaskUsage:
        """Return the task's consumption; see `QuantumResource.task_usage`."""
        with self.channel.calling(self.id) as driver:
            return checked("task_usage", driver.task_usage(self.id))

    def input(self) -> str:
        """Return the task's program as the vendor keeps it; see `QuantumResource.task_input`."""
        with self.channel.calling(self.id) as driver:
            return decoded(checked("task_input", driver.task_input(self.id)), "the program")

    def _wait_for_result(self, timeout: float | None) -> float:
        """Wait until the task has a result; return the seconds for which reading it may fail.

        Raises:
            WaitTimeoutError: The time is up; the task goes on.
            TaskFailedError: The task failed, and the vendor has given the reason.
            TaskCancelledError: The task was cancelled, likewise.
        """
        deadline = Deadline(timeout, self.channel.clock)
        status = self.wait(timeout)
        report = self.last_report
        # Without the reason at hand the driver is asked for the result, and raises the error.
        if report and report.reason is not None and status is not TaskStatus.Completed:
            with self.channel.calling(self.id):
                raise missing_result(self.id, report)
        return deadline.clip(self.channel.polling.max_outage_seconds)

    def _copy_result(self, stream: BinaryIO, patience: float) -> None:
        channel = self.channel
        begun = False
        outage: Waiting | None = None

        def copy() -> None:
            nonlocal begun
            if begun:
                stream.seek(0)
                stream.truncate()
            for piece in self._pieces():
                begun = True
                stream.write(piece)

        def pause(number: int, error: BaseException) -> float:
            nonlocal outage
            if not (isinstance(error, QrmiError) and error.retryable):
                return math.inf
            level = logging.DEBUG if outage else logging.WARNING
            _log.log(level, "the result is read again, if there is time: %s", error)
            outage = outage or Waiting(patience, channel.polling, channel.clock)
            if outage.last.passed():
                return channel.few_pause(number, error)
            return outage.pause(error.retry_after)

        try:
            repeat(copy, pause, channel.sleep)
        except (TaskFailedError, TaskCancelledError) as error:
            report = self.last_report
            error.vendor_code = error.vendor_code or (report.code if report else None)
            raise

    def _pieces(self) -> Iterator[bytes]:
        with self.channel.calling(self.id) as driver:
            yield from checked("task_result", driver.task_result(self.id))
