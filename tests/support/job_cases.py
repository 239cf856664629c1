"""What may happen to a job with QPUs. Each case has QPUs of its own, so that all run side by side.

After each: the job's state, its exit code, the text in its output, no node drained, and every
acquisition released exactly once, as the vendor saw it.
"""

from __future__ import annotations

import itertools
import os
import shlex
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from qrmi_core import QuantumResource
from support.cluster import Job, wait_for
from support.real_site import (
    FLAKY,
    GHOST,
    LOCAL,
    NOBODY,
    OWN_KEY,
    REFUSING,
    RUNTIME,
    SLOW,
    Site,
    variables,
)

Case = Callable[[Site], None]
CASES: list[Case] = []


def case(function: Case) -> Case:
    """Add a case to the list."""
    CASES.append(function)
    return function


def assert_ended(site: Site, job: Job, state: str, code: str = "0:0") -> None:
    """A job has ended so, and left nothing behind."""
    job.wait()
    told = f"{job.output}\n{job.show()}\n{site.log(job.id)}"
    assert (job.state, job.field("ExitCode")) == (state, code), told
    left = [path.name.removeprefix("keys.").partition(".")[0] for path in site.records()]
    assert job.id not in left, told
    site.assert_well()


def token_of(name: str, output: str) -> str:
    """The acquisition token in what a job printed."""
    return variables(output)[f"{name}_QRMI_JOB_ACQUISITION_TOKEN"]


# --- the long ones first --------------------------------------------------------------------------


@case
def the_time_limit_ends_a_script_that_ignores_signals(site: Site) -> None:
    name = site.qpu()
    script = "trap '' TERM\necho ignoring\nwhile :; do sleep 1; done"
    job = site.cluster.submit(script, "--time=1", "--nodelist=n1", *site.ask(name))
    job.wait_for_text("ignoring")
    assert len(site.sessions(name)) == 1
    # Slurm's shortest limit is a minute; its end can be set to the second.
    site.cluster.command("scontrol", "update", f"jobid={job.id}", "EndTime=now+2")
    job.wait(seconds=60)
    assert_ended(site, job, "TIMEOUT", "0:9")
    assert "DUE TO TIME LIMIT" in job.output
    site.assert_released(name)


@case
def a_job_that_is_requeued_acquires_anew(site: Site) -> None:
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
    assert_ended(site, job, "COMPLETED")
    tokens = site.assert_released(name, times=2)
    assert [token_of(name, first), token_of(name, second)] == tokens
    assert [line["restart"] for line in site.accounting(job.id)] == [0, 1]


@case
def an_array_shares_one_qpu_one_task_after_the_other(site: Site) -> None:
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
        assert_ended(site, task, "COMPLETED")
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


@case
def two_jobs_compete_for_one_licence(site: Site) -> None:
    name = site.qpu()
    held = site.held("env")
    first = site.cluster.submit(held.script, *site.ask(name))
    first.wait_for_text("here")
    second = site.cluster.submit("env", *site.ask(name))
    third = site.cluster.submit("env", *site.ask(name))
    wait_for(lambda: second.field("Reason") == "Licenses", second.show)
    # Cancelled in the queue, a job has acquired nothing.
    site.cluster.command("scancel", third.id)
    assert_ended(site, third, "CANCELLED")
    assert not third.output
    assert len(site.sessions(name)) == 1
    held.go_on()
    assert_ended(site, first, "COMPLETED")
    assert_ended(site, second, "COMPLETED")
    tokens = site.assert_released(name, times=2)
    assert [token_of(name, job.output) for job in (first, second)] == tokens


@case
def a_slow_release_drains_no_node(site: Site) -> None:
    name = site.qpu()
    held = site.held("env")
    job = site.cluster.submit(held.script, *site.ask(name))
    token = token_of(name, job.wait_for_text("here"))
    # Longer than UnkillableStepTimeout.
    site.vendor.fault("latency", path=f"*/sessions/{token}/close", delay=7.0)
    site.cluster.command("scancel", job.id)
    job.wait("COMPLETING")
    assert_ended(site, job, "CANCELLED", "0:15")
    assert site.assert_released(name) == [token]


@case
def a_release_that_fails_is_kept_for_the_sweep(site: Site) -> None:
    held = site.held("env")
    job = site.cluster.submit(held.script, *site.ask(FLAKY))
    token = token_of(FLAKY, job.wait_for_text("here"))
    site.flaky.fault("status", path="*/sessions/*", status=400, count=None)
    held.go_on()
    job.wait()
    assert (job.state, job.field("ExitCode")) == ("COMPLETED", "0:0")
    assert site.sessions(FLAKY)[0].closed is None
    told = site.plugin.run("sweep", "--dry-run")
    assert f"{job.id}.0: would release {FLAKY}" in told.stdout, told
    failed = site.plugin.run("sweep")
    assert failed.returncode == 1, failed
    assert f"{job.id}.0: {FLAKY} could not be released" in failed.stdout
    site.flaky.clear_faults()
    told = site.plugin.program("sweep")
    assert f"{job.id}.0: released {FLAKY}" in told
    assert_ended(site, job, "COMPLETED")
    assert site.assert_released(FLAKY) == [token]
    outcomes = [line["outcome"] for line in site.accounting(job.id)]
    assert outcomes == ["release-failed", "released"]


@case
def a_job_whose_slurmstepd_was_killed_is_released_at_its_end(site: Site) -> None:
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
    assert_ended(site, job, "CANCELLED", job.wait().field("ExitCode"))
    site.assert_released(name)


# --- how a job asks -------------------------------------------------------------------------------


@case
def one_qpu(site: Site) -> None:
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
        # Slurm's log has what the scripts set, so that they name a file.
        key = f"{name}_QRMI_IBM_QCS_IAM_APIKEY"
        assert (key in found) == (site.mode != "scripts")
        assert (f"{key}_FILE" in found) == (site.mode == "scripts")
    held.go_on()
    assert_ended(site, job, "COMPLETED")
    assert site.assert_released(name) == [session.id]
    [line] = site.accounting(job.id)
    assert (line["resource"], line["token"], line["outcome"]) == (name, session.id, "released")


@case
def two_qpus(site: Site) -> None:
    names = [site.qpu(), site.qpu()]
    # As people write it.
    options = (
        [f"--qpu= {names[0]} ,{names[1]},,{names[0]}"]
        if site.mode == "shim"
        else [f"--comment=mine  qpu= {names[0]} , {names[1]},,{names[0]}"]
    )
    job = site.cluster.submit("env", *options)
    assert_ended(site, job, "COMPLETED")
    found = variables(job.output)
    assert found["QRMI_JOB_QPU_RESOURCES"] == ",".join(names)
    assert found["QRMI_JOB_QPU_TYPES"] == f"{RUNTIME},{RUNTIME}"
    assert [token_of(name, job.output) for name in names] == site.assert_released(*names)
    assert job.field("Licenses") == ",".join(f"{name}:1" for name in names)


@case
def every_way_to_ask_is_counted_once(site: Site) -> None:
    names = [site.qpu() for _ in range(3)]
    job = site.cluster.submit(
        "env",
        f"--qpu={names[0]}" if site.mode == "shim" else f"--gres=qpu:{names[0]}",
        f"--licenses={names[1]},{names[0]}:1",
        f"--comment=tea qpu={names[2]},{names[0]} milk",
    )
    assert_ended(site, job, "COMPLETED")
    assert variables(job.output)["QRMI_JOB_QPU_RESOURCES"].split(",") == [
        names[0],
        names[1],
        names[2],
    ]
    licenses = [text.removesuffix(":1") for text in job.field("Licenses").split(",")]
    assert sorted(licenses) == sorted(names)
    assert job.field("Comment").strip() == f"tea milk qpu={','.join(names)}"
    site.assert_released(*names)


@case
def srun_outside_of_a_job(site: Site) -> None:
    name = site.qpu()
    done = site.cluster.run("srun", *site.ask(name, step=True), "env")
    assert done.returncode == 0, done.stderr
    found = variables(done.stdout)
    # It does not wait for the epilog.
    assert site.cluster.job(found["SLURM_JOB_ID"]).wait().state == "COMPLETED"
    assert [token_of(name, done.stdout)] == site.assert_released(name)
    site.assert_well()


@case
def salloc(site: Site) -> None:
    name = site.qpu()
    done = site.cluster.run("salloc", *site.ask(name), "srun", "env")
    assert done.returncode == 0, done.stderr
    found = variables(done.stdout)
    assert site.cluster.job(found["SLURM_JOB_ID"]).wait().state == "COMPLETED"
    assert [token_of(name, done.stdout)] == site.assert_released(name)
    site.assert_well()


@case
def without_the_users_environment(site: Site) -> None:
    name = site.qpu()
    job = site.cluster.submit("env", "--export=NONE", *site.ask(name), HIDDEN="not exported")
    assert_ended(site, job, "COMPLETED")
    assert "HIDDEN" not in variables(job.output)
    assert [token_of(name, job.output)] == site.assert_released(name)


@case
def what_the_user_has_set_counts(site: Site) -> None:
    name = site.qpu()
    mine = {f"{name}_QRMI_IBM_QCS_SESSION_MODE": "batch", f"{name}_QRMI_JOB_ACQUISITION_TOKEN": "x"}
    job = site.cluster.submit("env", *site.ask(name), **mine, QRMI_JOB_QPU_RESOURCES="other")
    assert_ended(site, job, "COMPLETED")
    found = variables(job.output)
    assert mine.items() <= found.items()
    assert found["QRMI_JOB_QPU_RESOURCES"] == name
    # What the site acquired is released, whatever the user has set.
    [session] = site.sessions(name)
    assert session.details["mode"] == "dedicated"
    assert site.assert_released(name) == [session.id] != ["x"]


@case
def a_job_submitted_by_a_job_gets_its_own(site: Site) -> None:
    names = [site.qpu(), site.qpu()]
    inner = site.folder / "jobs" / f"inner-{names[1]}"
    options = " ".join(site.ask(names[1]))
    outer = site.cluster.submit(
        f"env\nsbatch --parsable --output={inner} {options} --wrap env", *site.ask(names[0])
    )
    assert_ended(site, outer, "COMPLETED")
    job = site.cluster.job(outer.output.splitlines()[-1], inner)
    assert_ended(site, job, "COMPLETED")
    found = variables(job.output)
    assert found["QRMI_JOB_QPU_RESOURCES"] == names[1]
    assert found["QRMI_JOB_ID"] == job.id
    assert [token_of(names[0], outer.output), token_of(names[1], job.output)] == (
        site.assert_released(*names)
    )


@case
def a_job_without_a_qpu_is_left_alone(site: Site) -> None:
    job = site.cluster.submit("env; srun env")
    assert_ended(site, job, "COMPLETED")
    assert not any("QRMI" in name for name in variables(job.output))


@case
def a_qpu_that_the_job_acquires_itself_is_only_counted_and_named(site: Site) -> None:
    job = site.cluster.submit("env", *site.ask(OWN_KEY))
    assert_ended(site, job, "COMPLETED")
    found = variables(job.output)
    assert found["QRMI_JOB_QPU_RESOURCES"] == OWN_KEY
    assert f"{OWN_KEY}_QRMI_IBM_QCS_ENDPOINT" in found
    assert not any("APIKEY" in name or "TOKEN" in name for name in found)
    assert job.field("Licenses") == f"{OWN_KEY}:1"
    assert not site.sessions(OWN_KEY)
    [line] = site.accounting(job.id)
    assert (line["outcome"], line["token"]) == ("user", None)


# --- what goes wrong ------------------------------------------------------------------------------


@case
def an_unknown_qpu_is_refused_at_submission(site: Site) -> None:
    asked = [site.ask("fake_nowhere"), ["--gres=qpu:2"], ["--comment=qpu=fake_nowhere"]]
    asked.append(["--comment=mine qpu= ,"])
    if site.mode == "shim":
        asked.append(["--qpu="])
    for options in asked:
        done = site.cluster.run("sbatch", *options, "--wrap", "true")
        assert done.returncode, options
        assert "qrmi-slurm: " in done.stderr
        assert LOCAL in done.stderr, "the names that are known"


@case
def a_qpu_that_was_taken_out_of_the_configuration_fails_the_job(site: Site) -> None:
    job = site.cluster.submit("echo ran", *site.ask(GHOST))
    assert_ended(site, job, "FAILED", "1:0")
    assert f"there is no QPU {GHOST}" in job.output
    assert LOCAL in job.output
    assert "ran" not in job.output.splitlines()


@case
def a_busy_qpu_fails_the_job(site: Site) -> None:
    settings = {"QRMI_LOCAL_HOME": str(site.local_home), "QRMI_LOCAL_LEASE_SECONDS": "600"}
    other = QuantumResource(LOCAL, "local", settings)
    token = other.acquire(0, detached=True)
    job = site.cluster.submit("echo ran", *site.ask(LOCAL))
    assert_ended(site, job, "FAILED", "1:0")
    assert LOCAL in job.output
    assert "ran" not in job.output.splitlines()
    other.release(token)
    # It left nothing of its own, so that the next one has it, and gives it back.
    job = site.cluster.submit("env", *site.ask(LOCAL))
    assert_ended(site, job, "COMPLETED")
    assert token_of(LOCAL, job.output) != token
    assert not any("LEASE" in name for name in variables(job.output)), "for the scheduler alone"
    other.release(other.acquire(0))
    assert [line["outcome"] for line in site.accounting(job.id)] == ["released"]


@case
def of_two_qpus_one_is_not_to_be_had(site: Site) -> None:
    name = site.qpu()
    job = site.cluster.submit("echo ran; env", *site.ask(REFUSING, name))
    assert_ended(site, job, "FAILED", "1:0")
    assert REFUSING in job.output
    assert "ran" not in job.output.splitlines()
    site.assert_released(name)
    assert not site.sessions(REFUSING)


@case
def a_qpu_that_is_not_accessible_fails_the_job(site: Site) -> None:
    name = site.qpu()
    site.vendor.set_resource(name, status="maintenance", reason="until noon")
    for command in ("sbatch", "srun"):
        if command == "sbatch":
            job = site.cluster.submit("echo ran", *site.ask(name))
            assert_ended(site, job, "FAILED", "1:0")
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


@case
def cancelled_while_it_acquires(site: Site) -> None:
    job = site.cluster.submit("echo ran", *site.ask(SLOW))
    asked = "POST"
    wait_for(
        lambda: (
            any(x["method"] == asked and "sessions" in x["path"] for x in site.slow.requests())
            or job.state == "RUNNING"
        ),
        job.show,
    )
    site.cluster.command("scancel", job.id)
    # Slurm makes it 1:0 when it has tried to start the script.
    assert_ended(site, job, "CANCELLED", job.wait().field("ExitCode"))
    assert not job.output
    site.assert_released(SLOW)


@case
def cancelled_while_it_runs(site: Site) -> None:
    name = site.qpu()
    job = site.cluster.submit(site.held("env").script, *site.ask(name))
    token = token_of(name, job.wait_for_text("here"))
    site.cluster.command("scancel", job.id)
    assert_ended(site, job, "CANCELLED", "0:15")
    assert site.assert_released(name) == [token]


@case
def a_script_that_fails(site: Site) -> None:
    name = site.qpu()
    job = site.cluster.submit("exit 7", *site.ask(name))
    assert_ended(site, job, "FAILED", "7:0")
    site.assert_released(name)


# --- several nodes --------------------------------------------------------------------------------


@case
def two_nodes_share_one_acquisition(site: Site) -> None:
    name = site.qpu()
    key = f"{name}_QRMI_JOB_ACQUISITION_TOKEN"
    secret = f"{name}_QRMI_IBM_QCS_IAM_APIKEY"
    read = f'"$(cat ${secret}_FILE)"' if site.mode == "scripts" else f"${secret}"
    script = f"echo $SLURMD_NODENAME ${key} $QRMI_JOB_ID {read}"
    job = site.cluster.submit(
        f"srun --ntasks-per-node=1 sh -c {shlex.quote(script)}", "--nodes=2", *site.ask(name)
    )
    assert_ended(site, job, "COMPLETED")
    [token] = site.assert_released(name)
    told = site.vendor.settings_for(RUNTIME)["QRMI_IBM_QCS_IAM_APIKEY"]
    assert sorted(job.output.splitlines()) == [
        f"{node} {token} {job.id} {told}" for node in ("n1", "n2")
    ]


@case
def a_heterogeneous_job(site: Site) -> None:
    names = [site.qpu(), site.qpu()]
    options = [*site.ask(names[0]), "--nodelist=n1", ":", *site.ask(names[1]), "--nodelist=n2"]
    job = site.cluster.submit(
        "env; echo steps; srun --het-group=0,1 env | grep QPU_RESOURCES", *options
    )
    assert_ended(site, job, "COMPLETED")
    for job_id, line in list(site.cluster.jobs().items()):
        if f" HetJobId={job.id} " in line:
            assert site.cluster.job(job_id).wait().state == "COMPLETED"
    batch, _, steps = job.output.partition("steps\n")
    tokens = site.assert_released(*names)
    assert token_of(names[0], batch) == tokens[0]
    assert steps.count(f"QRMI_JOB_QPU_RESOURCES={names[0]}") == 2, "of two tasks"


# --- users ----------------------------------------------------------------------------------------


@case
def another_users_job(site: Site) -> None:
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
    assert_ended(site, job, "COMPLETED")
    assert site.assert_released(name) == [token]
