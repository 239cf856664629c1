"""The epilog, which releases the QPUs of a job that has ended."""

from __future__ import annotations

import logging
import os
import signal

from qrmi_core.plugin import Deadline
from qrmi_slurm import records, trust
from qrmi_slurm.job import Job
from qrmi_slurm.records import locked
from qrmi_slurm.release import Releaser
from qrmi_slurm.resources import begin

_log = logging.getLogger(__name__)


def run(settings_file: str | None) -> None:
    """Release the QPUs of the job that the environment names.

    In the epilog of a requeued job, Slurm sets the number of the next run, so the records of
    earlier runs are included.

    Args:
        settings_file: The file of the integration's settings.
    """
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it has its own time limit
    job = Job.from_environment(os.environ)
    site, secrets = begin(settings_file)
    trust.check(site.state)
    deadline = Deadline(site.epilog_limit_seconds)
    releaser = Releaser(site, secrets)
    for _, restart in records.restarts(site.state, job.id):
        if restart > job.restart:
            continue
        name = f"{job.id}.{restart}"
        try:
            with locked(site.state, job.id, restart, seconds=deadline.remaining() or 0.0) as folder:
                releaser.settle(folder, deadline, node=job.node)
        except records.Busy:
            _log.warning("job %s: another process is at work; the sweep tries again", name)
        except (OSError, ValueError) as error:
            _log.error("job %s: %s; the sweep tries again", name, error)
