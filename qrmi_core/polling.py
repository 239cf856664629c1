"""Waiting: for tasks to end, and for a resource to have a place."""

from __future__ import annotations

import logging
import operator
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

import attrs

from qrmi_core.deadline import Clock, Deadline, Sleep, within
from qrmi_core.errors import (
    InvalidInputError,
    InvalidResponseError,
    QrmiError,
    ResourceBusyError,
    TransportError,
    WaitTimeoutError,
)

if TYPE_CHECKING:
    from tenacity import RetryCallState

    from qrmi_core.resource import QuantumResource
    from qrmi_core.task import Task
    from qrmi_core.values import TaskStatus

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

_PATIENCE_SECONDS = 5.0
"""How long the looks at one resource may take while other resources wait; doubled each time."""
_MOST_PATIENCE_SECONDS = 60.0
_LATE_LOOK_SECONDS = 1.0
"""How long a look may take after the end, which came while the caller was at work."""

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

    def __attrs_post_init__(self) -> None:
        for name, value in attrs.asdict(self).items():
            least = 0.0 if name != "min_pause_seconds" else 0.001
            if isinstance(value, bool) or not isinstance(value, int | float) or not value >= least:
                raise InvalidInputError(
                    f"{name} must be a number of at least {least}, not {value!r}"
                )

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
    return Deadline(None if timeout is None else timeout - reserve, clock)


class _Watch:
    """The tasks of one wait: one look at a time, at all of them."""

    def __init__(
        self,
        tasks: Sequence[Task],
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
        # A timeout of 0 asks once, and that request may take its usual time.
        self._deadline = Deadline(timeout or None, clock)
        self._last_look = _a_little_before(timeout, clock)
        self._spent = False
        self._retry_after = 0.0
        self._outages: dict[Task, float] = {}
        self._slow: Counter[QuantumResource] = Counter()
        self._fatal: QrmiError | None = None
        self._error: QrmiError | None = None

    def ended(self) -> list[Task]:
        """Wait until at least one task has ended, and take those that have out of `pending`.

        Raises:
            WaitTimeoutError: None has, and the time is up.
            QrmiError: A look failed for good, or for too long.
        """
        from tenacity import Retrying, retry_if_result

        if self._fatal:
            raise self._fatal
        ended: list[Task] = Retrying(
            retry=retry_if_result(operator.not_),
            wait=lambda _state: self._pause(),
            stop=lambda _state: self._last_look.passed(),
            sleep=self._sleep,
            retry_error_callback=lambda _state: [],
        )(self._look)
        if not ended:
            raise self.timed_out()
        self._spent = self._last_look.passed()
        return ended

    def rest(self) -> None:
        """Pause between two calls of `ended`.

        Raises:
            WaitTimeoutError: The last look that the time allows has been.
        """
        if self._spent:
            raise self.timed_out()
        self._sleep(self._pause())

    def timed_out(self) -> WaitTimeoutError:
        """The error for a wait whose time is up."""
        task = self.pending[0]
        status = task.state.status
        seen = "not seen yet" if status is None else f"last seen {status}; it goes on"
        why = f"; the last look failed: {self._error}" if self._error else ""
        error = WaitTimeoutError(
            f"task {task.id} is not finished after {self._clock() - self._start:.1f} s of waiting "
            f"({seen}){why}; wait again, or stop it",
            status=status,
            resource_id=task.resource.resource_id(),
            task_id=task.id,
        )
        error.__cause__ = self._error
        return error

    def _pause(self) -> float:
        return self._last_look.clip(
            self._policy.pause(self._clock() - self._start, self._retry_after)
        )

    def _look(self) -> list[Task]:
        self._retry_after = 0.0
        self._error = None
        groups: dict[QuantumResource, list[Task]] = {}
        for task in self.pending:
            if not task.state.final:
                groups.setdefault(task.resource, []).append(task)
        outcomes: dict[Task, QrmiError | None] = {}
        # Vendors that answer come first, so that one that hangs keeps nobody waiting twice.
        order = sorted(groups, key=lambda resource: self._slow[resource])
        for number, resource in enumerate(order):
            with within(
                Deadline(self._share(resource, len(order) - number, len(order)), self._clock)
            ):
                looks = resource.look(groups[resource])
            if any(isinstance(error, TransportError) for error in looks.values()):
                self._slow[resource] += 1
            else:
                del self._slow[resource]
            outcomes |= looks
        for task, error in outcomes.items():
            self._note(task, error)
        ended = [task for task in self.pending if task.state.final]
        rest = [task for task in self.pending if not task.state.final]
        # Those whose look failed come last: the others had no look if the vendor was out of reach.
        self.pending = sorted(rest, key=lambda task: outcomes.get(task) is not None)
        if self._fatal and not ended:
            raise self._fatal
        return ended

    def _share(self, resource: QuantumResource, waiting: int, groups: int) -> float | None:
        """Seconds that the looks at one resource may take.

        Args:
            resource: The resource.
            waiting: How many resources, it included, have not had their looks in this round.
            groups: How many resources there are in all.
        """
        left = self._deadline.remaining()
        if left == 0.0:
            left = _LATE_LOOK_SECONDS
        if groups == 1:
            return left
        patience = min(_PATIENCE_SECONDS * 2.0 ** self._slow[resource], _MOST_PATIENCE_SECONDS)
        return patience if left is None else min(left / waiting, patience)

    def _note(self, task: Task, error: QrmiError | None) -> None:
        """Outlive an error that may pass: the task is on the QPU, not on the network."""
        if error is None:
            self._outages.pop(task, None)
            return
        now = self._clock()
        since = self._outages.setdefault(task, now)
        if not _may_pass(error) or now - since > self._policy.max_outage_seconds:
            self._fatal = error
            return
        self._error = error
        self._retry_after = max(self._retry_after, error.retry_after or 0.0)
        level = logging.WARNING if since == now else logging.DEBUG
        _log.log(level, "waiting goes on although a look failed: %s", error)


def _may_pass(error: QrmiError) -> bool:
    # A gateway's page in place of an answer is an outage too, as long as it does not last.
    return error.retryable or isinstance(error, InvalidResponseError)


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
    return _completed(list(tasks), _checked(timeout), policy, clock, sleep)


def _completed(
    tasks: Sequence[Task],
    timeout: float | None,
    policy: PollingPolicy | None,
    clock: Clock | None,
    sleep: Sleep | None,
) -> Iterator[Task]:
    if not tasks:
        return
    first = tasks[0].resource
    watch = _Watch(
        tasks, timeout, policy or first.polling, clock or first.clock, sleep or first.sleep
    )
    yield from watch.ended()
    while watch.pending:
        watch.rest()
        yield from watch.ended()


def wait(
    tasks: Iterable[Task], timeout: float | None = None, **how: object
) -> tuple[list[Task], list[Task]]:
    """Wait until all tasks have ended or the time is up.

    Args:
        tasks: Tasks of any resources.
        timeout: Seconds; None for ever, 0 looks once.
        how: `policy`, `clock` and `sleep` as for `as_completed`.

    Returns:
        Those that have ended and those that have not, each in the order given.
    """
    tasks = list(tasks)
    try:
        for _ in as_completed(tasks, timeout, **how):  # type: ignore[arg-type]
            pass
    except WaitTimeoutError:
        pass
    done = [task for task in tasks if task.state.final]
    return done, [task for task in tasks if not task.state.final]


def until_free(
    attempt: Callable[[float | None], _T],
    timeout: float | None,
    *,
    policy: PollingPolicy,
    clock: Clock = time.monotonic,
    sleep: Sleep = time.sleep,
    on_wait: OnWait | None = None,
) -> _T:
    """Repeat a call while it raises `ResourceBusyError` and the time is not up.

    Args:
        attempt: The call, given the seconds left (None for no limit, 0 for none); it holds no
            lock while the next attempt is waited for.
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
    last_attempt = _a_little_before(timeout, clock)
    start = clock()

    def pause(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after if isinstance(error, QrmiError) else None
        seconds = last_attempt.clip(policy.pause(clock() - start, asked))
        # Who has not asked to be told would see nothing but a program that stands still.
        first = on_wait is None and state.attempt_number == 1
        level = logging.WARNING if first else logging.INFO
        _log.log(level, "%s; trying again in %.1f s", error, seconds)
        if on_wait:
            on_wait(str(error), seconds)
        return seconds

    def bounded() -> _T:
        # A timeout of 0 tries once, and that request may take its usual time.
        with within(deadline if timeout else Deadline(None)):
            return attempt(deadline.remaining())

    return Retrying(
        retry=retry_if_exception_type(ResourceBusyError),
        wait=pause,
        stop=lambda _state: last_attempt.passed(),
        sleep=sleep,
        reraise=True,
    )(bounded)
