"""The task prolog, which exports the job's variables or prints the reason for a missing QPU."""

from __future__ import annotations

import os
import sys

from qrmi_slurm import keys, site, variables, words

NO_QPU = 1
"""The job has no QPU, and fails."""


def run(settings_file: str | None, *, spank: bool) -> int:
    """Print lines for Slurm and return the exit status; any status but 0 fails the job.

    Args:
        settings_file: The file of the integration's settings.
        spank: True if the SPANK plugin reads the lines, which logs no values.
    """
    environment = os.environ
    job_id = environment.get("SLURM_JOB_ID", "")
    if not job_id.isdecimal():
        return 0
    try:
        state = site.state_folder(settings_file)
        found = variables.read(state, job_id)
        where = None if spank else keys.folder(state, job_id)
        exports = variables.lines(found, environment, where) if found and not found["error"] else []
    except (OSError, ValueError, LookupError, TypeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return _refuse(
            f"the prolog of this job was interrupted on {_node(environment)} "
            f"({reason}); please ask the administrators, whose log has the details"
        )
    if found is None:
        if words.OPTION in environment and _is_lost(environment):
            return _refuse(
                f"--qpu={environment[words.OPTION]}: the prolog left no record on "
                f"{_node(environment)}; please ask the administrators, whose log has the details"
            )
        return 0
    if found["error"]:
        return _refuse(str(found["error"]))
    _write(exports)
    return 0


def _is_lost(environment: os._Environ[str]) -> bool:
    """Return True if a job that requests QPUs should have a record on this node.

    If the environment has variables of another job, which submitted this one, the option may be
    that job's.
    """
    if "QRMI_JOB_ID" in environment or "SLURMD_NODENAME" not in environment:
        return False
    names = words.wanted(environment[words.OPTION], "")
    return bool(names) and words.on_first_node(environment)


def _node(environment: os._Environ[str]) -> str:
    return environment.get("SLURMD_NODENAME") or "this node"


def _refuse(text: str) -> int:
    _write([f"print qrmi-slurm: {text}"])
    return NO_QPU


def _write(lines: list[str]) -> None:
    # In UTF-8 with any locale of the user.
    text = "".join(f"{line}\n" for line in lines)
    sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
