"""The secrets of a job, each in a file that the job's user can read.

At log level debug, slurmd logs the output of a task prolog, with names and values. So the scripts
pass the name of a file as ``<KEY>_FILE``; the SPANK plugin sets the variables itself and needs no
files. ``STATE/keys.JOBID`` is on every node of the job, since `srun` passes the variables on.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False  # for type checkers
if TYPE_CHECKING:
    from collections.abc import Mapping

    from qrmi_slurm.job import Job

_PREFIX = "keys."


def folder(state: str, job_id: str) -> str:
    """Return the folder with the keys of a job."""
    return os.path.join(state, _PREFIX + job_id)


def file_name(entry: str, key: str) -> str:
    """Return the name of the file of one key of an entry."""
    from urllib.parse import quote

    return f"{quote(entry, safe='')}.{key}"


def write(state: str, job: Job, values: Mapping[str, str]) -> None:
    """Write the key files of a job.

    Nodes that share the folder write the same files at the same time.

    Args:
        state: The folder of all records.
        job: The job.
        values: The content of each file, by its name.

    Raises:
        OSError: A file cannot be written.
    """
    where = folder(state, str(job.id))
    if not values:
        return
    from qrmi_core.plugin import replace_file

    try:
        os.mkdir(where, 0o711)
    except FileExistsError:
        if os.path.islink(where):
            raise
    os.chmod(where, 0o711)
    for name, value in values.items():
        replace_file(os.path.join(where, name), value.encode(), mode=0o400, owner=job.owner())


def remove(state: str, job_id: str) -> None:
    """Remove the keys of a job, if they exist.

    Raises:
        OSError: The keys cannot be removed.
    """
    where = folder(state, job_id)
    if os.path.lexists(where):
        import shutil

        shutil.rmtree(where)


def jobs(state: str) -> list[int]:
    """Return the ids of jobs that have keys."""
    names = (name.removeprefix(_PREFIX) for name in os.listdir(state) if name.startswith(_PREFIX))
    return sorted(int(name) for name in names if name.isdecimal())
