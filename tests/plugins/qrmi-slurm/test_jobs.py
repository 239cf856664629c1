"""The life of a job: prolog, task prolog and epilog, one after the other."""

from __future__ import annotations

import os
import signal
import stat
import time

import pytest

from qrmi_core.config import get_job_qpu_resources_and_types
from support.slurm_site import KEY, SlurmSite


def test_a_job_gets_its_qpu_and_the_epilog_gives_it_back(site: SlurmSite) -> None:
    site.says("scontrol", "JobId=71 ArrayJobId=70 ArrayTaskId=3 TimeLimit=00:05:00\n")
    assert site.prolog("fast please qpu=qpu_a", SLURM_JOB_UID="1234").status == 0
    status, variables, printed = site.task()
    (taken,) = site.vendor.entries("acquire")
    assert (status, printed) == (0, [])
    assert variables == {
        "QRMI_JOB_ID": "71",
        "QRMI_JOB_UID": "1234",
        "QRMI_JOB_QPU_RESOURCES": "qpu_a",
        "QRMI_JOB_QPU_TYPES": "filed",
        "SLURM_JOB_QPU_RESOURCES": "qpu_a",
        "SLURM_JOB_QPU_TYPES": "filed",
        "QRMI_LIST_DELIMITER": ",",
        "qpu_a_QRMI_JOB_TIMEOUT_SECONDS": "300",
        "qpu_a_QRMI_JOB_ACQUISITION_TOKEN": taken.token,
        "qpu_a_QRMI_FILED_TEST_FOLDER": str(site.vendor.folder),
        "qpu_a_QRMI_FILED_TEST_APIKEY": KEY,
    }
    assert (taken.resource, taken.job, taken.uid, taken.seconds) == ("qpu_a", "71", "1234", "300")
    assert site.epilog().status == 0
    (given,) = site.vendor.entries("release")
    assert (given.token, given.cancel) == (taken.token, "True")
    assert site.records() == []
    assert site.task() == (0, {}, [])
    (line,) = site.accounts()
    begin, end = line.pop("from"), line.pop("to")
    assert begin <= end
    assert begin.endswith("+00:00")
    assert line.pop("seconds") >= 0
    assert line == {
        "cluster": "qtest",
        "job_id": 71,
        "array_job_id": 70,
        "array_task_id": 3,
        "restart": 0,
        "user": "ada",
        "uid": 1234,
        "node": "n1",
        "resource": "qpu_a",
        "type": "filed",
        "token": taken.token,
        "tasks": 3,
        "quantum_seconds": 1.25,
        "outcome": "released",
        "error": None,
    }


def test_a_job_without_a_qpu_leaves_nothing_behind(site: SlurmSite) -> None:
    assert site.prolog("quick, and with qpu in its comment").status == 0
    assert site.task() == (0, {}, [])
    assert site.epilog().status == 0
    assert not site.state.exists()
    assert not site.log.exists()


def test_the_names_are_those_of_the_option_and_of_the_comment(site: SlurmSite) -> None:
    site.run(
        "prolog", "--qpu= qpu_b,, qpu_b", environment=site.environment("mine qpu=qpu_b, qpu_a")
    )
    _, variables, _ = site.task()
    assert get_job_qpu_resources_and_types(variables) == (["qpu_b", "qpu_a"], ["filed", "filed"])


@pytest.mark.parametrize(("options", "comment"), [(["--qpu=,"], ""), ([], "mine qpu= ,")])
def test_a_request_without_a_name_is_told(
    site: SlurmSite, options: list[str], comment: str
) -> None:
    site.run("prolog", *options, environment=site.environment(comment))
    status, variables, printed = site.task()
    assert (status, variables) == (1, {})
    assert "the job names no QPU" in printed[0]


def test_qpus_are_acquired_in_the_order_of_the_configuration(site: SlurmSite) -> None:
    site.prolog("qpu=qpu_b,qpu_a")
    assert [entry.resource for entry in site.vendor.entries("acquire")] == ["qpu_a", "qpu_b"]


def test_other_nodes_of_the_job_do_nothing(site: SlurmSite) -> None:
    site.prolog("qpu=qpu_a", SLURMD_NODENAME="n2")
    assert site.vendor.entries() == []
    site.prolog("qpu=qpu_a")
    site.epilog(SLURMD_NODENAME="n2")
    assert len(site.vendor.held()) == 1
    # A shared folder of records serves the tasks of all nodes.
    assert "QRMI_JOB_QPU_RESOURCES" in site.task(SLURMD_NODENAME="n2")[1]


def test_a_second_prolog_changes_nothing(site: SlurmSite) -> None:
    site.prolog("qpu=qpu_a")
    before = site.task()
    site.prolog("qpu=qpu_b")
    assert site.task() == before
    assert len(site.vendor.entries("acquire")) == 1


def test_the_record_is_for_root_and_the_variables_for_the_user(site: SlurmSite) -> None:
    uid = 12345 if os.getuid() == 0 else os.getuid()
    site.prolog("qpu=qpu_a", SLURM_JOB_UID=str(uid))
    folder = site.state / "71.0"
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == {"lock": 0o600, "record.json": 0o600, "variables.json": 0o400}
    assert (folder / "variables.json").stat().st_uid == uid
    assert stat.S_IMODE(folder.stat().st_mode) == stat.S_IMODE(site.state.stat().st_mode) == 0o711
    assert KEY not in (folder / "record.json").read_text()


# All or nothing


@pytest.mark.slow
def test_what_was_acquired_is_given_back_if_the_next_is_busy(site: SlurmSite) -> None:
    site.vendor.misbehave("acquire-qpu_b", *["busy"] * 50)
    assert site.prolog("qpu=qpu_a,qpu_b").status == 0
    status, variables, (printed,) = site.task()
    assert (status, variables) == (1, {})
    assert "qpu_b" in printed
    assert "held by another; the prolog waited for at most 1 s" in printed
    assert site.vendor.held() == set()
    assert [line["outcome"] for line in site.accounts()] == ["released"]
    assert site.epilog().status == 0
    assert site.records() == []
    assert len(site.vendor.entries("release")) == 1


def test_an_unknown_name_is_refused_with_the_known_ones(site: SlurmSite) -> None:
    site.prolog("qpu=qpu_a,qpu_x")
    (printed,) = site.task()[2]
    assert "unknown QPU qpu_x (known: qpu_a, qpu_b)" in printed
    assert site.vendor.entries() == []


def test_a_qpu_that_takes_no_work_is_told_before_anything_is_acquired(site: SlurmSite) -> None:
    (site.vendor.folder / "offline-qpu_b").write_text("maintenance until Monday")
    site.prolog("qpu=qpu_a,qpu_b")
    (printed,) = site.task()[2]
    assert "qpu_b is offline: maintenance until Monday; try later" in printed
    assert site.vendor.entries("acquire") == []


def test_what_cannot_be_given_back_at_once_is_left_to_the_sweep(site: SlurmSite) -> None:
    site.vendor.misbehave("acquire-qpu_b", "refused")
    site.vendor.misbehave("release", "broken", "broken")
    site.prolog("qpu=qpu_a,qpu_b")
    site.epilog()
    assert len(site.vendor.held()) == 1
    site.jobs((71, "FAILED", 0))
    assert site.run("sweep").status == 0
    assert site.vendor.held() == set()
    assert site.records() == []
    assert [line["outcome"] for line in site.accounts()] == ["release-failed", "released"]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["lost", "silent"])
def test_an_acquisition_without_an_answer_is_told_as_uncertain(site: SlurmSite, how: str) -> None:
    site.configure(prolog_limit_seconds=3)
    site.vendor.misbehave("acquire-qpu_b", how)
    site.prolog("qpu=qpu_a,qpu_b")
    status, _, (printed,) = site.task()
    assert status == 1
    assert "qpu_b" in printed
    outcomes = {line["resource"]: line["outcome"] for line in site.accounts()}
    assert outcomes == {"qpu_a": "released", "qpu_b": "uncertain"}
    assert "an acquisition may exist that nobody releases" in site.log.read_text()


@pytest.mark.slow
def test_an_acquisition_that_comes_late_is_given_back(site: SlurmSite) -> None:
    site.configure(prolog_limit_seconds=1)
    site.vendor.misbehave("acquire", "slow")
    site.prolog("qpu=qpu_a")
    assert site.task()[0] == 1
    assert site.vendor.held() == set()
    assert [line["outcome"] for line in site.accounts()] == ["released"]


def test_a_stopped_prolog_gives_back_what_it_has(site: SlurmSite) -> None:
    site.configure(acquire_timeout_seconds=30)
    site.vendor.misbehave("acquire-qpu_b", *["busy"] * 500)
    prolog = site.start("prolog", environment=site.environment("qpu=qpu_a,qpu_b"))
    end = time.monotonic() + 20
    while not site.vendor.held():
        assert time.monotonic() < end
        time.sleep(0.01)
    prolog.kill(signal.SIGTERM)
    assert prolog.wait().status == 0
    assert site.vendor.held() == set()
    assert "the prolog was stopped" in site.task()[2][0]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["busy", "refused", "broken"])
def test_a_refusal_is_nothing_to_account_for(site: SlurmSite, how: str) -> None:
    site.vendor.misbehave("acquire", *[how] * 50)
    site.prolog("qpu=qpu_a")
    assert site.task()[0] == 1
    site.epilog()
    assert site.accounts() == []
    assert site.records() == []


def test_a_defect_of_a_driver_ends_as_any_other_failure(site: SlurmSite) -> None:
    site.vendor.misbehave("acquire-qpu_b", "odd")
    site.prolog("qpu=qpu_a,qpu_b")
    assert "the driver raised ZeroDivisionError" in site.task()[2][0]
    assert site.vendor.held() == set()


# Busy QPUs, and the requeue


def test_a_busy_qpu_is_waited_for(site: SlurmSite) -> None:
    site.configure(acquire_timeout_seconds=15)
    site.vendor.misbehave("acquire", "busy")
    site.prolog("qpu=qpu_a")
    assert site.task()[0] == 0


@pytest.mark.slow
@pytest.mark.parametrize("how", ["busy", "broken"])
def test_a_job_is_requeued_where_the_site_wants_it(site: SlurmSite, how: str) -> None:
    site.configure(when_unavailable="requeue")
    site.vendor.misbehave("acquire", *[how] * 50)
    site.prolog("qpu=qpu_a")
    assert "requeue 71" in site.called("scontrol")
    assert site.called("scancel") == []


def test_a_job_that_can_never_run_is_not_requeued(site: SlurmSite) -> None:
    site.configure(when_unavailable="requeue")
    site.prolog("qpu=qpu_x")
    assert "requeue 71" not in site.called("scontrol")
    assert site.task()[0] == 1


@pytest.mark.slow
def test_a_job_that_slurm_does_not_requeue_tells_why_it_fails(site: SlurmSite) -> None:
    site.configure(when_unavailable="requeue")
    site.vendor.misbehave("acquire", *["busy"] * 50)
    site.fails("scontrol", "Requested operation is presently disabled")
    assert site.prolog("qpu=qpu_a").status == 0
    assert site.task()[0] == 1


def test_the_epilog_of_a_requeued_job_is_told_the_next_run(site: SlurmSite) -> None:
    site.prolog("qpu=qpu_a")
    first = site.vendor.held()
    site.epilog(SLURM_JOB_RESTART_COUNT="1")
    assert site.vendor.held() == set()
    site.prolog("qpu=qpu_a", SLURM_JOB_RESTART_COUNT="1")
    _, variables, _ = site.task()
    assert {variables["qpu_a_QRMI_JOB_ACQUISITION_TOKEN"]} == site.vendor.held() != first
    site.epilog(SLURM_JOB_RESTART_COUNT="1")
    assert [line["restart"] for line in site.accounts()] == [0, 1]


def test_an_epilog_leaves_later_runs_alone(site: SlurmSite) -> None:
    site.prolog("qpu=qpu_a", SLURM_JOB_RESTART_COUNT="1")
    site.epilog(SLURM_JOB_RESTART_COUNT="0")
    assert len(site.vendor.held()) == 1
    assert site.task()[0] == 0


def test_a_run_gives_back_what_an_earlier_one_has_left(site: SlurmSite) -> None:
    site.prolog("qpu=qpu_a")
    # The node failed, and no epilog ran.
    site.prolog("qpu=qpu_a", SLURM_JOB_RESTART_COUNT="1")
    assert site.task()[0] == 0
    assert len(site.vendor.held()) == 1
    assert site.records() == ["71", "71.1"]


# The user's own settings


@pytest.mark.parametrize(
    "name",
    [
        "qpu_a_QRMI_FILED_TEST_APIKEY",
        "qpu_a_QRMI_FILED_TEST_APIKEY_FILE",
        "qpu_a_QRMI_FILED_OLD_APIKEY",
    ],
)
def test_a_setting_of_the_user_counts_before_the_site_s(site: SlurmSite, name: str) -> None:
    site.prolog("qpu=qpu_a")
    variables = site.task(**{name: "mine"})[1]
    assert not [key for key in variables if "APIKEY" in key]
    assert "qpu_a_QRMI_FILED_TEST_FOLDER" in variables


def test_a_token_of_the_user_stays_in_the_job_and_ours_is_released(site: SlurmSite) -> None:
    site.prolog("qpu=qpu_a")
    variables = site.task(qpu_a_QRMI_JOB_ACQUISITION_TOKEN="mine", QRMI_JOB_QPU_RESOURCES="x")[1]
    assert "qpu_a_QRMI_JOB_ACQUISITION_TOKEN" not in variables
    assert variables["QRMI_JOB_QPU_RESOURCES"] == "qpu_a"
    site.epilog()
    assert site.vendor.held() == set()


def test_what_comes_from_another_job_is_not_the_user_s(site: SlurmSite) -> None:
    site.prolog("qpu=qpu_a")
    name = "qpu_a_QRMI_JOB_ACQUISITION_TOKEN"
    inherited = site.task(QRMI_JOB_ID="70", **{name: "of job 70"})[1]
    assert {inherited[name]} == site.vendor.held()
    own = site.task(QRMI_JOB_ID="71", **{name: "mine"})[1]
    assert name not in own


def test_an_id_that_no_shell_takes_has_both_its_spellings(site: SlurmSite) -> None:
    site.resources(site.entry("qpu-a.1"))
    site.prolog("qpu=qpu-a.1")
    variables = site.task()[1]
    assert variables["qpu-a.1_QRMI_FILED_TEST_APIKEY"] == KEY
    assert variables["qpu_a_1_QRMI_FILED_TEST_APIKEY"] == KEY
    own = site.task(qpu_a_1_QRMI_FILED_TEST_APIKEY="mine")[1]
    assert not [name for name in own if "APIKEY" in name]


def test_the_prolog_takes_nothing_from_its_environment(site: SlurmSite) -> None:
    site.prolog(
        "qpu=qpu_a",
        qpu_a_QRMI_FILED_TEST_FOLDER="/nowhere",
        QRMI_FILED_TEST_FOLDER="/nowhere",
        qpu_a_QRMI_JOB_ACQUISITION_TOKEN="of a user",
        QRMI_JOB_ID="1",
        QRMI_CONFIG="/nowhere/qrmi_config.json",
    )
    (taken,) = site.vendor.entries("acquire")
    assert (taken.resource, taken.job) == ("qpu_a", "71")
    site.epilog(qpu_a_QRMI_FILED_TEST_FOLDER="/nowhere", QRMI_JOB_ID="1")
    assert site.vendor.held() == set()


# Kinds of entries


def test_what_only_the_scheduler_needs_stays_out_of_the_job(site: SlurmSite) -> None:
    secret = "key-of-the-administrators"
    site.resources(site.entry("qpu_a", scheduler_environment={"QRMI_FILED_TEST_APIKEY": secret}))
    site.vendor.misbehave("acquire", "refused", "ok")
    for run in (0, 1):
        site.prolog("qpu=qpu_a", SLURM_JOB_RESTART_COUNT=str(run))
    assert site.task()[1]["qpu_a_QRMI_FILED_TEST_APIKEY"] == KEY
    site.vendor.misbehave("release", "refused")
    site.epilog(SLURM_JOB_RESTART_COUNT="1")
    site.run("sweep")
    for path in site.folder.rglob("*"):
        if path.is_file() and path != site.config and not path.is_relative_to(site.vendor.folder):
            assert secret not in path.read_text(errors="replace"), path


def test_a_resource_with_the_user_s_credentials_is_only_named(site: SlurmSite) -> None:
    site.resources(site.entry("qpu_a", user_credentials=True), site.entry("qpu_b"))
    site.prolog("qpu=qpu_a,qpu_b")
    variables = site.task()[1]
    assert variables["QRMI_JOB_QPU_RESOURCES"] == "qpu_a,qpu_b"
    assert variables["qpu_a_QRMI_FILED_TEST_FOLDER"] == str(site.vendor.folder)
    assert "qpu_a_QRMI_FILED_TEST_APIKEY" not in variables
    assert "qpu_a_QRMI_JOB_ACQUISITION_TOKEN" not in variables
    site.epilog()
    assert {entry.resource for entry in site.vendor.entries()} == {"qpu_b"}
    outcomes = {line["resource"]: line["outcome"] for line in site.accounts()}
    assert outcomes == {"qpu_a": "user", "qpu_b": "released"}


def test_what_is_queued_is_left_where_the_site_wants_it(site: SlurmSite) -> None:
    site.resources(site.entry("qpu_a", cancel_pending=False))
    site.prolog("qpu=qpu_a")
    site.epilog()
    assert [entry.cancel for entry in site.vendor.entries("release")] == ["False"]


@pytest.mark.parametrize(
    ("asked", "found"), [("pool", "filed-idle"), ("pool:filed-busy", "filed-busy")]
)
def test_of_a_dynamic_entry_the_job_sees_what_was_found(
    site: SlurmSite, asked: str, found: str
) -> None:
    site.resources(site.entry("pool", is_dynamic=True))
    site.prolog(f"qpu={asked}")
    variables = site.task()[1]
    assert variables["QRMI_JOB_QPU_RESOURCES"] == found
    assert f"{found}_QRMI_JOB_ACQUISITION_TOKEN" in variables
    site.epilog()
    assert [entry.resource for entry in site.vendor.entries("release")] == [found]


def test_the_same_resource_twice_is_refused(site: SlurmSite) -> None:
    site.resources(site.entry("pool", is_dynamic=True), site.entry("filed-idle"))
    site.prolog("qpu=pool,filed-idle")
    assert "filed-idle is requested twice" in site.task()[2][0]
    assert site.vendor.entries("acquire") == []


def test_a_dynamic_entry_of_the_user_s_credentials_needs_an_id(site: SlurmSite) -> None:
    site.resources(site.entry("pool", is_dynamic=True, user_credentials=True))
    site.prolog("qpu=pool")
    assert "name one: pool:ID" in site.task()[2][0]
    site.prolog("qpu=pool:x", SLURM_JOB_RESTART_COUNT="1")
    assert site.task()[1]["QRMI_JOB_QPU_RESOURCES"] == "x"


def test_a_value_that_slurm_cannot_hand_on_is_named(site: SlurmSite) -> None:
    site.resources(site.entry("qpu_a", environment={"QRMI_FILED_PEM": "line\nline"}))
    site.prolog("qpu=qpu_a")
    assert "the value of QRMI_FILED_PEM has line breaks" in site.task()[2][0]
    assert site.vendor.entries("acquire") == []


def test_another_delimiter_is_told_to_the_job(site: SlurmSite) -> None:
    site.configure(list_delimiter=";")
    site.prolog("qpu=qpu_a,qpu_b")
    assert get_job_qpu_resources_and_types(site.task()[1])[0] == ["qpu_a", "qpu_b"]


# The time limit


@pytest.mark.parametrize(
    ("limit", "seconds"),
    [("00:01:00", "60"), ("2-03:04:05", "183845"), ("UNLIMITED", "4294967295"), ("", "4294967295")],
)
def test_the_time_limit_is_slurm_s(site: SlurmSite, limit: str, seconds: str) -> None:
    site.says("scontrol", f"JobId=71 TimeLimit={limit} TimeMin=N/A\n")
    site.prolog("qpu=qpu_a")
    assert site.task()[1]["qpu_a_QRMI_JOB_TIMEOUT_SECONDS"] == seconds


def test_a_slurm_that_tells_start_and_end_is_not_asked(site: SlurmSite) -> None:
    site.prolog("qpu=qpu_a", SLURM_JOB_START_TIME="1000", SLURM_JOB_END_TIME="1600")
    assert site.task()[1]["qpu_a_QRMI_JOB_TIMEOUT_SECONDS"] == "600"
    assert site.called("scontrol") == []


def test_a_controller_that_does_not_answer_costs_the_limit_and_not_the_job(
    site: SlurmSite,
) -> None:
    site.fails("scontrol", "Unable to contact slurm controller")
    site.prolog("qpu=qpu_a")
    assert site.task()[1]["qpu_a_QRMI_JOB_TIMEOUT_SECONDS"] == "4294967295"
    assert "Unable to contact slurm controller" in site.log.read_text()
