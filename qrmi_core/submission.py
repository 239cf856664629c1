"""Submitting exactly once."""

from __future__ import annotations

import datetime
import itertools
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from qrmi_core._imports import broken_dependency
from qrmi_core.deadline import Deadline, Sleep, current, within
from qrmi_core.driver import Driver
from qrmi_core.errors import (
    CallTimeoutError,
    DriverDefectError,
    InvalidResponseError,
    PluginError,
    QrmiError,
    ResourceBusyError,
    SubmissionUncertainError,
)
from qrmi_core.payload import Payload
from qrmi_core.values import TaskInfo

_log = logging.getLogger(__name__)

ATTEMPTS = 4
"""How often a submission, or the search for one, is repeated at most."""
PAUSES_SECONDS = (0.5, 1.0, 2.0)
"""The pauses before the second and each further attempt."""
SEARCH_SECONDS = 30.0
"""What a search may take in all where the caller's time is spent: losing a task is worse."""
GIVE_UP_SECONDS = 5.0
"""What a driver may take to remove what a submission without a task has left behind."""
CLOCK_SKEW = datetime.timedelta(minutes=5)
"""How far the vendor's clock may be from ours when tasks are named as candidates."""
PASSING = (KeyboardInterrupt, SystemExit, GeneratorExit)
"""What ends a program, and is nobody's defect."""

_STILL_AT_WORK = frozenset({408, 504, 524})


class Submission:
    """One task on its way to the vendor, so that it is neither lost nor doubled.

    When the answer is lost, the vendor is told the same task again if the id is of our making;
    else the task is looked for by its tag, and submitted again only if the vendor does not have
    it and cannot still be at work on it; else the uncertainty is the caller's to resolve.

    Args:
        driver: The driver of the resource.
        payload: What to run.
        tag: The unique tag that the submission carries.
        acquisition: The acquisition token, if there is one.
        sleep: Sleeps for a number of seconds.
    """

    def __init__(
        self, driver: Driver, payload: Payload, tag: str, acquisition: str | None, sleep: Sleep
    ) -> None:
        self._driver = driver
        self._payload = payload
        self._tag = tag
        self._acquisition = acquisition
        self._sleep = sleep
        self._started = datetime.datetime.now(datetime.UTC)
        self._lost: QrmiError | None = None

    def send(self) -> str:
        """Submit and give the task's id; may be called again after a `ResourceBusyError`.

        Raises:
            ResourceBusyError: No place is free.
            SubmissionUncertainError: Whether the task exists could not be found out.
            QrmiError: Any other; no task was created.
        """
        try:
            return self._send()
        except PASSING as interrupt:
            interrupt.add_note(f"the task may have been submitted; its tag is {self._tag}")
            raise

    def busy(self, busy: ResourceBusyError) -> QrmiError:
        """The error for a vendor that stayed busy: after a lost answer that settles nothing."""
        return self._uncertain(busy) if self._lost else busy

    def give_up(self) -> None:
        """Tell the driver that there will be no task, and no further attempt."""
        try:
            with within(Deadline(GIVE_UP_SECONDS)):
                self._driver.give_up(self._tag)
        except PASSING:
            raise
        except BaseException:
            _log.exception("the driver could not give up submission %s", self._tag)

    def _send(self) -> str:
        for attempt in range(ATTEMPTS):
            if attempt:
                pause = PAUSES_SECONDS[attempt - 1]
                if current().clip(pause) < pause:
                    break
                self._sleep(pause)
            try:
                return self._start()
            except ResourceBusyError:
                raise
            except QrmiError as error:
                if not error.uncertain:
                    if self._lost:
                        # An earlier attempt may have succeeded, so this refusal settles nothing.
                        raise self._uncertain(error) from error
                    raise
                self._lost = error
            _log.warning("the answer to submission %s was lost: %s", self._tag, self._lost)
            if self._driver.client_chooses_id:
                if isinstance(self._lost, DriverDefectError):
                    break  # it would be the same the next time
                continue
            if not self._driver.supports("find_submission"):
                break
            found = self._find()
            if found is not None:
                _log.warning("submission %s was found again as task %s", self._tag, found)
                return found
            if _still_at_work(self._lost):
                break
        assert self._lost is not None  # else an id was returned
        raise self._uncertain(self._lost) from self._lost

    def _start(self) -> str:
        # A defect after the request is as uncertain as a lost answer.
        with defects_named(uncertain=True):
            task_id = self._driver.task_start(
                self._payload, submission=self._tag, acquisition=self._acquisition
            )
            if not isinstance(task_id, str) or not task_id:
                raise TypeError(f"task_start must give an id, not {task_id!r}")
            return task_id

    def _find(self) -> str | None:
        """Look for the task a few times, since a vendor's lists may lag behind.

        Raises:
            SubmissionUncertainError: The last look failed, so it is not known what there is now.
        """
        failure: QrmiError | None = None
        for pause in (0.0, *PAUSES_SECONDS):
            if pause:
                self._sleep(pause)
            try:
                with _time_to_search(), defects_named(uncertain=True):
                    found = self._driver.find_submission(self._tag)
            except QrmiError as error:
                failure = error
                # A garbled answer says nothing; the next one may.
                if not error.retryable and not isinstance(error, InvalidResponseError):
                    break
                _log.warning("looking for submission %s failed: %s", self._tag, error)
            else:
                failure = None
                if found is not None:
                    return found
        if failure is not None:
            raise self._uncertain(failure) from failure
        return None

    def _uncertain(self, error: QrmiError) -> SubmissionUncertainError:
        candidates: tuple[str, ...] = ()
        if self._driver.supports("task_list"):
            try:
                with _time_to_search(), defects_named(uncertain=True):
                    # Newest first, and each page of the list may be a request.
                    recent = itertools.takewhile(self._may_be_ours, self._driver.task_list())
                    candidates = tuple(info.id for info in recent)
            except QrmiError as failure:
                _log.warning("the tasks could not be listed: %s", failure)
        hint = f"; tasks created about then: {', '.join(candidates)}" if candidates else ""
        later = f"; then {error}" if error is not self._lost else ""
        return SubmissionUncertainError(
            f"the answer to submission {self._tag} was lost ({self._lost}{later}), and the task "
            f"may exist{hint}; look at the vendor's list of tasks before submitting again",
            submission=self._tag,
            candidates=candidates,
        )

    def _may_be_ours(self, info: TaskInfo) -> bool:
        created = info.created_at
        if created is not None and created.tzinfo is None:
            created = created.replace(tzinfo=datetime.UTC)
        return created is None or created >= self._started - CLOCK_SKEW


def _still_at_work(error: QrmiError) -> bool:
    """Whether the vendor may create the task after we have looked for it."""
    return isinstance(error, CallTimeoutError) or error.status_code in _STILL_AT_WORK


@contextmanager
def _time_to_search() -> Iterator[None]:
    left = current().remaining()
    with within(Deadline(None if left is None else max(left, SEARCH_SECONDS))):
        yield


@contextmanager
def defects_named(*, uncertain: bool = False) -> Iterator[None]:
    """Turn what a driver must not raise into an error of the tree.

    Args:
        uncertain: Whether the vendor may have done what it was asked.
    """
    try:
        yield
    except (QrmiError, *PASSING):
        raise
    except BaseException as error:  # vendors' libraries have errors that are no Exception
        if cause := broken_dependency(error):
            raise PluginError(f"the driver cannot be used: {cause}", uncertain=uncertain) from error
        raise DriverDefectError(
            f"the driver raised {type(error).__name__}: {error}; tell the authors of the plugin",
            uncertain=uncertain,
        ) from error
