"""The files that `qrmi-slurm setup` writes."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path

import pytest

from qrmi_slurm import cli
from support.slurm_site import SlurmSite

FILES = {
    "prolog",
    "task-prolog",
    "epilog",
    "qrmi-slurm",
    "qrmi.lua",
    "job_submit.lua",
    "slurm.conf.sample",
    "plugstack.conf.sample",
    "qrmi-slurm-sweep.service",
    "qrmi-slurm-sweep.timer",
}


@pytest.fixture
def folder(tmp_path: Path, site: SlurmSite) -> Path:
    site.resources(site.entry("qpu_a"), site.entry("qpu-b.2"))
    return tmp_path / "etc/qrmi"


def setup(site: SlurmSite, folder: Path) -> int:
    return cli.main(["--settings", str(site.settings), "setup", "--folder", str(folder)])


def test_scripts_start_this_interpreter_isolated(site: SlurmSite, folder: Path) -> None:
    assert setup(site, folder) == 0
    assert {path.name for path in folder.iterdir()} == FILES
    environment = {"PYTHONPATH": "/nowhere", "PYTHONHOME": "/nowhere", "PATH": os.defpath}
    done = subprocess.run(
        [folder / "qrmi-slurm", "--version"], env=environment, capture_output=True, text=True
    )
    assert done.stdout.startswith("qrmi-slurm "), done
    for verb in ("prolog", "task-prolog", "epilog"):
        path = folder / verb
        assert stat.S_IMODE(path.stat().st_mode) == 0o755
        done = subprocess.run([path], env=environment, capture_output=True, text=True)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_samples_have_the_sites_names_and_paths(site: SlurmSite, folder: Path) -> None:
    setup(site, folder)
    sample = (folder / "slurm.conf.sample").read_text()
    assert "\nLicenses=qpu_a:1,qpu-b.2:1\n" in sample
    assert f"\nProlog={folder}/prolog\n" in sample
    assert 'local known = { "qpu_a", "qpu-b.2" }' in (folder / "qrmi.lua").read_text()
    assert json.dumps(f"{folder}/qrmi.lua") in (folder / "job_submit.lua").read_text()
    assert not any("@" in path.read_text() for path in folder.glob("*.sample"))


def test_running_it_again_renews_what_it_wrote_alone(
    site: SlurmSite, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    setup(site, folder)
    (folder / "epilog").write_text("#!/bin/sh\n# the site's own\n")
    changed = (folder / "job_submit.lua").read_text() + "-- changed\n"
    (folder / "job_submit.lua").write_text(changed)
    site.resources(site.entry("qpu_c"))
    capsys.readouterr()
    assert setup(site, folder) == 1
    told = capsys.readouterr().out
    assert "the site's own" in (folder / "epilog").read_text()
    assert (folder / "job_submit.lua").read_text() == changed
    assert 'known = { "qpu_c" }' in (folder / "qrmi.lua").read_text()
    assert f"written: {folder}/qrmi.lua" in told
    assert f"up to date: {folder}/prolog" in told
    assert told.count("left alone") == 2


def test_a_name_that_is_no_licence_is_told(
    site: SlurmSite, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site.resources(site.entry("qpu_a"), site.entry('qpu "b", c'))
    assert setup(site, folder) == 0
    assert "'qpu \"b\", c' cannot be the name of a licence" in capsys.readouterr().out
    assert 'local known = { "qpu_a" }' in (folder / "qrmi.lua").read_text()


def test_a_folder_that_slurm_conf_cannot_name_is_refused(
    site: SlurmSite, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert setup(site, folder / "our own") == 1
    assert "cannot name such a folder" in capsys.readouterr().err
    assert not folder.exists()


def test_settings_that_are_not_there_are_refused_if_they_were_named(
    site: SlurmSite, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site.settings.unlink()
    assert setup(site, folder) == 1
    assert f"{site.settings}: No such file" in capsys.readouterr().err
    assert not folder.exists()


@pytest.mark.parametrize("broken", ["settings", "configuration", "folder"])
def test_what_is_broken_is_told_and_nothing_is_written(
    site: SlurmSite, folder: Path, broken: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = {"settings": site.settings, "configuration": site.config, "folder": folder}[broken]
    path.parent.mkdir(exist_ok=True)
    path.write_text("{")
    assert setup(site, folder) == 1
    assert str(path) in capsys.readouterr().err
    assert not folder.is_dir()
