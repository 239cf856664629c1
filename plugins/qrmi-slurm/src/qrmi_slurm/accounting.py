"""One JSON line per acquisition, for the site's tools."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Mapping

from qrmi_slurm.log import append_to
from qrmi_slurm.records import Acquisition, Record


def line(
    record: Record, acquisition: Acquisition, outcome: str, usage: Mapping[str, float | None]
) -> str:
    """Return the accounting line of an acquisition.

    Args:
        record: The record of its job.
        acquisition: The acquisition.
        outcome: ``released``, ``release-failed`` (will be retried), ``uncertain`` (the vendor may
            hold an unknown one), or ``user`` (acquired and released by the job itself).
        usage: ``tasks`` and ``quantum_seconds``, as the vendor reports them.
    """
    job = record.job
    return json.dumps(
        {
            "cluster": job.cluster,
            "job_id": job.id,
            "array_job_id": record.array_job_id,
            "array_task_id": record.array_task_id,
            "restart": job.restart,
            "user": job.user,
            "uid": job.uid,
            "node": job.node,
            "resource": acquisition.resource,
            "type": acquisition.type,
            "token": acquisition.token,
            "from": acquisition.since,
            "to": acquisition.until,
            "seconds": _seconds(acquisition),
            "tasks": usage.get("tasks"),
            "quantum_seconds": usage.get("quantum_seconds"),
            "outcome": outcome,
            "error": acquisition.error,
        }
    )


def write(path: str, text: str) -> None:
    """Append a line in a single write, so that lines of several processes do not mix.

    Raises:
        OSError: The line could not be appended.
        Untrusted: See `append_to`.
    """
    descriptor = append_to(path)
    try:
        content = f"{text}\n".encode()
        if os.write(descriptor, content) != len(content):
            raise OSError(28, "the line was cut short", path)
    finally:
        os.close(descriptor)


def _seconds(acquisition: Acquisition) -> float | None:
    if acquisition.until is None:
        return None
    end = datetime.datetime.fromisoformat(acquisition.until)
    begin = datetime.datetime.fromisoformat(acquisition.since)
    return max(0.0, round((end - begin).total_seconds(), 3))  # The clock may have been set back.
