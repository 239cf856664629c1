"""Hooks that run at the same time, and hooks that are killed at any point."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from support.filed_vendor import FiledDriver
from support.slurm_site import SlurmSite

pytestmark = pytest.mark.slow


def until(condition: Callable[[], object]) -> None:
    """Wait for a condition, for 20 s at most."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_two_prologs_at_once_acquire_once(site: SlurmSite) -> None:
    environment = site.environment("qpu=qpu_a,qpu_b")
    running = [site.start("prolog", environment=environment) for _ in range(4)]
    assert [process.wait().status for process in running] == [0] * 4
    assert len(site.vendor.entries("acquire")) == 2
    assert site.task()[0] == 0


def test_epilogs_and_sweeps_at_once_release_once(site: SlurmSite) -> None:
    site.prolog("qpu=qpu_a,qpu_b")
    site.jobs()
    site.vendor.misbehave("release", *["slow"] * 2)
    running = [site.start(verb) for verb in ("epilog", "sweep", "epilog", "sweep")]
    assert [process.wait().status for process in running] == [0] * 4
    assert len(site.vendor.entries("release")) == 2
    assert len(site.accounts()) == 2
    assert site.records() == []


def test_an_epilog_waits_for_the_prolog_and_releases_what_it_acquired(site: SlurmSite) -> None:
    site.vendor.misbehave("acquire-qpu_b", "slow")
    site.configure(acquire_timeout_seconds=20)
    prolog = site.start("prolog", environment=site.environment("qpu=qpu_a,qpu_b"))
    until(site.vendor.held)
    epilog = site.start("epilog")
    assert (prolog.wait().status, epilog.wait().status) == (0, 0)
    assert len(site.vendor.entries("acquire")) == 2
    assert site.vendor.held() == set()
    assert site.records() == []


def test_an_epilog_does_not_wait_for_ever(site: SlurmSite) -> None:
    site.configure(epilog_limit_seconds=1)
    site.vendor.misbehave("acquire", "silent")
    prolog = site.start("prolog", environment=site.environment("qpu=qpu_a"))
    until(lambda: (site.state / "71.0/record.json").exists())
    assert site.epilog().status == 0
    assert "another process is at work" in site.log.read_text()
    prolog.kill()
    prolog.wait()
    site.epilog()
    assert site.records() == []


def test_an_epilog_that_is_told_to_end_ends_what_it_began(site: SlurmSite) -> None:
    site.prolog("qpu=qpu_a,qpu_b")
    site.vendor.misbehave("release-qpu_a", "slow")
    epilog = site.start("epilog")
    until(lambda: site.vendor.entries("release"))
    epilog.kill(signal.SIGTERM)
    assert epilog.wait().status == 0
    assert site.vendor.held() == set()
    assert site.records() == []


def test_jobs_at_once_do_not_meet(site: SlurmSite) -> None:
    site.resources(*(site.entry(f"qpu_{number}") for number in range(8)))
    running = [
        site.start(
            "prolog", environment=site.environment(f"qpu=qpu_{number}", SLURM_JOB_ID=str(number))
        )
        for number in range(8)
    ]
    assert {process.wait().status for process in running} == {0}
    for number in range(8):
        variables = site.task(SLURM_JOB_ID=str(number))[1]
        assert variables["QRMI_JOB_QPU_RESOURCES"] == f"qpu_{number}"
    running = [
        site.start("epilog", environment=site.environment(SLURM_JOB_ID=str(number)))
        for number in range(8)
    ]
    assert {process.wait().status for process in running} == {0}
    assert site.vendor.held() == set()
    assert len(site.accounts()) == 8


# Killed

CHANGES = ("mkdir", "rename", "replace", "symlink", "unlink", "rmdir", "write")


def killer(number: int) -> Callable[[], None]:
    """Let the process kill itself before its n-th change, or after one at the vendor."""

    def prepare() -> None:
        steps = 0

        def step() -> None:
            nonlocal steps
            steps += 1
            if steps == number:
                os.kill(os.getpid(), signal.SIGKILL)

        def watched(function: Callable[..., Any], *, twice: bool = False) -> Callable[..., Any]:
            def wrapper(*arguments: Any, **named: Any) -> Any:
                step()
                result = function(*arguments, **named)
                if twice:
                    step()
                return result

            return wrapper

        for name in CHANGES:
            setattr(os, name, watched(getattr(os, name)))
        for name in ("acquire", "release"):
            setattr(FiledDriver, name, watched(getattr(FiledDriver, name), twice=True))

    return prepare


def killed_at_each_step(
    site: SlurmSite,
    verb: str,
    before: Callable[[], object],
    after: Callable[[int], object],
    environment: dict[str, str],
) -> int:
    """Run a verb repeatedly, killed one step later each time, until it survives."""
    for number in range(1, 500):
        before()
        ended = site.start(verb, environment=environment, before=killer(number)).wait()
        after(ended.status)
        if ended.status == 0:
            return number
        assert ended.status == -signal.SIGKILL
    raise AssertionError("it never ended")


@pytest.fixture
def quiet(site: SlurmSite) -> SlurmSite:
    """Return a site whose log takes no steps."""
    site.configure(log_level="error")
    site.says("scontrol", "JobId=71 TimeLimit=00:05:00\n")
    return site


def check_all_given_back(site: SlurmSite, *, uncertain: bool) -> None:
    """Assert that every token was released, or else that it was lost and that this was reported."""
    site.jobs()
    assert site.run("sweep").status == 0
    assert site.records() == []
    lines = site.accounts()
    released = {line["token"] for line in lines if line["outcome"] == "released"}
    assert released == {entry.token for entry in site.vendor.entries("release")}
    unknown = [line["resource"] for line in lines if line["outcome"] == "uncertain"]
    if not uncertain:
        assert unknown == []
    lost = [entry for entry in site.vendor.entries("acquire") if entry.token not in released]
    assert {entry.resource for entry in lost} <= set(unknown)
    for path in (site.accounting, site.vendor.book):
        path.write_text("") if path.exists() else None


@pytest.mark.timeout(300)
def test_whenever_a_prolog_is_killed_nothing_is_lost(quiet: SlurmSite) -> None:
    environment = quiet.environment("qpu=qpu_a,qpu_b")

    def after(status: int) -> None:
        if status and "71" in quiet.records():
            # If Slurm starts the job anyway, it has all QPUs or fails.
            failed, variables, _ = quiet.task()
            assert failed or "qpu_b_QRMI_JOB_ACQUISITION_TOKEN" in variables
        quiet.epilog()
        check_all_given_back(quiet, uncertain=True)

    assert killed_at_each_step(quiet, "prolog", lambda: None, after, environment) > 15


@pytest.mark.timeout(300)
def test_a_prolog_after_one_that_was_killed_serves_the_job(quiet: SlurmSite) -> None:
    environment = quiet.environment("qpu=qpu_a")

    def after(status: int) -> None:
        lost = quiet.vendor.held()
        if status and not quiet.task()[1]:
            # Sessions that nobody recorded end by the vendor's own limit.
            book = quiet.vendor.book
            known = "".join(path.read_text() for path in quiet.state.rglob("record.json"))
            lines = book.read_text().splitlines(keepends=True)
            tokens = {token for token in lost if token not in known}
            book.write_text("".join(line for line in lines if line.split("\t")[2] not in tokens))
        quiet.prolog("qpu=qpu_a")
        variables = quiet.task()[1]
        assert {variables["qpu_a_QRMI_JOB_ACQUISITION_TOKEN"]} == quiet.vendor.held()
        quiet.epilog()
        assert quiet.vendor.held() == set()
        quiet.vendor.book.write_text("")

    killed_at_each_step(quiet, "prolog", lambda: None, after, environment)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("verb", ["epilog", "sweep"])
def test_whenever_a_release_is_killed_the_sweep_completes_it(quiet: SlurmSite, verb: str) -> None:
    quiet.jobs()

    def before() -> None:
        quiet.prolog("qpu=qpu_a,qpu_b")
        assert len(quiet.vendor.held()) == 2

    def after(_status: int) -> None:
        check_all_given_back(quiet, uncertain=False)

    assert killed_at_each_step(quiet, verb, before, after, quiet.environment()) > 12
