"""The state of an emulator: jobs, sessions, resources and credentials, in memory and in a folder.

Everything here is used in the server's event loop only, so nothing is locked. Each change is
written to the folder's database as it happens, so that a restarted emulator goes on.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

import attrs

from qrmi_core import TaskStatus
from qrmi_core.plugin import lock_file, replace_file
from qrmi_emulator.faults import Faults
from qrmi_emulator.files import StorageError, make_private, write_private
from qrmi_emulator.record_file import RecordFile
from qrmi_emulator.records import ONLINE, Condition, FaceJob, FaceSession, Record
from qrmi_emulator.settings import EmulatorSettings
from qrmi_local.engines import engine_for
from qrmi_local.executor import Executor, Limits, LocalSettings

J = TypeVar("J", bound=FaceJob)
S = TypeVar("S", bound=FaceSession)

_KEEP_SECONDS: Final = 10 * 365 * 86400.0
_USUAL: Final = Condition()
# Of no session, so that a resource that is held by it runs nothing.
_NOBODY: Final = frozenset({""})


class State:
    """The state that faces, runner, control and page of one emulator share.

    Args:
        home: Its folder; made for the user alone.
        settings: The emulator's settings.
        clock: Returns the time, in seconds since the epoch.

    Attributes:
        executor: Executes the jobs.
        faults: The faults that wait for requests.
        jobs: All jobs by id, oldest first.
        live: Those that have not ended.
        running: Those that run.
        fated: Those that have a fate.
        sessions: All sessions by id, oldest first.
        open_sessions: Those that are not closed.
        conditions: The conditions that operators set, by resource.
        used_seconds: The time that the jobs of each face have run.
        on_work: Called when a job may have become ready to run.
        on_end: Called with each job that has ended.

    Raises:
        PermissionError: Others may read the folder.
        ValueError: Another emulator uses it.
    """

    def __init__(
        self, home: Path, settings: EmulatorSettings, clock: Callable[[], float] = time.time
    ) -> None:
        self.home = home
        self.settings = settings
        self.clock = clock
        self.faults = Faults(clock)
        self.jobs: dict[str, FaceJob] = {}
        self.live: dict[str, FaceJob] = {}
        self.running: dict[str, FaceJob] = {}
        self.fated: dict[str, FaceJob] = {}
        self.sessions: dict[str, FaceSession] = {}
        self.open_sessions: dict[str, FaceSession] = {}
        self.conditions: dict[str, Condition] = {}
        self.used_seconds: dict[str, float] = {}
        self.on_work: Callable[[], None] = lambda: None
        self.on_end: list[Callable[[FaceJob], None]] = []
        self._jobs_of: dict[str, dict[str, FaceJob]] = {}
        self._sessions_of: dict[str, dict[str, FaceSession]] = {}
        for folder in (home, home / "inputs", home / "tasks"):
            make_private(folder)
        self.executor = Executor(
            LocalSettings(
                home=home / "tasks", slots=settings.slots, retention_seconds=_KEEP_SECONDS
            ),
            Limits(seconds=settings.job_seconds, memory_bytes=settings.job_mebibytes * 2**20),
        )
        # A job that ends before it is executed may have a log too.
        self.executor.make_folder()
        held = lock_file(home / "emulator.lock")
        if held is None:
            raise ValueError(f"another emulator uses {home}; name another folder")
        self._lock = held
        self._file = RecordFile(home / "emulator.db")
        for resource, document in self._file.read("condition"):
            self.conditions[resource] = Condition(**document)
        self._revoked = {digest for digest, _ in self._file.read("revoked")}

    def close(self) -> None:
        """Leave the folder to others."""
        self._file.flush()
        self._file.close()
        os.close(self._lock)

    # Credentials and tokens

    def credentials(self, name: str, make: Callable[[], dict[str, str]]) -> dict[str, str]:
        """Return the credentials under a name, made when first needed and kept.

        Args:
            name: Their name, usually the face's.
            make: Returns random ones.
        """
        known = self._known_credentials()
        if name not in known:
            known[name] = make()
            replace_file(self.home / "credentials.json", json.dumps(known, indent=2).encode())
        return known[name]

    def secrets(self) -> set[str]:
        """Return all values of the credentials."""
        known = self._known_credentials()
        return {value for values in known.values() for value in values.values()}

    def _known_credentials(self) -> dict[str, dict[str, str]]:
        path = self.home / "credentials.json"
        known: dict[str, dict[str, str]] = json.loads(path.read_text()) if path.exists() else {}
        return known

    def revoke(self, authorization: str) -> None:
        """Revoke the token of a header, for good."""
        digest = _digest(authorization)
        self._file.write(digest, "revoked", {})
        self._revoked.add(digest)

    def is_revoked(self, authorization: str) -> bool:
        """Return True if the token of a header was revoked."""
        return bool(self._revoked) and _digest(authorization) in self._revoked

    # Resources

    def condition(self, resource: str) -> Condition:
        """Return the condition of a resource."""
        return self.conditions.get(resource, _USUAL)

    def set_condition(self, resource: str, condition: Condition) -> None:
        """Set the condition of a resource."""
        self._file.write(resource, "condition", attrs.asdict(condition))
        self.conditions[resource] = condition
        self.on_work()

    def queue_length(self, resource: str) -> int:
        """Return the number of jobs that wait or run on a resource, those of others included."""
        return self.condition(resource).queue_length + sum(
            job.resource == resource for job in self.live.values()
        )

    def require_simulator(self, resource: str) -> None:
        """Check that a resource of qrmi-local can execute jobs.

        Raises:
            MissingExtra: Its simulator is not installed.
        """
        engine_for(resource).known(resource)

    # Jobs

    def jobs_of(self, face: str, kind: type[J]) -> Mapping[str, J]:
        """Return the jobs of a face by id, oldest first: a view that is kept up to date.

        The first call reads them from the folder.

        Args:
            face: The face's name.
            kind: The class of its jobs.
        """
        if face not in self._jobs_of:
            self._jobs_of[face] = {}
            for _, document in self._file.read("job", face):
                self._add(kind(**document))
            # In the order of submission, whichever face they are of.
            self.live = dict(sorted(self.live.items(), key=lambda item: item[1].created))
        return self._jobs_of[face]  # type: ignore[return-value]

    def submit(
        self,
        jobs: Sequence[tuple[FaceJob, bytes]],
        session: FaceSession | None = None,
        shared: bytes | None = None,
    ) -> None:
        """Add jobs to the queue: all or none.

        Args:
            jobs: Each with its input.
            session: Their session, if it is new or changes with them.
            shared: The input that the jobs of a new session share, if they do.

        Raises:
            StorageError: They cannot be written.
        """
        records: list[Record] = [job for job, _ in jobs]
        inputs: list[tuple[Record, bytes]] = list(jobs)
        if session:
            records.insert(0, session)
            if shared is not None:
                inputs.append((session, shared))
        try:
            for record, content in inputs:
                write_private(self.input(record), content)
            self._file.add(records)
        except StorageError:
            for record, _ in inputs:
                self.input(record).unlink(missing_ok=True)
            raise
        for record in records:
            self._add(record)
        self.on_work()

    def input(self, record: Record) -> Path:
        """Return the path of a job's input, or of the input that the jobs of a session share."""
        return self.home / "inputs" / record.id

    def result(self, job: FaceJob) -> Path:
        """Return the path of a job's result."""
        return self.executor.result_path(job.id)

    def log(self, job: FaceJob) -> Path:
        """Return the path of a job's log."""
        return self.executor.log_path(job.id)

    def logged(self, job: FaceJob) -> str:
        """Return the text of a job's log, empty if it has none."""
        path = self.log(job)
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self, job: FaceJob, at: float) -> None:
        """Note that a job runs."""
        if job.status is not TaskStatus.Queued:
            return
        job.status, job.started = TaskStatus.Running, at
        self.running[job.id] = job
        session = self.sessions.get(job.session or "")
        if session:
            session.started, session.job_started = session.started or at, at
            session.reason = "session_activated"
            self._file.change(session)
        self._file.change(job)

    def end(
        self,
        job: FaceJob,
        status: TaskStatus,
        reason: str | None = None,
        *,
        code: int | None = None,
        at: float | None = None,
    ) -> bool:
        """End a job and stop its execution. Return False if it had ended already."""
        if job.has_ended:
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
            self._file.change(session)
        self._file.change(job)
        if job.private:
            self.input(job).unlink(missing_ok=True)
        for notify in self.on_end:
            notify(job)
        self.on_work()
        return True

    def delete(self, job: FaceJob) -> None:
        """Delete a job that has ended, with its files."""
        self._file.delete(job.id)
        del self.jobs[job.id], self._jobs_of[job.face][job.id]
        for path in (self.input(job), self.result(job), self.log(job)):
            path.unlink(missing_ok=True)

    def save(self, record: Record) -> None:
        """Write the changes of a record."""
        self._file.change(record)
        self.on_work()

    def flush(self) -> None:
        """Write the changes that could not be written so far, if there is space."""
        self._file.flush()

    def named(self, name: str) -> FaceJob | None:
        """Return a job by its name, the latest if several have it."""
        found = self.jobs.get(name)
        return found or next(
            (job for job in reversed(self.jobs.values()) if job.name == name), None
        )

    def set_fate(self, job: FaceJob, fate: str, seconds: float) -> None:
        """Let a submitted job meet a fate some seconds from now; see `faults.JOB_FAULTS`."""
        job.fate, job.fate_seconds = fate, self.clock() - job.created + seconds
        self.fated[job.id] = job
        self.save(job)

    def release(self, job: FaceJob) -> None:
        """Take the fate of a job away."""
        job.fate = None
        self.fated.pop(job.id, None)
        self.save(job)

    def pending(self, session: str) -> list[FaceJob]:
        """Return the jobs of a session that have not ended, oldest first."""
        return [job for job in self.live.values() if job.session == session]

    # Sessions

    def sessions_of(self, face: str, kind: type[S]) -> Mapping[str, S]:
        """Return the sessions of a face by id, as `jobs_of` returns its jobs."""
        if face not in self._sessions_of:
            self._sessions_of[face] = {}
            for _, document in self._file.read("session", face):
                self._add(kind(**document))
        return self._sessions_of[face]  # type: ignore[return-value]

    def open(self, session: FaceSession) -> None:
        """Add a session.

        Raises:
            StorageError: It cannot be written.
        """
        self._file.add([session])
        self._add(session)

    def state_of(self, session: FaceSession) -> str:
        """Return the state of a session: open, active, inactive or closed."""
        if session.closed is not None:
            return "closed"
        if session.started is None:
            return "open"
        if any(job.session == session.id for job in self.running.values()):
            return "active"
        idle = self.clock() - (session.busy_until or session.started)
        return "active" if idle < self.settings.session_idle_seconds else "inactive"

    def refuse_jobs(self, session: FaceSession) -> None:
        """Accept no further jobs; the session closes when those that it has have ended."""
        session.accepting = False
        self._file.change(session)
        self.expire()

    def close_session(self, session: FaceSession, reason: str) -> None:
        """Close a session; its queued jobs are cancelled, those that run may end."""
        if session.closed is not None:
            return
        session.accepting, session.closed, session.reason = False, self.clock(), reason
        del self.open_sessions[session.id]
        self._file.change(session)
        for job in self.pending(session.id):
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
                for job in self.pending(session.id):
                    if job.status is TaskStatus.Queued:
                        self.end(job, TaskStatus.Failed, "its session reached its time limit")
                self.close_session(session, "session_max_ttl_reached")
            elif not session.accepting and not self.pending(session.id):
                self.close_session(session, "session_closed_early")

    def holders(self) -> dict[str, Collection[str]]:
        """Return the ids of the sessions whose jobs alone may start, by resource.

        Those are the exclusive ones that are active. Where nothing may start, the only id is one
        of no session.
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

    def _add(self, record: Record) -> None:
        if isinstance(record, FaceSession):
            self.sessions[record.id] = record
            self._sessions_of.setdefault(record.face, {})[record.id] = record
            if record.closed is None:
                self.open_sessions[record.id] = record
            return
        self.jobs[record.id] = record
        self._jobs_of.setdefault(record.face, {})[record.id] = record
        if record.has_ended:
            self._count(record)
            return
        self.live[record.id] = record
        if record.fate:
            self.fated[record.id] = record
        if record.status is TaskStatus.Running:
            self.running[record.id] = record

    def _count(self, job: FaceJob) -> None:
        self.used_seconds[job.face] = self.used_seconds.get(job.face, 0.0) + job.seconds


def may_start(job: FaceJob, holders: Mapping[str, Collection[str]]) -> bool:
    """Return True if a job need not wait for its resource, or for the exclusive sessions of others.

    Args:
        job: The job.
        holders: See `State.holders`.
    """
    held = holders.get(job.resource)
    return not held or job.session in held


def _digest(authorization: str) -> str:
    return hashlib.sha256(authorization.encode()).hexdigest()
