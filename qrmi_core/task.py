"""The state machine of a task, and the handle that users hold."""

from __future__ import annotations

import datetime
import logging
import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, BinaryIO

import attrs

from qrmi_core.values import Observation, TaskResult, TaskStatus, TaskUsage

if TYPE_CHECKING:
    import os

    from qrmi_core.resource import QuantumResource

_log = logging.getLogger(__name__)

_Q, _R = TaskStatus.Queued, TaskStatus.Running
_ENDS = frozenset({TaskStatus.Completed, TaskStatus.Failed, TaskStatus.Cancelled})

TRANSITIONS: Mapping[TaskStatus | None, frozenset[TaskStatus]] = MappingProxyType(
    {
        None: frozenset(TaskStatus),
        _Q: _ENDS | {_R},
        # Vendors put a task back into the queue, for instance after a calibration.
        _R: _ENDS | {_Q},
        TaskStatus.Completed: frozenset(),
        TaskStatus.Failed: frozenset(),
        TaskStatus.Cancelled: frozenset(),
    }
)
"""The legal moves; None is a task that was not looked at yet."""

FINAL = frozenset(
    status for status, moves in TRANSITIONS.items() if status is not None and not moves
)
"""The states that a task does not leave."""


@attrs.frozen
class Transition:
    """One move of a task.

    Args:
        status: The state entered.
        at: When it was seen (UTC), which is later than when it happened at the vendor's.
    """

    status: TaskStatus
    at: datetime.datetime


OnTransition = Callable[["Task", TaskStatus | None, TaskStatus, datetime.datetime], object]
"""Called with the task, the old state (None at first), the new one and the time (UTC)."""


def _utcnow() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


class TaskState:
    """What is known of one task, changed only by `observe`.

    Args:
        label: How log records name the task.
        now: Gives the time in UTC.
    """

    def __init__(self, label: str, now: Callable[[], datetime.datetime] = _utcnow) -> None:
        self._label = label
        self._now = now
        self._lock = threading.Lock()
        self._warned: set[str | None] = set()
        self._history: tuple[Transition, ...] = ()
        self._observation: Observation | None = None

    @property
    def observation(self) -> Observation | None:
        """The last report that was believed, its unknown word replaced by Running."""
        return self._observation

    @property
    def status(self) -> TaskStatus | None:
        """The present state, None before the first look."""
        return self._history[-1].status if self._history else None

    @property
    def final(self) -> bool:
        """Whether the task has ended."""
        return self.status in FINAL

    @property
    def history(self) -> tuple[Transition, ...]:
        """Every state the task was seen in, in order."""
        return self._history

    def observe(self, report: Observation) -> tuple[TaskStatus | None, Transition] | None:
        """Take a vendor's report into account.

        Returns:
            The state left and the move made; None where the report changes nothing.
        """
        with self._lock:
            new = self._known(report)
            old = self.status
            if old in FINAL:
                if new != old:
                    _log.warning(
                        "%s: ignored the report %s after it had ended as %s", self._label, new, old
                    )
                return None
            self._observation = attrs.evolve(report, status=new)
            if new == old or new not in TRANSITIONS[old]:
                return None
            move = Transition(new, self._now())
            self._history += (move,)
            return old, move

    def _known(self, report: Observation) -> TaskStatus:
        if report.status is not None:
            return report.status
        if report.raw not in self._warned:
            self._warned.add(report.raw)
            _log.warning(
                "%s: unknown state %r reported by the vendor, taken as Running",
                self._label,
                report.raw,
            )
        return TaskStatus.Running


class Task:
    """A task on a resource; `QuantumResource.run` and `QuantumResource.task` give it.

    Attributes:
        id: The vendor's id of the task, which finds it again in another process.
        resource: The resource it runs on.
    """

    def __init__(self, resource: QuantumResource, task_id: str) -> None:
        self.id = task_id
        self.resource = resource
        self.state = TaskState(f"task {task_id} on {resource.resource_id()}")
        self._hooks: list[OnTransition] = []

    def __repr__(self) -> str:
        return f"<Task {self.id} on {self.resource.resource_id()}: {self.state.status}>"

    def tell(self, on_transition: OnTransition) -> None:
        """Have a function called with every move from now on, in place of the resource's."""
        if on_transition not in self._hooks:
            self._hooks.append(on_transition)

    @property
    def history(self) -> tuple[Transition, ...]:
        """Every state the task was seen in with the time, in order."""
        return self.state.history

    def status(self) -> TaskStatus:
        """Look at the task; costs no request once it has ended.

        Raises:
            TaskNotFoundError: The vendor has no such task.
        """
        if not self.state.final:
            error = self.resource.look([self])[self]
            if error:
                raise error
        status = self.state.status
        assert status is not None  # a look leaves a state or an error
        return status

    def wait(self, timeout: float | None = None) -> TaskStatus:
        """Wait until the task has ended, whichever way.

        Args:
            timeout: Seconds; None for ever, 0 looks once.

        Returns:
            The final state.

        Raises:
            WaitTimeoutError: The time is up; the task goes on.
        """
        from qrmi_core.polling import wait_for

        return wait_for(self, timeout)

    def result(self, timeout: float | None = None) -> TaskResult:
        """Wait for the task and fetch its result.

        Args:
            timeout: Seconds to wait for the end; None for ever, 0 looks once.

        Raises:
            WaitTimeoutError: The time is up; the task goes on.
            TaskFailedError: It failed.
            TaskCancelledError: It was cancelled.
        """
        from qrmi_core.results import read_text, wait_for_result

        wait_for_result(self, timeout)
        return TaskResult(read_text(self))

    def counts(self, timeout: float | None = None) -> list[dict[str, int]]:
        """Wait for the task and return how often each bit string was measured, by circuit.

        A plugin reads them; the vendor's text is what `result` returns.

        Args:
            timeout: Seconds to wait for the end; None for ever, 0 looks once.

        Raises:
            UnsupportedFunctionError: No plugin is installed that reads such results.
            InvalidResponseError: The result has no counts.
            WaitTimeoutError: The time is up; the task goes on.
            TaskFailedError: It failed.
            TaskCancelledError: It was cancelled.
        """
        from qrmi_core.counts import counts_of

        return counts_of(self, self.result(timeout).value)

    def save_result(self, path: str | os.PathLike[str], timeout: float | None = None) -> None:
        """Wait for the task and stream its result into a file, which appears whole or not at all.

        Args:
            path: The file to write; its folder must be writable.
            timeout: Seconds to wait for the end; None for ever, 0 looks once.

        Raises:
            OSError: The file cannot be written.
            WaitTimeoutError: The time is up; the task goes on.
            TaskFailedError: It failed.
            TaskCancelledError: It was cancelled.
        """
        from qrmi_core.files import atomic_output
        from qrmi_core.results import wait_for_result, write

        wait_for_result(self, timeout)
        with atomic_output(path) as stream:
            write(self, stream)

    def write_result(self, stream: BinaryIO, timeout: float | None = None) -> None:
        """Wait for the task and stream its result into an open binary file.

        Args:
            stream: Where to write; emptied and written again when a read breaks off, which a
                stream that cannot seek makes an `OSError`.
            timeout: Seconds to wait for the end; None for ever, 0 looks once.
        """
        from qrmi_core.results import wait_for_result, write

        wait_for_result(self, timeout)
        write(self, stream)

    def stop(self) -> None:
        """Ask to stop the task; see `QuantumResource.task_stop`."""
        self.resource.task_stop(self.id)

    def logs(self) -> str:
        """Fetch the task's logs; see `QuantumResource.task_logs`."""
        return self.resource.task_logs(self.id)

    def usage(self) -> TaskUsage:
        """Ask what the task consumed; see `QuantumResource.task_usage`."""
        return self.resource.task_usage(self.id)

    def observe(self, report: Observation) -> None:
        """Take a report of the driver into account and tell those who asked for it."""
        moved = self.state.observe(report)
        if moved is None:
            return
        old, move = moved
        default = self.resource.on_transition
        for hook in self._hooks or ([default] if default else []):
            try:
                hook(self, old, move.status, move.at)
            except Exception:
                _log.exception("on_transition of task %s failed", self.id)
