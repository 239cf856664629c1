"""Calls that end in time, wherever they hang.

The deadline of `qrmi_core.deadline` bounds requests and their retries. It does not bound the
resolution of a host name, which no signal interrupts either. So a thread makes the calls, and is
abandoned when it hangs.
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
    """A call that did not end in time."""


class BoundedCall(Generic[_T]):
    """A call made by a thread.

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
        """Call the function, and keep its result or its exception."""
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
            LeftAlone: It has not ended in time; see `late`.
        """
        if not self._ended.wait(self._seconds + GRACE_SECONDS):
            raise LeftAlone(f"no response within {self._seconds:.0f} s")
        if self._error is not None:
            raise self._error
        return self._result[0]

    def late(self, seconds: float) -> _T | None:
        """Return the result of a call that was abandoned; None if it still has none.

        Args:
            seconds: Seconds to wait for it.
        """
        self._ended.wait(seconds)
        return self._result[0] if self._result else None


class Worker:
    """A thread that makes calls one after the other, so that they share its connections.

    A call that does not end keeps its thread, and the next call gets another.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[BoundedCall[Any]] = SimpleQueue()
        self._last: BoundedCall[Any] | None = None

    def start(self, function: Callable[[], _T], seconds: float) -> BoundedCall[_T]:
        """Start a call under a deadline, given in seconds from now."""
        call = BoundedCall(function, seconds)
        if self._last is None or not self._last.ended():
            self._calls = SimpleQueue()
            threading.Thread(target=_work, args=(self._calls,), daemon=True).start()
        self._last = call
        self._calls.put(call)
        return call

    def call(self, function: Callable[[], _T], seconds: float) -> _T:
        """Make a call that ends after this number of seconds.

        Raises:
            LeftAlone: It did not end in time.
        """
        return self.start(function, seconds).result()


def _work(calls: SimpleQueue[BoundedCall[Any]]) -> None:
    while True:
        calls.get().make()
