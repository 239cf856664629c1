"""What the emulator knows: jobs, sessions and credentials, in memory and in a folder.

Everything here is used in the server's event loop only, so nothing is locked. Each change is
written to the folder's database as it happens, so that a restarted emulator goes on.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sqlite3
import string
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from qrmi_core.values import TaskStatus
from qrmi_emulator.settings import EmulatorSettings
from qrmi_local import locks

_ALPHABET = string.ascii_lowercase + string.digits
_UNUSED_SESSION_SECONDS = 1800.0
FINAL = (TaskStatus.Completed, TaskStatus.Failed, TaskStatus.Cancelled)
ONLINE, PAUSED, OFFLINE, MAINTENANCE = "online", "paused", "offline", "maintenance"
CONDITIONS: Final = {
    ONLINE: "it takes jobs and runs them",
    PAUSED: "it takes jobs, which wait",
    OFFLINE: "it takes no jobs, and those that it has wait",
    MAINTENANCE: "as offline, and says that it is in maintenance",
}
# Of no session, so that a resource that is held by it runs nothing.
_NOBODY: Final = frozenset({""})


@attrs.define(kw_only=True)
class Job:
    """A job of any vendor's.

    Attributes:
        id: 20 lower-case letters and digits.
        name: What its API calls it: `id`, unless the client chooses.
        face: The vendor API that it came by.
        resource: The id of the resource.
        simulator: That of the simulators, which stands for it; `resource` by default.
        argument: The primitive, or the number of runs; what the simulators need with the input.
        created: When it was submitted, seconds since the epoch, as are `started` and `finished`.
        seed: Seed if the input brings none.
        session: The session's id.
        tags: What the user gave.
        max_seconds: How long it may run.
        status: Where it is.
        reason: Why it failed or was cancelled.
        code: The vendor's number for that.
        fate: What happens to it instead of an execution, see `faults.JOB_FAULTS`.
        fate_seconds: How long until then; None for a time that suits.
        ready: Whether its input is there.
        details: What only the face knows.
    """

    id: str = attrs.Factory(lambda: "".join(secrets.choice(_ALPHABET) for _ in range(20)))
    name: str = attrs.Factory(lambda self: self.id, takes_self=True)
    face: str
    resource: str
    simulator: str = attrs.Factory(lambda self: self.resource, takes_self=True)
    argument: str
    created: float
    seed: int | None = None
    session: str | None = None
    tags: list[str] = attrs.Factory(list)
    max_seconds: float | None = None
    status: TaskStatus = attrs.field(default=TaskStatus.Queued, converter=TaskStatus)
    reason: str | None = None
    code: int | None = None
    started: float | None = None
    finished: float | None = None
    fate: str | None = None
    fate_seconds: float | None = None
    ready: bool = True
    details: dict[str, Any] = attrs.Factory(dict)

    @property
    def seconds(self) -> float:
        """How long it ran."""
        return 0.0 if self.started is None else (self.finished or time.time()) - self.started


@attrs.define(kw_only=True)
class Session:
    """A time on a resource that jobs share.

    Attributes:
        id: A UUID.
        face: The vendor API that it came by.
        resource: The id of the resource.
        exclusive: Whether the jobs of others wait while it is active.
        created: When it was opened, seconds since the epoch, as are the next four.
        started: When its first job began.
        job_started: When its latest job began.
        busy_until: When its last job ended.
        closed: When it was closed.
        max_seconds: How long it may last from its start.
        max_unused_seconds: How long it may last without a start.
        accepting: Whether it takes further jobs.
        reason: Why it is in its state.
        details: What only the face knows.
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
    details: dict[str, Any] = attrs.Factory(dict)


@attrs.frozen(kw_only=True)
class Condition:
    """What an operator says about a resource.

    Attributes:
        status: One of `CONDITIONS`.
        reason: Why; None for the vendor's usual words.
        queue_length: Jobs of others that wait there, beside those that it has been given.
    """

    status: str = ONLINE
    reason: str | None = None
    queue_length: int = 0

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Condition:
        """A condition from JSON.

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
    def takes_jobs(self) -> bool:
        """Whether jobs may be submitted."""
        return self.status in (ONLINE, PAUSED)


class State:
    """The emulator's memory.

    Args:
        home: Its folder; made for the user alone.
        settings: The emulator's settings.
        clock: Gives the time, seconds since the epoch.
    """

    def __init__(
        self, home: Path, settings: EmulatorSettings, clock: Callable[[], float] = time.time
    ) -> None:
        self.home = home
        self.settings = settings
        self.clock = clock
        self.jobs: dict[str, Job] = {}
        self.live: dict[str, Job] = {}
        self.running: dict[str, Job] = {}
        self.fated: dict[str, Job] = {}
        self.sessions: dict[str, Session] = {}
        self.open_sessions: dict[str, Session] = {}
        self.conditions: dict[str, Condition] = {}
        self._revoked: set[str] = set()
        self.used_seconds: dict[str, float] = {}
        self.submissions: deque[float] = deque()
        self.on_work: Callable[[], None] = lambda: None
        self.on_end: list[Callable[[Job], None]] = []
        self.files = home / "tasks" / "tasks"
        # A job that ends before it is executed has a log too.
        for folder in (home, home / "inputs", self.files.parent, self.files):
            make_private(folder)
        lock = locks.take(home / "emulator.lock")
        if lock is None:
            raise ValueError(f"another emulator uses {home}; name another folder")
        self._lock = lock
        # SQLite makes its files as the umask says; their journals get the mode of the file.
        database = home / "emulator.db"
        os.close(os.open(database, os.O_RDWR | os.O_CREAT, 0o600))
        database.chmod(0o600)
        # No call waits for the disk: the end of the machine may lose something, that of the
        # process does not.
        self._db = sqlite3.connect(database, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = TRUNCATE")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS records"
            " (number INTEGER PRIMARY KEY, id TEXT UNIQUE, kind TEXT, body TEXT)"
        )
        for key, kind, body in self._db.execute(
            "SELECT id, kind, body FROM records ORDER BY number"
        ):
            document = json.loads(body)
            if kind == "job":
                self._add(Job(**document))
            elif kind == "session":
                self._add(Session(**document))
            elif kind == "condition":
                self.conditions[key] = Condition(**document)
            else:
                self._revoked.add(key)

    def close(self) -> None:
        """Leave the folder to others."""
        self._db.close()
        os.close(self._lock)

    def credentials(self, name: str, make: Callable[[], dict[str, str]]) -> dict[str, str]:
        """The credentials under a name, made when first asked for.

        Args:
            name: Whose they are.
            make: Gives random ones.
        """
        known = self._known_credentials()
        if name not in known:
            known[name] = make()
            write_private(self.home / "credentials.json", json.dumps(known, indent=2))
        return known[name]

    def secrets(self) -> set[str]:
        """All values of the credentials."""
        known = self._known_credentials()
        return {value for values in known.values() for value in values.values()}

    def _known_credentials(self) -> dict[str, dict[str, str]]:
        path = self.home / "credentials.json"
        known: dict[str, dict[str, str]] = json.loads(path.read_text()) if path.exists() else {}
        return known

    # Tokens

    def revoke(self, authorization: str) -> None:
        """Let a header's token no longer be valid, for good."""
        digest = _digest(authorization)
        self._revoked.add(digest)
        self._keep(digest, "revoked", {})

    def is_revoked(self, authorization: str) -> bool:
        """Whether a header's token was revoked."""
        return bool(self._revoked) and _digest(authorization) in self._revoked

    # Resources

    def condition(self, resource: str) -> Condition:
        """What an operator said about a resource."""
        return self.conditions.get(resource, _USUAL)

    def set_condition(self, resource: str, condition: Condition) -> None:
        """Say how a resource is from now on."""
        self.conditions[resource] = condition
        self._keep(resource, "condition", attrs.asdict(condition))
        self.on_work()

    # Jobs

    def submit(self, job: Job, content: bytes) -> None:
        """Add a job to the queue.

        Args:
            job: The job.
            content: Its input.
        """
        with open(self.input(job), "wb", opener=_private) as stream:
            stream.write(content)
        self._add(job)
        self._save(job)
        self.on_work()

    def input(self, record: Job | Session) -> Path:
        """The file with what a job runs, or with what a session's jobs have in common."""
        return self.home / "inputs" / record.id

    def output(self, job: Job, kind: str) -> Path:
        """The file with a job's ``result`` or ``log``."""
        return self.files / f"{job.id}.{kind}"

    def start(self, job: Job, at: float) -> None:
        """Note that a job runs."""
        if job.status is not TaskStatus.Queued:
            return
        job.status, job.started = TaskStatus.Running, at
        self.running[job.id] = job
        session = self.sessions.get(job.session or "")
        if session:
            session.started, session.job_started = session.started or at, at
            session.reason = "session_activated"
            self._save(session)
        self._save(job)

    def end(
        self,
        job: Job,
        status: TaskStatus,
        reason: str | None = None,
        *,
        code: int | None = None,
        at: float | None = None,
    ) -> bool:
        """Note that a job has ended, and stop it; False if it had ended already."""
        if job.status in FINAL:
            return False
        job.status, job.reason, job.code = status, reason, code
        job.finished = at or self.clock()
        del self.live[job.id]
        self.running.pop(job.id, None)
        self.fated.pop(job.id, None)
        self._count(job)
        session = self.sessions.get(job.session or "")
        if session:
            session.busy_until = max(session.busy_until or 0.0, job.finished)
            self._save(session)
        self._save(job)
        if job.details.get("private"):
            self.input(job).unlink(missing_ok=True)
        for tell in self.on_end:
            tell(job)
        self.on_work()
        return True

    def delete(self, job: Job) -> None:
        """Forget a job that has ended, with its files."""
        del self.jobs[job.id]
        self._db.execute("DELETE FROM records WHERE id = ?", (job.id,))
        for path in (self.input(job), self.output(job, "result"), self.output(job, "log")):
            path.unlink(missing_ok=True)

    def save(self, record: Job | Session) -> None:
        """Keep what was changed in a record."""
        self._save(record)
        self.on_work()

    def named(self, name: str) -> Job | None:
        """A job by its name; the latest of those that have the same."""
        found = self.jobs.get(name)
        return found or next(
            (job for job in reversed(self.jobs.values()) if job.name == name), None
        )

    def doom(self, job: Job, fate: str, seconds: float) -> None:
        """Let a job that has been submitted meet a fate some seconds from now."""
        job.fate, job.fate_seconds = fate, self.clock() - job.created + seconds
        self.fated[job.id] = job
        self.save(job)

    def release(self, job: Job) -> None:
        """Let a job have no fate any more."""
        job.fate = None
        self.fated.pop(job.id, None)
        self.save(job)

    def pending(self, *, resource: str | None = None, session: str | None = None) -> list[Job]:
        """The jobs that have not ended, oldest first, of one resource or one session."""
        return [
            job
            for job in self.live.values()
            if resource in (None, job.resource) and session in (None, job.session)
        ]

    # Sessions

    def open(self, session: Session) -> None:
        """Add a session."""
        self._add(session)
        self._save(session)

    def state_of(self, session: Session) -> str:
        """A session's state: open, active, inactive or closed."""
        if session.closed is not None:
            return "closed"
        if session.started is None:
            return "open"
        if self._is_busy(session):
            return "active"
        idle = self.clock() - (session.busy_until or session.started)
        return "active" if idle < self.settings.session_idle_seconds else "inactive"

    def refuse_jobs(self, session: Session) -> None:
        """Take no further jobs; the session closes when those that it has are done."""
        session.accepting = False
        self._save(session)
        self.expire()

    def close_session(self, session: Session, reason: str) -> None:
        """Close a session; its queued jobs are cancelled, those that run may end."""
        if session.closed is not None:
            return
        session.accepting, session.closed, session.reason = False, self.clock(), reason
        del self.open_sessions[session.id]
        self._save(session)
        for job in self.pending(session=session.id):
            if job.status is TaskStatus.Queued:
                self.end(job, TaskStatus.Cancelled, "its session was closed")
        self.on_work()

    def expire(self) -> None:
        """Close the sessions that are over."""
        now = self.clock()
        for session in list(self.open_sessions.values()):
            if session.started is None and now > session.created + session.max_unused_seconds:
                self.close_session(session, "session_unused")
            elif session.started is not None and now > session.started + session.max_seconds:
                for job in self.pending(session=session.id):
                    if job.status is TaskStatus.Queued:
                        self.end(job, TaskStatus.Failed, "its session reached its time limit")
                self.close_session(session, "session_max_ttl_reached")
            elif not session.accepting and not self.pending(session=session.id):
                self.close_session(session, "session_closed_early")

    def holders(self) -> dict[str, Collection[str]]:
        """The sessions whose jobs alone may start, by resource.

        Those are the exclusive ones that are active; where nothing may start, there is nobody's.
        """
        active: dict[str, set[str]] = {}
        for session in self.open_sessions.values():
            if session.exclusive and self.state_of(session) == "active":
                active.setdefault(session.resource, set()).add(session.id)
        stopped = {
            resource: _NOBODY
            for resource, condition in self.conditions.items()
            if condition.status != ONLINE
        }
        return {**active, **stopped}

    # Helpers

    def _is_busy(self, session: Session) -> bool:
        return any(job.session == session.id for job in self.running.values())

    def _add(self, record: Job | Session) -> None:
        if isinstance(record, Session):
            self.sessions[record.id] = record
            if record.closed is None:
                self.open_sessions[record.id] = record
            return
        self.jobs[record.id] = record
        if record.status in FINAL:
            self._count(record)
        else:
            self.live[record.id] = record
            if record.fate:
                self.fated[record.id] = record
            if record.status is TaskStatus.Running:
                self.running[record.id] = record

    def _count(self, job: Job) -> None:
        self.used_seconds[job.face] = self.used_seconds.get(job.face, 0.0) + job.seconds

    def _save(self, record: Job | Session) -> None:
        kind = "job" if isinstance(record, Job) else "session"
        self._keep(record.id, kind, attrs.asdict(record))

    def _keep(self, key: str, kind: str, document: Mapping[str, Any]) -> None:
        self._db.execute(
            "INSERT INTO records (id, kind, body) VALUES (?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET body = excluded.body",
            (key, kind, json.dumps(document)),
        )


def may_start(job: Job, holders: Mapping[str, Collection[str]]) -> bool:
    """Whether a job need not wait: for its resource, or for the exclusive sessions of others.

    Args:
        job: The job.
        holders: See `State.holders`.
    """
    held = holders.get(job.resource)
    return not held or job.session in held


_USUAL: Final = Condition()


def _digest(authorization: str) -> str:
    return hashlib.sha256(authorization.encode()).hexdigest()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def make_private(folder: Path) -> None:
    """Make a folder that only the user may look into.

    Raises:
        PermissionError: Others may read it.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.stat()
    if found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise PermissionError(f"{folder} must be yours alone: chmod 700 it, or name another")


def write_private(path: Path, text: str) -> None:
    """Write a file that only the user may read, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(temporary, "w", encoding="utf-8", opener=_private) as stream:
            stream.write(text)
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error
