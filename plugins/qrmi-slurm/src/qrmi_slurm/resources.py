"""The site's resources from the scheduler's point of view."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from typing import Any

from qrmi_core import Config, ConfigError, QuantumResource, ResourceDef
from qrmi_core.plugin import find_driver
from qrmi_slurm import site as sites, trust
from qrmi_slurm.job import Job
from qrmi_slurm.log import Secrets, secret_values, start
from qrmi_slurm.site import Site

_KEPT = {
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("LANG", "LC_ALL", "TZ", "TMPDIR", "HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"),
    "SLURM_CONF",
}
"""Variables of the daemon that hooks keep."""


def clean_environment() -> None:
    """Delete all variables that could be settings of a resource.

    Only the site configures resources: a user's variables must not influence a process of root.
    """
    for name in os.environ.keys() - _KEPT:
        del os.environ[name]


def begin(settings_file: str | None) -> tuple[Site, Secrets]:
    """Start a hook's log; return the integration's settings and the secrets to redact.

    The environment is cleaned, so read the job from it first.

    Args:
        settings_file: The file of the settings.
    """
    site = sites.load(settings_file)
    if problem := trust.problem(site.slurm_bin):
        site.problem = site.problem or f"{site.slurm_bin} {problem}"
    clean_environment()
    secrets = Secrets()
    start(site, secrets)
    return site, secrets


def load_config(site: Site, secrets: Secrets) -> Config:
    """Read the site's resources, and register their secrets for redaction.

    Raises:
        ConfigError: The file is missing or wrong, or another user could change it.
    """
    if problem := trust.problem(site.config):
        raise ConfigError(f"{site.config} {problem}")
    config = Config.load(site.config)
    hide(config, secrets)
    return config


def for_scheduler(config: Config, job: Job, more: Mapping[str, str]) -> Config:
    """Return the configuration as the scheduler uses it for a job.

    Args:
        config: The site's configuration.
        job: The job.
        more: Additional settings for each resource.
    """
    common = {"QRMI_JOB_ID": str(job.id), "QRMI_JOB_UID": str(job.uid), **more}

    def entry_for(entry: ResourceDef) -> ResourceDef:
        settings: Any = {**entry.scheduler_settings(), **common}
        return ResourceDef(entry.name, entry.resource_type, entry.is_dynamic, settings)

    return Config(config.path, tuple(entry_for(entry) for entry in config.resources))


def hide(config: Config, secrets: Secrets) -> None:
    """Register the secrets of a configuration for redaction."""
    for entry in config.resources:
        secrets.add(secret_values(entry.scheduler_settings()))
        secrets.add(text for text in entry.scheduler_environment.values() if len(text) >= _NO_WORD)


_NO_WORD = 8
"""The least length of a value for the scheduler alone that is not an ordinary word."""

driver_of = functools.cache(find_driver)
"""Return the driver of a type, found once."""


def make(config: Config, name: str, entry: ResourceDef, **how: Any) -> QuantumResource:
    """Return the resource that a job names.

    Args:
        config: The result of `for_scheduler`.
        name: The name of an entry, or ``entry:id``.
        entry: The entry.
        how: Additional arguments of `QuantumResource`.
    """
    if not entry.is_dynamic:
        how["driver_class"] = driver_of(entry.resource_type)
    return config.resource(name, **how)
