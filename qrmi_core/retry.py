"""The one retry policy: attempts, pauses and a deadline."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TypeVar

import attrs

from qrmi_core.deadline import Deadline, Sleep

_T = TypeVar("_T")


@attrs.frozen
class RetryPolicy:
    """The number of attempts, and the pauses between them.

    Args:
        attempts: The number of attempts at most; 1 switches retries off.
        first_pause_seconds: Pause before the second attempt; doubled for each further one.
        jitter: Random lengthening, at most this share of the pause.
    """

    attempts: int = 4
    first_pause_seconds: float = 0.5
    jitter: float = 0.25

    def pause(self, attempt: int, retry_after: float | None = None) -> float:
        """Return the seconds to wait after the given attempt.

        Args:
            attempt: The number of the attempt, from 1.
            retry_after: Seconds that the vendor asks to wait.
        """
        pause = self.first_pause_seconds * 2.0 ** (attempt - 1)
        return max(pause * random.uniform(1.0, 1.0 + self.jitter), retry_after or 0.0)

    def run(
        self,
        function: Callable[[], _T],
        *,
        may_help: Callable[[Exception], bool],
        sleep: Sleep,
        deadline: Deadline,
        before_pause: Callable[[Exception, float], object] | None = None,
    ) -> _T:
        """Call a function until it returns, and return its result; raise its last error.

        A pause that does not end before the deadline is not begun. An error with a number of
        seconds in `retry_after` lengthens the pause.

        Args:
            function: The function.
            may_help: Return True if another attempt may help after this error.
            sleep: Sleeps for a number of seconds.
            deadline: Bounds the pauses; the function bounds itself.
            before_pause: Called with the error and the length of the pause in seconds.
        """
        try:
            return function()
        except Exception as error:
            if self.attempts == 1 or not may_help(error):
                raise
            failed = [error]
        # Imported only now, since most calls succeed at once.
        import tenacity

        def next_attempt() -> _T:
            if failed:
                raise failed.pop()
            return function()

        def error_of(state: tenacity.RetryCallState) -> Exception:
            error = state.outcome.exception() if state.outcome else None
            assert isinstance(error, Exception)
            return error

        def pause(state: tenacity.RetryCallState) -> float:
            retry_after = getattr(error_of(state), "retry_after", None)
            return self.pause(state.attempt_number, retry_after)

        def is_last(state: tenacity.RetryCallState) -> bool:
            end = deadline.clip(state.upcoming_sleep) < state.upcoming_sleep
            return end or deadline.passed() or state.attempt_number >= self.attempts

        def announce(state: tenacity.RetryCallState) -> None:
            if before_pause:
                before_pause(error_of(state), state.upcoming_sleep)

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(
                lambda error: isinstance(error, Exception) and may_help(error)
            ),
            wait=pause,
            stop=is_last,
            sleep=sleep,
            before_sleep=announce,
            reraise=True,
        )
        return retrying(next_attempt)
