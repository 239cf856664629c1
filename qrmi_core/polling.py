"""Polling: many tasks of any resources until they end."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Generic, Protocol, TypeVar

from qrmi_core.channel import Channel
from qrmi_core.deadline import Clock, Deadline, Sleep, within
from qrmi_core.errors import QrmiError, TransportError, WaitTimeoutError
from qrmi_core.reports import checked
from qrmi_core.retry import PollingPolicy, Waiting, may_pass
from qrmi_core.values import Observation

_log = logging.getLogger(__name__)

_PATIENCE_SECONDS = 5.0
"""The time that polls of one resource may take while other resources wait; doubled each time."""
_MOST_PATIENCE_SECONDS = 60.0
_PAUSE_SECONDS_A_TASK = 0.001
"""A pause is at least so long for each task, since a poll of many takes several requests."""
_LATE_POLL_SECONDS = 1.0
"""The time that a poll may take after the end, which came while the caller was at work."""


class Polled(Protocol):
    """A task, as polling sees it."""

    @property
    def id(self) -> str:
        """The task's id."""

    @property
    def channel(self) -> Channel:
        """The channel to the driver of its resource."""

    @property
    def done(self) -> bool:
        """True if the task has ended."""

    @property
    def last_report(self) -> Observation | None:
        """The last accepted report."""

    def observe(self, report: Observation) -> object:
        """Apply a report."""


_TaskT = TypeVar("_TaskT", bound=Polled)


def poll(tasks: Iterable[_TaskT]) -> dict[_TaskT, QrmiError | None]:
    """Poll tasks of any resources once, those of one resource together where its driver can.

    Tasks that have ended are left out and cost no request.

    Returns:
        The error of each task that was polled, None for success. Unfinished tasks that are missing
        were not polled, since the vendor could not be reached.
    """
    outcomes: dict[_TaskT, QrmiError | None] = {}
    for channel, group in _unfinished(tasks).items():
        reports: Mapping[str, Observation] = {}
        if len(group) > 1:
            try:
                with channel.calling() as driver:
                    found = driver.task_statuses([task.id for task in group])
                    reports = checked("task_statuses", found)
            except QrmiError as error:
                outcomes |= dict.fromkeys(group, error)
                continue
        for task in group:
            try:
                with channel.calling(task.id) as driver:
                    report = reports.get(task.id) or checked(
                        "task_status", driver.task_status(task.id)
                    )
            except QrmiError as error:
                outcomes[task] = error
                if isinstance(error, TransportError):
                    break
            else:
                task.observe(report)
                outcomes[task] = None
    return outcomes


def _unfinished(tasks: Iterable[_TaskT]) -> dict[Channel, list[_TaskT]]:
    groups: dict[Channel, list[_TaskT]] = {}
    for task in tasks:
        if not task.done:
            groups.setdefault(task.channel, []).append(task)
    return groups


class _Watch(Generic[_TaskT]):
    """The tasks of one wait, polled together."""

    def __init__(
        self,
        tasks: Iterable[_TaskT],
        timeout: float | None,
        policy: PollingPolicy,
        clock: Clock,
        sleep: Sleep,
    ) -> None:
        self._pending = list(dict.fromkeys(tasks))
        self._waiting = Waiting(timeout, policy, clock)
        self._max_outage = policy.max_outage_seconds
        self._clock = clock
        self._sleep = sleep
        self._spent = False
        self._retry_after = 0.0
        self._outages: dict[_TaskT, float] = {}
        self._slow: Counter[Channel] = Counter()
        self._fatal: QrmiError | None = None
        self._error: QrmiError | None = None

    def run(self) -> Iterator[_TaskT]:
        """Yield the tasks as they end.

        Raises:
            WaitTimeoutError: The last poll that the time allows has been made.
            QrmiError: A poll failed for good, or for too long.
        """
        from tenacity import Retrying

        rounds = Retrying(
            retry=lambda _state: bool(self._pending),
            wait=lambda _state: self._waiting.pause(
                max(self._retry_after, _PAUSE_SECONDS_A_TASK * len(self._pending))
            ),
            # Not the time now: after the caller's own work there is one more poll.
            stop=lambda _state: self._spent,
            sleep=self._sleep,
            retry_error_callback=lambda _state: None,
        )
        for attempt in rounds:
            ended = self._poll()
            self._spent = self._waiting.last.passed()
            attempt.retry_state.set_result(ended)
            yield from ended
            if self._fatal:
                raise self._fatal
        if self._pending:
            raise self._timed_out()

    def _timed_out(self) -> WaitTimeoutError:
        """Return the error for a wait whose time is up."""
        task = self._pending[0]
        status = task.last_report.status if task.last_report else None
        seen = "not seen yet" if status is None else f"last seen {status}; it goes on"
        why = f"; the last poll failed: {self._error}" if self._error else ""
        error = WaitTimeoutError(
            f"task {task.id} is not finished after {self._waiting.seconds:.1f} s of waiting "
            f"({seen}){why}; wait again, or stop it",
            status=status,
            resource_id=task.channel.resource_id,
            task_id=task.id,
        )
        error.__cause__ = self._error
        return error

    def _poll(self) -> list[_TaskT]:
        self._retry_after = 0.0
        self._error = None
        groups = _unfinished(self._pending)
        outcomes: dict[_TaskT, QrmiError | None] = {}
        # Vendors that respond come first, so that one that hangs keeps nobody waiting twice.
        order = sorted(groups, key=lambda channel: self._slow[channel])
        for number, channel in enumerate(order):
            share = self._share(channel, len(order) - number, len(order))
            with within(Deadline(share, self._clock)):
                polls = poll(groups[channel])
            slow = any(isinstance(error, TransportError) for error in polls.values())
            self._slow[channel] = self._slow[channel] + 1 if slow else 0
            outcomes |= polls
        for task, error in outcomes.items():
            self._note(task, error)
        ended = [task for task in self._pending if task.done]
        rest = [task for task in self._pending if not task.done]
        # Those whose poll failed come last: the others had none if the vendor was out of reach.
        self._pending = sorted(rest, key=lambda task: outcomes.get(task) is not None)
        return ended

    def _share(self, channel: Channel, waiting: int, groups: int) -> float | None:
        """Return the seconds that the polls of one resource may take.

        Args:
            channel: The resource's channel.
            waiting: The number of resources, this one included, not yet polled in this round.
            groups: The number of resources in all.
        """
        left = self._waiting.deadline.remaining()
        if left == 0.0:
            left = _LATE_POLL_SECONDS
        if groups == 1:
            return left
        patience = min(_PATIENCE_SECONDS * 2.0 ** self._slow[channel], _MOST_PATIENCE_SECONDS)
        return patience if left is None else min(left / waiting, patience)

    def _note(self, task: _TaskT, error: QrmiError | None) -> None:
        """Outlive an error that may pass: the task is on the QPU, not on the network."""
        if error is None:
            self._outages.pop(task, None)
            return
        now = self._clock()
        since = self._outages.setdefault(task, now)
        if not may_pass(error) or now - since > self._max_outage:
            self._fatal = error
            return
        self._error = error
        self._retry_after = max(self._retry_after, error.retry_after or 0.0)
        level = logging.WARNING if since == now else logging.DEBUG
        _log.log(level, "waiting goes on although a poll failed: %s", error)


def as_completed(
    tasks: Iterable[_TaskT],
    timeout: float | None = None,
    *,
    policy: PollingPolicy | None = None,
    clock: Clock | None = None,
    sleep: Sleep | None = None,
) -> Iterator[_TaskT]:
    """Yield tasks, of any resources, as they end.

    Args:
        tasks: The tasks to wait for; all are polled in one loop, and in one request where the
            driver can.
        timeout: Seconds for all together; None for ever, 0 polls once.
        policy: The pauses; by default those of the resource whose shortest pause is the longest.
        clock: Monotonic clock in seconds; by default that of the first task's resource.
        sleep: Sleeps for a number of seconds; the same.

    Raises:
        WaitTimeoutError: The time is up, and at least one task has not ended.
        QrmiError: A poll failed for good, or for longer than the policy's `max_outage_seconds`.
    """
    tasks = list(tasks)
    if not tasks:
        return iter(())
    first = tasks[0].channel
    # All are polled in one rhythm, and that of a simulator here is too fast for other services.
    policy = policy or max(
        (task.channel.polling for task in tasks), key=lambda polling: polling.min_pause_seconds
    )
    return _Watch(tasks, timeout, policy, clock or first.clock, sleep or first.sleep).run()


def wait(
    tasks: Iterable[_TaskT], timeout: float | None = None, **how: object
) -> tuple[list[_TaskT], list[_TaskT]]:
    """Wait until all tasks have ended or the time is up.

    Args:
        tasks: Tasks of any resources.
        timeout: Seconds; None for ever, 0 polls once.
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
    return [task for task in tasks if task.done], [task for task in tasks if not task.done]
