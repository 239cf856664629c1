"""The scheduler's part and the job's part, each in processes of their own."""

from __future__ import annotations

import os

import pytest

from support.job_processes import NOBODY, Cluster
from support.warden import RESULT, Warden


@pytest.fixture(params=["one user", "root and a user"])
def cluster(request: pytest.FixtureRequest, warden: Warden) -> Cluster:
    if request.param == "one user":
        return Cluster(warden.host, os.geteuid(), warden.socket)
    if os.geteuid() != 0:
        pytest.skip("only root can be the scheduler for another user")
    return Cluster(warden.host, NOBODY, warden.socket)


@pytest.mark.slow
def test_the_life_of_a_job(cluster: Cluster, warden: Warden) -> None:
    session = cluster.acquire()
    assert warden.sessions[session]["user_id"] == str(cluster.job_uid)
    assert cluster.job(session, "acquire") == session
    task_id = cluster.job(session, "start", "completes")
    assert warden.jobs[task_id]["user_id"] == str(cluster.job_uid)
    assert cluster.job(session, "task_status", task_id).startswith("TaskStatus.")
    assert cluster.job(session, "result", task_id) == RESULT
    assert cluster.job(session, "release", session) == "None"
    assert not warden.sessions[session]["revoked_at"], "it is the scheduler's"
    assert cluster.release(session) == "None"
    assert warden.sessions[session]["revoked_at"]
    assert cluster.job(session, "start", "completes").startswith("NotAcquiredError: ")


@pytest.mark.slow
def test_what_one_process_has_started_another_one_stops(cluster: Cluster, warden: Warden) -> None:
    session = cluster.acquire()
    task_id = cluster.job(session, "start", "endless")
    assert cluster.job(session, "task_stop", task_id) == "None"
    assert cluster.job(session, "task_status", task_id) == "TaskStatus.Cancelled"
    assert cluster.job(session, "result", task_id).startswith("TaskCancelledError: ")


@pytest.mark.slow
def test_neither_does_the_part_of_the_other(cluster: Cluster, warden: Warden) -> None:
    if cluster.job_uid == os.geteuid():
        warden.admins = {os.geteuid() + 1}
        session = warden.session_for(os.geteuid() + 1)
    else:
        session = cluster.acquire()
    told = cluster.run(cluster.job_uid, "acquire", QRMI_JOB_UID="0", QRMI_JOB_ID="7")
    assert told.startswith("PermissionDeniedError: ")
    assert f"user id {cluster.job_uid}" in told
    token = {"PASQAL_LOCAL_QRMI_JOB_ACQUISITION_TOKEN": session}
    told = cluster.run(os.geteuid(), "start", "completes", **token)
    assert told.startswith("PermissionDeniedError: ")
    assert "QRMI_JOB_UID" in told
    assert not warden.jobs
