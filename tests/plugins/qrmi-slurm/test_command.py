"""The command and its reference."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest

from qrmi_slurm import cli
from support.slurm_settings_table import slurm_settings_table
from support.slurm_site import SlurmSite

README = Path(__file__).parents[3] / "plugins/qrmi-slurm/README.md"


def test_the_readme_has_all_settings() -> None:
    assert slurm_settings_table() in README.read_text(encoding="utf-8")


@pytest.mark.parametrize("verb", ["sweep", "setup", "check", "build-shim"])
def test_each_verb_of_an_administrator_has_help(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([verb, "--help"])
    assert ended.value.code == 0
    assert f"qrmi-slurm {verb}" in capsys.readouterr().out
    assert f"`{verb}`" in README.read_text(encoding="utf-8")


def test_a_wrong_verb_is_told(site: SlurmSite) -> None:
    ended = site.run("swep")
    assert ended.status == 2
    assert "unknown verb 'swep'" in ended.errors
    assert site.run("--help").output.startswith("usage: qrmi-slurm")


def test_the_version_is_that_of_the_package(site: SlurmSite) -> None:
    assert site.run("--version").output == f"qrmi-slurm {version('qrmi-slurm')}\n"


def test_settings_may_be_named_in_both_ways(site: SlurmSite) -> None:
    assert cli.main([f"--settings={site.settings}", "task-prolog"]) == 0
    assert cli.main([]) == 2
