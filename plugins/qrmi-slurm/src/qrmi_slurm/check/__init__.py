"""The administrator's self-test, `qrmi-slurm check`, which changes nothing."""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import attrs

from qrmi_core import Config
from qrmi_core.plugin import FileReport, inspect_config
from qrmi_slurm import site as sites, slurm, trust
from qrmi_slurm.check import leftovers, permissions, plugstack, resources, slurm_conf
from qrmi_slurm.check.finding import ERROR, WARNING, Finding, error, guarded, ok
from qrmi_slurm.log import Secrets, one_line
from qrmi_slurm.resources import clean_environment, hide

ERRORS = 1


def main(arguments: list[str], settings_file: str | None) -> int:
    """Run the verb and return its exit status.

    Args:
        arguments: The arguments after the verb.
        settings_file: The file of the integration's settings.
    """
    parser = argparse.ArgumentParser(
        prog="qrmi-slurm check",
        description="Check the installation on this node, and print each finding with its remedy. "
        "Changes nothing. The exit status is 1 if there is an error, else 0.",
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.add_argument(
        "--offline", action="store_true", help="do not request the status of the resources"
    )
    options = parser.parse_args(arguments)
    clean_environment()
    secrets = Secrets()
    findings: list[Finding] = []
    for finding in look(settings_file, secrets, offline=options.offline):
        findings.append(_without(secrets, finding))
        if not options.json:
            print(findings[-1], flush=True)
    errors, warnings = (
        sum(finding.mark == mark for finding in findings) for mark in (ERROR, WARNING)
    )
    if options.json:
        found = [attrs.asdict(finding) for finding in findings]
        print(json.dumps({"findings": found, "errors": errors, "warnings": warnings}, indent=2))
    else:
        print(f"{errors} errors, {warnings} warnings")
    return ERRORS if errors else 0


def look(settings_file: str | None, secrets: Secrets, *, offline: bool) -> Iterator[Finding]:
    """Yield the findings of all checks.

    Args:
        settings_file: The file of the integration's settings, None for the default one.
        secrets: Collects the configuration's secrets.
        offline: True to send no requests to the resources.
    """
    site = sites.load(settings_file)
    problem = trust.problem(site.config)
    report = (
        FileReport(Path(site.config), problems=(problem,))
        if problem
        else inspect_config(site.config)
    )
    config = Config(report.path, report.resources)
    hide(config, secrets)
    # The resources respond while the other checks run.
    reach = None if offline else resources.Reach(config)
    yield ok(
        "versions",
        f"Python {platform.python_version()}, qrmi-core {version('qrmi-core')}, "
        f"qrmi-slurm {version('qrmi-slurm')}",
    )
    yield from guarded("plugins", resources.plugins())
    try:
        conf = slurm_conf.SlurmConf.ask(site)
    except slurm.SlurmError as failure:
        conf = None
        yield error(
            "Slurm",
            f"the controller does not send its configuration: {failure}",
            "see that slurmctld runs, and that slurm_bin of slurm.toml is the folder of scontrol",
        )
    if conf is not None:
        shims = plugstack.lines(conf)
        names = [entry.name for entry in report.resources]
        shim = any(not line.is_published for line in shims)
        about = slurm_conf.ABOUT
        yield from guarded(about, slurm_conf.version(conf))
        yield from guarded(about, slurm_conf.flags(conf))
        yield from guarded(about, slurm_conf.hooks(conf, settings_file, shim=shim))
        yield from guarded(about, slurm_conf.limits(conf, site))
        yield from guarded(about, slurm_conf.licences(conf, site, names))
        yield from guarded(plugstack.ABOUT, plugstack.shim(site, shims))
    slurmd_uid = None if conf is None else conf.slurmd_uid
    jobs_of_all = slurmd_uid in (None, 0)
    another = [*permissions.account(slurmd_uid)]
    yield from another
    about = permissions.ABOUT
    yield from guarded("settings", permissions.settings(site, settings_file, jobs_of_all))
    if not problem:
        yield from guarded(about, permissions.configuration(report))
    yield from guarded(about, permissions.commands(site))
    if not another:
        yield from guarded(about, permissions.state(site, jobs_of_all))
        yield from guarded(about, permissions.outputs(site))
    yield from guarded("Python", permissions.python(jobs_of_all))
    yield from guarded("configuration", resources.settings(report, site.list_delimiter))
    if reach is not None:
        yield from guarded("resources", reach.findings())
    if not another:
        yield from guarded(leftovers.ABOUT, leftovers.left(site))
    yield from guarded(leftovers.ABOUT, leftovers.timer())


def _without(secrets: Secrets, finding: Finding) -> Finding:
    """Return a finding on one line, with its secrets redacted."""
    about, line, remedy = (
        one_line(secrets.without(text or ""))
        for text in (finding.about, finding.message, finding.remedy)
    )
    return attrs.evolve(finding, about=about, message=line, remedy=remedy or None)
