"""The scheduler's part and the job's part, each in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from warden import RESULT, Warden

JOB = Path(__file__).with_name("job.py")
NOBODY = 65534


class Cluster:
    """Runs processes as a scheduler does."""

    def __init__(self, warden: Warden, job_uid: int) -> None:
        self.job_uid = job_uid
        self.settings = {
            "PASQAL_LOCAL_QRMI_WARDEN_URL": warden.host,
            "PASQAL_LOCAL_QRMI_MUNGE_SOCKET": str(warden.socket),
        }

    def run(self, uid: int, *what: str, **more: str) -> str:
        done = subprocess.run(
            [sys.executable, JOB, str(uid), *what],
            env={"PATH": os.environ["PATH"], **self.settings, **more},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert not done.stderr
        told = json.loads(done.stdout)
        assert isinstance(told, str)
        return told

    def acquire(self) -> str:
        """Before the job: as the scheduler, for the job's user."""
        return self.run(os.geteuid(), "acquire", QRMI_JOB_UID=str(self.job_uid), QRMI_JOB_ID="7")

    def job(self, session: str, *what: str) -> str:
        """In the job: as its user."""
        return self.run(self.job_uid, *what, PASQAL_LOCAL_QRMI_JOB_ACQUISITION_TOKEN=session)

    def release(self, session: str) -> str:
        """After the job: as the scheduler."""
        return self.run(os.geteuid(), "release", session)


@pytest.fixture(params=["one user", "root and a user"])
def cluster(request: pytest.FixtureRequest, warden: Warden) -> Cluster:
    if request.param == "one user":
        return Cluster(warden, os.geteuid())
    if os.geteuid() != 0:
        pytest.skip("only root can be the scheduler for another user")
    return Cluster(warden, NOBODY)


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


def test_what_one_process_has_started_another_one_stops(cluster: Cluster, warden: Warden) -> None:
    session = cluster.acquire()
    task_id = cluster.job(session, "start", "endless")
    assert cluster.job(session, "task_stop", task_id) == "None"
    assert cluster.job(session, "task_status", task_id) == "TaskStatus.Cancelled"
    assert cluster.job(session, "result", task_id).startswith("TaskCancelledError: ")


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
