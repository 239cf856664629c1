"""Policies for trying again: `RetryPolicy` for one call, `PollingPolicy` for waiting."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TypeVar

import attrs

from qrmi_core.deadline import Clock, Deadline, Sleep
from qrmi_core.errors import InvalidInputError, InvalidResponseError, QrmiError

_T = TypeVar("_T")

OnWait = Callable[[str, float], object]
"""Called with the reason and the seconds of a pause before a busy resource is tried again."""


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

        def is_last(attempt: int, pause: float) -> bool:
            return attempt >= self.attempts or deadline.passed() or deadline.clip(pause) < pause

        return repeat(
            function,
            may_help=may_help,
            pause=lambda attempt, error: self.pause(attempt, getattr(error, "retry_after", None)),
            is_last=is_last,
            sleep=sleep,
            before_pause=before_pause,
        )


def repeat(
    function: Callable[[], _T],
    *,
    may_help: Callable[[Exception], bool],
    pause: Callable[[int, Exception], float],
    is_last: Callable[[int, float], bool],
    sleep: Sleep,
    before_pause: Callable[[Exception, float], object] | None = None,
) -> _T:
    """Call a function until it returns, and return its result; raise its last error.

    Args:
        function: The function.
        may_help: Return True if another attempt may help after this error.
        pause: Returns the seconds to wait after an attempt, given its number and error.
        is_last: Returns True if there is no attempt after the one of this number, given the
            seconds of the pause that would follow.
        sleep: Sleeps for a number of seconds.
        before_pause: Called with the error and the length of the pause in seconds.
    """
    try:
        return function()
    except Exception as error:
        if not may_help(error):
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

    def announce(state: tenacity.RetryCallState) -> None:
        if before_pause:
            before_pause(error_of(state), state.upcoming_sleep)

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(
            lambda error: isinstance(error, Exception) and may_help(error)
        ),
        wait=lambda state: pause(state.attempt_number, error_of(state)),
        stop=lambda state: is_last(state.attempt_number, state.upcoming_sleep),
        before_sleep=announce,
        sleep=sleep,
        reraise=True,
    )(next_attempt)


def may_pass(error: Exception) -> bool:
    """Return True if the same call may succeed later.

    A response that cannot be read, such as the page of a gateway, says nothing; the next one may.
    """
    return isinstance(error, QrmiError) and (
        error.retryable or isinstance(error, InvalidResponseError)
    )


@attrs.frozen
class PollingPolicy:
    """The pauses between two polls of a task, or between two attempts at a busy resource.

    A pause is a share of the time waited so far, so that the end of a short task is seen promptly
    and a long one costs few requests.

    Args:
        growth: The pause as a share of the time waited so far.
        min_pause_seconds: The shortest pause.
        max_pause_seconds: The longest pause.
        jitter: Random lengthening of a pause, as a share of it.
        max_outage_seconds: The time for which a vendor may be unreachable before a wait gives up.
    """

    growth: float = 0.1
    min_pause_seconds: float = 0.2
    max_pause_seconds: float = 15.0
    jitter: float = 0.1
    max_outage_seconds: float = 600.0

    def __attrs_post_init__(self) -> None:
        for name, value in attrs.asdict(self).items():
            least = 0.0 if name != "min_pause_seconds" else 0.001
            if isinstance(value, bool) or not isinstance(value, int | float) or not value >= least:
                raise InvalidInputError(
                    f"{name} must be a number of at least {least}, not {value!r}"
                )

    def pause(self, waited: float, retry_after: float | None = None) -> float:
        """Return the seconds until the next request.

        Args:
            waited: Seconds since the first request.
            retry_after: Seconds that the vendor asked for.
        """
        pause = min(max(waited * self.growth, self.min_pause_seconds), self.max_pause_seconds)
        # Only ever longer, so that the number of requests has an upper bound.
        pause *= 1 + random.uniform(0, self.jitter)
        return max(pause, retry_after or 0.0)


def checked_timeout(timeout: float | None) -> float | None:
    """Return the timeout.

    Raises:
        InvalidInputError: It is not a number of seconds of at least 0.
    """
    if timeout is not None and not timeout >= 0:
        raise InvalidInputError(f"a timeout is a number of seconds of at least 0, not {timeout}")
    return timeout


def last_attempt(timeout: float | None, clock: Clock) -> Deadline:
    """Return the deadline for beginning the last attempt, so that its response is in time."""
    reserve = min(0.25, (timeout or 0.0) * 0.1)
    return Deadline(None if timeout is None else timeout - reserve, clock)
