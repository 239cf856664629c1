"""Problems of administrators: broken files, full disks, missing responses."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from qrmi_core import Config, ResourceDef
from qrmi_slurm import records, site as sites, trust
from qrmi_slurm.log import Secrets
from qrmi_slurm.resources import hide
from support.slurm_site import KEY, SlurmSite

root_only = pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")


def told(site: SlurmSite) -> str:
    """Return the reason why the job has no QPU, as its user reads it."""
    status, variables, (printed,) = site.task()
    assert (status, variables) == (1, {})
    return printed


# Files of the site


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("config = ", "slurm.toml: it is not TOML"),
        ("colour = 'red'\n", "the key colour is unknown (known: config, state"),
        ("acquire_timeout_seconds = 'long'\n", "acquire_timeout_seconds must be a number of"),
        ("when_unavailable = 'wait'\n", "when_unavailable must be fail or requeue"),
        ("config = 'qrmi_config.json'\n", "config must be an absolute path"),
    ],
)
def test_broken_settings_are_told_to_the_job(
    site: SlurmSite, content: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, path in (("log", site.log), ("accounting", site.accounting)):
        monkeypatch.setitem(sites.KEYS, key, (str(path), *sites.KEYS[key][1:]))
    site.configure()
    # The rest applies nevertheless, so all programs find the records.
    kept = [line for line in site.settings.read_text().splitlines() if "state" in line]
    site.settings.write_text("\n".join([*kept, content]))
    assert site.prolog("qpu=qpu_a").status == 0
    assert reason in told(site)
    assert site.prolog("no qpu", SLURM_JOB_ID="72").status == 0
    assert site.task(SLURM_JOB_ID="72") == (0, {}, [])
    assert site.epilog().status == 0
    assert site.records() == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "qrmi_config.json: is not JSON"),
        ('{"resources": [{"name": "qpu_a"}]}', "qpu_a: type is missing"),
        (None, "qrmi_config.json: cannot be read: No such file"),
    ],
)
def test_a_broken_configuration_is_told_to_the_job(
    site: SlurmSite, content: str | None, reason: str
) -> None:
    site.config.unlink()
    if content is not None:
        site.config.write_text(content)
    site.prolog("qpu=qpu_a")
    assert reason in told(site)


def test_a_missing_plugin_is_told_with_what_to_install(site: SlurmSite) -> None:
    site.resources({**site.entry("qpu_a"), "type": "pasqal-cloud-of-tomorrow"})
    site.prolog("qpu=qpu_a")
    assert "pasqal-cloud-of-tomorrow" in told(site)


def test_a_key_in_a_file_that_cannot_be_read_is_named(site: SlurmSite) -> None:
    entry = site.entry("qpu_a")
    del entry["environment"]["QRMI_FILED_TEST_APIKEY"]
    entry["scheduler_environment"] = {"QRMI_FILED_TEST_APIKEY_FILE": "/nowhere/key"}
    site.resources(entry)
    site.prolog("qpu=qpu_a")
    assert "QRMI_FILED_TEST_APIKEY_FILE: cannot read" in told(site)


def test_a_configuration_that_breaks_while_a_job_runs_delays_its_release(site: SlurmSite) -> None:
    site.prolog("qpu=qpu_a")
    good = site.config.read_text()
    site.resources(site.entry("qpu_b"))
    site.epilog()
    assert "no longer has the entry qpu_a" in site.log.read_text()
    site.config.write_text(good)
    site.jobs()
    assert site.run("sweep").status == 0
    assert site.vendor.held() == set()


# The folder of records


def refused(site: SlurmSite) -> None:
    """Assert that nothing is acquired without a record, and that the job is cancelled."""
    ended = site.prolog("qpu=qpu_a")
    assert ended.status == 0
    assert "the record cannot be kept" in ended.errors
    assert site.vendor.entries("acquire") == []
    assert site.called("scancel") == ["71"]
    assert site.epilog().status == 0


def test_a_requeued_job_without_a_record_of_its_own_is_cancelled(site: SlurmSite) -> None:
    site.prolog("qpu=qpu_a")
    # The node failed, so tasks would get the variables of the previous run.
    (site.state / "71.1").touch()
    ended = site.prolog("qpu=qpu_b", SLURM_JOB_RESTART_COUNT="1")
    assert "the record cannot be kept" in ended.errors
    assert site.called("scancel") == ["71"]


def test_a_job_whose_tasks_find_its_record_fails_by_itself(
    site: SlurmSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(records.Folder, "show", full)
    ended = site.prolog("qpu=qpu_a")
    assert "the record cannot be kept" in ended.errors
    assert site.called("scancel") == []
    assert "was interrupted on" in told(site)


def test_a_folder_that_everybody_may_write_to_is_refused(site: SlurmSite) -> None:
    site.state.mkdir()
    site.state.chmod(0o777)
    refused(site)


@root_only
def test_a_folder_of_a_user_is_refused(site: SlurmSite) -> None:
    site.state.mkdir()
    os.chown(site.state, 12345, 12345)
    refused(site)


@root_only
def test_a_link_of_a_user_is_refused(site: SlurmSite) -> None:
    elsewhere = site.folder / "elsewhere"
    elsewhere.mkdir()
    site.state.symlink_to(elsewhere)
    os.lchown(site.state, 12345, 12345)
    refused(site)
    assert list(elsewhere.iterdir()) == []


@root_only
def test_a_log_that_is_a_link_of_a_user_is_not_followed(site: SlurmSite) -> None:
    victim = site.folder / "victim"
    victim.write_text("as it was")
    site.log.parent.mkdir()
    site.log.symlink_to(victim)
    os.lchown(site.log, 12345, 12345)
    site.prolog("qpu=qpu_a")
    assert victim.read_text() == "as it was"
    assert site.task()[0] == 0


def test_folders_of_daemons_are_trusted_and_those_of_users_are_not(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    folder.mkdir()
    folder.chmod(0o775)  # writable by a group, like /var/log by syslog
    trust.check(str(folder / "file"))
    folder.chmod(0o777)
    with pytest.raises(trust.Untrusted, match="chmod go-w"):
        trust.check(str(folder / "file"))
    folder.chmod(0o1777)
    trust.check(str(folder / "file"))
    if os.getuid() == 0:
        os.chown(folder, 0, 12345)
        folder.chmod(0o775)
        with pytest.raises(trust.Untrusted, match="others may write"):
            trust.check(str(folder / "file"))


def test_a_folder_that_users_cannot_pass_is_opened_for_them(site: SlurmSite) -> None:
    site.state.mkdir(mode=0o700)
    site.prolog("qpu=qpu_a")
    assert stat.S_IMODE(site.state.stat().st_mode) == 0o711


def test_a_record_that_cannot_be_read_costs_no_node(site: SlurmSite) -> None:
    site.prolog("qpu=qpu_a")
    (site.state / "71.0/record.json").write_text("[")
    assert site.epilog().status == 0
    site.jobs()
    ended = site.run("sweep")
    assert ended.status == 1
    assert ended.output.startswith("71.0: ")


def test_a_prolog_that_ended_early_fails_the_job_with_a_reason(site: SlurmSite) -> None:
    site.prolog("qpu=qpu_a")
    (site.state / "71.0/variables.json").unlink()
    assert "was interrupted on n1 (No such file or directory)" in told(site)


def test_a_job_of_the_option_without_a_record_fails_with_a_reason(site: SlurmSite) -> None:
    option = {"SLURM_SPANK__SLURM_SPANK_OPTION_spank_qrmi_qpu": "qpu_a"}
    status, _, (printed,) = site.task(**option)
    assert status == 1
    assert "--qpu=qpu_a: the prolog left no record on n1" in printed
    # On other nodes the setting is missing, and the first node's variables are used.
    assert site.task(SLURMD_NODENAME="n2", **option) == (0, {}, [])
    # The option may come from the job that submitted this one.
    assert site.task(QRMI_JOB_ID="70", **option) == (0, {}, [])


@pytest.mark.parametrize("number", range(1, 14))
def test_on_a_full_disk_nothing_stays_acquired(site: SlurmSite, number: int) -> None:
    real = os.fsync

    def full_disk() -> None:
        calls = 0

        def fsync(descriptor: int) -> None:
            nonlocal calls
            calls += 1
            if calls >= number:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            real(descriptor)

        os.fsync = fsync  # type: ignore[assignment]

    environment = site.environment("qpu=qpu_a,qpu_b")
    ended = site.start("prolog", environment=environment, before=full_disk).wait()
    assert ended.status == 0
    assert site.called("scancel") == []
    if site.task()[0] == 0:
        assert len(site.vendor.held()) == 2
    site.epilog()
    assert site.vendor.held() == set()
    assert site.records() == []


# Logs


def test_a_log_that_cannot_be_written_goes_to_slurmd(site: SlurmSite) -> None:
    site.log.mkdir(parents=True)
    ended = site.prolog("qpu=qpu_a")
    assert "job 71.0 has qpu_a" in ended.errors
    assert site.task()[0] == 0


def test_accounting_that_cannot_be_written_is_made_up_for_without_a_second_release(
    site: SlurmSite,
) -> None:
    site.accounting.mkdir(parents=True)
    site.prolog("qpu=qpu_a")
    site.epilog()
    assert site.vendor.held() == set()
    site.jobs()
    assert site.run("sweep").status == 1
    site.accounting.rmdir()
    assert site.run("sweep").status == 0
    assert [line["outcome"] for line in site.accounts()] == ["released"]
    assert len(site.vendor.entries("release")) == 1
    assert site.records() == []


def test_no_log_has_a_secret(site: SlurmSite) -> None:
    site.vendor.misbehave("acquire", "refused", "odd", "ok")
    site.vendor.misbehave("release", "refused", "odd", "ok")
    for run in range(3):
        site.prolog("qpu=qpu_a", SLURM_JOB_RESTART_COUNT=str(run))
    tokens = site.vendor.held()
    assert len(tokens) == 1
    site.epilog(SLURM_JOB_RESTART_COUNT="2")
    site.jobs()
    outputs = [site.run("sweep") for _ in range(2)]
    logged = site.log.read_text() + "".join(ended.output + ended.errors for ended in outputs)
    assert "key *** was refused" in logged
    for secret in (KEY, *tokens):
        assert secret not in logged


def test_of_secrets_that_contain_each_other_nothing_is_left() -> None:
    secrets = Secrets()
    secrets.add(["secret", "secret-and-more", "of/more", None, ""])
    assert secrets.without("secret-and-more, secret, of%2Fmore") == "<hidden>, <hidden>, <hidden>"


@pytest.mark.parametrize(
    ("key", "characters"), [("QRMI_FILED_TEST_APIKEY", 4), ("QRMI_FILED_TEST_ADDRESS", 8)]
)
def test_values_of_the_scheduler_are_hidden_from_a_certain_length_on(
    key: str, characters: int
) -> None:
    for length in (characters - 1, characters):
        secrets = Secrets()
        value = "x1y2z3w4"[:length]
        entry = ResourceDef("qpu", "filed", False, {}, scheduler_environment={key: value})
        hide(Config(Path("file"), (entry,)), secrets)
        assert (secrets.without(f"<{value}>") == "<<hidden>>") == (length == characters)


# Missing responses


@pytest.mark.slow
def test_a_vendor_that_does_not_answer_the_release_is_left_to_the_sweep(site: SlurmSite) -> None:
    site.configure(epilog_limit_seconds=1)
    site.prolog("qpu=qpu_a,qpu_b")
    site.vendor.misbehave("release-qpu_a", "silent")
    start = time.monotonic()
    assert site.epilog().status == 0
    assert time.monotonic() - start < 15
    # The other one gets its share of the time.
    assert [entry.resource for entry in site.vendor.entries("release")] == ["qpu_b"]
    site.jobs((71, "COMPLETED", 0))
    ended = site.run("sweep")
    assert (ended.status, ended.output) == (0, "71.0: released qpu_a\n")
    assert len(site.vendor.entries("release")) == 2


def test_what_the_vendor_does_not_tell_is_left_open_in_the_accounting(site: SlurmSite) -> None:
    site.vendor.misbehave("usage", "broken")
    site.prolog("qpu=qpu_a")
    site.epilog()
    (line,) = site.accounts()
    assert (line["tasks"], line["quantum_seconds"], line["outcome"]) == (None, None, "released")


def test_a_command_of_slurm_that_hangs_is_left(
    site: SlurmSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qrmi_slurm import slurm

    (site.folder / "scontrol.hangs").touch()
    monkeypatch.setattr(slurm, "LIMIT_SECONDS", 0.2)
    site.prolog("qpu=qpu_a")
    assert site.task()[0] == 0
    assert "scontrol did not respond within 0.2 s" in site.log.read_text()


def test_outside_of_slurm_the_hooks_do_nothing(site: SlurmSite) -> None:
    for verb in ("prolog", "task-prolog", "epilog"):
        ended = site.run(verb, environment={})
        assert (ended.status, ended.output, ended.errors) == (0, "", "")
    ended = site.run("prolog", "--qpu=qpu_a", environment={})
    assert ended.status == 0
    assert site.vendor.entries() == []


def test_a_clock_that_was_set_back_counts_no_negative_time(site: SlurmSite) -> None:
    site.prolog("qpu=qpu_a")
    record = site.state / "71.0/record.json"
    text = record.read_text()
    year = time.gmtime().tm_year
    record.write_text(text.replace(f'"since": "{year}', f'"since": "{year + 1}'))
    site.epilog()
    assert site.accounts()[0]["seconds"] == 0


# Imports


@pytest.mark.parametrize(
    ("verb", "comment"), [("task-prolog", ""), ("prolog", "no qpu"), ("epilog", "")]
)
def test_for_jobs_without_a_qpu_next_to_nothing_is_imported(
    site: SlurmSite, verb: str, comment: str
) -> None:
    program = (
        "import sys; from qrmi_slurm.cli import main\n"
        f"status = main(['--settings', {str(site.settings)!r}, {verb!r}])\n"
        "print(*sorted(sys.modules)); sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"sys_path = {sys.path!r}\nimport sys\n"
         f"sys.path[:] = sys_path\n{program}"],
        env=site.environment(comment),
        capture_output=True,
        text=True,
        timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    modules = set(done.stdout.split())
    dear = {"attr", "attrs", "re", "typing", "tomllib", "logging", "subprocess", "requests"}
    assert modules & (dear | {"qrmi_core"}) == set()


def test_a_task_prolog_imports_no_http_stack_and_no_attrs(site: SlurmSite) -> None:
    site.prolog("qpu=qpu_a")
    program = (
        f"import sys; sys.path[:] = {sys.path!r}\n"
        "from qrmi_slurm.cli import main\n"
        f"main(['--settings', {str(site.settings)!r}, 'task-prolog'])\n"
        "print('print', *sorted(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program],
        env=site.environment(),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    *exports, modules = done.stdout.splitlines()
    assert "export QRMI_JOB_QPU_RESOURCES=qpu_a" in exports
    dear = {"attr", "attrs", "tomllib", "logging", "subprocess", "socket", "ssl", "qrmi_core"}
    assert set(modules.split()) & dear == set()
