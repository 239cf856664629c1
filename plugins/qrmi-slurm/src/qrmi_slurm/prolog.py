"""The prolog, which acquires all QPUs that a job requests, or none of them."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from qrmi_core import (
    Config,
    ConfigError,
    InvalidInputError,
    QrmiError,
    ResourceBusyError,
    ResourceDef,
    ResourceStatusCode,
)
from qrmi_core.plugin import Deadline
from qrmi_slurm import granted, keys, records, slurm, trust, variables
from qrmi_slurm.bounded import GRACE_SECONDS, BoundedCall, LeftAlone, Worker
from qrmi_slurm.granted import Grant
from qrmi_slurm.job import Details, Job
from qrmi_slurm.log import Secrets, one_line
from qrmi_slurm.records import Acquisition, Folder, Record, locked
from qrmi_slurm.release import Releaser
from qrmi_slurm.resources import begin, for_scheduler, load_config, make
from qrmi_slurm.site import Site

_log = logging.getLogger(__name__)

LATE_SECONDS = 5.0
"""Seconds to wait for a late response, before the acquisition that it may hold is given up."""


class Unavailable(QrmiError):
    """A QPU that accepts no work at present."""

    retryable = True


class Stopped(BaseException):
    """A signal that ends the prolog."""


def run(settings_file: str | None, names: list[str], *, spank: bool) -> None:
    """Acquire the QPUs for the job that the environment names.

    Args:
        settings_file: The file of the integration's settings.
        names: The names that the job requests; an empty list is an error.
        spank: True if the SPANK plugin sets the job's variables, so that it needs no `keys`.
    """
    job = Job.from_environment(os.environ)
    details = Details.from_environment(os.environ)
    site, secrets = begin(settings_file)
    try:
        records.prepare(site.state)
        with locked(
            site.state, job.id, job.restart, seconds=site.prolog_limit_seconds, create=True
        ) as folder:
            assert folder is not None  # it has just been created
            if not folder.shows():
                record = folder.read() or Record(job)
                PrologAttempt(site, secrets, folder, record, keys=not spank).run(names, details)
    except records.Busy:
        _log.warning("job %d.%d: another prolog is at work on it", job.id, job.restart)
    except (OSError, ValueError, trust.Untrusted) as error:
        reason = secrets.without(str(error) or type(error).__name__)
        _log.error("job %d.%d: its record cannot be kept: %s", job.id, job.restart, reason)
        sys.stderr.write(f"qrmi-slurm prolog: the record cannot be kept: {reason}\n")
        if isinstance(error, trust.Untrusted) or not records.linked(site.state, job):
            # The task prolog will find no record, and the job would run without its QPU.
            _log.error("job %d.%d is cancelled", job.id, job.restart)
            slurm.run(site.slurm_bin, "scancel", str(job.id))


def hand_on_keys(settings_file: str | None, names: list[str]) -> None:
    """Write the keys of a job whose QPUs another node acquires.

    Args:
        settings_file: The file of the integration's settings.
        names: The names that the job requests.
    """
    job = Job.from_environment(os.environ)
    site, secrets = begin(settings_file)
    try:
        if site.problem:
            raise ConfigError(site.problem)
        records.prepare(site.state)
        config = load_config(site, secrets)
        for name in names:
            keys.write(site.state, job, Grant(_entry(config, name), name).secrets())
    except (QrmiError, OSError, trust.Untrusted) as error:
        # The first node reports it to the user.
        _log.error("job %d.%d has no keys on this node: %s", job.id, job.restart, error)


class PrologAttempt:
    """A prolog's attempt to acquire all QPUs of a job.

    Args:
        site: The integration's settings.
        secrets: The secrets to redact.
        folder: The folder of the job's record, held by this process.
        record: The record; not empty if an earlier prolog was interrupted.
        keys: True if the job needs its secrets as files.
    """

    def __init__(
        self, site: Site, secrets: Secrets, folder: Folder, record: Record, *, keys: bool
    ) -> None:
        self._keys = keys
        self._site = site
        self._secrets = secrets
        self._folder = folder
        self._record = record
        self._releaser = Releaser(site, secrets)
        limit = site.prolog_limit_seconds
        self._end = Deadline(limit)
        self._deadline = Deadline(
            limit - min(30.0, limit / 3)
        )  # the remaining time is for releases
        self._stop = threading.Event()
        self._worker = Worker()
        self._call: BoundedCall[str] | None = None

    def run(self, names: list[str], details: Details | None) -> None:
        """Acquire the QPUs, and write the files for the task prolog and epilog.

        Args:
            names: The names that the job requests.
            details: The details of the job, None to request them from the controller.
        """
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._stopped)
        failure: BaseException | None = None
        try:
            self._folder.link()
            self._tidy()
            content = self._acquired(names, details)
            self._folder.show(content, self._record.job)
        except BaseException as error:
            failure = error
            self._give_back()
            self._folder.show(variables.content(error=self._reason(failure)), self._record.job)
        if failure is None:
            _log.info("job %s has %s", self._folder.name, ", ".join(names))
        elif getattr(failure, "retryable", False) or isinstance(failure, LeftAlone):
            self._requeue()

    def _tidy(self) -> None:
        """Release the QPUs of an interrupted prolog, or of an earlier run of the job."""
        if self._record.acquisitions:
            _log.warning("job %s: an earlier prolog was interrupted", self._folder.name)
            self._releaser.release(self._folder, self._record, self._deadline)
        job = self._record.job
        for _, restart in records.restarts(self._site.state, job.id):
            if restart >= job.restart:
                continue
            try:
                with locked(self._site.state, job.id, restart, seconds=1.0) as folder:
                    self._releaser.settle(folder, self._deadline)
            except (OSError, ValueError, records.Busy) as error:
                _log.warning("job %d.%d is left to the sweep: %s", job.id, restart, error)

    def _acquired(self, names: list[str], details: Details | None) -> bytes:
        """Acquire all QPUs, and return the content of the job's variables."""
        if self._site.problem:
            raise ConfigError(self._site.problem)
        if not names:
            raise InvalidInputError("the job names no QPU (--qpu=NAME, or qpu=NAME in its comment)")
        details = details or self._details()
        self._record.array_job_id = details.array_job_id
        self._record.array_task_id = details.array_task_id
        config = load_config(self._site, self._secrets)
        job = self._record.job
        ours = for_scheduler(config, job, {"QRMI_JOB_TIMEOUT_SECONDS": str(details.seconds)})
        entries = {name: _entry(config, name) for name in names}
        grants = [self._ready(ours, name, entry) for name, entry in entries.items()]
        granted.check(grants, self._site.list_delimiter)
        if self._keys:
            for grant in grants:
                keys.write(self._site.state, job, grant.secrets())
        # All jobs use the same order, so no two can wait for each other.
        for grant in sorted(grants, key=lambda grant: config.resources.index(grant.entry)):
            self._take(grant)
        return granted.content(grants, job, details.seconds, self._site.list_delimiter)

    def _details(self) -> Details:
        job_id = str(self._record.job.id)
        command = ("scontrol", "show", "job", "-o", job_id)
        patience = min(slurm.LIMIT_SECONDS, self._site.prolog_limit_seconds / 6)
        try:
            text = slurm.run(self._site.slurm_bin, *command, seconds=patience)
        except slurm.SlurmError as error:
            _log.warning("the time limit of job %s is unknown: %s", job_id, error)
            return Details()
        return Details.from_text(text, self._record.job.id)

    def _ready(self, config: Config, name: str, entry: ResourceDef) -> Grant:
        """Return a QPU that accepts work now."""
        if entry.user_credentials:
            if name == entry.name and entry.is_dynamic:
                raise InvalidInputError(
                    f"{name} is used with the user's credentials, so that the prolog cannot find a "
                    f"resource for it; name one: {name}:ID"
                )
            return Grant(entry, name.partition(":")[2] or name if entry.is_dynamic else name)

        def look() -> Grant:
            resource = make(config, name, entry, sleep=self._sleep)
            status = resource.status()
            if status.status is not ResourceStatusCode.Online:
                reason = f": {status.status_reason}" if status.status_reason else ""
                raise Unavailable(f"{name} is {status.status.name.lower()}{reason}; try later")
            return Grant(entry, resource.resource_id(), resource)

        with _named(name):
            return self._worker.call(look, self._deadline.remaining() or 0.0)

    def _take(self, grant: Grant) -> None:
        resource = grant.resource
        acquisition = Acquisition(
            grant.entry.name,
            grant.resource_id,
            grant.entry.resource_type,
            records.USER if resource is None else records.ACQUIRING,
            records.now(),
        )
        self._record.acquisitions.append(acquisition)
        self._folder.write(self._record)
        if resource is None:
            return
        left = self._deadline.remaining() or 0.0
        patience = min(self._site.acquire_timeout_seconds, left)
        self._call = self._worker.start(lambda: resource.acquire(patience, detached=True), left)
        try:
            with _named(grant.resource_id):
                grant.token = self._call.result()
        except QrmiError as error:
            self._call = None
            if not error.uncertain:
                self._record.acquisitions.remove(acquisition)
                self._folder.write(self._record)
            if isinstance(error, ResourceBusyError):
                error.message += f"; the prolog waited for at most {patience:.0f} s"
            raise
        self._held(acquisition, grant.token)
        self._call = None

    def _held(self, acquisition: Acquisition, token: str) -> None:
        self._secrets.add([token])
        acquisition.token, acquisition.state = token, records.HELD
        acquisition.since = records.now()
        self._folder.write(self._record)

    def _give_back(self) -> None:
        """Release everything acquired, even by a call that was abandoned."""
        self._stop.set()
        self._folder.hide()  # the disk may have filled up just after the check
        last = self._record.acquisitions[-1:]
        if self._call is not None and last and last[0].state == records.ACQUIRING:
            token = self._call.late(max(self._end.clip(LATE_SECONDS), GRACE_SECONDS))
            if token is not None:
                last[0].token, last[0].state = token, records.HELD
        self._releaser.release(self._folder, self._record, self._end)

    def _reason(self, error: BaseException) -> str:
        """Return the reason why the job has no QPU, for the job's user."""
        match error:
            case QrmiError() | LeftAlone():
                text = str(error)
            case Stopped():
                text = "the prolog was stopped"
            case OSError(strerror=str(words)):
                text = f"its record cannot be written: {words}; please ask the administrators"
            case _:
                text = (
                    f"{type(error).__name__}, a defect of qrmi-slurm; please ask the administrators"
                )
                _log.exception("job %s", self._folder.name)
        text = one_line(self._secrets.without(text))
        _log.error("job %s did not get its QPUs: %s", self._folder.name, text)
        return f"the QPUs of this job could not be acquired: {text}"

    def _requeue(self) -> None:
        if self._site.when_unavailable != "requeue":
            return
        try:
            slurm.run(self._site.slurm_bin, "scontrol", "requeue", str(self._record.job.id))
        except slurm.SlurmError as error:
            _log.warning("job %s is not requeued: %s", self._folder.name, error)
        else:
            _log.info("job %s is requeued", self._folder.name)

    def _sleep(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise Stopped

    def _stopped(self, _number: int, _frame: FrameType | None) -> None:
        if not self._stop.is_set():
            self._stop.set()
            raise Stopped


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Add the QPU's name to the error of an abandoned call; the core names it in its own errors."""
    try:
        yield
    except LeftAlone as error:
        raise LeftAlone(f"{name}: {error}; ask the administrators if it happens again") from None


def _entry(config: Config, name: str) -> ResourceDef:
    """Return the entry with a name that a job requests.

    Raises:
        InvalidInputError: The name is unknown.
    """
    entries = {entry.name: entry for entry in config.resources}
    head, colon, tail = name.partition(":")
    if name in entries:
        return entries[name]
    if colon and tail and head in entries and entries[head].is_dynamic:
        return entries[head]
    raise InvalidInputError(f"unknown QPU {name} (known: {', '.join(entries) or 'none'})")
