"""After a job: release what was acquired for it."""

from __future__ import annotations

import logging
import os

from qrmi_core.deadline import Deadline
from qrmi_slurm import records
from qrmi_slurm.job import Job
from qrmi_slurm.log import Secrets, start
from qrmi_slurm.records import locked
from qrmi_slurm.release import Releaser, clean_environment
from qrmi_slurm.site import Site

_log = logging.getLogger(__name__)


def run(site: Site) -> None:
    """Release the QPUs of the job that the environment tells of.

    Slurm tells the epilog of a job that is requeued the number of its next run, so that records of
    runs before it count too.

    Args:
        site: The integration's settings.
    """
    job = Job.from_environment(os.environ)
    clean_environment()
    secrets = Secrets()
    start(site, secrets)
    records.check_trusted(site.state)
    deadline = Deadline(site.epilog_limit_seconds)
    releaser = Releaser(site, secrets)
    for _, restart in records.restarts(site.state, job.id):
        if restart > job.restart:
            continue
        name = f"{job.id}.{restart}"
        try:
            with locked(site.state, job.id, restart, seconds=deadline.remaining() or 0.0) as folder:
                if folder is None:
                    continue
                record = folder.read()
                if record is not None and record.job.node not in ("", job.node):
                    continue  # it is of a node that shares the folder
                folder.hide()
                if record is None or releaser.release(folder, record, deadline):
                    folder.remove()
        except records.Busy:
            _log.warning("job %s: another process is at work; the sweep looks again", name)
        except (OSError, ValueError) as error:
            _log.error("job %s: %s; the sweep looks again", name, error)
