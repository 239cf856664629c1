"""Checks of the resources: their settings from the scheduler's view, and their status."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial

from qrmi_core import Config, QrmiError, ResourceDef, ResourceStatus, ResourceStatusCode
from qrmi_core.plugin import FileReport, check_entry, conflicts, installed
from qrmi_slurm.bounded import LeftAlone, Worker
from qrmi_slurm.check.finding import Finding, error, ok, warning
from qrmi_slurm.job import Job
from qrmi_slurm.resources import for_scheduler, make
from qrmi_slurm.setup import NAME

_MARKS = {"error": error, "warning": warning}
_JOB = Job(0, 0, os.geteuid(), os.getegid(), "", "", "")
_ADDED = {"QRMI_JOB_TIMEOUT_SECONDS": "60"}
"""Stand-ins for the settings that the prolog adds to each resource."""
REACH_SECONDS = 10.0


def plugins() -> Iterator[Finding]:
    """List the installed vendor plugins."""
    found = [f"{plugin.name} ({plugin.distribution} {plugin.version})" for plugin in installed()]
    if found:
        yield ok("plugins", ", ".join(found))
    else:
        yield error("plugins", "not installed", "install those of your vendors, such as qrmi-local")
    for message in conflicts():
        yield error("plugins", message, "keep one of them")


def settings(report: FileReport, delimiter: str) -> Iterator[Finding]:
    """Check the configuration.

    Args:
        report: The content of the file.
        delimiter: The separator of names in a job's list.
    """
    about, path = "configuration", str(report.path)
    correct = f"correct {path}"
    for problem in report.problems:
        yield error(
            about, f"{path} {problem}", f"{correct}: jobs that ask for a QPU fail until then"
        )
    for text in report.warnings:
        # The checks of permissions cover who can read it.
        if not text.startswith("others can read"):
            yield warning(about, f"{path}: {text}", correct)
    if not report.problems and not report.resources:
        yield warning(about, f"{path} has no resources", "add yours")
    for entry in report.resources:
        findings = [*_of_entry(entry, path), *_names(entry, delimiter)]
        for mark, message in findings:
            if mark in _MARKS:
                yield _MARKS[mark](about, f"{entry.name}: {message}", correct)
            else:
                yield ok(about, f"{entry.name}: {message}")
        if not findings:
            yield ok(about, f"{entry.name}, {entry.resource_type}")


def _of_entry(entry: ResourceDef, path: str) -> Iterator[tuple[str, str]]:
    added = _ADDED | {"QRMI_JOB_ID": str(_JOB.id), "QRMI_JOB_UID": str(_JOB.uid)}
    for finding in check_entry(entry, path, added):
        yield finding.severity, finding.message


def _names(entry: ResourceDef, delimiter: str) -> Iterator[tuple[str, str]]:
    """Check that jobs can name the entry, and that Slurm can pass its values to them."""
    if not NAME.fullmatch(entry.name) or delimiter in entry.name:
        yield "error", "no job can ask for this name; use letters, digits, _ . and -"
    for key, value in entry.environment.items():
        if "\n" in value or "\r" in value:
            yield (
                "error",
                f"{key} has several lines, which Slurm cannot hand to a job; use {key}_FILE",
            )


class Reach:
    """Concurrent requests for the status of each resource.

    Args:
        config: The configuration.
        seconds: Seconds that each request may take.
    """

    def __init__(self, config: Config, seconds: float = REACH_SECONDS) -> None:
        ours = for_scheduler(config, _JOB, _ADDED)
        self._asked = {
            entry.name: Worker().start(partial(_status, ours, entry), seconds)
            for entry in config.resources
            if not entry.user_credentials
        }

    def findings(self) -> Iterator[Finding]:
        """Yield a finding for each resource."""
        for name, call in self._asked.items():
            about = f"resource {name}"
            try:
                status = call.result()
            except QrmiError as failure:
                yield error(about, str(failure), "jobs that ask for it fail until it answers")
            except LeftAlone as failure:
                yield error(
                    about, str(failure), "look at its endpoint, the proxy and DNS from here"
                )
            else:
                yield _answered(about, status)


def _status(config: Config, entry: ResourceDef) -> ResourceStatus:
    resource = make(config, entry.name, entry)
    try:
        return resource.status()
    finally:
        resource.close()


def _answered(about: str, status: ResourceStatus) -> Finding:
    reason = f" ({status.status_reason})" if status.status_reason else ""
    text = f"{status.status.name.lower()}{reason}"
    if status.status is ResourceStatusCode.Online:
        return ok(about, text)
    return warning(about, text, "jobs that ask for it fail until it is online")
