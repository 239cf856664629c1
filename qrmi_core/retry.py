"""Trying again: `RetryPolicy` for one call, `PollingPolicy` for waiting, one loop for both."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import attrs

from qrmi_core.deadline import Clock, Deadline, Sleep, current
from qrmi_core.errors import InvalidInputError, InvalidResponseError, QrmiError
from qrmi_core.values import Value

if TYPE_CHECKING:
    from tenacity import RetryCallState

_T = TypeVar("_T")

OnWait = Callable[[str, float], object]
"""Called with the reason and the seconds of a pause before a busy resource is tried again."""

Pause = Callable[[int, BaseException], float]
"""Called with the number of an attempt, from 1, and its error.

It returns the seconds until the next attempt, or infinity without one.
"""


def repeat(function: Callable[[], _T], pause: Pause, sleep: Sleep) -> _T:
    """Call a function until it returns, and return its result; raise its last error.

    Args:
        function: The function.
        pause: Decides about further attempts.
        sleep: Sleeps for a number of seconds.
    """
    try:
        return function()
    except Exception as error:
        seconds = pause(1, error)
        if seconds == math.inf:
            raise
    sleep(seconds)
    # Imported only now, since most calls succeed at once.
    import tenacity

    def wait(state: RetryCallState) -> float:
        error = state.outcome and state.outcome.exception()
        assert error
        return pause(1 + state.attempt_number, error)

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(),
        wait=wait,
        stop=lambda state: state.upcoming_sleep == math.inf,
        sleep=sleep,
        reraise=True,
    )(function)


class RetryPolicy:
    """The number of attempts, and the pauses between them.

    Args:
        attempts: The number of attempts at most; 1 switches retries off.
        first_pause_seconds: Pause before the second attempt; doubled for each further one.
        jitter: Random lengthening, at most this share of the pause.
    """

    def __init__(
        self, attempts: int = 4, first_pause_seconds: float = 0.5, jitter: float = 0.25
    ) -> None:
        self._attempts = attempts
        self._first_pause_seconds = first_pause_seconds
        self._jitter = jitter

    def pause(self, attempt: int, error: BaseException, deadline: Deadline) -> float:
        """Return the seconds until the next attempt, or infinity without one.

        Args:
            attempt: The number of the last attempt, from 1.
            error: Its error; a number of seconds in `retry_after` lengthens the pause.
            deadline: A pause that does not end before it is not begun.
        """
        seconds = self._first_pause_seconds * 2.0 ** (attempt - 1)
        seconds *= random.uniform(1.0, 1.0 + self._jitter)
        seconds = max(seconds, getattr(error, "retry_after", None) or 0.0)
        last = attempt >= self._attempts or deadline.passed() or deadline.clip(seconds) < seconds
        return math.inf if last else seconds


def may_pass(error: BaseException) -> bool:
    """Return True if the same call may succeed later.

    A response that cannot be read, such as the page of a gateway, says nothing; the next one may.
    """
    return isinstance(error, QrmiError) and (
        error.retryable or isinstance(error, InvalidResponseError)
    )


@attrs.frozen(eq=False, repr=False)
class PollingPolicy(Value):
    """The pauses between two polls of a task, or between two attempts at a busy resource.

    A pause is a share of the time waited so far, so that the end of a short task is seen promptly
    and a long one costs few requests.

    Args:
        growth: The pause as a share of the time waited so far.
        min_pause_seconds: The shortest pause.
        max_pause_seconds: The longest pause.
        jitter: Random lengthening of a pause, as a share of it.
        max_outage_seconds: The time for which a vendor may be unreachable before a wait gives up,
            and the longest pause that a vendor can ask for.
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
            retry_after: Seconds that the vendor asks for.
        """
        pause = min(max(waited * self.growth, self.min_pause_seconds), self.max_pause_seconds)
        # Only ever longer, so that the number of requests has an upper bound.
        pause *= 1 + random.uniform(0, self.jitter)
        return max(pause, min(retry_after or 0.0, self.max_outage_seconds))


class Waiting:
    """The time of one wait, which ends with the deadline in force at the latest.

    Args:
        timeout: Seconds; None for ever, 0 for one attempt, which may take its usual time.
        policy: The pauses.
        clock: Monotonic clock in seconds.

    Raises:
        InvalidInputError: The timeout is not a number of seconds of at least 0.

    Attributes:
        deadline: The end.
        last: The time to begin the last attempt, so that its response is there by the end.
    """

    def __init__(self, timeout: float | None, policy: PollingPolicy, clock: Clock) -> None:
        if timeout is not None and not timeout >= 0:
            raise InvalidInputError(
                f"a timeout is a number of seconds of at least 0, not {timeout}"
            )
        self._policy = policy
        self._clock = clock
        self._start = clock()
        timeout = current().clip(math.inf if timeout is None else timeout)
        self.deadline = Deadline(timeout or None, clock)
        self.last = Deadline(timeout - min(0.25, timeout * 0.1), clock)

    @property
    def seconds(self) -> float:
        """The seconds waited so far."""
        return self._clock() - self._start

    def pause(self, retry_after: float | None) -> float:
        """Return the seconds until the next attempt, which is not after the last."""
        return self.last.clip(self._policy.pause(self.seconds, retry_after))
