"""Calls that end in time, whatever they hang in.

The deadline of `qrmi_core.deadline` bounds requests and their retries. It does not bound the
look-up of a host's name, which no signal interrupts either, so that each call has a thread to be
left in.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from qrmi_core.deadline import Deadline, within

GRACE_SECONDS = 1.0
"""How long a call may go on after its deadline before it is left alone."""

_T = TypeVar("_T")


class LeftAlone(Exception):
    """A call did not end in time."""


class Call(Generic[_T]):
    """A call in a thread of its own.

    Args:
        function: What to call, under a deadline.
        seconds: The deadline.
    """

    def __init__(self, function: Callable[[], _T], seconds: float) -> None:
        self._function = function
        self._seconds = max(seconds, 0.0)
        self._result: list[_T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            with within(Deadline(self._seconds)):
                self._result.append(self._function())
        except BaseException as error:
            self._error = error

    def result(self) -> _T:
        """Wait for the end of the call, and give what it gave.

        Raises:
            LeftAlone: It has not ended in time; see `late`.
        """
        self._thread.join(self._seconds + GRACE_SECONDS)
        if self._error is not None:
            raise self._error
        if not self._result:
            raise LeftAlone(f"there was no answer within {self._seconds:.0f} s")
        return self._result[0]

    def late(self, seconds: float = 0.0) -> _T | None:
        """What the call gave after it was left alone; None if it has given nothing.

        Args:
            seconds: How long to wait for it.
        """
        self._thread.join(seconds)
        return self._result[0] if self._result else None


def bounded(function: Callable[[], _T], seconds: float) -> _T:
    """Make a call that is over after so many seconds.

    Raises:
        LeftAlone: It did not end in time.
    """
    return Call(function, seconds).result()
