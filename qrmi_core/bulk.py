"""Submitting many tasks side by side, in a bounded pool of threads."""

from __future__ import annotations

import math
import operator
import threading
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextvars import copy_context
from queue import SimpleQueue
from typing import Any, NoReturn, Protocol

from qrmi_core.blocks import submitter
from qrmi_core.channel import Channel
from qrmi_core.errors import (
    PASSING,
    InvalidArgumentError,
    QrmiError,
    SubmissionUncertainError,
    WaitTimeoutError,
)
from qrmi_core.locks import Lock
from qrmi_core.payload import Payload
from qrmi_core.retry import Waiting
from qrmi_core.submission import slot_pause
from qrmi_core.task import Task

_LEAST_SECONDS = 10.0
"""The time for a submission that begins shortly before the end, which would tear it."""
_SLICE_SECONDS = 0.1
"""The time after which a pause ends if no more is to be submitted."""
_END: Any = object()


class Submits(Protocol):
    """A resource, as `run_all` sees it."""

    @property
    def _channel(self) -> Channel: ...

    def run(self, payload: Payload, timeout: float | None = None) -> Task:
        """Submit a task and return its handle."""


class BatchSubmissionError(QrmiError):
    """Some payloads of `QuantumResource.run_all` were not submitted; the other tasks go on.

    It is raised from the first error, and its notes have any others. The same call again would
    double the tasks; submit the payloads whose numbers are not among `indexes`.

    Args:
        message: The problem and advice.
        tasks: The tasks that were started, in the order of their payloads.
        indexes: The index of the payload of each of these tasks.
        failed_index: The index of the payload that the first error concerns.
        errors: The error of each payload that was read and not submitted, by index.
        resource_id: The resource concerned.

    Attributes:
        uncertain: True if one of these errors leaves open whether there is a task.
    """

    def __init__(
        self,
        message: str = "",
        *,
        tasks: Iterable[Task] = (),
        indexes: Iterable[int] = (),
        failed_index: int = 0,
        errors: Mapping[int, BaseException] | None = None,
        resource_id: str | None = None,
    ) -> None:
        self.errors = dict(errors or {})
        uncertain = any(_is_uncertain(error) for error in self.errors.values())
        super().__init__(message, resource_id=resource_id, uncertain=uncertain)
        self.tasks = [*tasks]
        self.indexes = [*indexes]
        self.failed_index = failed_index


class BatchInterruptedError(BatchSubmissionError, KeyboardInterrupt):
    """An interrupt came before all payloads of `QuantumResource.run_all` were submitted.

    It is a `KeyboardInterrupt` too, so that a ``with`` block and a program end as after any other.
    """


def run_all(
    resource: Submits,
    payloads: Iterable[Payload],
    *,
    concurrency: int = 16,
    timeout: float | None = None,
) -> list[Task]:
    """Submit many tasks side by side; see `QuantumResource.run_all`."""
    if isinstance(concurrency, bool) or not isinstance(concurrency, int) or concurrency < 1:
        raise InvalidArgumentError(
            f"concurrency must be a number of threads of at least 1, not {concurrency!r}"
        )
    source = iter(payloads)
    # No more threads than payloads, where their number is known.
    threads = min(concurrency, max(operator.length_hint(payloads, concurrency), 1))
    pool = _Pool(resource, threads, timeout)
    try:
        pool.feed(source)
        pool.end()
    except BaseException as error:
        pool.abort(error)
    if pool.failures:
        pool.fail()
    return [*pool.submitted().values()]


class _Pool:
    """The threads of one `run_all`, and the outcomes of their submissions.

    Payloads are read in the caller's thread, each when a thread is free to submit it.

    Args:
        resource: The resource.
        threads: The number of threads.
        timeout: Seconds for all submissions together.

    Attributes:
        failures: The errors by the index of the payload, the first one first.
    """

    def __init__(self, resource: Submits, threads: int, timeout: float | None) -> None:
        self._resource = resource
        self._channel = channel = resource._channel
        self._timeout = timeout
        self._waiting = Waiting(timeout, channel.polling, channel.clock)
        self._turn = Lock()
        self._free: SimpleQueue[None] = SimpleQueue()
        self._work: SimpleQueue[tuple[int, Payload] | None] = SimpleQueue()
        self._ended = [threading.Event() for _ in range(threads)]
        self._threads = [
            # A daemon, since whoever interrupts twice leaves at once.
            threading.Thread(
                target=copy_context().run,
                args=(self._run, threading.get_ident(), ended),
                daemon=True,
            )
            for ended in self._ended
        ]
        self._handed = 0
        self._tasks: dict[int, Task] = {}
        self.failures: dict[int, BaseException] = {}

    def feed(self, payloads: Iterator[Payload]) -> None:
        """Hand out payloads until their end or the first error.

        Raises:
            WaitTimeoutError: The time is up, and there is another payload.
            QrmiError: Another payload failed while the last one was read.
            BaseException: An error of the iterator, or an interrupt.
        """
        # All of them before the first payload: an interrupt in between loses none.
        for thread in self._threads:
            thread.start()
        while True:
            self._free.get()
            payload = _END if self.failures else next(payloads, _END)
            if payload is _END:
                return
            if self.failures:
                raise QrmiError("another payload failed while it was read")
            if self._timeout and self._waiting.last.passed():
                raise WaitTimeoutError(f"the time for submitting, {self._timeout:g} s, is up")
            self._handed += 1
            self._work.put((self._handed - 1, payload))

    def end(self) -> None:
        """Let the threads end, each after its submission."""
        for _ in self._threads:
            self._work.put(None)
        for thread, ended in zip(self._threads, self._ended, strict=True):
            if thread.is_alive():
                # Before Python 3.13 a thread whose join was interrupted seems to have ended.
                ended.wait()
                thread.join()

    def abort(self, error: BaseException) -> None:
        """Hand out no more payloads and let the threads end.

        Args:
            error: The reason, also of payloads that no thread has received.
        """
        try:
            self.failures[self._handed] = error
            self.end()
        except PASSING as interrupt:
            if not isinstance(error, PASSING):
                self.abort(interrupt)  # the first one: requests under way still end
                return
            error = SubmissionUncertainError(
                "its submission was under way when a second interrupt came; look at the vendor's "
                "list of tasks before submitting it again"
            )
        for index in range(self._handed):
            if index not in self._tasks:
                self.failures.setdefault(index, error)

    def submitted(self) -> dict[int, Task]:
        """Return the tasks in the order of their payloads, by index."""
        return dict(sorted(self._tasks.copy().items()))

    def fail(self) -> NoReturn:
        """Raise the error for the payloads that were not submitted."""
        order = sorted(self.failures.items(), key=lambda item: not isinstance(item[1], PASSING))
        (failed_index, cause), *others = order
        tasks = self.submitted()
        ids = ", ".join(task.id for task in tasks.values())
        interrupted = isinstance(cause, KeyboardInterrupt)
        error = (BatchInterruptedError if interrupted else BatchSubmissionError)(
            f"{_fate(failed_index, cause)}; "
            f"{f'tasks that were started and go on: {ids}' if tasks else 'no task was started'}; "
            "wait for these tasks or stop them, and submit only the other payloads again "
            "(`tasks` and `indexes` of this error)",
            tasks=tasks.values(),
            indexes=tasks,
            failed_index=failed_index,
            errors=self.failures,
            resource_id=self._channel.resource_id,
        )
        for index, other in others:
            error.add_note(_fate(index, other))
        if interrupted or isinstance(cause, Exception):
            raise error from cause
        cause.add_note(str(error))
        raise cause

    def _run(self, caller: int, ended: threading.Event) -> None:
        submitter.set(caller)
        slot_pause.set(self._pause)
        self._free.put(None)
        while work := self._work.get():
            index, payload = work
            try:
                self._tasks[index] = self._resource.run(payload, self._left())
            except BaseException as error:
                self.failures[index] = error
            del work, payload
            self._free.put(None)
        ended.set()

    def _left(self) -> float | None:
        left = self._waiting.deadline.remaining()
        return max(left, _LEAST_SECONDS) if self._timeout and left is not None else self._timeout

    def _pause(self, seconds: float) -> float:
        """Pause before the next attempt at a slot; return infinity if there is to be none.

        One thread pauses at a time, so that a busy vendor gets no more requests than from one.
        """
        with self._turn:
            if self._waiting.last.passed():
                return math.inf
            left = self._waiting.last.clip(seconds)
            while left > 0 and not self.failures:
                self._channel.sleep(min(left, _SLICE_SECONDS))
                left -= _SLICE_SECONDS
            return math.inf if self.failures else 0.0


def _fate(index: int, error: BaseException) -> str:
    """Return what happened to a payload."""
    if isinstance(error, KeyboardInterrupt):
        return f"interrupted before payloads[{index}] was submitted"
    fate = "may have been" if _is_uncertain(error) else "was not"
    own = isinstance(error, QrmiError)
    reason = str(error) if own else "".join(traceback.format_exception_only(error)).strip()
    return f"payloads[{index}] {fate} submitted: {reason}"


def _is_uncertain(error: BaseException) -> bool:
    return isinstance(error, QrmiError) and error.uncertain
