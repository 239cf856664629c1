"""Submitting exactly once."""

from __future__ import annotations

import datetime
import itertools
import logging

from qrmi_core.deadline import Sleep
from qrmi_core.driver import Driver
from qrmi_core.errors import (
    CallTimeoutError,
    DriverDefectError,
    QrmiError,
    SubmissionUncertainError,
)
from qrmi_core.payload import Payload

_log = logging.getLogger(__name__)

ATTEMPTS = 4
"""How often a submission, or the search for one, is repeated at most."""
PAUSES_SECONDS = (0.5, 1.0, 2.0)
"""The pauses before the second and each further attempt."""
_STILL_AT_WORK = frozenset({408, 504, 524})


def submit(
    driver: Driver, payload: Payload, tag: str, acquisition: str | None, sleep: Sleep
) -> str:
    """Submit a task so that it is neither lost nor doubled, and give its id.

    When the answer is lost, the vendor is told the same task again if the id is of our making;
    else the task is looked for by its tag, and submitted again only if the vendor does not have
    it and cannot still be at work on it; else the uncertainty is the caller's to resolve.

    Raises:
        SubmissionUncertainError: Whether the task exists could not be found out.
        QrmiError: Any other; no task was created.
    """
    try:
        return _submit(driver, payload, tag, acquisition, sleep)
    except KeyboardInterrupt as interrupt:
        interrupt.add_note(f"the task may have been submitted; its tag is {tag}")
        raise


def _submit(
    driver: Driver, payload: Payload, tag: str, acquisition: str | None, sleep: Sleep
) -> str:
    started = datetime.datetime.now(datetime.UTC)
    for attempt in range(ATTEMPTS):
        if attempt:
            sleep(PAUSES_SECONDS[attempt - 1])
        try:
            return driver.task_start(payload, submission=tag, acquisition=acquisition)
        except QrmiError as error:
            if not error.uncertain:
                if attempt:
                    # An earlier attempt may have succeeded, so this refusal settles nothing.
                    raise _uncertain(driver, tag, started, error) from error
                raise
            lost: QrmiError = error
        except Exception as error:  # a defect after the request is as uncertain as a lost answer
            lost = DriverDefectError(f"the driver raised {type(error).__name__}: {error}")
            lost.__cause__ = error
        _log.warning("the answer to submission %s was lost: %s", tag, lost)
        if driver.client_chooses_id:
            if isinstance(lost, DriverDefectError):
                break  # it would be the same the next time
            continue
        if not driver.supports("find_submission"):
            break
        found = _find(driver, tag, sleep)
        if found is not None:
            _log.warning("submission %s was found again as task %s", tag, found)
            return found
        if _still_at_work(lost):
            break
    raise _uncertain(driver, tag, started, lost) from lost


def _find(driver: Driver, tag: str, sleep: Sleep) -> str | None:
    """Look for a submission a few times, since a vendor's lists may lag behind.

    Raises:
        SubmissionUncertainError: The last look failed, so nothing is known of what there is now.
    """
    failure: QrmiError | None = None
    for pause in (0.0, *PAUSES_SECONDS):
        sleep(pause)
        try:
            found = driver.find_submission(tag)
        except QrmiError as error:
            failure = error
            if not error.retryable:
                break
            _log.warning("looking for submission %s failed: %s", tag, error)
        else:
            failure = None
            if found is not None:
                return found
    if failure is not None:
        raise SubmissionUncertainError(
            f"submission {tag} was not answered, and looking for it failed: {failure}",
            submission=tag,
        ) from failure
    return None


def _still_at_work(error: QrmiError) -> bool:
    """Whether the vendor may create the task after we have looked for it."""
    return isinstance(error, CallTimeoutError) or error.status_code in _STILL_AT_WORK


def _uncertain(
    driver: Driver, tag: str, started: datetime.datetime, error: Exception
) -> SubmissionUncertainError:
    candidates: tuple[str, ...] = ()
    if driver.supports("task_list"):
        try:
            # Newest first, and each page of the list may be a request.
            recent = itertools.takewhile(
                lambda info: info.created_at is None or info.created_at >= started,
                driver.task_list(),
            )
            candidates = tuple(info.id for info in recent)
        except QrmiError as failure:
            _log.warning("the tasks could not be listed: %s", failure)
    hint = f"; tasks created since: {', '.join(candidates)}" if candidates else ""
    return SubmissionUncertainError(
        f"the answer to submission {tag} was lost ({error}), and the task may exist{hint}; "
        "look at the vendor's list of tasks before submitting again",
        submission=tag,
        candidates=candidates,
    )
