"""The records: what was acquired for a job, kept until it is released and accounted for.

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
"""Asked for; if it stays so, nobody knows whether the vendor has granted it."""
HELD = "held"
"""Acquired, and to be released."""
RELEASED = "released"
"""Given back, and to be accounted for."""
USER = "user"
"""Named only: the job acquires it with its user's credentials."""
UNCERTAIN = "uncertain"
"""The answer was lost, so that there may be an acquisition that nobody can release."""


class Busy(Exception):
    """Another process is at work on the record."""


@attrs.define
class Acquisition:
    """One QPU of a job.

    Args:
        entry: The name of the entry in the configuration.
        resource: The id of the resource; of a dynamic entry the one that was found.
        type: Its type.
        state: One of the words above.
        since: When it was acquired, in ISO 8601.
        token: The acquisition token.
        until: When it was released.
        failures: How often the release failed.
        error: Why it failed the last time.
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
    """What is known of the QPUs of one job and restart.

    Args:
        job: The job.
        acquisitions: Those that are not accounted for yet.
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
            ValueError: It is not what `to_json` gives.
        """
        try:
            data: dict[str, Any] = json.loads(text)
            job = Job(**data.pop("job"))
            acquisitions = [Acquisition(**item) for item in data.pop("acquisitions")]
            return cls(job, acquisitions, **data)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"it is no record: {error}") from None

    def to_json(self) -> bytes:
        """The file's content."""
        return json.dumps(attrs.asdict(self)).encode()


class Folder:
    """The folder of one record, held by this process.

    Args:
        state: The folder of all records.
        job_id: The job.
        restart: How often it was requeued before.
    """

    def __init__(self, state: str, job_id: int, restart: int) -> None:
        self.state = state
        self.job_id = job_id
        self.restart = restart
        self.name = f"{job_id}.{restart}"
        self.path = os.path.join(state, self.name)

    def read(self) -> Record | None:
        """The record, None if there is none yet.

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
        """Replace what the job's user gets to see."""
        replace_file(
            os.path.join(self.path, variables.FILE), content, mode=0o400, owner=job.owner()
        )

    def shows(self) -> bool:
        """Whether the user gets to see something: whether a prolog has come to its end."""
        return os.path.exists(os.path.join(self.path, variables.FILE))

    def hide(self) -> None:
        """Take back what the job's user gets to see."""
        with suppress(FileNotFoundError):
            os.unlink(os.path.join(self.path, variables.FILE))

    def link(self) -> None:
        """Make this the job's newest restart."""
        link = os.path.join(self.state, str(self.job_id))
        fresh = os.path.join(self.path, "link")
        with suppress(FileNotFoundError):
            os.unlink(fresh)
        os.symlink(self.name, fresh)
        os.replace(fresh, link)

    def remove(self) -> None:
        """Remove the folder with all that is in it."""
        link = os.path.join(self.state, str(self.job_id))
        with suppress(OSError):
            if os.readlink(link) == self.name:
                os.unlink(link)
        # It is gone at once, so that nobody finds a part of it, and whoever waits for its lock
        # does not take it for another's of the same name.
        gone = os.path.join(self.state, f"{self.name}{_GONE}")
        _delete(gone)
        os.rename(self.path, gone)
        _delete(gone)


@contextmanager
def locked(
    state: str, job_id: int, restart: int, *, seconds: float, create: bool = False
) -> Iterator[Folder | None]:
    """Hold the folder of a record, or give None if there is none.

    Args:
        state: The folder of all records.
        job_id: The job.
        restart: How often it was requeued before.
        seconds: How long to wait while another process holds it.
        create: Whether to make it.

    Raises:
        Busy: Another process holds it still.
        OSError: It cannot be made or opened.
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
    """The lock of a folder that is still there; None if it was removed meanwhile."""
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
    """Job and restart of the records that there are, in order.

    Args:
        state: The folder of all records.
        job_id: Only those of this job.
    """
    found = []
    for name in os.listdir(state):
        head, dot, tail = name.partition(".")
        if dot and head.isdecimal() and tail.isdecimal():
            found.append((int(head), int(tail)))
    return sorted(pair for pair in found if job_id in (None, pair[0]))


def tidy(state: str) -> None:
    """Complete the removal of folders at which a process was killed."""
    for name in os.listdir(state):
        if name.endswith(_GONE):
            _delete(os.path.join(state, name))


def linked(state: str, job: Job) -> bool:
    """Whether a task of this restart comes to the folder of its record."""
    try:
        return os.readlink(os.path.join(state, str(job.id))) == f"{job.id}.{job.restart}"
    except OSError:
        return False


def now() -> str:
    """The time in ISO 8601, of UTC."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


def prepare(state: str) -> None:
    """Make the folder of all records if it is missing, and check that only root can change it.

    Raises:
        Untrusted: Another user can; the message names the path and the remedy.
        OSError: It cannot be made.
    """
    trust.check(state)
    try:
        _make_folder(state)
    except FileExistsError:
        trust.check(state)  # another may have made it since
        if not os.path.isdir(state):
            raise trust.Untrusted(f"{state} is not a folder") from None
        mode = stat.S_IMODE(os.stat(state).st_mode)
        if mode & 0o711 != 0o711:
            os.chmod(state, mode | 0o711)  # jobs' users pass through it to their own files


def _delete(folder: str) -> None:
    """Delete a folder of files, which another process may be deleting too."""
    with suppress(FileNotFoundError):
        for name in os.listdir(folder):
            with suppress(FileNotFoundError):
                os.unlink(os.path.join(folder, name))
        os.rmdir(folder)


def _make_folder(path: str) -> None:
    os.mkdir(path, 0o711)
    os.chmod(path, 0o711)  # the umask of the daemon may be stricter
