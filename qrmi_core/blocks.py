"""The `with` blocks of one resource object, and how they are left."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING

from qrmi_core.acquisition import Acquisitions
from qrmi_core.channel import Channel
from qrmi_core.deadline import Deadline, current, within
from qrmi_core.errors import QrmiError
from qrmi_core.locks import Lock

if TYPE_CHECKING:
    from qrmi_core.task import Task

_log = logging.getLogger(__name__)

STOP_SECONDS = 15.0
"""The time for stopping the tasks of a block that was interrupted."""
LEAVE_SECONDS = 20.0
"""The time for leaving such a block, the release included."""
_MANY_TASKS = 1000

submitter: ContextVar[int | None] = ContextVar("qrmi_submitter", default=None)
"""The thread for which this one submits, None for itself."""


class _Block:
    """A `with` block of a thread, and the tasks submitted in it."""

    def __init__(self) -> None:
        self.token = ""
        self.thread = threading.get_ident()
        self.tasks: list[Task] = []
        self._limit = _MANY_TASKS

    def add(self, task: Task) -> None:
        if len(self.tasks) >= self._limit:
            self.tasks = self.unfinished()
            self._limit = 2 * len(self.tasks) + _MANY_TASKS
        self.tasks.append(task)

    def unfinished(self) -> list[Task]:
        """Return the tasks that have not been seen to end."""
        return [task for task in self.tasks if not task.done]


class Blocks:
    """The open `with` blocks of one resource object, in all its threads.

    Args:
        channel: The channel to the driver.
        acquisitions: The object's acquisition.
        name: The resource's NAME for the command `qrmi`.
        stop_on_interrupt: True to stop a block's tasks if `KeyboardInterrupt` leaves it.
    """

    def __init__(
        self, channel: Channel, acquisitions: Acquisitions, name: str, *, stop_on_interrupt: bool
    ) -> None:
        self._channel = channel
        self._acquisitions = acquisitions
        self._name = name
        self._stop_on_interrupt = stop_on_interrupt
        self._open: list[_Block] = []
        self._pid = os.getpid()
        self._lock = Lock()

    def enter(self) -> None:
        """Acquire the resource and open a block."""
        block = _Block()
        block.token = self._acquisitions.acquire(None, block=block)
        with self._lock:
            self._open.append(block)

    def submitted(self, task: Task) -> None:
        """Add a task to the blocks of this thread; to all if this thread is in none."""
        with self._lock:
            for block in self._ours():
                block.add(task)

    def leave(self, error: BaseException | None) -> None:
        """Close a block of this thread, release the resource and close connections.

        Args:
            error: The exception that leaves the block. After `KeyboardInterrupt` its unfinished
                tasks are stopped; after any other they are named in the log, and so is an error of
                the release, which must not hide the first one.
        """
        with self._lock:
            block = self._ours()[-1]
            self._open.remove(block)
        try:
            self._release(block, error)
        finally:
            try:
                with self._channel.calling() as driver:
                    driver.close()
            except QrmiError as failure:
                if error is None:
                    raise
                _log.error("%s could not be closed: %s", self._name, failure)

    def _release(self, block: _Block, error: BaseException | None) -> None:
        interrupts = KeyboardInterrupt if self._stop_on_interrupt else ()
        if isinstance(error, interrupts):
            self._stop_and_release(block)
            return
        if error is not None and (going_on := block.unfinished()):
            _log.warning(
                "%s: left by %s; unfinished: %s; fetch or stop: %s; %s",
                self._name,
                type(error).__name__,
                _ids(going_on),
                self._command("task result", going_on),
                self._command("task stop", going_on),
            )
        try:
            self._acquisitions.release(block.token, cancel_pending=False, block=block)
        except interrupts:
            self._stop_and_release(block)
            raise
        except BaseException as failure:
            _log.error("%s", self._not_released(block, failure))
            if error is None or not isinstance(failure, QrmiError):
                raise

    def _stop_and_release(self, block: _Block) -> None:
        """Stop the tasks of a block and release the resource, and say so in one line.

        A further `KeyboardInterrupt` breaks it off; the line names the steps that are left.
        """
        tasks, stopped, said = block.unfinished(), list["Task"](), list[str]()
        trouble: QrmiError | None = None
        releasing = False
        try:
            with within(Deadline(LEAVE_SECONDS, self._channel.clock), extend=True):
                with within(Deadline(STOP_SECONDS, self._channel.clock)):
                    trouble = _stop(tasks, stopped)
                releasing = True
                self._acquisitions.release(block.token, cancel_pending=True, block=block)
        except BaseException as failure:
            if self._acquisitions.ends(block.token):
                said.append(self._not_released(block, failure))
            if not releasing:
                self._acquisitions.abandon(block.token, block)
            if not isinstance(failure, QrmiError):
                raise
        finally:
            going_on = [task for task in tasks if not task.done and task not in stopped]
            if going_on:
                again = self._command("task stop", going_on)
                why = f" ({trouble})" if trouble else ""
                said.insert(0, f"may go on: {_ids(going_on)}{why}; again: {again}")
            if stopped:
                said.insert(0, f"asked to stop {_ids(stopped)}")
            if said:
                _log.warning("%s: interrupted; %s", self._name, "; ".join(said))

    def _ours(self) -> list[_Block]:
        """Return this thread's blocks, or all blocks if it has none, like a helper thread."""
        if self._pid != os.getpid():
            # The parent stops its tasks itself.
            self._pid = os.getpid()
            for block in self._open:
                block.tasks.clear()
        thread = submitter.get() or threading.get_ident()
        return [one for one in self._open if one.thread == thread] or self._open

    def _not_released(self, block: _Block, failure: BaseException) -> str:
        why = str(failure) or type(failure).__name__
        return f"not released ({why}); again: {self._line('release', block.token)}"

    def _command(self, command: str, tasks: Sequence[Task]) -> str:
        return self._line(command, tasks[0].id if len(tasks) == 1 else "ID")

    def _line(self, command: str, argument: str) -> str:
        import shlex

        return shlex.join(["qrmi", *command.split(), self._name, argument])


def _stop(tasks: Sequence[Task], stopped: list[Task]) -> QrmiError | None:
    """Stop tasks within the deadline in force, and return the last error.

    Args:
        tasks: The tasks. Those that have ended meanwhile keep their results.
        stopped: The list to add those to that were asked to stop.
    """
    from qrmi_core.polling import poll  # imported by the first task, as a rule

    poll(tasks)
    failure = None
    for task in tasks:
        if not task.done and not current().passed():
            try:
                task.stop()
                stopped.append(task)
            except QrmiError as error:
                failure = error
    return failure


def _ids(tasks: Sequence[Task]) -> str:
    return ", ".join(task.id for task in tasks)
