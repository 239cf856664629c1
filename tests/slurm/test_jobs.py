"""Whatever happens to a job, its QPUs are released exactly once, and no node is drained.

Each test uses its own QPUs. The tests that run side by side stand first, the longest at the top.
"""

from __future__ import annotations

import itertools
import os
import re
import shlex
import signal
import subprocess
from pathlib import Path

import pytest

from qrmi_core import QuantumResource
from support.cluster import Job, wait_for
from support.real_site import (
    ADMIN_KEY,
    FLAKY,
    GHOST,
    LOCAL,
    NOBODY,
    OWN_KEY,
    REFUSING,
    RUNTIME,
    SLOW,
    Site,
    token_of,
    variables,
)

_SECRET = re.compile("KEY|TOKEN|SECRET|PASSWORD")
pytestmark = pytest.mark.timeout(200)

# Also with a folder of records per node, and with both ways to get QPUs at once.
on_every_site = pytest.mark.parametrize(
    "site",
    ["scripts", "shim", "scripts-own-records", "shim-own-records", "both-own-records"],
    indirect=True,
)


# --- the long ones first --------------------------------------------------------------------------


@pytest.mark.side_by_side
def test_the_time_limit_ends_a_script_that_ignores_signals(site: Site) -> None:
    name = site.qpu()
    script = "trap '' TERM\necho ignoring\nwhile :; do sleep 1; done"
    job = site.cluster.submit(script, "--time=1", "--nodelist=n1", *site.ask(name))
    job.wait_for_text("ignoring")
    assert len(site.sessions(name)) == 1
    # The shortest time limit is a minute, but its end can be set to the second.
    site.cluster.command("scontrol", "update", f"jobid={job.id}", "EndTime=now+2")
    job.wait(seconds=60)
    site.assert_ended(job, "TIMEOUT", "0:9")
    assert "DUE TO TIME LIMIT" in job.output
    site.assert_released(name)


@pytest.mark.side_by_side
def test_a_job_that_is_requeued_acquires_anew(site: Site) -> None:
    name = site.qpu()
    held = site.held("env")
    job = site.cluster.submit(held.script, "--requeue", "--open-mode=append", *site.ask(name))
    job.wait_for_text("here")
    site.cluster.command("scontrol", "requeue", job.id)
    job.wait("PENDING")
    site.assert_released(name)
    wait_for(lambda: job.output.count("here") == 2, lambda: f"{job.show()} {job.output}", 40)
    first, second = job.output.split("here")[:2]
    held.go_on()
    site.assert_ended(job, "COMPLETED")
    tokens = site.assert_released(name, times=2)
    assert [token_of(name, first), token_of(name, second)] == tokens
    assert [line["restart"] for line in site.accounting(job.id)] == [0, 1]


@pytest.mark.side_by_side
def test_an_array_shares_one_qpu_one_task_after_the_other(site: Site) -> None:
    name = site.qpu()
    job = site.cluster.submit(
        "env", "--array=1-3", f"--output={site.folder}/jobs/array-%a", *site.ask(name)
    )
    tasks = [
        Job(site.cluster, f"{job.id}_{index}", site.folder / f"jobs/array-{index}")
        for index in (1, 2, 3)
    ]
    wait_for(lambda: all(task.id in site.cluster.jobs() for task in tasks), "three tasks", 40)
    for task in tasks:
        site.assert_ended(task, "COMPLETED")
    tokens = site.assert_released(name, times=3)
    assert sorted(token_of(name, task.output) for task in tasks) == sorted(tokens)
    sessions = site.sessions(name)
    assert all(before.closed <= after.created for before, after in itertools.pairwise(sessions))
    ids = {task.field("JobId") for task in tasks}
    lines = [line for line in site.accounting() if str(line["job_id"]) in ids]
    assert {(line["array_job_id"], line["array_task_id"]) for line in lines} == {
        (int(job.id), 1),
        (int(job.id), 2),
        (int(job.id), 3),
    }


@pytest.mark.side_by_side
def test_two_jobs_compete_for_one_licence(site: Site) -> None:
    name = site.qpu()
    held = site.held("env")
    first = site.cluster.submit(held.script, *site.ask(name))
    first.wait_for_text("here")
    second = site.cluster.submit("env", *site.ask(name))
    third = site.cluster.submit("env", *site.ask(name))
    wait_for(lambda: second.field("Reason") == "Licenses", second.show)
    # A job cancelled in the queue has acquired nothing.
    site.cluster.command("scancel", third.id)
    site.assert_ended(third, "CANCELLED")
    assert not third.output
    assert len(site.sessions(name)) == 1
    held.go_on()
    site.assert_ended(first, "COMPLETED")
    site.assert_ended(second, "COMPLETED")
    tokens = site.assert_released(name, times=2)
    assert [token_of(name, job.output) for job in (first, second)] == tokens


@pytest.mark.side_by_side
def test_a_slow_release_drains_no_node(site: Site) -> None:
    name = site.qpu()
    held = site.held("env")
    job = site.cluster.submit(held.script, *site.ask(name))
    token = token_of(name, job.wait_for_text("here"))
    # The release takes longer than UnkillableStepTimeout.
    site.vendor.fault("latency", path=f"*/sessions/{token}/close", delay=7.0)
    site.cluster.command("scancel", job.id)
    job.wait("COMPLETING")
    site.assert_ended(job, "CANCELLED", "0:15")
    assert site.assert_released(name) == [token]


@pytest.mark.side_by_side
def test_a_release_that_fails_is_kept_for_the_sweep(site: Site) -> None:
    held = site.held("env")
    job = site.cluster.submit(held.script, *site.ask(FLAKY))
    token = token_of(FLAKY, job.wait_for_text("here"))
    site.flaky.fault("status", path="*/sessions/*", status=400, count=None)
    held.go_on()
    job.wait()
    assert (job.state, job.field("ExitCode")) == ("COMPLETED", "0:0")
    assert site.sessions(FLAKY)[0].closed is None
    dry = site.plugin.run("sweep", "--dry-run")
    assert f"{job.id}.0: would release {FLAKY}" in dry.stdout, dry
    failed = site.plugin.run("sweep")
    assert failed.returncode == 1, failed
    assert f"{job.id}.0: {FLAKY} could not be released" in failed.stdout
    site.flaky.clear_faults()
    assert f"{job.id}.0: released {FLAKY}" in site.plugin.program("sweep")
    site.assert_ended(job, "COMPLETED")
    assert site.assert_released(FLAKY) == [token]
    outcomes = [line["outcome"] for line in site.accounting(job.id)]
    assert outcomes == ["release-failed", "released"]


@pytest.mark.side_by_side
def test_a_job_whose_slurmstepd_was_killed_is_released_at_its_end(site: Site) -> None:
    name = site.qpu()
    job = site.cluster.submit("echo here; exec sleep 300", *site.ask(name))
    job.wait_for_text("here")
    title = f"slurmstepd: [{job.id}.batch]".encode()
    stepd = next(
        int(process.name)
        for process in Path("/proc").glob("[0-9]*")
        if (process / "cmdline").exists()
        and (process / "cmdline").read_bytes().startswith(title)
        and str(site.folder).encode() in (process / "environ").read_bytes()
    )
    os.kill(stepd, signal.SIGKILL)
    wait_for(lambda: not Path("/proc", str(stepd)).exists(), "the end of slurmstepd")
    assert job.state == "RUNNING"
    assert site.sessions(name)[0].closed is None
    site.cluster.command("scancel", job.id)
    site.assert_ended(job, "CANCELLED", job.wait().field("ExitCode"))
    site.assert_released(name)


# --- how a job asks -------------------------------------------------------------------------------


@on_every_site
@pytest.mark.side_by_side
def test_one_qpu(site: Site) -> None:
    name = site.qpu()
    held = site.held("env", "echo step", "srun env")
    job = site.cluster.submit(held.script, "--time=7", *site.ask(name))
    batch, _, step = job.wait_for_text("here").partition("step\n")
    [session] = site.sessions(name)
    assert session.closed is None
    for found in variables(batch), variables(step):
        assert found[f"{name}_QRMI_JOB_ACQUISITION_TOKEN"] == session.id
        assert found[f"{name}_QRMI_JOB_TIMEOUT_SECONDS"] == "420"
        assert found["QRMI_JOB_ID"] == job.id
        assert found["QRMI_JOB_UID"] == str(os.geteuid())
        for prefix in ("QRMI", "SLURM"):
            assert found[f"{prefix}_JOB_QPU_RESOURCES"] == name
            assert found[f"{prefix}_JOB_QPU_TYPES"] == RUNTIME
        assert found[f"{name}_QRMI_IBM_QCS_ENDPOINT"].startswith(site.vendor.url)
        # Slurm logs the variables that the scripts set, so these name a file.
        key = f"{name}_QRMI_IBM_QCS_IAM_APIKEY"
        assert (key in found) == (site.mode != "scripts")
        assert (f"{key}_FILE" in found) == (site.mode == "scripts")
    held.go_on()
    site.assert_ended(job, "COMPLETED")
    assert site.assert_released(name) == [session.id]
    [line] = site.accounting(job.id)
    assert (line["resource"], line["token"], line["outcome"]) == (name, session.id, "released")


@on_every_site
@pytest.mark.side_by_side
def test_two_qpus(site: Site) -> None:
    names = [site.qpu(), site.qpu()]
    # Spaces, empty entries and duplicates, as people write them.
    options = (
        [f"--qpu= {names[0]} ,{names[1]},,{names[0]}"]
        if site.mode == "shim"
        else [f"--comment=mine  qpu= {names[0]} , {names[1]},,{names[0]}"]
    )
    job = site.cluster.submit("env", *options)
    site.assert_ended(job, "COMPLETED")
    found = variables(job.output)
    assert found["QRMI_JOB_QPU_RESOURCES"] == ",".join(names)
    assert found["QRMI_JOB_QPU_TYPES"] == f"{RUNTIME},{RUNTIME}"
    assert [token_of(name, job.output) for name in names] == site.assert_released(*names)
    assert job.field("Licenses") == ",".join(f"{name}:1" for name in names)


@pytest.mark.side_by_side
def test_every_way_to_ask_is_counted_once(site: Site) -> None:
    names = [site.qpu() for _ in range(3)]
    job = site.cluster.submit(
        "env",
        f"--qpu={names[0]}" if site.mode == "shim" else f"--gres=qpu:{names[0]}",
        f"--licenses={names[1]},{names[0]}:1",
        f"--comment=tea qpu={names[2]},{names[0]} milk",
    )
    site.assert_ended(job, "COMPLETED")
    assert variables(job.output)["QRMI_JOB_QPU_RESOURCES"].split(",") == [
        names[0],
        names[1],
        names[2],
    ]
    licenses = [text.removesuffix(":1") for text in job.field("Licenses").split(",")]
    assert sorted(licenses) == sorted(names)
    assert job.field("Comment").strip() == f"tea milk qpu={','.join(names)}"
    site.assert_released(*names)


@pytest.mark.side_by_side
def test_srun_outside_of_a_job(site: Site) -> None:
    name = site.qpu()
    done = site.cluster.run("srun", *site.ask(name, step=True), "env")
    assert done.returncode == 0, done.stderr
    found = variables(done.stdout)
    # srun does not wait for the epilog.
    assert site.cluster.job(found["SLURM_JOB_ID"]).wait().state == "COMPLETED"
    assert [token_of(name, done.stdout)] == site.assert_released(name)
    site.assert_well()


@pytest.mark.side_by_side
def test_salloc(site: Site) -> None:
    name = site.qpu()
    done = site.cluster.run("salloc", *site.ask(name), "srun", "env")
    assert done.returncode == 0, done.stderr
    found = variables(done.stdout)
    assert site.cluster.job(found["SLURM_JOB_ID"]).wait().state == "COMPLETED"
    assert [token_of(name, done.stdout)] == site.assert_released(name)
    site.assert_well()


@pytest.mark.side_by_side
def test_without_the_users_environment(site: Site) -> None:
    name = site.qpu()
    job = site.cluster.submit("env", "--export=NONE", *site.ask(name), HIDDEN="not exported")
    site.assert_ended(job, "COMPLETED")
    assert "HIDDEN" not in variables(job.output)
    assert [token_of(name, job.output)] == site.assert_released(name)


@pytest.mark.side_by_side
def test_what_the_user_has_set_counts(site: Site) -> None:
    name = site.qpu()
    mine = {f"{name}_QRMI_IBM_QCS_SESSION_MODE": "batch", f"{name}_QRMI_JOB_ACQUISITION_TOKEN": "x"}
    job = site.cluster.submit("env", *site.ask(name), **mine, QRMI_JOB_QPU_RESOURCES="other")
    site.assert_ended(job, "COMPLETED")
    found = variables(job.output)
    assert mine.items() <= found.items()
    assert found["QRMI_JOB_QPU_RESOURCES"] == name
    # The site releases what it acquired, whatever the user has set.
    [session] = site.sessions(name)
    assert session.mode == "dedicated"
    assert site.assert_released(name) == [session.id] != ["x"]


@pytest.mark.side_by_side
def test_a_job_submitted_by_a_job_gets_its_own(site: Site) -> None:
    names = [site.qpu(), site.qpu()]
    inner = site.folder / "jobs" / f"inner-{names[1]}"
    options = " ".join(site.ask(names[1]))
    outer = site.cluster.submit(
        f"env\nsbatch --parsable --output={inner} {options} --wrap env", *site.ask(names[0])
    )
    site.assert_ended(outer, "COMPLETED")
    job = site.cluster.job(outer.output.splitlines()[-1], inner)
    site.assert_ended(job, "COMPLETED")
    found = variables(job.output)
    assert found["QRMI_JOB_QPU_RESOURCES"] == names[1]
    assert found["QRMI_JOB_ID"] == job.id
    assert [token_of(names[0], outer.output), token_of(names[1], job.output)] == (
        site.assert_released(*names)
    )


@pytest.mark.side_by_side
def test_a_job_without_a_qpu_is_left_alone(site: Site) -> None:
    job = site.cluster.submit("env; srun env")
    site.assert_ended(job, "COMPLETED")
    assert not any("QRMI" in name for name in variables(job.output))


@pytest.mark.side_by_side
def test_a_qpu_that_the_job_acquires_itself_is_only_counted_and_named(site: Site) -> None:
    job = site.cluster.submit("env", *site.ask(OWN_KEY))
    site.assert_ended(job, "COMPLETED")
    found = variables(job.output)
    assert found["QRMI_JOB_QPU_RESOURCES"] == OWN_KEY
    assert f"{OWN_KEY}_QRMI_IBM_QCS_ENDPOINT" in found
    assert not any("APIKEY" in name or "TOKEN" in name for name in found)
    assert job.field("Licenses") == f"{OWN_KEY}:1"
    assert not site.sessions(OWN_KEY)
    [line] = site.accounting(job.id)
    assert (line["outcome"], line["token"]) == ("user", None)


# --- what goes wrong ------------------------------------------------------------------------------


@pytest.mark.side_by_side
def test_an_unknown_qpu_is_refused_at_submission(site: Site) -> None:
    asked = [site.ask("fake_nowhere"), ["--gres=qpu:2"], ["--comment=qpu=fake_nowhere"]]
    asked.append(["--comment=mine qpu= ,"])
    if site.mode == "shim":
        asked.append(["--qpu="])
    for options in asked:
        done = site.cluster.run("sbatch", *options, "--wrap", "true")
        assert done.returncode, options
        assert "qrmi-slurm: " in done.stderr
        assert LOCAL in done.stderr, "the names that are known"


@pytest.mark.side_by_side
def test_a_qpu_that_was_taken_out_of_the_configuration_fails_the_job(site: Site) -> None:
    job = site.cluster.submit("echo ran", *site.ask(GHOST))
    site.assert_ended(job, "FAILED", "1:0")
    assert f"unknown QPU {GHOST}" in job.output
    assert LOCAL in job.output
    assert "ran" not in job.output.splitlines()


@pytest.mark.side_by_side
def test_a_busy_qpu_fails_the_job(site: Site) -> None:
    settings = {"QRMI_LOCAL_HOME": str(site.local_home), "QRMI_LOCAL_LEASE_SECONDS": "600"}
    other = QuantumResource(LOCAL, "local", settings)
    token = other.acquire(0, detached=True)
    job = site.cluster.submit("echo ran", *site.ask(LOCAL))
    site.assert_ended(job, "FAILED", "1:0")
    assert LOCAL in job.output
    assert "ran" not in job.output.splitlines()
    other.release(token)
    # The job left nothing behind: the next one acquires the QPU and releases it.
    job = site.cluster.submit("env", *site.ask(LOCAL))
    site.assert_ended(job, "COMPLETED")
    assert token_of(LOCAL, job.output) != token
    assert not any("LEASE" in name for name in variables(job.output)), "for the scheduler alone"
    other.release(other.acquire(0))
    assert [line["outcome"] for line in site.accounting(job.id)] == ["released"]


@on_every_site
@pytest.mark.side_by_side
def test_of_two_qpus_one_is_not_to_be_had(site: Site) -> None:
    name = site.qpu()
    job = site.cluster.submit("echo ran; env", *site.ask(REFUSING, name))
    site.assert_ended(job, "FAILED", "1:0")
    assert REFUSING in job.output
    assert "ran" not in job.output.splitlines()
    site.assert_released(name)
    assert not site.sessions(REFUSING)


@pytest.mark.side_by_side
def test_a_qpu_that_is_not_accessible_fails_the_job(site: Site) -> None:
    name = site.qpu()
    site.vendor.set_resource(name, status="maintenance", reason="until noon")
    for command in ("sbatch", "srun"):
        if command == "sbatch":
            job = site.cluster.submit("echo ran", *site.ask(name))
            site.assert_ended(job, "FAILED", "1:0")
            output = job.output
        else:
            done = site.cluster.run("srun", *site.ask(name, step=True), "echo", "ran")
            assert done.returncode == 1
            output = done.stdout + done.stderr
        assert name in output
        assert "until noon" in output
        assert "ran" not in output.splitlines()
    assert not site.sessions(name)
    site.assert_well()


@pytest.mark.side_by_side
def test_cancelled_while_it_acquires(site: Site) -> None:
    job = site.cluster.submit("echo ran", *site.ask(SLOW))
    # The request for a session has taken the latency, which has only begun.
    wait_for(lambda: not site.slow.info()["faults"], job.show)
    site.cluster.command("scancel", job.id)
    # The exit code is 1:0 if Slurm has already tried to start the script.
    site.assert_ended(job, "CANCELLED", job.wait().field("ExitCode"))
    assert not job.output
    site.assert_released(SLOW)


@on_every_site
@pytest.mark.side_by_side
def test_cancelled_while_it_runs(site: Site) -> None:
    name = site.qpu()
    job = site.cluster.submit(site.held("env").script, *site.ask(name))
    token = token_of(name, job.wait_for_text("here"))
    site.cluster.command("scancel", job.id)
    site.assert_ended(job, "CANCELLED", "0:15")
    assert site.assert_released(name) == [token]


@pytest.mark.side_by_side
def test_a_script_that_fails(site: Site) -> None:
    name = site.qpu()
    job = site.cluster.submit("exit 7", *site.ask(name))
    site.assert_ended(job, "FAILED", "7:0")
    site.assert_released(name)


# --- several nodes --------------------------------------------------------------------------------


@on_every_site
@pytest.mark.side_by_side
def test_two_nodes_share_one_acquisition(site: Site) -> None:
    name = site.qpu()
    key = f"{name}_QRMI_JOB_ACQUISITION_TOKEN"
    secret = f"{name}_QRMI_IBM_QCS_IAM_APIKEY"
    read = f'"$(cat ${secret}_FILE)"' if site.mode == "scripts" else f"${secret}"
    script = f"echo $SLURMD_NODENAME ${key} $QRMI_JOB_ID {read}"
    job = site.cluster.submit(
        f"srun --ntasks-per-node=1 sh -c {shlex.quote(script)}", "--nodes=2", *site.ask(name)
    )
    site.assert_ended(job, "COMPLETED")
    [token] = site.assert_released(name)
    key_read = site.vendor.settings_for(RUNTIME)["QRMI_IBM_QCS_IAM_APIKEY"]
    assert sorted(job.output.splitlines()) == [
        f"{node} {token} {job.id} {key_read}" for node in ("n1", "n2")
    ]


@on_every_site
@pytest.mark.side_by_side
def test_a_heterogeneous_job(site: Site) -> None:
    names = [site.qpu(), site.qpu()]
    options = [*site.ask(names[0]), "--nodelist=n1", ":", *site.ask(names[1]), "--nodelist=n2"]
    job = site.cluster.submit(
        "env; echo steps; srun --het-group=0,1 env | grep QPU_RESOURCES", *options
    )
    site.assert_ended(job, "COMPLETED")
    for job_id, line in list(site.cluster.jobs().items()):
        if f" HetJobId={job.id} " in line:
            assert site.cluster.job(job_id).wait().state == "COMPLETED"
    batch, _, steps = job.output.partition("steps\n")
    tokens = site.assert_released(*names)
    assert token_of(names[0], batch) == tokens[0]
    assert steps.count(f"QRMI_JOB_QPU_RESOURCES={names[0]}") == 2, "of two tasks"


# --- users ----------------------------------------------------------------------------------------


@pytest.mark.side_by_side
def test_another_users_job(site: Site) -> None:
    if site.closed_to_others:
        pytest.skip(site.closed_to_others)
    name = site.qpu()
    held = site.held("id -u", "env")
    job = site.cluster.submit(held.script, *site.ask(name), user=NOBODY)
    token = token_of(name, job.wait_for_text("here"))
    assert job.output.splitlines()[0] == str(NOBODY)
    assert variables(job.output)["QRMI_JOB_UID"] == str(NOBODY)
    records = [path for path in site.records() if path.name.startswith(f"{job.id}.")]
    assert len(records) == 1
    modes = {path.name: path.stat() for path in records[0].iterdir()}
    assert (modes["variables.json"].st_uid, modes["variables.json"].st_mode & 0o777) == (
        NOBODY,
        0o400,
    )
    assert (modes["record.json"].st_uid, modes["record.json"].st_mode & 0o777) == (0, 0o600)
    assert subprocess.run(["ls", records[0]], user=NOBODY, capture_output=True).returncode
    held.go_on()
    site.assert_ended(job, "COMPLETED")
    assert site.assert_released(name) == [token]


# --- alone on the site ----------------------------------------------------------------------------


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
    site.assert_ended(job, "COMPLETED")
    assert site.assert_released(name) == [token]


def test_a_job_can_wait_for_a_qpu_instead_of_failing(site: Site) -> None:
    name = site.qpu()
    site.vendor.set_resource(name, status="offline")
    site.plugin.write_settings(when_unavailable="requeue")
    job = site.cluster.submit("env", "--requeue", *site.ask(name))
    wait_for(lambda: job.field("Restarts") != "0", lambda: f"{job.show()}\n{site.log(job.id)}")
    site.vendor.set_resource(name, status="online")
    site.assert_ended(job, "COMPLETED")
    assert [token_of(name, job.output)] == site.assert_released(name)
    # A failure that waiting cannot fix still fails the job.
    job = site.cluster.submit("echo ran", "--requeue", *site.ask(GHOST))
    site.assert_ended(job, "FAILED", "1:0")
    assert job.field("Restarts") == "0"
    site.plugin.write_settings()


def test_the_qpus_of_a_job_are_settled_when_it_is_submitted(site: Site) -> None:
    names = [site.qpu(), site.qpu()]
    job = site.cluster.submit("env", "--hold", *site.ask(names[0]))
    for change in (f"comment=qpu={names[1]}", "comment=other", f"licenses={names[1]}"):
        done = site.cluster.run("scontrol", "update", f"jobid={job.id}", change)
        assert done.returncode, change
        assert "license" in done.stderr
    site.cluster.command("scontrol", "update", f"jobid={job.id}", f"comment=tea qpu={names[0]}")
    site.cluster.command("scontrol", "release", job.id)
    site.assert_ended(job, "COMPLETED")
    assert [token_of(names[0], job.output)] == site.assert_released(names[0])
    assert not site.sessions(names[1])


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


def test_every_acquisition_was_released_and_accounted_for_once(site: Site) -> None:
    job = site.cluster.submit("env", *site.ask(site.qpu()))
    site.assert_ended(job, "COMPLETED")
    site.cluster.wait_until_idle()
    sessions = [x for vendor in site.vendors for x in vendor.faces[0].state.sessions.values()]
    assert sessions
    assert sorted(site.releases()) == sorted(session.id for session in sessions)
    lines = [line for line in site.accounting() if line["type"] == RUNTIME]
    released = [line["token"] for line in lines if line["outcome"] == "released"]
    assert sorted(released) == sorted(session.id for session in sessions)
    assert {line["outcome"] for line in lines} <= {"released", "release-failed", "user"}
    assert not site.records()
    assert site.plugin.program("sweep") == ""


def test_no_secret_is_in_a_log(site: Site) -> None:
    hidden = {ADMIN_KEY}
    for entry in site.config["resources"]:
        hidden |= {text for key, text in entry["environment"].items() if _SECRET.search(key)}
    assert len(hidden) > len(site.vendors)
    if site.mode == "shim":
        # slurmd logs the token that a task prolog sets, but not one that the shim sets.
        hidden |= {x.id for vendor in site.vendors for x in vendor.faces[0].state.sessions.values()}
    logs = [*site.cluster.logs.iterdir(), site.plugin.log]
    assert any("debug3" in path.read_text(errors="replace") for path in logs)
    texts = {path.name: path.read_text(errors="replace") for path in logs}
    texts["scontrol"] = site.cluster.command("scontrol", "show", "job", "-dd")
    texts["squeue"] = site.cluster.command("squeue", "--states=all", "--Format=All")
    found = {
        name: line
        for name, text in texts.items()
        for line in text.splitlines()
        if any(text in line for text in hidden)
    }
    assert not found
