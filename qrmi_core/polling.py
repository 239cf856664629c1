"""Waiting: for tasks to end, and for a resource to have a place."""

from __future__ import annotations

import logging
import operator
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

import attrs

from qrmi_core.deadline import Clock, Deadline, Sleep, within
from qrmi_core.errors import InvalidInputError, QrmiError, ResourceBusyError, WaitTimeoutError

if TYPE_CHECKING:
    from tenacity import RetryCallState

    from qrmi_core.resource import QuantumResource
    from qrmi_core.task import Task
    from qrmi_core.values import TaskStatus

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
OnWait = Callable[[str, float], object]
"""Called with the reason and the seconds of a pause before a busy resource is asked again."""


@attrs.frozen
class PollingPolicy:
    """How often to look.

    The pause between two looks is a share of the time waited so far, so that a short task is seen
    to end promptly and a long one costs few requests.

    Args:
        growth: The pause as a share of the time waited so far.
        min_pause_seconds: The shortest pause.
        max_pause_seconds: The longest pause.
        jitter: Random lengthening of a pause, as a share of it.
        max_outage_seconds: How long a vendor may be unreachable before a wait gives up.
    """

    growth: float = 0.1
    min_pause_seconds: float = 0.2
    max_pause_seconds: float = 15.0
    jitter: float = 0.1
    max_outage_seconds: float = 600.0

    def pause(self, waited: float, retry_after: float | None = None) -> float:
        """Seconds until the next look.

        Args:
            waited: Seconds since the first look.
            retry_after: Seconds that the vendor asked for.
        """
        pause = min(max(waited * self.growth, self.min_pause_seconds), self.max_pause_seconds)
        # Only ever longer, so that the number of looks has an upper bound.
        pause *= 1 + random.uniform(0, self.jitter)
        return max(pause, retry_after or 0.0)


def _checked(timeout: float | None) -> float | None:
    if timeout is not None and not timeout >= 0:
        raise InvalidInputError(f"a timeout is a number of seconds of at least 0, not {timeout}")
    return timeout


def _a_little_before(timeout: float | None, clock: Clock) -> Deadline:
    """When to ask for the last time, so that the answer is there before the time is up."""
    reserve = min(0.25, (timeout or 0.0) * 0.1)
    return Deadline(None if not timeout else timeout - reserve, clock)


class _Watch:
    """The tasks of one wait: one look at a time, at all of them."""

    def __init__(
        self,
        tasks: Iterable[Task],
        timeout: float | None,
        policy: PollingPolicy,
        clock: Clock,
        sleep: Sleep,
    ) -> None:
        self.pending = list(dict.fromkeys(tasks))
        self._policy = policy
        self._clock = clock
        self._sleep = sleep
        self._start = clock()
        self._once = timeout == 0
        # A timeout of 0 asks once, and that request may take its usual time.
        self._deadline = Deadline(None if self._once else timeout, clock)
        self._last_look = _a_little_before(timeout, clock)
        self._retry_after: float | None = None
        self._outages: dict[QuantumResource, float] = {}
        self.error: QrmiError | None = None

    def ended(self) -> list[Task]:
        """Wait until at least one task has ended, and take those that have out of `pending`.

        Raises:
            WaitTimeoutError: None has, and the time is up.
        """
        from tenacity import Retrying, retry_if_result

        return Retrying(
            retry=retry_if_result(operator.not_),
            wait=self._pause,
            stop=self.expired,
            sleep=self._sleep,
            retry_error_callback=self._timed_out,
        )(self._look)

    def rest(self) -> None:
        """Pause between two calls of `ended`."""
        self._sleep(self._pause())

    def expired(self, _state: RetryCallState | None = None) -> bool:
        return self._once or self._last_look.passed()

    def _pause(self, _state: RetryCallState | None = None) -> float:
        pause = self._policy.pause(self._clock() - self._start, self._retry_after)
        return self._last_look.clip(pause)

    def _timed_out(self, _state: RetryCallState) -> list[Task]:
        raise timed_out(self.pending[0], self._clock() - self._start) from self.error

    def _look(self) -> list[Task]:
        self._retry_after = None
        groups: dict[QuantumResource, list[Task]] = {}
        for task in self.pending:
            if not task.state.final:
                groups.setdefault(task.resource, []).append(task)
        for resource, tasks in groups.items():
            try:
                with within(self._deadline):
                    resource.look(tasks)
            except QrmiError as error:
                self._outage(resource, error)
            else:
                self._outages.pop(resource, None)
        ended = [task for task in self.pending if task.state.final]
        self.pending = [task for task in self.pending if not task.state.final]
        return ended

    def _outage(self, resource: QuantumResource, error: QrmiError) -> None:
        """Outlive an error that may pass: the task is on the QPU, not on the network."""
        now = self._clock()
        since = self._outages.setdefault(resource, now)
        if not error.retryable or now - since > self._policy.max_outage_seconds:
            raise error
        self.error = error
        self._retry_after = max(self._retry_after or 0.0, error.retry_after or 0.0)
        level = logging.WARNING if since == now else logging.DEBUG
        _log.log(level, "waiting goes on although a look failed: %s", error)


def timed_out(task: Task, waited: float) -> WaitTimeoutError:
    """The error for a wait whose time is up."""
    status = task.state.status
    return WaitTimeoutError(
        f"task {task.id} is not finished after {waited:.1f} s of waiting (last seen {status}); "
        "it goes on: wait again, or stop it",
        status=status,
        resource_id=task.resource.resource_id(),
        task_id=task.id,
    )


def wait_for(task: Task, timeout: float | None = None) -> TaskStatus:
    """Wait for one task; see `Task.wait`."""
    for ended in as_completed([task], timeout):
        assert ended.state.status is not None
        return ended.state.status
    raise AssertionError("as_completed gave no task and raised nothing")


def as_completed(
    tasks: Iterable[Task],
    timeout: float | None = None,
    *,
    policy: PollingPolicy | None = None,
    clock: Clock | None = None,
    sleep: Sleep | None = None,
) -> Iterator[Task]:
    """Give tasks, of any resources, as they end.

    Args:
        tasks: The tasks to wait for; all are looked at in one loop, and in one request where the
            driver can.
        timeout: Seconds for all together; None for ever, 0 looks once.
        policy: How often to look; by default that of the first task's resource, as are
            the next two.
        clock: Monotonic clock in seconds.
        sleep: Sleeps for a number of seconds.

    Raises:
        WaitTimeoutError: The time is up, and at least one task has not ended.
        QrmiError: A look failed for good, or for longer than the policy's `max_outage_seconds`.
    """
    return _completed(tasks, _checked(timeout), policy, clock, sleep)


def _completed(
    tasks: Iterable[Task],
    timeout: float | None,
    policy: PollingPolicy | None,
    clock: Clock | None,
    sleep: Sleep | None,
) -> Iterator[Task]:
    tasks = list(tasks)
    if not tasks:
        return
    first = tasks[0].resource
    watch = _Watch(
        tasks, timeout, policy or first.polling, clock or first.clock, sleep or first.sleep
    )
    while True:
        yield from watch.ended()
        if not watch.pending:
            return
        # The round that gave the last tasks was the look that a spent timeout allows.
        if watch.expired():
            watch._timed_out(None)  # type: ignore[arg-type]
        watch.rest()


def wait(
    tasks: Sequence[Task], timeout: float | None = None, **how: object
) -> tuple[list[Task], list[Task]]:
    """Wait until all tasks have ended or the time is up.

    Args:
        tasks: Tasks of any resources.
        timeout: Seconds; None for ever, 0 looks once.
        how: `policy`, `clock` and `sleep` as for `as_completed`.

    Returns:
        Those that have ended and those that have not, each in the order given.
    """
    try:
        for _ in as_completed(tasks, timeout, **how):  # type: ignore[arg-type]
            pass
    except WaitTimeoutError:
        pass
    done = [task for task in tasks if task.state.final]
    return done, [task for task in tasks if not task.state.final]


def until_free(
    attempt: Callable[[], _T],
    timeout: float | None,
    *,
    policy: PollingPolicy,
    clock: Clock = time.monotonic,
    sleep: Sleep = time.sleep,
    on_wait: OnWait | None = None,
) -> _T:
    """Repeat a call while it raises `ResourceBusyError` and the time is not up.

    Args:
        attempt: The call; it holds no lock while the next attempt is waited for.
        timeout: Seconds; None for ever, 0 tries once.
        policy: How often to try.
        clock: Monotonic clock in seconds.
        sleep: Sleeps for a number of seconds.
        on_wait: Told of every pause.

    Raises:
        ResourceBusyError: The last one, when the time is up.
    """
    from tenacity import Retrying, retry_if_exception_type

    deadline = Deadline(_checked(timeout), clock)
    last_attempt = deadline if timeout == 0 else _a_little_before(timeout, clock)
    start = clock()

    def pause(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after if isinstance(error, QrmiError) else None
        seconds = last_attempt.clip(policy.pause(clock() - start, asked))
        _log.info("%s; trying again in %.1f s", error, seconds)
        if on_wait:
            on_wait(str(error), seconds)
        return seconds

    def bounded() -> _T:
        with within(deadline if timeout else Deadline(None)):
            return attempt()

    return Retrying(
        retry=retry_if_exception_type(ResourceBusyError),
        wait=pause,
        stop=lambda _state: last_attempt.passed(),
        sleep=sleep,
        reraise=True,
    )(bounded)
