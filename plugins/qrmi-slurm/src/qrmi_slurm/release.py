"""Releases of a record's QPUs, by the epilog, the sweep, or a prolog that failed."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from qrmi_core import Config, ConfigError, QrmiError, QuantumResource, TransportError
from qrmi_core.plugin import Deadline
from qrmi_slurm import accounting, records, trust
from qrmi_slurm.bounded import LeftAlone, Worker
from qrmi_slurm.job import Job
from qrmi_slurm.log import Secrets, one_line
from qrmi_slurm.records import Acquisition, Folder, Record
from qrmi_slurm.resources import for_scheduler, load_config, make
from qrmi_slurm.site import Site

_log = logging.getLogger(__name__)

USAGE_SECONDS = 5.0
"""Seconds that the vendor may take to report the usage."""


class Releaser:
    """A releaser of acquisitions, with the site's configuration.

    Args:
        site: The integration's settings.
        secrets: Collects the configuration's secrets.
    """

    def __init__(self, site: Site, secrets: Secrets) -> None:
        self._site = site
        self._secrets = secrets
        self._config: Config | None = None
        self._worker = Worker()
        self._unreachable: set[str] = set()
        self._made: dict[tuple[str, str], QuantumResource] = {}

    def settle(self, folder: Folder | None, deadline: Deadline, node: str | None = None) -> None:
        """Close a record: release its QPUs, and remove it unless the sweep must try again.

        Args:
            folder: The folder of the record, held by this process; None if it does not exist.
            deadline: The time after which the rest is left to the sweep.
            node: This node, if records of other nodes may be in the same folder.
        """
        if folder is None:
            return
        record = folder.read()
        if record is not None and node and record.job.node not in ("", node):
            return
        folder.hide()
        if record is None or self.release(folder, record, deadline):
            folder.remove()

    def release(self, folder: Folder, record: Record, deadline: Deadline) -> bool:
        """Release and account for the acquisitions of a record as far as possible.

        Args:
            folder: The folder of the record, held by this process.
            record: The record; changed, and written after each step.
            deadline: The time after which the rest is left to the sweep.

        Returns:
            True if the record is empty now.
        """
        for acquisition in list(record.acquisitions):
            if acquisition.state == records.HELD:
                share = self._share(record, deadline)
                if not self._one(folder, record, acquisition, share):
                    continue
            self._account(folder, record, acquisition, deadline)
        for resource in self._made.values():
            resource.close()
        self._made.clear()
        return not record.acquisitions

    def _share(self, record: Record, deadline: Deadline) -> float:
        """Return the seconds for one of the remaining releases, which share the time equally."""
        held = sum(acquisition.state == records.HELD for acquisition in record.acquisitions)
        return (deadline.remaining() or 0.0) / max(held, 1)

    def _one(
        self, folder: Folder, record: Record, acquisition: Acquisition, seconds: float
    ) -> bool:
        token = acquisition.token
        assert token is not None  # an acquisition that is held has one
        self._secrets.add([token])
        where = f"job {folder.name}: {acquisition.resource}"
        try:
            resource, cancel = self._resource(acquisition, record.job)
            if acquisition.entry in self._unreachable:
                raise LeftAlone("the vendor did not respond a moment ago")
            self._worker.call(lambda: resource.release(token, cancel_pending=cancel), seconds)
        except Exception as error:  # an error must not prevent the release of the others
            acquisition.failures += 1
            acquisition.error = one_line(self._secrets.without(str(error)))
            if isinstance(error, TransportError | LeftAlone):
                self._unreachable.add(acquisition.entry)
            _log.error(
                "%s could not be released (failure %d), qrmi-slurm sweep tries again: %s",
                where,
                acquisition.failures,
                error,
            )
            if acquisition.failures == 1:
                self._tell(record, acquisition, "release-failed", {})
            self._save(folder, record)
            return False
        acquisition.state, acquisition.until = records.RELEASED, records.now()
        acquisition.error = None
        self._save(folder, record)
        _log.info("%s was released", where)
        return True

    def _account(
        self, folder: Folder, record: Record, acquisition: Acquisition, deadline: Deadline
    ) -> None:
        outcome = acquisition.state
        usage: dict[str, float | None] = {}
        if outcome == records.RELEASED:
            usage = self._usage(record, acquisition, deadline)
        elif outcome == records.USER:
            acquisition.until = acquisition.until or records.now()
        else:
            outcome = records.UNCERTAIN
            _log.warning(
                "job %s: the response to the request for %s was lost: an acquisition may exist "
                "that nobody releases; see the vendor's list",
                folder.name,
                acquisition.resource,
            )
        if self._tell(record, acquisition, outcome, usage):
            record.acquisitions.remove(acquisition)
        self._save(folder, record)

    def _save(self, folder: Folder, record: Record) -> None:
        try:
            folder.write(record)
        except OSError as error:  # the releases go on
            _log.error("the record of job %s cannot be written: %s", folder.name, error)

    def _tell(
        self,
        record: Record,
        acquisition: Acquisition,
        outcome: str,
        usage: Mapping[str, float | None],
    ) -> bool:
        try:
            text = accounting.line(record, acquisition, outcome, usage)
            accounting.write(self._site.accounting, text)
        except (OSError, trust.Untrusted) as error:
            _log.error("%s cannot be written: %s", self._site.accounting, error)
            return False
        return True

    def _usage(
        self, record: Record, acquisition: Acquisition, deadline: Deadline
    ) -> dict[str, float | None]:
        token = acquisition.token
        assert token is not None
        try:
            resource, _ = self._resource(acquisition, record.job)
            if not resource.supports("acquisition_usage"):
                return {}
            usage = self._worker.call(
                lambda: resource.acquisition_usage(token), deadline.clip(USAGE_SECONDS)
            )
        except (QrmiError, LeftAlone) as error:
            _log.info("the usage of %s is unknown: %s", acquisition.resource, error)
            return {}
        return {"tasks": usage.tasks, "quantum_seconds": usage.quantum_seconds}

    def _resource(self, acquisition: Acquisition, job: Job) -> tuple[QuantumResource, bool]:
        """Return the resource, created once to log in once, and True to cancel its queued tasks."""
        if self._config is None:
            self._config = load_config(self._site, self._secrets)
        key = (acquisition.entry, acquisition.resource)
        entry = self._config.resource_map.get(acquisition.entry)
        if entry is None:
            raise ConfigError(
                f"{self._site.config} no longer has the entry {acquisition.entry}, whose settings "
                "the release needs; put it back"
            )
        if key not in self._made:
            name = f"{entry.name}:{acquisition.resource}" if entry.is_dynamic else entry.name
            self._made[key] = make(for_scheduler(self._config, job, {}), name, entry)
        return self._made[key], entry.cancel_pending
