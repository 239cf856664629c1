"""The records of jobs' QPUs, kept until the QPUs are released and accounted for.

``STATE/JOBID.RESTART`` holds ``record.json``, for root alone, ``variables.json``, for the job's
user (see `qrmi_slurm.variables`), and ``lock``. Files appear whole or not at all.
"""

from __future__ import annotations

import datetime
import fcntl
import json
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import attrs

from qrmi_core.plugin import replace_file
from qrmi_slurm import trust, variables
from qrmi_slurm.job import Job

RECORD = "record.json"
LOCK = "lock"
_GONE = ".gone"
_PAUSE_SECONDS = 0.05

ACQUIRING = "acquiring"
"""Requested; if it stays so, the vendor may or may not have granted it."""
HELD = "held"
"""Acquired, and to be released."""
RELEASED = "released"
"""Released, and to be accounted for."""
USER = "user"
"""Named only: the job acquires it with its user's credentials."""
UNCERTAIN = "uncertain"
"""The response was lost, so that an acquisition may exist that nobody can release."""


class Busy(Exception):
    """Another process holds the record."""


@attrs.define
class Acquisition:
    """One QPU of a job.

    Args:
        entry: The name of the entry in the configuration.
        resource: The id of the resource; for a dynamic entry, the discovered id.
        type: Its type.
        state: One of the states above.
        since: The time of its acquisition, in ISO 8601.
        token: The acquisition token.
        until: The time of its release.
        failures: The number of failed releases.
        error: The reason for the last failure.
    """

    entry: str
    resource: str
    type: str
    state: str
    since: str
    token: str | None = attrs.field(default=None, repr=False)
    until: str | None = None
    failures: int = 0
    error: str | None = None


@attrs.define
class Record:
    """The QPUs of one job and restart.

    Args:
        job: The job.
        acquisitions: The acquisitions that have not been accounted for.
        array_job_id: See `qrmi_slurm.job.Details`.
        array_task_id: See `qrmi_slurm.job.Details`.
    """

    job: Job
    acquisitions: list[Acquisition] = attrs.field(factory=list)
    array_job_id: int | None = None
    array_task_id: int | None = None

    @classmethod
    def from_json(cls, text: bytes) -> Record:
        """Read the file's content.

        Raises:
            ValueError: The text is not a result of `to_json`.
        """
        try:
            data: dict[str, Any] = json.loads(text)
            job = Job(**data.pop("job"))
            acquisitions = [Acquisition(**item) for item in data.pop("acquisitions")]
            return cls(job, acquisitions, **data)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"it is not a record: {error}") from None

    def to_json(self) -> bytes:
        """Return the file's content."""
        return json.dumps(attrs.asdict(self)).encode()


class Folder:
    """The folder of one record, held by this process.

    Args:
        state: The folder of all records.
        job_id: The job.
        restart: The number of earlier requeues.
    """

    def __init__(self, state: str, job_id: int, restart: int) -> None:
        self.state = state
        self.job_id = job_id
        self.restart = restart
        self.name = f"{job_id}.{restart}"
        self.path = os.path.join(state, self.name)

    def read(self) -> Record | None:
        """Return the record, or None if it does not exist yet.

        Raises:
            ValueError: The file is damaged.
        """
        try:
            with open(os.path.join(self.path, RECORD), "rb") as stream:
                return Record.from_json(stream.read())
        except FileNotFoundError:
            return None

    def write(self, record: Record) -> None:
        """Replace the record."""
        replace_file(os.path.join(self.path, RECORD), record.to_json())

    def show(self, content: bytes, job: Job) -> None:
        """Replace the file that the job's user can read."""
        replace_file(
            os.path.join(self.path, variables.FILE), content, mode=0o400, owner=job.owner()
        )

    def shows(self) -> bool:
        """Return True if the user's file exists, so the prolog has ended."""
        return os.path.exists(os.path.join(self.path, variables.FILE))

    def hide(self) -> None:
        """Remove the file that the job's user can read."""
        with suppress(FileNotFoundError):
            os.unlink(os.path.join(self.path, variables.FILE))

    def link(self) -> None:
        """Make this the latest run of the job."""
        link = os.path.join(self.state, str(self.job_id))
        fresh = os.path.join(self.path, "link")
        with suppress(FileNotFoundError):
            os.unlink(fresh)
        os.symlink(self.name, fresh)
        os.replace(fresh, link)

    def remove(self) -> None:
        """Remove the folder with its content."""
        link = os.path.join(self.state, str(self.job_id))
        with suppress(OSError):
            if os.readlink(link) == self.name:
                os.unlink(link)
        # Rename it first: nobody then finds half of it, and a process waiting for its lock does not
        # mistake it for a later one of the same name.
        gone = os.path.join(self.state, f"{self.name}{_GONE}")
        _delete(gone)
        os.rename(self.path, gone)
        _delete(gone)


@contextmanager
def locked(
    state: str, job_id: int, restart: int, *, seconds: float, create: bool = False
) -> Iterator[Folder | None]:
    """Hold the folder of a record; yield None if it does not exist.

    Args:
        state: The folder of all records.
        job_id: The job.
        restart: The number of earlier requeues.
        seconds: Seconds to wait while another process holds it.
        create: True to create it.

    Raises:
        Busy: Another process still holds it.
        OSError: The folder cannot be created or opened.
    """
    folder = Folder(state, job_id, restart)
    end = time.monotonic() + seconds
    descriptor = None
    while descriptor is None:
        if create:
            with suppress(FileExistsError):
                _make_folder(folder.path)
        try:
            descriptor = _lock(os.path.join(folder.path, LOCK), end)
        except FileNotFoundError:
            if not create:
                break
    try:
        yield None if descriptor is None else folder
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _lock(path: str, end: float) -> int | None:
    """Lock a folder and return the descriptor; None if the folder was removed meanwhile."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise Busy from None
                time.sleep(_PAUSE_SECONDS)
            else:
                break
        ours = os.fstat(descriptor)
        with suppress(FileNotFoundError):
            there = os.stat(path)
            if (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino):
                return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def restarts(state: str, job_id: int | None = None) -> list[tuple[int, int]]:
    """Return job id and restart of all records, in order.

    Args:
        state: The folder of all records.
        job_id: The job, None for all jobs.
    """
    found = []
    for name in os.listdir(state):
        head, dot, tail = name.partition(".")
        if dot and head.isdecimal() and tail.isdecimal():
            found.append((int(head), int(tail)))
    return sorted(pair for pair in found if job_id in (None, pair[0]))


def tidy(state: str) -> None:
    """Complete removals that were interrupted by a kill."""
    for name in os.listdir(state):
        if name.endswith(_GONE):
            _delete(os.path.join(state, name))


def linked(state: str, job: Job) -> bool:
    """Return True if tasks of this run reach the folder of its record."""
    try:
        return os.readlink(os.path.join(state, str(job.id))) == f"{job.id}.{job.restart}"
    except OSError:
        return False


def now() -> str:
    """Return the current time in ISO 8601, in UTC."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


def prepare(state: str) -> None:
    """Create the folder of all records if it is missing, and check that only root can change it.

    Raises:
        Untrusted: Another user can; the message names the path and the remedy.
        OSError: The folder cannot be created.
    """
    trust.check(state)
    try:
        _make_folder(state)
    except FileExistsError:
        trust.check(state)  # another process may have created it meanwhile
        if not os.path.isdir(state):
            raise trust.Untrusted(f"{state} is not a folder") from None
        mode = stat.S_IMODE(os.stat(state).st_mode)
        if mode & 0o711 != 0o711:
            os.chmod(state, mode | 0o711)  # jobs' users reach their own files through it


def _delete(folder: str) -> None:
    """Delete a folder of files, which another process may be deleting at the same time."""
    with suppress(FileNotFoundError):
        for name in os.listdir(folder):
            with suppress(FileNotFoundError):
                os.unlink(os.path.join(folder, name))
        os.rmdir(folder)


def _make_folder(path: str) -> None:
    os.mkdir(path, 0o711)
    os.chmod(path, 0o711)  # the umask of the daemon may be stricter
