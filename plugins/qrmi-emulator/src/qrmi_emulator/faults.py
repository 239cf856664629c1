"""Faults on demand: which there are, which requests they hit, and what they do to jobs."""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Mapping
from typing import Any, Final

import attrs

from qrmi_core.values import TaskStatus
from qrmi_emulator.state import Job, State, may_start

LATENCY, STATUS, RESET, RESET_AFTER = "latency", "status", "reset", "reset-after"
TRUNCATED, MALFORMED, EXPIRED, OUTAGE = "truncated", "malformed", "expired-token", "outage"
REQUEST_FAULTS: Final = {
    LATENCY: "the answer comes `delay` seconds late",
    STATUS: "the answer is an error of the HTTP status `status`, with `retry_after` if given",
    RESET: "the connection is reset before anything is done",
    RESET_AFTER: "what was asked for is done, then the connection is reset",
    TRUNCATED: "the connection ends in the middle of the answer",
    MALFORMED: "the answer is not what its content type says",
    EXPIRED: "the token of the request is no longer valid",
    OUTAGE: "every connection is reset, for `seconds`",
}
QUEUED, FAILED, TOO_LONG, CANCELLED = "job-queued", "job-failed", "job-too-long", "job-cancelled"
JOB_FAULTS: Final = {
    QUEUED: "a job that is submitted stays queued, for `seconds` or until released",
    FAILED: "it runs and fails, with `reason` and `code`",
    TOO_LONG: "it runs for `seconds` or its own limit, and is cancelled since it ran too long",
    CANCELLED: "it is cancelled by the operator, after `seconds`",
}
KINDS: Final = REQUEST_FAULTS | JOB_FAULTS
LONG: Final = "it ran longer than its maximum execution time"
_AT_ONCE_SECONDS = 0.5


def _upper(method: str | None) -> str | None:
    return method and method.upper()


@attrs.define(kw_only=True)
class Fault:
    """A fault that waits for requests.

    Attributes:
        kind: One of `KINDS`.
        path: Pattern of the requests' paths, in which `*` is any text.
        method: Their method; None for all.
        count: How many it hits; None for all.
        seconds: How long it lasts; for a job's fault how long until the job meets it.
        status: See `REQUEST_FAULTS`.
        retry_after: Value of the header, in seconds or as it is.
        delay: See `REQUEST_FAULTS`, in seconds.
        reason: See `JOB_FAULTS`.
        code: See `JOB_FAULTS`.
    """

    kind: str = attrs.field(validator=attrs.validators.in_(tuple(KINDS)))
    path: str = "*"
    method: str | None = attrs.field(default=None, converter=_upper)
    count: int | None = 1
    seconds: float | None = None
    status: int = attrs.field(
        default=503, validator=[attrs.validators.ge(400), attrs.validators.le(599)]
    )
    retry_after: float | str | None = None
    delay: float = 1.0
    reason: str | None = None
    code: int | None = None
    until: float | None = attrs.field(default=None, init=False)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Fault:
        """A fault from JSON.

        Raises:
            ValueError: The values are not those of a fault.
        """
        try:
            fault = cls(**values)
        except TypeError as error:
            raise ValueError(f"not a fault: {error}") from error
        if fault.kind == OUTAGE:
            if fault.seconds is None:
                raise ValueError("an outage needs seconds")
            fault.count = None
        return fault

    @property
    def is_of_jobs(self) -> bool:
        """Whether it hits the job that a request makes, not the request."""
        return self.kind in JOB_FAULTS


class Faults:
    """The faults that wait, in the order in which they were added.

    Args:
        state: Gives the time.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self.waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Let a fault wait for requests from now on."""
        if fault.seconds is not None and not fault.is_of_jobs:
            fault.until = self._state.clock() + fault.seconds
        self.waiting.append(fault)

    def take(self, method: str, path: str) -> list[Fault]:
        """What hits a request: every delay, and at most one other."""
        return self._take(method, path, of_jobs=False)

    def take_for_job(self, job: Job, method: str, path: str) -> None:
        """Give a new job its fate, if a fault waits for it."""
        for fault in self._take(method, path, of_jobs=True):
            job.fate, job.fate_seconds = fault.kind, fault.seconds
            job.reason, job.code = fault.reason, fault.code

    def _take(self, method: str, path: str, *, of_jobs: bool) -> list[Fault]:
        now = self._state.clock()
        self.waiting = [
            fault
            for fault in self.waiting
            if fault.count != 0 and (fault.until is None or now < fault.until)
        ]
        taken: list[Fault] = []
        for fault in self.waiting:
            hits = fault.method in (None, method) and fnmatch.fnmatchcase(path, fault.path)
            if not hits or fault.is_of_jobs != of_jobs or fault.count == 0:
                continue
            if fault.kind != LATENCY and any(other.kind != LATENCY for other in taken):
                continue
            taken.append(fault)
            if fault.count is not None:
                fault.count -= 1
        return taken


def play(state: State, job: Job, now: float, holders: Mapping[str, Collection[str]]) -> None:
    """Let a job with a fate meet it when its time has come.

    Args:
        state: The emulator's memory.
        job: A job with a fate.
        now: The time.
        holders: See `State.holders`.
    """
    reason, code, seconds = job.reason, job.code, job.fate_seconds
    if job.fate == QUEUED:
        if seconds is not None and now > job.created + seconds:
            job.fate = None
            state.save(job)
    elif job.fate == CANCELLED:
        if now > job.created + (_AT_ONCE_SECONDS if seconds is None else seconds):
            state.end(job, TaskStatus.Cancelled, reason or "cancelled by the operator", code=code)
    elif job.started is None:
        if may_start(job, holders):
            state.start(job, now)
    elif job.fate == FAILED:
        if now > job.started + (_AT_ONCE_SECONDS if seconds is None else seconds):
            state.end(job, TaskStatus.Failed, reason or "failed on demand", code=code)
    elif now > job.started + _first(seconds, job.max_seconds, _AT_ONCE_SECONDS):
        job.details["ran_too_long"] = True
        state.end(job, TaskStatus.Cancelled, reason or LONG, code=code)


def _first(*values: float | None) -> float:
    return next(value for value in values if value is not None)
