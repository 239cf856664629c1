"""Submitting a task exactly once: waiting for a slot, trying again or finding again, giving up."""

from __future__ import annotations

import datetime
import itertools
import logging
import uuid
from collections.abc import Callable
from typing import TypeVar

from qrmi_core.channel import PASSING, Channel
from qrmi_core.deadline import Deadline, current, within
from qrmi_core.driver import ChoosesIds, Prepares, offers
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
from qrmi_core.retry import checked_timeout, last_attempt, may_pass, repeat
from qrmi_core.values import TaskInfo

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

SEARCH_SECONDS = 30.0
"""The time that a search may take beyond the caller's: losing a task is worse."""
GIVE_UP_SECONDS = 5.0
"""The time that a driver may take to clean up after a submission without a task."""
CLOCK_SKEW = datetime.timedelta(minutes=5)
"""The largest difference to the vendor's clock for which tasks are found as candidates."""

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
        self._tag = uuid.uuid4().hex
        self._started = datetime.datetime.now(datetime.UTC)
        self._lost: QrmiError | None = None
        self._search = Deadline(None)

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
            return until_free(self._channel, self._submit, timeout)
        except BaseException as error:
            self._give_up()
            if isinstance(error, ResourceBusyError) and self._lost:
                raise self._uncertain(error) from error.__cause__
            raise

    def _submit(self) -> str:
        try:
            return self._channel.few_attempts(self._attempt, lambda error: error is self._lost)
        except PASSING as interrupt:
            interrupt.add_note(f"the task may have been submitted; its tag is {self._tag}")
            raise
        except QrmiError as error:
            if error is self._lost:
                raise self._uncertain(error) from error
            raise

    def _attempt(self, *, has_room: bool = False) -> str:
        """Submit once and return the task's id; raise `_lost` if it may be submitted again."""
        try:
            # A defect after the request is as uncertain as a lost response.
            with self._channel.calling(uncertain=True) as driver:
                task_id = driver.task_start(
                    self._payload,
                    submission=self._tag,
                    acquisition=self._acquisition,
                    options=self._options,
                )
                return checked("task_start", task_id)
        except ResourceBusyError as busy:
            if has_room or not self._make_room(busy):
                raise
            return self._attempt(has_room=True)
        except QrmiError as error:
            if not error.uncertain and self._lost:
                # An earlier attempt may have succeeded, so this refusal settles nothing.
                raise self._uncertain(error) from error
            if not error.uncertain:
                raise
            if self._lost is None:
                left = current().remaining()
                end = None if left is None else left + SEARCH_SECONDS
                self._search = Deadline(end, self._channel.clock)
            self._lost = error
            _log.warning("the response to submission %s was lost: %s", self._tag, error)
            return self._find(error)

    def _make_room(self, busy: ResourceBusyError) -> bool:
        preparing = self._channel.capability(Prepares)
        with self._channel.calling():
            return preparing is not None and checked("make_room", preparing.make_room(busy))

    def _find(self, lost: QrmiError) -> str:
        """Return the id of the task whose response was lost; raise `lost` if no task exists.

        Raises:
            SubmissionUncertainError: It is not known whether the task exists.
        """
        if self._channel.capability(ChoosesIds) and not isinstance(lost, DriverDefectError):
            raise lost
        if not offers(self._channel.driver, "find_submission"):
            raise self._uncertain(lost) from lost
        # Lists may lag behind, so that an absent task is looked for again.
        absent = TaskNotFoundError("the vendor lists no task with this tag", retryable=True)

        def search() -> str:
            with self._channel.calling(uncertain=True) as driver:
                found = checked("find_submission", driver.find_submission(self._tag))
            if found is None:
                raise absent
            return found

        try:
            with within(self._search):
                found = self._channel.few_attempts(search, may_pass)
        except QrmiError as failure:
            if failure is not absent:
                raise self._uncertain(failure) from failure
            if isinstance(lost, CallTimeoutError) or lost.status_code in _STILL_AT_WORK:
                # The vendor may create the task after the search.
                raise self._uncertain(lost) from lost
            raise lost from lost.__cause__  # and not from the search
        _log.warning("submission %s was found again as task %s", self._tag, found)
        return found

    def _give_up(self) -> None:
        try:
            with within(Deadline(GIVE_UP_SECONDS)), self._channel.calling():
                if preparing := self._channel.capability(Prepares):
                    preparing.give_up(self._tag)
        except QrmiError as error:
            _log.error("the driver could not clean up after submission %s: %s", self._tag, error)

    def _uncertain(self, error: QrmiError) -> SubmissionUncertainError:
        candidates: tuple[str, ...] = ()
        if offers(self._channel.driver, "task_list"):
            try:
                with within(self._search), self._channel.calling() as driver:
                    # Newest first, and each page of the list may be a request.
                    listed = checked("task_list", driver.task_list())
                    recent = itertools.takewhile(self._may_be_ours, listed)
                    candidates = tuple(info.id for info in recent)
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


def until_free(channel: Channel, attempt: Callable[[], _T], timeout: float | None) -> _T:
    """Repeat a call while it raises `ResourceBusyError` and the time is not up.

    Args:
        channel: The channel, whose pauses apply.
        attempt: The call; it holds no lock while the next attempt is waited for.
        timeout: Seconds; None for ever, 0 tries once.

    Raises:
        ResourceBusyError: The last one, when the time is up.
    """
    start = channel.clock()
    # A timeout of 0 tries once, and that request may take its usual time.
    deadline = Deadline(checked_timeout(timeout) or None, channel.clock)
    last = last_attempt(timeout, channel.clock)
    # Without a callback the user would see a program that stands still.
    level = logging.INFO if channel.on_wait else logging.WARNING

    def pause(_attempt: int, busy: Exception) -> float:
        asked = getattr(busy, "retry_after", None)
        return last.clip(channel.polling.pause(channel.clock() - start, asked))

    def waiting(busy: Exception, seconds: float) -> None:
        nonlocal level
        _log.log(level, "%s; trying again in %.1f s", busy, seconds)
        level = logging.INFO
        if channel.on_wait:
            channel.on_wait(str(busy), seconds)

    with within(deadline):
        return repeat(
            attempt,
            may_help=lambda error: isinstance(error, ResourceBusyError),
            pause=pause,
            is_last=lambda _attempt, _pause: last.passed(),
            sleep=channel.sleep,
            before_pause=waiting,
        )
