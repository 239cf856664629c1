"""Giving back what a record holds: for epilog, sweep, and a prolog that cannot have everything."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any

from qrmi_core.config import Config
from qrmi_core.deadline import Deadline
from qrmi_core.errors import ConfigError, QrmiError
from qrmi_core.resource import QuantumResource
from qrmi_core.values import ResourceDef
from qrmi_slurm import accounting, records
from qrmi_slurm.bounded import LeftAlone, bounded
from qrmi_slurm.job import Job
from qrmi_slurm.log import Secrets, secret_values
from qrmi_slurm.records import Acquisition, Folder, Record
from qrmi_slurm.site import Site

_log = logging.getLogger(__name__)

USAGE_SECONDS = 5.0
"""How long the vendor may take to tell what was used."""

_KEPT = {
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("LANG", "LC_ALL", "TZ", "TMPDIR", "HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"),
    "SLURM_CONF",
}
"""Variables of the daemon that hooks keep."""


def clean_environment() -> None:
    """Forget all variables that could be settings of a resource.

    What is configured is the site's to say; what a user has set must not reach a process of root.
    """
    for name in os.environ.keys() - _KEPT:
        del os.environ[name]


class Releaser:
    """Releases acquisitions with the site's configuration.

    Args:
        site: The integration's settings.
        secrets: Where the configuration's secrets are added to.
    """

    def __init__(self, site: Site, secrets: Secrets) -> None:
        self._site = site
        self._secrets = secrets
        self._config: Config | None = None
        self._made: dict[tuple[int, str, str], QuantumResource] = {}

    def release(self, folder: Folder, record: Record, deadline: Deadline) -> bool:
        """Release and account for everything in a record, as far as it goes.

        Args:
            folder: Of the record, held by this process.
            record: Changed, and written after each step.
            deadline: When to leave the rest to the sweep.

        Returns:
            Whether nothing is left in the record.
        """
        for acquisition in list(record.acquisitions):
            if acquisition.state == records.HELD:
                share = self._share(record, deadline)
                if not self._one(folder, record, acquisition, share):
                    continue
            self._account(folder, record, acquisition, deadline)
        return not record.acquisitions

    def _share(self, record: Record, deadline: Deadline) -> float:
        """The seconds for one of those that are left, so that none takes them from the others."""
        held = sum(acquisition.state == records.HELD for acquisition in record.acquisitions)
        return (deadline.remaining() or 0.0) / max(held, 1)

    def _one(
        self, folder: Folder, record: Record, acquisition: Acquisition, seconds: float
    ) -> bool:
        token = acquisition.token
        assert token is not None  # what is held has one
        self._secrets.add([token])
        where = f"job {folder.name}: {acquisition.resource}"
        try:
            resource, cancel = self._resource(acquisition, record.job)
            bounded(lambda: resource.release(token, cancel_pending=cancel), seconds)
        except (QrmiError, LeftAlone) as error:
            acquisition.failures += 1
            acquisition.error = self._secrets.without(str(error))
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
                "job %s: %s was asked for and the answer was lost: there may be an acquisition "
                "that nobody releases; look at the vendor's list",
                folder.name,
                acquisition.resource,
            )
        if self._tell(record, acquisition, outcome, usage):
            record.acquisitions.remove(acquisition)
        self._save(folder, record)

    def _save(self, folder: Folder, record: Record) -> None:
        try:
            folder.write(record)
        except OSError as error:  # what can be given back is given back all the same
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
        except (OSError, records.Untrusted) as error:
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
            usage = bounded(lambda: resource.acquisition_usage(token), deadline.clip(USAGE_SECONDS))
        except (QrmiError, LeftAlone) as error:
            _log.info("%s does not tell what was used: %s", acquisition.resource, error)
            return {}
        return {"tasks": usage.tasks, "quantum_seconds": usage.quantum_seconds}

    def _resource(self, acquisition: Acquisition, job: Job) -> tuple[QuantumResource, bool]:
        """The resource, made once so that it logs in once, and whether to cancel what is queued."""
        if self._config is None:
            self._config = Config.load(self._site.config)
            hide(self._config, self._secrets)
        key = (job.id, acquisition.entry, acquisition.resource)
        entry = self._config.resource_map.get(acquisition.entry)
        if entry is None:
            raise ConfigError(
                f"{self._site.config} has no entry {acquisition.entry} any more, with whose "
                "settings it was acquired; put it back"
            )
        if key not in self._made:
            name = f"{entry.name}:{acquisition.resource}" if entry.is_dynamic else entry.name
            self._made[key] = for_scheduler(self._config, job, {}).resource(name)
        return self._made[key], entry.cancel_pending


def for_scheduler(config: Config, job: Job, more: Mapping[str, str]) -> Config:
    """The configuration as a scheduler uses it for a job.

    Args:
        config: The site's.
        job: The job.
        more: Further settings for each resource.
    """
    common = {"QRMI_JOB_ID": str(job.id), "QRMI_JOB_UID": str(job.uid), **more}

    def entry_for(entry: ResourceDef) -> ResourceDef:
        settings: Any = {**entry.scheduler_settings(), **common}
        return ResourceDef(entry.name, entry.resource_type, entry.is_dynamic, settings)

    return Config(config.path, tuple(entry_for(entry) for entry in config.resources))


def hide(config: Config, secrets: Secrets) -> None:
    """Let no text contain a secret of the configuration."""
    for entry in config.resources:
        secrets.add(secret_values(entry.scheduler_settings()))
