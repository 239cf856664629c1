"""Sessions that the sweep releases, and sessions that it leaves alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from qrmi_slurm.records import locked
from support.slurm_site import SlurmSite


@pytest.fixture
def left(site: SlurmSite) -> SlurmSite:
    """Return a site whose node failed while a job ran."""
    site.prolog("qpu=qpu_a")
    return site


@pytest.mark.parametrize("state", ["COMPLETED", "CANCELLED", "TIMEOUT", "NODE_FAIL"])
def test_what_a_job_has_left_is_released_when_it_has_ended(left: SlurmSite, state: str) -> None:
    left.jobs((71, state, 0), (72, "RUNNING", 0))
    ended = left.run("sweep")
    assert (ended.status, ended.output) == (0, "71.0: released qpu_a\n")
    assert left.vendor.held() == set()
    assert left.records() == []
    assert left.run("sweep").output == ""


def test_a_job_that_slurm_has_forgotten_has_ended(left: SlurmSite) -> None:
    left.jobs()
    assert left.run("sweep").status == 0
    assert left.vendor.held() == set()


@pytest.mark.parametrize("state", ["RUNNING", "COMPLETING", "SUSPENDED", "CONFIGURING", "PENDING"])
def test_a_job_that_is_not_over_keeps_its_qpu(left: SlurmSite, state: str) -> None:
    left.jobs((71, state, 0))
    ended = left.run("sweep")
    assert (ended.status, ended.output) == (0, "")
    assert len(left.vendor.held()) == 1
    assert left.task()[0] == 0


def test_the_earlier_run_of_a_job_that_was_requeued_is_over(left: SlurmSite) -> None:
    left.jobs((71, "RUNNING", 1))
    assert left.run("sweep").status == 0
    assert left.vendor.held() == set()


def test_without_an_answer_of_the_controller_nothing_is_released(left: SlurmSite) -> None:
    left.fails("squeue", "slurm_load_jobs error: Unable to contact slurm controller")
    ended = left.run("sweep")
    assert ended.status == 2
    assert "Unable to contact slurm controller" in ended.errors
    assert len(left.vendor.held()) == 1


def test_a_dry_run_only_tells(left: SlurmSite) -> None:
    left.jobs()
    ended = left.run("sweep", "--dry-run")
    assert (ended.status, ended.output) == (0, "71.0: would release qpu_a\n")
    assert len(left.vendor.held()) == 1


def test_a_release_that_fails_is_told_and_tried_again(left: SlurmSite) -> None:
    left.jobs()
    left.vendor.misbehave("release", "broken", "broken")
    for _ in range(2):
        ended = left.run("sweep")
        assert ended.status == 1
        assert "71.0: qpu_a could not be released: the service answered 500" in ended.output
    assert left.run("sweep").status == 0
    assert left.vendor.held() == set()
    assert [line["outcome"] for line in left.accounts()] == ["release-failed", "released"]


def test_a_release_that_failed_before_is_tried_again_while_the_job_is_there(
    left: SlurmSite,
) -> None:
    left.vendor.misbehave("release", "broken")
    left.epilog()
    left.jobs((71, "COMPLETING", 0))
    assert left.run("sweep").status == 0
    assert left.vendor.held() == set()


@pytest.mark.slow
def test_a_vendor_that_does_not_answer_is_asked_once_for_all_its_records(left: SlurmSite) -> None:
    left.configure(epilog_limit_seconds=1)
    left.prolog("qpu=qpu_b", SLURM_JOB_ID="72")
    left.resources(left.entry("qpu_a"), left.entry("qpu_b"), left.entry("qpu_c"))
    left.vendor.misbehave("release-qpu_a", "silent", "silent")
    left.jobs()
    assert left.run("sweep").status == 1
    assert {entry.resource for entry in left.vendor.entries("release")} == {"qpu_b"}


def test_a_record_at_which_another_process_is_at_work_is_left_to_it(left: SlurmSite) -> None:
    left.jobs()
    with locked(str(left.state), 71, 0, seconds=0.0):
        ended = left.run("sweep")
    assert (ended.status, ended.output) == (0, "71.0: another process is at work\n")
    assert len(left.vendor.held()) == 1


def _a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _not_json(path: Path) -> None:
    path.write_text("[")


def _another_record(path: Path) -> None:
    path.write_text('{"job": {}}')


def _behind_a_link(path: Path) -> None:
    lock = path.parent / "lock"
    lock.unlink()
    lock.symlink_to("elsewhere")


BROKEN = [_a_folder, _not_json, _another_record, _behind_a_link]


@pytest.mark.parametrize("damage", BROKEN)
def test_a_record_that_cannot_be_used_keeps_no_other_from_its_release(
    left: SlurmSite, damage: Callable[[Path], None]
) -> None:
    damage(left.state / "71.0/record.json")
    left.prolog("qpu=qpu_b", SLURM_JOB_ID="72")
    left.jobs()
    ended = left.run("sweep")
    assert ended.status == 1
    broken, released = ended.output.splitlines()
    assert broken.startswith("71.0: ")
    assert released == "72.0: released qpu_b"


@pytest.mark.parametrize("damage", BROKEN)
def test_a_record_of_an_earlier_run_keeps_no_later_one_from_its_release(
    left: SlurmSite, damage: Callable[[Path], None]
) -> None:
    damage(left.state / "71.0/record.json")
    left.prolog("qpu=qpu_b", SLURM_JOB_RESTART_COUNT="1")
    assert left.task()[1]["QRMI_JOB_QPU_RESOURCES"] == "qpu_b"
    left.epilog(SLURM_JOB_RESTART_COUNT="1")
    assert [entry.resource for entry in left.vendor.entries("release")] == ["qpu_b"]
    assert left.records() == ["71.0"]


def test_keys_that_cannot_be_removed_keep_no_others(left: SlurmSite) -> None:
    for name in ("keys.98", "keys.99"):
        (left.state / name).mkdir()
    (left.state / "keys.98").rmdir()
    (left.state / "keys.98").symlink_to(left.folder)
    left.jobs()
    ended = left.run("sweep")
    assert ended.status == 1
    assert ended.output.splitlines()[1].startswith("keys.98: ")
    assert left.records() == ["keys.98"]
    assert left.config.exists()


@pytest.mark.slow
def test_slurm_is_asked_once_however_many_records_there_are(left: SlurmSite) -> None:
    for job in range(72, 92):
        left.prolog("qpu=qpu_x", SLURM_JOB_ID=str(job))
    left.jobs()
    ended = left.run("sweep")
    assert ended.status == 0
    assert len(ended.output.splitlines()) == 21
    assert len(left.called("squeue")) == 1
    assert left.records() == []


def test_what_was_killed_before_it_had_a_record_is_removed(left: SlurmSite) -> None:
    (left.state / "90.0").mkdir()
    (left.state / "90.0/lock").touch()
    (left.state / "notes").touch()
    left.jobs((71, "RUNNING", 0))
    assert left.run("sweep").output == "90.0: released nothing\n"
    assert left.records() == ["71", "71.0", "notes"]


def test_without_records_slurm_is_not_asked(site: SlurmSite) -> None:
    assert site.run("sweep").status == 0
    site.state.mkdir()
    assert site.run("sweep").status == 0
    assert site.called("squeue") == []


def test_broken_settings_are_told(site: SlurmSite) -> None:
    site.configure(colour="red")
    ended = site.run("sweep")
    assert ended.status == 2
    assert "the key colour is unknown" in ended.errors
