"""Without the SPANK plugin, secrets are passed to jobs in files, since Slurm logs variables."""

from __future__ import annotations

import os
from pathlib import Path

from support.slurm_site import KEY, SlurmSite


def _task(site: SlurmSite, **more: str) -> dict[str, str]:
    environment = {"SLURM_JOB_ID": "71", "SLURM_JOB_NODELIST": "n[1-2]", "SLURMD_NODENAME": "n1"}
    ended = site.run("task-prolog", environment={**environment, **more})
    assert ended.status == 0, ended
    assert KEY not in ended.output
    lines = [line.removeprefix("export ") for line in ended.output.splitlines()]
    return dict(line.split("=", 1) for line in lines if "=" in line)


def test_a_secret_is_in_a_file_of_the_users_until_the_job_has_ended(site: SlurmSite) -> None:
    site.resources(site.entry("qpu_a"))
    site.run("prolog", environment=site.environment("qpu=qpu_a"))
    variables = _task(site)
    assert "qpu_a_QRMI_FILED_TEST_APIKEY" not in variables
    path = Path(variables["qpu_a_QRMI_FILED_TEST_APIKEY_FILE"])
    assert path.read_text() == KEY
    assert path.stat().st_mode & 0o777 == 0o400
    assert path.parent.stat().st_mode & 0o777 == 0o711
    assert variables["qpu_a_QRMI_JOB_ACQUISITION_TOKEN"]
    site.epilog()
    assert site.records() == []


def test_the_other_nodes_of_a_job_have_its_files_too(site: SlurmSite) -> None:
    site.resources(site.entry("qpu_a"))
    elsewhere = site.environment("qpu=qpu_a", SLURMD_NODENAME="n2", SLURM_NODELIST="n[1-2]")
    site.run("prolog", environment=elsewhere)
    assert site.records() == ["keys.71"]
    [path] = (site.state / "keys.71").iterdir()
    assert path.read_text() == KEY
    # the path that the first node reports
    site.run("prolog", environment=site.environment("qpu=qpu_a", SLURM_NODELIST="n[1-2]"))
    assert _task(site)["qpu_a_QRMI_FILED_TEST_APIKEY_FILE"] == str(path)
    # The folder is shared, so the first node removes it.
    site.run("epilog", environment=elsewhere)
    assert path.exists()
    site.run("epilog", environment=site.environment(SLURM_NODELIST="n[1-2]"))
    assert site.records() == []


def test_a_node_with_a_folder_of_its_own_removes_the_files(site: SlurmSite) -> None:
    site.resources(site.entry("qpu_a"))
    elsewhere = site.environment("qpu=qpu_a", SLURMD_NODENAME="n2", SLURM_NODELIST="n[1-2]")
    site.run("prolog", environment=elsewhere)
    site.run("epilog", environment=elsewhere)
    assert site.records() == []


def test_the_files_are_removed_where_nothing_can_be_released(site: SlurmSite) -> None:
    site.resources(site.entry("qpu_a"))
    site.run("prolog", environment=site.environment("qpu=qpu_a"))
    site.state.chmod(0o733)  # The epilog trusts no record in this folder.
    site.epilog()
    assert "keys.71" not in site.records()
    assert len(site.vendor.held()) == 1


def test_a_key_that_the_user_has_set_counts_as_a_variable_too(site: SlurmSite) -> None:
    site.resources(site.entry("qpu_a"))
    site.run("prolog", environment=site.environment("qpu=qpu_a"))
    variables = _task(site, qpu_a_QRMI_FILED_TEST_APIKEY="the user's")
    assert not any("APIKEY" in name for name in variables)


def test_with_the_plugin_too_the_scripts_leave_the_secrets_to_it(site: SlurmSite) -> None:
    site.resources(site.entry("qpu_a"))
    site.run("prolog", "--spank", "--qpu=qpu_a", environment=site.environment("qpu=qpu_a"))
    site.run("prolog", environment=site.environment("qpu=qpu_a"))
    assert not any("APIKEY" in name for name in _task(site))
    assert site.task()[1]["qpu_a_QRMI_FILED_TEST_APIKEY"] == KEY


def test_no_key_is_written_or_removed_through_a_link(site: SlurmSite) -> None:
    elsewhere = site.folder / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    (elsewhere / "kept").touch()
    site.state.mkdir(mode=0o711)
    (site.state / "keys.71").symlink_to(elsewhere)
    site.run("prolog", environment=site.environment("qpu=qpu_a"))
    status, _, (printed,) = site.task()
    assert status == 1
    assert "could not be acquired" in printed
    site.epilog()
    site.jobs()
    site.run("sweep", environment={})
    assert [path.name for path in elsewhere.iterdir()] == ["kept"]
    assert elsewhere.stat().st_mode & 0o777 == 0o700
    assert site.vendor.entries("acquire") == []


def test_a_link_in_place_of_a_key_is_replaced(site: SlurmSite) -> None:
    victim = site.folder / "victim"
    victim.write_text("as it was")
    (site.state / "keys.71").mkdir(parents=True)
    name = "qpu_a.QRMI_FILED_TEST_APIKEY"
    (site.state / "keys.71" / name).symlink_to(victim)
    site.run("prolog", environment=site.environment("qpu=qpu_a"))
    assert victim.read_text() == "as it was"
    assert not (site.state / "keys.71" / name).is_symlink()
    assert Path(_task(site)["qpu_a_QRMI_FILED_TEST_APIKEY_FILE"]).read_text() == KEY


def test_the_sweep_removes_what_an_epilog_has_left(site: SlurmSite) -> None:
    site.resources(site.entry("qpu_a"))
    os.makedirs(site.state / "keys.99", 0o711)
    (site.state / "keys.99/qpu_a.KEY").write_text("left")
    site.run("sweep", environment={})
    assert site.records() == []
