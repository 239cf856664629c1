"""Faults on demand: their kinds, and the requests that they hit."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from qrmi_emulator.records import FaceJob
from qrmi_emulator.settings import is_finite

LATENCY, STATUS, RESET, RESET_AFTER = "latency", "status", "reset", "reset-after"
TRUNCATED, MALFORMED, EXPIRED, OUTAGE = "truncated", "malformed", "expired-token", "outage"
REQUEST_FAULTS: Final = {
    LATENCY: "the response comes `delay` seconds late",
    STATUS: "the response is an error of the HTTP status `status`, with `retry_after` if given",
    RESET: "the connection is reset before anything is done",
    RESET_AFTER: "what was asked for is done, then the connection is reset",
    TRUNCATED: "the connection ends in the middle of the response",
    MALFORMED: "the response is not of its content type",
    EXPIRED: "the token or presigned URL of the request is no longer valid; others are not hit",
    OUTAGE: "every connection is reset, for `seconds`",
}
QUEUED, FAILED, TOO_LONG, CANCELLED = "job-queued", "job-failed", "job-too-long", "job-cancelled"
HELD = "job-paused"
JOB_FAULTS: Final = {
    QUEUED: "a job that is submitted stays queued, for `seconds` or until released",
    HELD: "as `job-queued`, and the vendor says that it is paused, if it has a word for it",
    FAILED: "it runs and fails, with `reason` and `code`",
    TOO_LONG: "it runs for `seconds` or its own limit, and is cancelled since it ran too long",
    CANCELLED: "it is cancelled by the operator, after `seconds`",
}
KINDS: Final = REQUEST_FAULTS | JOB_FAULTS
LONG: Final = "it ran longer than its maximum execution time"
_SECONDS: Final = "a finite number of 0 or more"


def _upper(method: Any) -> Any:
    return method.upper() if isinstance(method, str) else method


def _is_text(value: object) -> bool:
    """Return True for text that can be sent; half of a surrogate pair cannot."""
    return isinstance(value, str) and not any("\ud800" <= char <= "\udfff" for char in value)


def _is_whole(value: object, least: float, most: float = math.inf) -> bool:
    return type(value) is int and least <= value <= most


def _is_time(value: object) -> bool:
    return is_finite(value) and value >= 0  # type: ignore[operator]


def _is_header(value: object) -> bool:
    if not isinstance(value, str):
        return _is_time(value)
    return value.isascii() and value.isprintable() and value == value.strip()


def _checked(test: Callable[[Any], bool], what: str, *, optional: bool = False) -> Any:
    """Return a validator whose error states the required form."""

    def check(_fault: object, field: attrs.Attribute[Any], value: object) -> None:
        if not (optional and value is None) and not test(value):
            raise ValueError(f"{field.name} is not {what}")

    return check


def _check_kind(_fault: object, _field: attrs.Attribute[Any], kind: object) -> None:
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"there is no fault {kind!r:.60}; there are: {', '.join(KINDS)}")


# Values are checked when they are given, not when they are counted down.
@attrs.define(kw_only=True, on_setattr=attrs.setters.NO_OP)
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

    kind: str = attrs.field(validator=_check_kind)
    path: str = attrs.field(default="*", validator=_checked(_is_text, "text"))
    method: str | None = attrs.field(
        default=None, converter=_upper, validator=_checked(_is_text, "text", optional=True)
    )
    count: int | None = attrs.field(
        default=1,
        validator=_checked(lambda n: _is_whole(n, 1), "a whole number of 1 or more", optional=True),
    )
    seconds: float | None = attrs.field(
        default=None, validator=_checked(_is_time, _SECONDS, optional=True)
    )
    status: int = attrs.field(
        default=503,
        validator=_checked(lambda n: _is_whole(n, 400, 599), "a whole number from 400 to 599"),
    )
    retry_after: float | str | None = attrs.field(
        default=None, validator=_checked(_is_header, f"{_SECONDS}, or one line", optional=True)
    )
    delay: float = attrs.field(default=1.0, validator=_checked(_is_time, _SECONDS))
    reason: str | None = attrs.field(
        default=None, validator=_checked(_is_text, "text", optional=True)
    )
    code: int | None = attrs.field(
        default=None,
        validator=_checked(lambda n: _is_whole(n, 0), "a whole number of 0 or more", optional=True),
    )
    until: float | None = attrs.field(default=None, init=False)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Fault:
        """Return a fault from JSON.

        Raises:
            ValueError: The values are not those of a fault.
        """
        known = [field.name for field in attrs.fields(cls) if field.init]
        if unknown := [name for name in values if name not in known]:
            raise ValueError(f"{unknown[0]!r:.60} is none of: {', '.join(known)}")
        fault = cls(**{"kind": None, **values})
        if fault.kind == OUTAGE:
            if fault.seconds is None:
                raise ValueError("an outage needs seconds")
            fault.count = None
        return fault

    @property
    def is_of_jobs(self) -> bool:
        """True if it hits the job that a request makes, not the request."""
        return self.kind in JOB_FAULTS


class Faults:
    """The faults that wait, in the order in which they were added.

    Args:
        clock: Returns the time, in seconds since the epoch.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Let a fault wait for requests from now on."""
        if fault.seconds is not None and not fault.is_of_jobs:
            fault.until = self._clock() + fault.seconds
        self.waiting.append(fault)

    def pending(self) -> list[Fault]:
        """Return those that can still hit a request, and forget the others."""
        now = self._clock()
        self.waiting = [
            fault
            for fault in self.waiting
            if fault.count != 0 and (fault.until is None or now < fault.until)
        ]
        return self.waiting

    def take(self, method: str, path: str, *, has_token: bool) -> list[Fault]:
        """Return the faults that hit a request: every delay, and at most one other.

        Args:
            method: Its method.
            path: Its path.
            has_token: True if it comes with a token or signature that can expire.
        """
        return self._take(method, path, of_jobs=False, has_token=has_token)

    def take_for_job(self, job: FaceJob, method: str, path: str) -> None:
        """Give a new job its fate, if a fault waits for it."""
        for fault in self._take(method, path, of_jobs=True):
            job.fate, job.fate_seconds = fault.kind, fault.seconds
            job.reason, job.code = fault.reason, fault.code

    def _take(
        self, method: str, path: str, *, of_jobs: bool, has_token: bool = False
    ) -> list[Fault]:
        taken: list[Fault] = []
        for fault in self.pending():
            if fault.kind == EXPIRED and not has_token:
                continue
            hits = fault.method in (None, method) and fnmatch.fnmatchcase(path, fault.path)
            if not hits or fault.is_of_jobs != of_jobs or fault.count == 0:
                continue
            if fault.kind != LATENCY and any(other.kind != LATENCY for other in taken):
                continue
            taken.append(fault)
            if fault.count is not None:
                fault.count -= 1
        return taken
