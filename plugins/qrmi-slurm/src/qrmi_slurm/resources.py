"""The site's resources as a scheduler uses them."""

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
    """Forget all variables that could be settings of a resource.

    What is configured is the site's to say; what a user has set must not reach a process of root.
    """
    for name in os.environ.keys() - _KEPT:
        del os.environ[name]


def begin(settings_file: str | None) -> tuple[Site, Secrets]:
    """The integration's settings, and what the log of this hook, begun here, must not contain.

    What the environment tells of the job is read before, since it is cleaned.

    Args:
        settings_file: Where the settings are.
    """
    site = sites.load(settings_file)
    if problem := trust.problem(site.slurm_bin):
        site.problem = site.problem or f"{site.slurm_bin} {problem}"
    clean_environment()
    secrets = Secrets()
    start(site, secrets)
    return site, secrets


def load_config(site: Site, secrets: Secrets) -> Config:
    """Read the site's resources, and let no text contain their secrets.

    Raises:
        ConfigError: The file is missing or wrong, or another user could change it.
    """
    if problem := trust.problem(site.config):
        raise ConfigError(f"{site.config} {problem}")
    config = Config.load(site.config)
    hide(config, secrets)
    return config


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
        secrets.add(text for text in entry.scheduler_environment.values() if len(text) >= _TELLING)


_TELLING = 8
"""From how many characters on a value for the scheduler alone is more than a word of a sentence."""

driver_of = functools.cache(find_driver)
"""The driver of a type, looked for once."""


def make(config: Config, name: str, entry: ResourceDef, **how: Any) -> QuantumResource:
    """The resource that a job means.

    Args:
        config: What `for_scheduler` gave.
        name: The name of an entry, or ``entry:id``.
        entry: The entry.
        how: What else `QuantumResource` takes.
    """
    if not entry.is_dynamic:
        how["driver_class"] = driver_of(entry.resource_type)
    return config.resource(name, **how)
