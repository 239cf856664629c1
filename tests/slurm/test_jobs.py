"""Whatever happens to a job, its QPUs are released exactly once, and no node is drained."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import Future, wait

import pytest

from support.cluster import wait_for
from support.job_cases import (
    CASES,
    Case,
    assert_ended,
    the_time_limit_ends_a_script_that_ignores_signals,
    token_of,
)
from support.real_site import ADMIN_KEY, GHOST, RUNTIME, Site, side_by_side, started

_SECRET = re.compile("KEY|TOKEN|SECRET|PASSWORD")
pytestmark = pytest.mark.timeout(200)

LONGEST = the_time_limit_ends_a_script_that_ignores_signals


@pytest.fixture(scope="module", params=["scripts", "shim"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    with started(request.param) as site:
        yield site


@pytest.fixture(scope="module")
def outcomes(site: Site) -> Iterator[dict[Case, Future[None]]]:
    """All cases, side by side."""
    with side_by_side(site, CASES) as outcomes:
        yield outcomes


@pytest.fixture
def nearly_alone(outcomes: dict[Case, Future[None]]) -> None:
    """The cases have ended, but for the longest, which minds nothing that happens meanwhile."""
    wait(future for case, future in outcomes.items() if case is not LONGEST)


@pytest.fixture
def alone(outcomes: dict[Case, Future[None]]) -> None:
    """The cases have ended."""
    wait(outcomes.values())


@pytest.mark.parametrize(
    "case", [case for case in CASES if case is not LONGEST], ids=lambda case: case.__name__
)
def test(case: Case, outcomes: dict[Case, Future[None]]) -> None:
    outcomes[case].result()


@pytest.mark.usefixtures("nearly_alone")
def test_a_job_outlives_its_slurmd(site: Site) -> None:
    name = site.qpu()
    held = site.held("env")
    job = site.cluster.submit(held.script, "--nodelist=n2", *site.ask(name))
    token = token_of(name, job.wait_for_text("here"))
    site.cluster.kill_slurmd("n2")
    held.go_on()
    job.wait_for_text("gone")
    assert site.sessions(name)[0].closed is None
    site.cluster.start_slurmd("n2")
    assert_ended(site, job, "COMPLETED")
    assert site.assert_released(name) == [token]


@pytest.mark.usefixtures("nearly_alone")
def test_a_job_can_wait_for_a_qpu_instead_of_failing(site: Site) -> None:
    name = site.qpu()
    site.vendor.set_resource(name, status="offline")
    site.plugin.write_settings(when_unavailable="requeue")
    job = site.cluster.submit("env", "--requeue", *site.ask(name))
    wait_for(lambda: job.field("Restarts") != "0", lambda: f"{job.show()}\n{site.log(job.id)}")
    site.vendor.set_resource(name, status="online")
    assert_ended(site, job, "COMPLETED")
    assert [token_of(name, job.output)] == site.assert_released(name)
    # What will not get better by waiting fails the job all the same.
    job = site.cluster.submit("echo ran", "--requeue", *site.ask(GHOST))
    assert_ended(site, job, "FAILED", "1:0")
    assert job.field("Restarts") == "0"
    site.plugin.write_settings()


@pytest.mark.usefixtures("nearly_alone")
def test_the_qpus_of_a_job_are_settled_when_it_is_submitted(site: Site) -> None:
    names = [site.qpu(), site.qpu()]
    job = site.cluster.submit("env", "--hold", *site.ask(names[0]))
    for change in (f"comment=qpu={names[1]}", "comment=other", f"licenses={names[1]}"):
        done = site.cluster.run("scontrol", "update", f"jobid={job.id}", change)
        assert done.returncode, change
        assert "license" in done.stderr
    site.cluster.command("scontrol", "update", f"jobid={job.id}", f"comment=tea qpu={names[0]}")
    site.cluster.command("scontrol", "release", job.id)
    assert_ended(site, job, "COMPLETED")
    assert [token_of(names[0], job.output)] == site.assert_released(names[0])
    assert not site.sessions(names[1])


def test_the_time_limit_ends_a_script_that_ignores_signals(
    outcomes: dict[Case, Future[None]],
) -> None:
    outcomes[LONGEST].result()


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("broken", ["configuration", "settings", "records"])
def test_a_site_that_is_broken_fails_jobs_with_qpus_alone(site: Site, broken: str) -> None:
    name = site.qpu()
    [state] = site.plugin.state
    try:
        if broken == "configuration":
            site.plugin.config.write_text("{")
        elif broken == "settings":
            site.plugin.write_settings(log_level="loud")
        else:
            state.rename(state.with_name("away"))
            state.touch()
        job = site.cluster.submit("echo ran", *site.ask(name))
        other = site.cluster.submit("echo ran")
        job.wait()
        other.wait()
    finally:
        if broken == "records":
            state.unlink()
            state.with_name("away").rename(state)
        site.plugin.write_settings()
        site.plugin.write_config(site.config)
    expected = "CANCELLED" if broken == "records" else "FAILED"
    assert (job.state, other.state) == (expected, "COMPLETED"), f"{job.output} {job.logs()}"
    assert "ran" not in job.output.splitlines()
    if broken != "records":
        assert str(site.plugin.folder) in job.output
    site.assert_well()
    assert not site.sessions(name)


@pytest.mark.usefixtures("alone")
def test_every_acquisition_was_released_and_accounted_for_once(site: Site) -> None:
    site.cluster.wait_until_idle()
    sessions = [x for vendor in site.vendors for x in vendor.faces[0].state.sessions.values()]
    assert len(sessions) > 30
    assert sorted(site.releases()) == sorted(session.id for session in sessions)
    lines = [line for line in site.accounting() if line["type"] == RUNTIME]
    released = [line["token"] for line in lines if line["outcome"] == "released"]
    assert sorted(released) == sorted(session.id for session in sessions)
    assert {line["outcome"] for line in lines} == {"released", "release-failed", "user"}
    assert not site.records()
    assert site.plugin.program("sweep") == ""


@pytest.mark.usefixtures("alone")
def test_no_secret_is_in_a_log(site: Site) -> None:
    hidden = {ADMIN_KEY}
    for entry in site.config["resources"]:
        hidden |= {text for key, text in entry["environment"].items() if _SECRET.search(key)}
    assert len(hidden) > len(site.vendors)
    if site.mode == "shim":
        # What a task prolog sets is logged by slurmd; of an acquisition that is its name alone.
        hidden |= {x.id for vendor in site.vendors for x in vendor.faces[0].state.sessions.values()}
    logs = [*site.cluster.logs.iterdir(), site.plugin.log]
    assert any("debug3" in path.read_text(errors="replace") for path in logs)
    told = {path.name: path.read_text(errors="replace") for path in logs}
    told["scontrol"] = site.cluster.command("scontrol", "show", "job", "-dd")
    told["squeue"] = site.cluster.command("squeue", "--states=all", "--Format=All")
    found = {
        name: line
        for name, text in told.items()
        for line in text.splitlines()
        if any(text in line for text in hidden)
    }
    assert not found
