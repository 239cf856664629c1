"""Permissions of the files and folders that the integration relies on."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator

import qrmi_core
import qrmi_slurm
from qrmi_core import ConfigError
from qrmi_core.plugin import FileReport, expand, first_secret
from qrmi_slurm import site as sites
from qrmi_slurm.check.finding import Finding, error, ok, warning
from qrmi_slurm.check.programs import in_own_hands, open_to_all
from qrmi_slurm.site import Site

ABOUT = "permissions"


def account(slurmd_uid: int | None) -> Iterator[Finding]:
    """Check that the current user is the one who runs prolog and epilog."""
    if slurmd_uid is not None and os.geteuid() != slurmd_uid:
        yield error(
            ABOUT,
            f"this runs as user {os.geteuid()}, and prolog and epilog as user {slurmd_uid}",
            "run it as that user (sudo qrmi-slurm check), whose permissions it checks",
        )


def settings(site: Site, path: str | None, jobs_of_all: bool) -> Iterator[Finding]:
    """Check the file of the integration's own settings.

    Args:
        site: The settings.
        path: The path of the file, None for the default one.
        jobs_of_all: True if jobs run as users other than the current one.
    """
    about, file = "settings", os.path.abspath(path or sites.FILE)
    if site.problem:
        yield error(about, site.problem, "correct it: jobs that ask for a QPU fail until then")
    if not os.path.exists(file):
        if not site.problem:
            yield ok(about, f"{file} does not exist: all settings have their defaults")
        return
    findings: list[Finding] = []
    if jobs_of_all:
        findings += open_to_all(about, file, "task-prolog, which runs as the job's user,")
    yield from findings or ([] if site.problem else [ok(about, file)])


def configuration(report: FileReport) -> Iterator[Finding]:
    """Check the file with the resources and their secrets."""
    about, path = ABOUT, str(report.path)
    if not os.path.exists(path):
        return  # reported with the settings
    secret, mode = first_secret(report.resources), os.stat(path).st_mode
    if secret and mode & 0o077:
        yield error(about, f"others can read {path}, which holds {secret}", f"chmod 600 {path}")
    for entry in report.resources:
        for key, file in entry.scheduler_environment.items():
            if key.upper().endswith("_FILE") and _readable_for_others(file):
                yield error(
                    about,
                    f"others can read {file}, the {key} of {entry.name} for the scheduler alone",
                    f"chmod 600 {file}",
                )
    if not (secret and mode & 0o077):
        yield ok(about, f"{path} is {stat.filemode(mode)}")


def commands(site: Site) -> Iterator[Finding]:
    """Check the folder of Slurm's commands."""
    about, path = ABOUT, site.slurm_bin
    yield from [*in_own_hands(about, path, strict=True)] or [ok(about, f"{path}, Slurm's commands")]


def _readable_for_others(path: str) -> bool:
    try:
        return bool(os.stat(expand(path)).st_mode & 0o044)
    except (OSError, ConfigError):
        return False  # reported with the settings


def state(site: Site, jobs_of_all: bool) -> Iterator[Finding]:
    """Check the folder of the records."""
    about, path = ABOUT, site.state
    findings = [*in_own_hands(about, path)]
    if os.path.isdir(path):
        found = os.stat(path)
        if found.st_uid != os.geteuid():
            findings.append(
                error(
                    about, f"{path} belongs to user {found.st_uid}", f"chown {os.geteuid()} {path}"
                )
            )
        if found.st_mode & 0o066:
            findings.append(
                error(about, f"{path} is {stat.filemode(found.st_mode)}", f"chmod 711 {path}")
            )
        if jobs_of_all:
            findings += open_to_all(about, path, "task-prolog, which runs as the job's user,")
    elif os.path.lexists(path):
        findings.append(
            error(about, f"{path} is not a folder", "name another as state in slurm.toml")
        )
    elif not os.access(os.path.dirname(path), os.W_OK):
        findings.append(
            error(about, f"{path} cannot be made", "make it, for root alone (mode 711)")
        )
    yield from findings or [ok(about, f"{path}, folder of the records")]


def outputs(site: Site) -> Iterator[Finding]:
    """Check the accounting and the log."""
    about = ABOUT
    for name, path in (("accounting", site.accounting), ("log", site.log)):
        findings = [*in_own_hands(about, path)]
        if os.path.isdir(path):
            remedy = f"name another as {name} in slurm.toml"
            findings.append(error(about, f"{path} is not a file", remedy))
        elif not os.access(_first_existing(path), os.W_OK):
            remedy = f"make its folder, or name another as {name} in slurm.toml"
            findings.append(error(about, f"{path} cannot be written", remedy))
        elif os.path.exists(path) and name == "accounting" and os.stat(path).st_mode & 0o007:
            findings.append(
                warning(about, f"all can read {path}, which contains tokens", f"chmod o= {path}")
            )
        yield from findings or [ok(about, f"{path}, the {name}")]


def _first_existing(path: str) -> str:
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    return path


def python(jobs_of_all: bool) -> Iterator[Finding]:
    """Check the interpreter and the packages that root runs."""
    about = "Python"
    findings: list[Finding] = []
    parts = [sys.executable, os.path.realpath(sys.executable), os.__file__]
    parts += [os.path.dirname(str(package.__file__)) for package in (qrmi_core, qrmi_slurm)]
    for path in dict.fromkeys(parts):
        findings += in_own_hands(about, path)
        if jobs_of_all:
            findings += open_to_all(about, path, "task-prolog, which runs as the job's user,")
    # A folder that contains all of them is reported once.
    yield from dict.fromkeys(findings) or [ok(about, f"only root can change {sys.executable}")]
