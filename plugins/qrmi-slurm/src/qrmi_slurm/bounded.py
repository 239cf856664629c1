"""Calls that end in time, whatever they hang in.

The deadline of `qrmi_core.deadline` bounds requests and their retries. It does not bound the
look-up of a host's name, which no signal interrupts either, so that calls are made by a thread that
can be left in one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from qrmi_core.plugin import Deadline, within

GRACE_SECONDS = 1.0
"""How long a call may go on after its deadline before it is left alone."""

_T = TypeVar("_T")


class LeftAlone(Exception):
    """A call did not end in time."""


class BoundedCall(Generic[_T]):
    """A call that a thread makes.

    Args:
        function: What to call, under a deadline.
        seconds: The deadline.
    """

    def __init__(self, function: Callable[[], _T], seconds: float) -> None:
        self._function = function
        self._seconds = max(seconds, 0.0)
        self._result: list[_T] = []
        self._error: BaseException | None = None
        self._ended = threading.Event()

    def make(self) -> None:
        """Call it, and keep what it gives or raises."""
        try:
            with within(Deadline(self._seconds)):
                self._result.append(self._function())
        except BaseException as error:
            self._error = error
        self._ended.set()

    def ended(self) -> bool:
        """Whether it has given or raised something."""
        return self._ended.is_set()

    def result(self) -> _T:
        """Wait for the end of the call, and give what it gave.

        Raises:
            LeftAlone: It has not ended in time; see `late`.
        """
        if not self._ended.wait(self._seconds + GRACE_SECONDS):
            raise LeftAlone(f"there was no answer within {self._seconds:.0f} s")
        if self._error is not None:
            raise self._error
        return self._result[0]

    def late(self, seconds: float) -> _T | None:
        """What the call gave after it was left alone; None if it has given nothing.

        Args:
            seconds: How long to wait for it.
        """
        self._ended.wait(seconds)
        return self._result[0] if self._result else None


class Worker:
    """Makes calls one after the other in one thread, so that they share its connections.

    A call that does not end keeps its thread, and the next one gets another.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[BoundedCall[Any]] = SimpleQueue()
        self._last: BoundedCall[Any] | None = None

    def start(self, function: Callable[[], _T], seconds: float) -> BoundedCall[_T]:
        """Start a call under a deadline of so many seconds."""
        call = BoundedCall(function, seconds)
        if self._last is None or not self._last.ended():
            self._calls = SimpleQueue()
            threading.Thread(target=_work, args=(self._calls,), daemon=True).start()
        self._last = call
        self._calls.put(call)
        return call

    def call(self, function: Callable[[], _T], seconds: float) -> _T:
        """Make a call that is over after so many seconds.

        Raises:
            LeftAlone: It did not end in time.
        """
        return self.start(function, seconds).result()


def _work(calls: SimpleQueue[BoundedCall[Any]]) -> None:
    while True:
        calls.get().make()
