"""Processes of a scheduler and of its jobs, for a QPU behind Warden."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

NOBODY = 65534
_PROCESS = Path(__file__).with_name("one_process.py")


class Cluster:
    """A cluster that runs the processes of a scheduler and of its jobs.

    Args:
        url: Address of Warden.
        job_uid: User id of the job's owner.
        socket: Socket of munged; None for the default one.
    """

    def __init__(self, url: str, job_uid: int, socket: Path | None = None) -> None:
        self.job_uid = job_uid
        self.settings = {"PASQAL_LOCAL_QRMI_WARDEN_URL": url}
        if socket:
            self.settings["PASQAL_LOCAL_QRMI_MUNGE_SOCKET"] = str(socket)

    def run(self, uid: int, *what: str, **more: str) -> str:
        """Run one operation in a process of that user, and return its outcome."""
        done = subprocess.run(
            [sys.executable, _PROCESS, str(uid), *what],
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
        """Acquire before the job, as the scheduler, for the job's user."""
        return self.run(os.geteuid(), "acquire", QRMI_JOB_UID=str(self.job_uid), QRMI_JOB_ID="7")

    def job(self, session: str, *what: str) -> str:
        """Run an operation in the job, as its user."""
        return self.run(self.job_uid, *what, PASQAL_LOCAL_QRMI_JOB_ACQUISITION_TOKEN=session)

    def release(self, session: str) -> str:
        """Release after the job, as the scheduler."""
        return self.run(os.geteuid(), "release", session)
