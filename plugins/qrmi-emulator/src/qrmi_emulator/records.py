"""Jobs, sessions and conditions: the records that an emulator keeps."""

from __future__ import annotations

import secrets
import string
import time
from collections.abc import Mapping
from typing import Any, Final

import attrs

from qrmi_core import TaskStatus

_ALPHABET = string.ascii_lowercase + string.digits
_ID_CHARACTERS = 20
_UNUSED_SESSION_SECONDS = 1800.0
FINAL: Final = (TaskStatus.Completed, TaskStatus.Failed, TaskStatus.Cancelled)
ONLINE, PAUSED, OFFLINE, MAINTENANCE = "online", "paused", "offline", "maintenance"
CONDITIONS: Final = {
    ONLINE: "it accepts jobs and runs them",
    PAUSED: "it accepts jobs, which wait",
    OFFLINE: "it accepts no jobs, and those that it has wait",
    MAINTENANCE: "as offline, reported as maintenance",
}


@attrs.define(kw_only=True)
class FaceJob:
    """A job of any face. A face whose jobs need more derives a class with further fields.

    The values of all fields are kept as JSON.

    Attributes:
        id: 20 lower-case letters and digits by default; unique in the emulator.
        name: Its id in the vendor's API: `id`, unless the client chooses.
        face: Name of the face that it came by.
        resource: The id of the resource.
        simulator: The id of the local resource that executes it; `resource` by default.
        argument: The program's id, or the number of runs; see `qrmi_local.engines.Engine`.
        created: When it was submitted, in seconds since the epoch, as are `started` and
            `finished`.
        seed: Seed if the input brings none.
        session: The session's id.
        tags: The user's tags.
        max_seconds: How long it may run.
        private: True if its input is deleted as soon as it ends.
        status: Its status.
        reason: Why it failed or was cancelled.
        code: The vendor's number for that.
        ran_too_long: True if it was cancelled since it exceeded its time limit.
        fate: What happens to it instead of an execution, see `faults.JOB_FAULTS`.
        fate_seconds: Seconds until then; None for a suitable time.
        ready: False until its input is complete.
    """

    id: str = attrs.Factory(lambda: _new_id())
    name: str = attrs.Factory(lambda self: self.id, takes_self=True)
    face: str = ""
    resource: str
    simulator: str = attrs.Factory(lambda self: self.resource, takes_self=True)
    argument: str
    created: float = 0.0
    seed: int | None = None
    session: str | None = None
    tags: list[str] = attrs.Factory(list)
    max_seconds: float | None = None
    private: bool = False
    status: TaskStatus = attrs.field(default=TaskStatus.Queued, converter=TaskStatus)
    reason: str | None = None
    code: int | None = None
    ran_too_long: bool = False
    started: float | None = None
    finished: float | None = None
    fate: str | None = None
    fate_seconds: float | None = None
    ready: bool = True

    @property
    def seconds(self) -> float:
        """The seconds that it has run."""
        return 0.0 if self.started is None else (self.finished or time.time()) - self.started

    @property
    def has_ended(self) -> bool:
        """True if its status is final."""
        return self.status in FINAL


@attrs.define(kw_only=True)
class FaceSession:
    """A period on a resource that jobs share. Faces derive classes as from `FaceJob`.

    Attributes:
        id: A UUID.
        face: Name of the face that it came by.
        resource: The id of the resource.
        exclusive: True if the jobs of others wait while it is active.
        created: When it was opened, in seconds since the epoch, as are the next four.
        started: When its first job began.
        job_started: When its latest job began.
        busy_until: When its last job ended.
        closed: When it was closed.
        max_seconds: How long it may last from its start.
        max_unused_seconds: How long it may last without a start.
        accepting: False if it accepts no further jobs.
        reason: Why it is in its state.
    """

    id: str
    face: str
    resource: str
    exclusive: bool
    created: float
    max_seconds: float
    max_unused_seconds: float = _UNUSED_SESSION_SECONDS
    started: float | None = None
    job_started: float | None = None
    busy_until: float | None = None
    closed: float | None = None
    accepting: bool = True
    reason: str = "session_created"


Record = FaceJob | FaceSession


def _new_id() -> str:
    number = secrets.randbelow(len(_ALPHABET) ** _ID_CHARACTERS)
    text = ""
    for _ in range(_ID_CHARACTERS):
        number, rest = divmod(number, len(_ALPHABET))
        text += _ALPHABET[rest]
    return text


@attrs.frozen(kw_only=True)
class Condition:
    """The condition of a resource, as an operator set it.

    Attributes:
        status: One of `CONDITIONS`.
        reason: Why; None for the vendor's usual words.
        queue_length: Jobs of others that wait there, besides those of the emulator.
    """

    status: str = ONLINE
    reason: str | None = None
    queue_length: int = 0

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Condition:
        """Return a condition from JSON.

        Raises:
            ValueError: The values are not those of a condition.
        """
        known = [field.name for field in attrs.fields(cls)]
        if unknown := [name for name in values if name not in known]:
            raise ValueError(f"{unknown[0]!r:.60} is none of: {', '.join(known)}")
        found = cls(**values)
        if not isinstance(found.status, str) or found.status not in CONDITIONS:
            raise ValueError(
                f"there is no {found.status!r:.60}; there are: {', '.join(CONDITIONS)}"
            )
        if found.reason is not None and not isinstance(found.reason, str):
            raise ValueError("reason is not text")
        if type(found.queue_length) is not int or not 0 <= found.queue_length < 2**31:
            raise ValueError("queue_length is not a whole number of 0 or more")
        return found

    @property
    def accepts_jobs(self) -> bool:
        """True if jobs may be submitted."""
        return self.status in (ONLINE, PAUSED)
