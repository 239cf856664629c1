"""`qrmi config`: problems of the settings. No vendor is contacted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs
import click

from qrmi_core.cli.app import Group, Options, pass_options
from qrmi_core.cli.completion import names
from qrmi_core.commands.checks import Finding, check_entry, check_environment, check_file
from qrmi_core.commands.exits import USAGE
from qrmi_core.config import FileReport, config_files, inspect_config, job_resources
from qrmi_core.errors import ConfigError, EnvVarNotSetError
from qrmi_core.registry import conflicts, installed


@click.group("config", cls=Group)
def config_command() -> None:
    """Inspect the configuration."""


@config_command.command("check")
@click.argument("name", required=False, shell_complete=names)
@pass_options
@click.pass_context
def check_command(context: click.Context, options: Options, name: str | None) -> None:
    """Check the settings of every resource, or of NAME, without contacting a vendor.

    Names every missing, malformed and unknown key, and who misses it where the scheduler and its
    jobs have different settings. Ends with status 2 if there is an error.
    """
    reports = [inspect_config(path) for path in config_files(options.config)]
    checked: list[str] = []
    findings = [Finding("installation", None, "error", message) for message in conflicts()]
    for report in reports:
        findings += check_file(report)
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
    errors, warnings = (
        sum(finding.severity == severity for finding in findings)
        for severity in ("error", "warning")
    )
    lines = [
        *(str(finding) for finding in findings),
        f"checked: {', '.join(checked) or 'nothing, no resource is configured'}",
        f"{errors} errors, {warnings} warnings",
    ]
    options.show(data, "\n".join(lines))
    if errors:
        context.exit(USAGE)


def _of_resources(
    reports: Iterable[FileReport], wanted: str | None
) -> Iterator[tuple[str, str, list[Finding]]]:
    """Yield each resource with its source and its problems."""
    head, _, tail = (wanted or "").partition(":")
    if tail and installed(name=head):
        yield tail, "environment", list(check_environment(tail, head, [tail]))
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
            yield name, "environment", list(check_environment(name, kind, job))
    for report in reports:
        for entry in report.resources:
            if wanted in (None, entry.name) or (entry.is_dynamic and head == entry.name):
                source = str(report.path)
                yield entry.name, source, list(check_entry(entry, source))
