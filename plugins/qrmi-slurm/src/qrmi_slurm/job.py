"""The job for which Slurm started a hook."""

from __future__ import annotations

import os
from collections.abc import Mapping

import attrs

UNLIMITED = 4294967295
"""The value of ``QRMI_JOB_TIMEOUT_SECONDS`` for a job without a time limit."""
_NO_END = 365 * 86400
"""The seconds after which Slurm sets the end of a job without a time limit."""


@attrs.frozen
class Job:
    """A job as Slurm describes it to a prolog and an epilog.

    Args:
        id: The job id; each task of an array has its own.
        restart: The number of earlier requeues.
        uid: The id of its user.
        gid: The group id of its user; -1 where Slurm does not set it.
        user: The user's name.
        cluster: The cluster's name.
        node: This node's name.
    """

    id: int
    restart: int
    uid: int
    gid: int
    user: str
    cluster: str
    node: str

    def owner(self) -> tuple[int, int] | None:
        """Return the user and group of the job's files, or None if only root may read them."""
        return (self.uid, self.gid) if os.geteuid() == 0 else None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Job:
        """Read the variables that Slurm sets for prolog and epilog.

        Raises:
            ValueError: Slurm did not start this; the message names the missing variable.
        """

        def number(*names: str, default: str = "") -> int:
            text = next((environment[name] for name in names if environment.get(name)), default)
            try:
                return int(text)
            except ValueError:
                raise ValueError(f"{names[0]} is {text!r}, which is not a number") from None

        return cls(
            number("SLURM_JOB_ID", "SLURM_JOBID"),
            number("SLURM_JOB_RESTART_COUNT", "SLURM_RESTART_COUNT", default="0"),
            number("SLURM_JOB_UID", "SLURM_UID"),
            number("SLURM_JOB_GID", default="-1"),
            environment.get("SLURM_JOB_USER", ""),
            environment.get("SLURM_CLUSTER_NAME", ""),
            environment.get("SLURMD_NODENAME", ""),
        )


@attrs.frozen
class Details:
    """Details of a job that only the controller has.

    Args:
        seconds: Its time limit; `UNLIMITED` without one, or if the controller does not respond.
        array_job_id: The job id of its array, None without one.
        array_task_id: Its index in the array.
    """

    seconds: int = UNLIMITED
    array_job_id: int | None = None
    array_task_id: int | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Details | None:
        """Read the variables that newer versions of Slurm set; return None if they are missing."""
        begin, end = (environment.get(f"SLURM_JOB_{word}_TIME", "") for word in ("START", "END"))
        if not (begin.isdecimal() and end.isdecimal()):
            return None
        seconds = int(end) - int(begin)
        array = environment.get("SLURM_ARRAY_JOB_ID", "")
        task = environment.get("SLURM_ARRAY_TASK_ID", "")
        return cls(
            seconds if 0 < seconds < _NO_END else UNLIMITED,
            int(array) if array.isdecimal() else None,
            int(task) if task.isdecimal() else None,
        )

    @classmethod
    def from_text(cls, text: str, job_id: int) -> Details:
        """Read the lines of ``scontrol show job -o``.

        There are several lines if the job has the id of its array.
        """
        line = next((x for x in text.splitlines() if x.startswith(f"JobId={job_id} ")), "")
        fields = dict(word.split("=", 1) for word in line.split() if "=" in word)
        array, task = fields.get("ArrayJobId", ""), fields.get("ArrayTaskId", "")
        return cls(
            limit_seconds(fields.get("TimeLimit", "")),
            int(array) if array.isdecimal() else None,
            int(task) if task.isdecimal() else None,
        )


def limit_seconds(text: str) -> int:
    """Return a time limit of Slurm, ``[days-]hours:minutes:seconds``, in seconds."""
    days, _, clock = text.rpartition("-")
    try:
        hours, minutes, seconds = (int(part) for part in clock.split(":"))
        return ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds
    except ValueError:
        return UNLIMITED
