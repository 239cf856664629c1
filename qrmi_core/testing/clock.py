"""A clock that moves only when somebody sleeps."""

from __future__ import annotations

from qrmi_core.locks import Lock


class FakeClock:
    """A monotonic clock whose `sleep` returns at once.

    Give the object as `clock` and its `sleep` as `sleep`.

    Attributes:
        now: Seconds since the beginning.
        pauses: Every sleep, in seconds.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []
        self._lock = Lock()

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass."""
        with self._lock:
            self.pauses.append(seconds)
            self.now += seconds

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass otherwise than by sleeping, as a request would."""
        with self._lock:
            self.now += seconds
