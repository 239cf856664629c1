"""Before every task, as the job's user: export what the prolog found, or say why there is none."""

from __future__ import annotations

import os
import sys

from qrmi_slurm import site, variables, words

NOT_AS_WANTED = 1


def run(settings_file: str | None) -> int:
    """Print what Slurm obeys, and give the exit status: other than 0 fails the job."""
    environment = os.environ
    job_id = environment.get("SLURM_JOB_ID", "")
    if not job_id.isdecimal():
        return 0
    where = site.load(settings_file)
    try:
        found = variables.read(where.state, job_id)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return _refuse(
            f"the prolog of this job did not come to its end on {_node(environment)} "
            f"({reason}); tell the administrators, whose log is {where.log}"
        )
    if found is None:
        if words.OPTION in environment and _is_lost(environment):
            return _refuse(
                f"--qpu={environment[words.OPTION]}: the prolog left no record on "
                f"{_node(environment)}; tell the administrators, whose log is {where.log}"
            )
        return 0
    if found.get("error"):
        return _refuse(str(found["error"]))
    sys.stdout.write("".join(line + "\n" for line in variables.lines(found, environment)))
    return 0


def _is_lost(environment: os._Environ[str]) -> bool:
    """Whether a job that wants QPUs should have a record here, and its variables from nowhere."""
    if environment.get("QRMI_JOB_ID") == environment["SLURM_JOB_ID"]:
        return False
    names = words.wanted(environment[words.OPTION], "")
    return bool(names) and words.on_first_node(environment)


def _node(environment: os._Environ[str]) -> str:
    return environment.get("SLURMD_NODENAME") or "this node"


def _refuse(text: str) -> int:
    for line in text.splitlines():
        sys.stdout.write(f"print qrmi-slurm: {line}\n")
    return NOT_AS_WANTED
