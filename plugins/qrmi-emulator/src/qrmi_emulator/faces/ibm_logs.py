"""The line that the log of an IBM job ends with, so that none is empty."""

from __future__ import annotations

import datetime

from qrmi_emulator.state import FINAL, Job


def last_line(job: Job) -> str:
    """When and how a job ended; nothing before."""
    if job.status not in FINAL or job.finished is None:
        return ""
    at = datetime.datetime.fromtimestamp(job.finished, datetime.UTC).isoformat(sep=" ")
    how = job.status.name.lower()
    return f"{at} INFO: {job.argument} on {job.resource} {how} after {job.seconds:.3f} s\n"
