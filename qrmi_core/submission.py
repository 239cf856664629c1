"""Submitting a task exactly once: waiting for a slot, trying again or finding again, giving up."""

from __future__ import annotations

import datetime
import itertools
import logging
import math
import uuid
from collections.abc import Callable
from contextvars import ContextVar
from typing import TypeVar

from qrmi_core.channel import Channel
from qrmi_core.deadline import Deadline, current, within
from qrmi_core.driver import ChoosesIds, Prepares
from qrmi_core.errors import (
    CallTimeoutError,
    DriverDefectError,
    QrmiError,
    ResourceBusyError,
    SubmissionUncertainError,
    TaskNotFoundError,
)
from qrmi_core.options import TaskOptions
from qrmi_core.payload import Payload
from qrmi_core.reports import checked
from qrmi_core.retry import Pause, Waiting, may_pass, repeat
from qrmi_core.values import TaskInfo

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

SUBMISSION_SECONDS = 250.0
"""The time after which a submission without a timeout is not repeated."""
SEARCH_SECONDS = 30.0
"""The time for a search beyond that, or beyond the caller's timeout: losing a task is worse."""
GIVE_UP_SECONDS = 5.0
"""The time that a driver may take to clean up after a submission without a task."""
MOST_CANDIDATES = 100
"""The number of candidates named, since not every vendor reports when a task was created."""
CLOCK_SKEW = datetime.timedelta(minutes=5)
"""The largest difference to the vendor's clock for which tasks are found as candidates."""

slot_pause: ContextVar[Callable[[float], float]] = ContextVar(
    "qrmi_slot_pause", default=lambda seconds: seconds
)
"""Called before each pause of a wait for a busy resource, with its seconds.

It returns the seconds that are left to pause, infinity to give up.
"""

_STILL_AT_WORK = frozenset({408, 504, 524})


class Submission:
    """One task on its way to the vendor, so that it is neither lost nor doubled.

    When the response is lost, the same task is submitted again if its id is chosen here; else it is
    looked for by its tag, and submitted again only if the vendor does not have it and cannot still
    be at work on it; else the caller must resolve the uncertainty.

    Args:
        channel: The channel to the driver.
        payload: The task's program.
        options: Options of the task.
        acquisition: The token of the acquisition to run under, None without one.
    """

    def __init__(
        self, channel: Channel, payload: Payload, options: TaskOptions, acquisition: str | None
    ) -> None:
        self._channel = channel
        self._payload = payload
        self._options = options
        self._acquisition = acquisition
        # Known before anything is sent: nothing is uncertain if the driver fails here.
        self._chooses_ids = channel.capability(ChoosesIds) is not None
        self._finds, self._lists = map(channel.offers, ("find_submission", "task_list"))
        self._preparing = channel.capability(Prepares)
        self._tag = uuid.uuid4().hex
        self._started = datetime.datetime.now(datetime.UTC)
        self._attempts = 0  # since a slot may have been free
        self._again = False  # whether another attempt is safe after the last
        self._lost: QrmiError | None = None
        self._end = self._search = Deadline(None)

    def run(self, timeout: float | None) -> str:
        """Submit the task and return its id.

        Args:
            timeout: Seconds to wait for a free slot; None for ever, 0 tries once.

        Raises:
            ResourceBusyError: No slot was free until the time was up.
            SubmissionUncertainError: The task may or may not exist.
            QrmiError: Any other error; no task was created.
        """
        try:
            return until_free(self._channel, self._attempt, timeout, self._pause)
        except BaseException as error:
            failure: BaseException = error
            if not isinstance(error, QrmiError):
                if self._attempts or self._lost:
                    error.add_note(f"the task may have been submitted; its tag is {self._tag}")
            elif self._lost:
                # An earlier attempt may have succeeded, so that a refusal settles nothing.
                failure = self._uncertain(error)
            self._give_up()
            if failure is error:
                raise
            raise failure from error

    def _pause(self, _number: int, error: BaseException) -> float:
        """Return the seconds until the next attempt after a lost response."""
        with within(self._end):
            return self._channel.few_pause(self._attempts, error) if self._again else math.inf

    def _attempt(self, *, has_room: bool = False) -> str:
        """Submit once and return the task's id."""
        if not self._attempts:
            left = current().remaining()
            seconds = SUBMISSION_SECONDS if left is None else left
            self._end = Deadline(seconds, self._channel.clock)
        self._attempts += 1
        self._again = False
        try:
            # Only a first attempt may take as long as its bytes move.
            with (
                within(self._end if self._lost else current()),
                # A defect after the request is as uncertain as a lost response.
                self._channel.calling(uncertain=True) as driver,
            ):
                task_id = driver.task_start(
                    self._payload,
                    submission=self._tag,
                    acquisition=self._acquisition,
                    options=self._options,
                )
                return checked("task_start", task_id)
        except ResourceBusyError as busy:
            if not has_room and self._make_room(busy):
                return self._attempt(has_room=True)
            self._attempts = 0
            raise
        except QrmiError as error:
            if not error.uncertain:
                raise
            _log.warning("the response to submission %s was lost: %s", self._tag, error)
            self._lost = error
            seconds = self._end.clip(math.inf) + SEARCH_SECONDS
            self._search = Deadline(seconds, self._channel.clock)
            return self._find(error)

    def _make_room(self, busy: ResourceBusyError) -> bool:
        if self._preparing is None:
            return False
        with self._channel.calling():
            return checked("make_room", self._preparing.make_room(busy))

    def _find(self, lost: QrmiError) -> str:
        """Return the id of the task whose response was lost.

        Raises:
            QrmiError: It was not found; `_again` is True if it may be submitted again.
        """
        if self._chooses_ids and not isinstance(lost, DriverDefectError):
            self._again = True
            raise lost
        if not self._finds:
            raise lost
        # Lists may lag behind, so that an absent task is looked for again.
        absent = TaskNotFoundError("the vendor lists no task with this tag", retryable=True)

        def search() -> str:
            with self._channel.calling(uncertain=True) as driver:
                found = checked("find_submission", driver.find_submission(self._tag))
            if found is None:
                raise absent
            return found

        try:
            with within(self._search, extend=True):
                found = self._channel.few_attempts(search, may_pass)
        except QrmiError as failure:
            if failure is not absent:
                raise
            # The vendor may still be at work, and create the task after the search.
            slow = isinstance(lost, CallTimeoutError) or lost.status_code in _STILL_AT_WORK
            self._again = not slow
            raise lost from lost.__cause__  # and not from the search
        _log.warning("submission %s was found again as task %s", self._tag, found)
        return found

    def _give_up(self) -> None:
        try:
            with (
                within(Deadline(self._search.clip(GIVE_UP_SECONDS)), extend=True),
                self._channel.calling(),
            ):
                if self._preparing is not None:
                    self._preparing.give_up(self._tag)
        except QrmiError as error:
            _log.error("the driver could not clean up after submission %s: %s", self._tag, error)

    def _uncertain(self, error: QrmiError) -> SubmissionUncertainError:
        candidates: tuple[str, ...] = ()
        if self._lists:
            try:
                with within(self._search, extend=True), self._channel.calling() as driver:
                    # Newest first, and each page of the list may be a request.
                    listed = checked("task_list", driver.task_list())
                    recent = itertools.takewhile(self._may_be_ours, listed)
                    newest = itertools.islice(recent, MOST_CANDIDATES)
                    candidates = tuple(info.id for info in newest)
            except QrmiError as failure:
                _log.warning("the tasks could not be listed: %s", failure)
        hint = f"; tasks created about then: {', '.join(candidates)}" if candidates else ""
        later = f"; then {error}" if error is not self._lost else ""
        return SubmissionUncertainError(
            f"the response to submission {self._tag} was lost ({self._lost}{later}), and the task "
            f"may exist{hint}; look at the vendor's list of tasks before submitting again",
            submission=self._tag,
            candidates=candidates,
            resource_id=self._channel.resource_id,
        )

    def _may_be_ours(self, info: TaskInfo) -> bool:
        if info.created_at is None:
            return True
        zone = info.created_at.tzinfo or datetime.UTC
        return info.created_at.replace(tzinfo=zone) >= self._started - CLOCK_SKEW


def until_free(
    channel: Channel,
    attempt: Callable[[], _T],
    timeout: float | None,
    other: Pause = lambda _number, _error: math.inf,
) -> _T:
    """Repeat a call while it raises `ResourceBusyError` and the time is not up.

    Args:
        channel: The channel, whose pauses apply.
        attempt: The call; it holds no lock while the next attempt is waited for.
        timeout: Seconds; None for ever, 0 tries once.
        other: Decides about further attempts after any other error.

    Raises:
        ResourceBusyError: The last one, when the time is up.
    """
    waiting = Waiting(timeout, channel.polling, channel.clock)
    # Without a callback the user would see a program that stands still.
    level = logging.INFO if channel.on_wait else logging.WARNING

    def pause(number: int, error: BaseException) -> float:
        nonlocal level
        if not isinstance(error, ResourceBusyError):
            return other(number, error)
        if waiting.last.passed():
            return math.inf
        seconds = waiting.pause(error.retry_after)
        _log.log(level, "%s; trying again in %.1f s", error, seconds)
        level = logging.INFO
        if channel.on_wait:
            channel.on_wait(str(error), seconds)
        return slot_pause.get()(seconds)

    with within(waiting.deadline):
        return repeat(attempt, pause, channel.sleep)
