"""Calls with a time limit, wherever they hang.

The deadline of `qrmi_core.deadline` bounds requests and their retries, but not the resolution of a
host name, which signals do not interrupt either. So a thread makes the calls, and is abandoned if
it hangs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from qrmi_core.plugin import Deadline, within

GRACE_SECONDS = 1.0
"""The time for which a call may continue after its deadline before it is abandoned."""

_T = TypeVar("_T")


class LeftAlone(Exception):
    """A call did not end in time."""


class BoundedCall(Generic[_T]):
    """A call made in a thread.

    Args:
        function: The function to call, under a deadline.
        seconds: The seconds until the deadline.
    """

    def __init__(self, function: Callable[[], _T], seconds: float) -> None:
        self._function = function
        self._seconds = max(seconds, 0.0)
        self._result: list[_T] = []
        self._error: BaseException | None = None
        self._ended = threading.Event()

    def make(self) -> None:
        """Call the function, and store its result or exception."""
        try:
            with within(Deadline(self._seconds)):
                self._result.append(self._function())
        except BaseException as error:
            self._error = error
        self._ended.set()

    def ended(self) -> bool:
        """Return True if the call has ended."""
        return self._ended.is_set()

    def result(self) -> _T:
        """Wait for the end of the call, and return its result.

        Raises:
            LeftAlone: The call has not ended in time; see `late`.
        """
        if not self._ended.wait(self._seconds + GRACE_SECONDS):
            raise LeftAlone(f"no response within {self._seconds:.0f} s")
        if self._error is not None:
            raise self._error
        return self._result[0]

    def late(self, seconds: float) -> _T | None:
        """Return the result of an abandoned call, or None if it is still missing.

        Args:
            seconds: Seconds to wait for it.
        """
        self._ended.wait(seconds)
        return self._result[0] if self._result else None


class Worker:
    """A thread that makes calls one after the other, so they share its connections.

    A call that hangs keeps its thread; the next call gets a new one.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[BoundedCall[Any]] = SimpleQueue()
        self._last: BoundedCall[Any] | None = None

    def start(self, function: Callable[[], _T], seconds: float) -> BoundedCall[_T]:
        """Start a call with a deadline, in seconds from now."""
        call = BoundedCall(function, seconds)
        if self._last is None or not self._last.ended():
            self._calls = SimpleQueue()
            threading.Thread(target=_work, args=(self._calls,), daemon=True).start()
        self._last = call
        self._calls.put(call)
        return call

    def call(self, function: Callable[[], _T], seconds: float) -> _T:
        """Make a call, and wait for it at most this number of seconds.

        Raises:
            LeftAlone: The call did not end in time.
        """
        return self.start(function, seconds).result()


def _work(calls: SimpleQueue[BoundedCall[Any]]) -> None:
    while True:
        calls.get().make()
