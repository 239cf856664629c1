"""`qrmi config`: what is wrong with the settings. No vendor is contacted."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping

import attrs
import click

from qrmi_core.cli.app import Group, Options, pass_options
from qrmi_core.cli.completion import names
from qrmi_core.cli.exits import USAGE
from qrmi_core.config import FileReport, config_files, inspect, job_resources
from qrmi_core.errors import ConfigError, EnvVarNotSetError, QrmiError
from qrmi_core.registry import clash, find_driver, installed
from qrmi_core.settings import Settings, prefixes


@attrs.frozen
class Finding:
    """Something wrong.

    Args:
        source: The file, the environment, or the installation.
        resource: The resource concerned, None for the file as a whole.
        severity: ``error`` or ``warning``.
        message: What is wrong.
    """

    source: str
    resource: str | None
    severity: str
    message: str

    def __str__(self) -> str:
        where = f"{self.source}: {self.resource}" if self.resource else self.source
        return f"{self.severity}: {where}: {self.message}"


@click.group("config", cls=Group)
def config_command() -> None:
    """Look at the configuration."""


@config_command.command("check")
@click.argument("name", required=False, shell_complete=names)
@pass_options
@click.pass_context
def check_command(context: click.Context, options: Options, name: str | None) -> None:
    """Check the settings of every resource, or of NAME, without contacting a vendor.

    Names every missing, malformed and unknown key. Ends with status 2 if there is an error.
    """
    reports = [inspect(path) for path in config_files(options.config)]
    checked: list[str] = []
    findings: list[Finding] = []
    if clashing := clash():
        findings.append(Finding("installation", None, "error", clashing))
    for report in reports:
        findings += _of_file(report)
    for resource, source, found in _of_resources(reports, name):
        checked.append(f"{resource} ({source})")
        findings += found
    if name and not checked and not any(item.severity == "error" for item in findings):
        options.open(name).close()  # fails, and says what is known
    data = {
        "files": [str(report.path) for report in reports],
        "checked": checked,
        "findings": [attrs.asdict(finding) for finding in findings],
    }
    errors = sum(finding.severity == "error" for finding in findings)
    lines = [
        *(str(finding) for finding in findings),
        f"checked: {', '.join(checked) or 'nothing, no resource is configured'}",
        f"{errors} errors, {len(findings) - errors} warnings",
    ]
    options.show(data, "\n".join(lines))
    if errors:
        context.exit(USAGE)


def _of_file(report: FileReport) -> Iterator[Finding]:
    for problem in report.problems:
        yield Finding(str(report.path), None, "error", problem)
    for warning in report.warnings:
        yield Finding(str(report.path), None, "warning", warning)


def _of_resources(
    reports: Iterable[FileReport], wanted: str | None
) -> Iterator[tuple[str, str, list[Finding]]]:
    """Each resource with its source and what is wrong with it."""
    head, _, tail = (wanted or "").partition(":")
    if tail and any(info.name == head for info in installed()):
        yield tail, "environment", list(_of_environment(tail, head, [tail]))
        return
    try:
        job = job_resources()
    except EnvVarNotSetError:
        job = {}
    except ConfigError as error:
        job = {}
        yield "job", "environment", [Finding("environment", None, "error", error.message)]
    for name, kind in job.items():
        if wanted in (None, name):
            yield name, "environment", list(_of_environment(name, kind, job))
    for report in reports:
        for entry in report.resources:
            if wanted in (None, entry.name) or (entry.is_dynamic and head == entry.name):
                source = str(report.path)
                found = _of_entry(entry.name, entry.resource_type, entry.environment, source)
                yield entry.name, source, list(found)


def _of_entry(name: str, kind: str, given: Mapping[str, str], source: str) -> Iterator[Finding]:
    # A mapping's keys may be written in lower case as a whole.
    keys = {key: key.upper() if key.islower() else key for key in given}
    return _findings(name, kind, source, keys, lambda cls: cls.from_mapping(given, name))


def _of_environment(name: str, kind: str, all_names: Iterable[str]) -> Iterator[Finding]:
    others = tuple(
        prefix
        for other in all_names
        for prefix in prefixes(other)
        if other != name and prefix.startswith(prefixes(name))
    )
    keys = {
        key: key.removeprefix(prefix)
        for prefix in prefixes(name)
        for key in os.environ
        if key.startswith(prefix) and not (others and key.startswith(others))
    }
    return _findings(name, kind, "environment", keys, lambda cls: cls.from_environment(name))


def _findings(
    name: str,
    kind: str,
    source: str,
    keys: Mapping[str, str],
    read: Callable[[type[Settings]], Settings],
) -> Iterator[Finding]:
    """What is wrong with one resource.

    Args:
        name: Its id.
        kind: Its type.
        source: Where its settings are.
        keys: Every key that is set, as it is written and without the prefix.
        read: Reads the settings.
    """
    try:
        settings_class = find_driver(kind).settings_class
    except QrmiError as error:
        yield Finding(source, name, "error", error.message)
        return
    try:
        settings = read(settings_class)
    except ConfigError as error:
        yield Finding(source, name, "error", error.message)
    else:
        for field, declaration in settings_class.declarations().items():
            if declaration.needed_by and getattr(settings, field) is None:
                operations = ", ".join(declaration.needed_by)
                message = f"{declaration.names[0]} is not set, which {operations} needs"
                yield Finding(source, name, "warning", message)
    known = settings_class.known_keys()
    for key, bare in keys.items():
        if bare not in known:
            close = difflib.get_close_matches(bare, known, n=1, cutoff=0.8)
            hint = f"; did you mean {close[0]}?" if close else ""
            yield Finding(source, name, "error", f"unknown key {key}{hint}")
