"""One deadline for a whole operation: its requests, its retries and its pauses."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Clock = Callable[[], float]
Sleep = Callable[[float], None]

_LONGEST_SECONDS = 1e9
"""About 30 years. Longer waits have no limit: locks and sockets refuse such numbers."""


class Deadline:
    """A monotonic deadline.

    Args:
        timeout: Seconds from now; None, infinity, and more than 30 years for no limit.
        clock: Monotonic clock in seconds.
    """

    def __init__(self, timeout: float | None, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._end = None
        if timeout is not None and timeout <= _LONGEST_SECONDS:
            self._end = clock() + timeout

    def remaining(self) -> float | None:
        """Seconds left, 0 for less than a millisecond; None for no limit."""
        if self._end is None:
            return None
        left = self._end - self._clock()
        return left if left >= 0.001 else 0.0

    def passed(self) -> bool:
        """Return True if the time is up."""
        return self.remaining() == 0.0

    def clip(self, seconds: float) -> float:
        """Return a number of seconds, or the time left if that is less."""
        left = self.remaining()
        return seconds if left is None else min(seconds, left)


_current: ContextVar[Deadline | None] = ContextVar("qrmi_deadline", default=None)


@contextmanager
def within(deadline: Deadline, *, extend: bool = False) -> Iterator[None]:
    """Bound every driver call made in the block by `deadline`, or by an outer one that is earlier.

    Args:
        deadline: The deadline.
        extend: True to use it also if the outer one is earlier, for cleaning up.
    """
    outer = _current.get()
    if outer and not extend and outer.clip(math.inf) < deadline.clip(math.inf):
        deadline = outer
    token = _current.set(deadline)
    try:
        yield
    finally:
        _current.reset(token)


def current() -> Deadline:
    """Return the deadline of the operation under way, one without limit by default.

    `qrmi_core.http` obeys it. A driver that uses another client passes `remaining()` to it.
    """
    return _current.get() or Deadline(None)
