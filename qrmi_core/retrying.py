"""Policies for trying again: `few_attempts` for one call, `PollingPolicy` for waiting."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs

from qrmi_core.deadline import Clock, Deadline, Sleep, current
from qrmi_core.errors import InvalidInputError

if TYPE_CHECKING:
    from tenacity import Retrying

ATTEMPTS = 4
"""The largest number of attempts of `few_attempts`; the pauses are 0.5, 1 and 2 seconds."""

OnWait = Callable[[str, float], object]
"""Called with the reason and the seconds of a pause before a busy resource is tried again."""


def few_attempts(again: Callable[[BaseException], bool], sleep: Sleep) -> Retrying:
    """Return the policy for a call that may be repeated at once, or not at all.

    It makes at most `ATTEMPTS` attempts, and no pause that the deadline in force would cut short.

    Args:
        again: Returns True for an error after which the call may be repeated.
        sleep: Sleeps for a number of seconds.
    """
    from tenacity import RetryCallState, Retrying, retry_if_exception, wait_exponential

    def stop(state: RetryCallState) -> bool:
        pause = state.upcoming_sleep
        return state.attempt_number >= ATTEMPTS or current().clip(pause) < pause

    return Retrying(
        retry=retry_if_exception(again),
        stop=stop,
        wait=wait_exponential(multiplier=0.5),
        sleep=sleep,
        reraise=True,
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
