"""The state machine of a task: legal transitions, and the history of one task."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Callable, Mapping
from types import MappingProxyType

import attrs

from qrmi_core.locks import Lock
from qrmi_core.values import Observation, TaskStatus, Value

_log = logging.getLogger(__name__)

FINAL = frozenset({TaskStatus.Completed, TaskStatus.Failed, TaskStatus.Cancelled})
"""The states that a task does not leave."""

TRANSITIONS: Mapping[TaskStatus | None, frozenset[TaskStatus]] = MappingProxyType(
    {
        None: frozenset(TaskStatus),
        TaskStatus.Queued: FINAL | {TaskStatus.Running},
        # Vendors put a task back into the queue, for instance after a calibration.
        TaskStatus.Running: FINAL | {TaskStatus.Queued},
        **dict.fromkeys(FINAL, frozenset()),
    }
)
"""The legal transitions; None is a task that has not been polled yet."""


@attrs.frozen(eq=False, repr=False)
class Transition(Value):
    """One transition of a task.

    Args:
        status: The state entered.
        at: The time (UTC) at which it was observed, which is later than when it happened.
    """

    status: TaskStatus
    at: datetime.datetime


def _utcnow() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


class TaskState:
    """The observed states of one task, changed by `observe` alone; the base of `Task`.

    Args:
        label: The task's name in log records.
        now: Returns the time in UTC.

    Attributes:
        last_report: The last accepted report, an unknown status replaced by Running; None before a
            poll.
        history: Every transition observed, with its time, in order.
    """

    def __init__(self, label: str, now: Callable[[], datetime.datetime] = _utcnow) -> None:
        self._label = label
        self._now = now
        self._lock = Lock()
        self._warned: set[str | None] = set()
        self.last_report: Observation | None = None
        self.history: tuple[Transition, ...] = ()

    @property
    def last_status(self) -> TaskStatus | None:
        """The last state observed; None before a poll."""
        return self.history[-1].status if self.history else None

    @property
    def done(self) -> bool:
        """True if the task has ended, as far as it has been polled; costs no request."""
        return self.last_status in FINAL

    def observe(self, report: Observation) -> tuple[TaskStatus | None, Transition] | None:
        """Apply a vendor's report.

        Returns:
            The state left and the transition made; None if the report changes nothing.
        """
        with self._lock:
            new = self._known(report)
            old = self.last_status
            if old in FINAL:
                if new != old:
                    _log.warning(
                        "%s: ignored the report %s after it had ended as %s", self._label, new, old
                    )
                return None
            self.last_report = attrs.evolve(report, status=new)
            if new not in TRANSITIONS[old]:
                return None
            move = Transition(new, self._now())
            self.history += (move,)
            return old, move

    def _known(self, report: Observation) -> TaskStatus:
        if report.status is not None:
            return report.status
        if report.raw not in self._warned:
            self._warned.add(report.raw)
            _log.warning(
                "%s: unknown state %r reported by the vendor, taken as Running",
                self._label,
                report.raw,
            )
        return TaskStatus.Running
