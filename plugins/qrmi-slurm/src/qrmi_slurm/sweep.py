"""The sweep, which releases the QPUs that ended jobs still hold."""

from __future__ import annotations

import argparse
import logging
import sys

from qrmi_core.plugin import Deadline
from qrmi_slurm import keys, records, slurm, trust
from qrmi_slurm.records import Record, locked
from qrmi_slurm.release import Releaser
from qrmi_slurm.resources import begin
from qrmi_slurm.site import Site

_log = logging.getLogger(__name__)

DONE = 0
LEFT = 1
"""A QPU could not be released, or keys could not be removed."""
UNABLE = 2
"""The settings or the folder of records cannot be used, or Slurm does not respond."""

_ENDED = {
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL"),
    *("OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT"),
}


def main(arguments: list[str], settings_file: str | None) -> int:
    """Run the verb and return its exit status.

    Args:
        arguments: The arguments after the verb.
        settings_file: The file of the integration's settings.
    """
    parser = argparse.ArgumentParser(
        prog="qrmi-slurm sweep",
        description="Release the QPUs that ended jobs still hold. The exit status is 0 if all were "
        "released, 1 if one could not be released, 2 if the sweep could not start.",
    )
    parser.add_argument("--dry-run", action="store_true", help="only print the releases to make")
    options = parser.parse_args(arguments)
    site, secrets = begin(settings_file)
    try:
        if site.problem:
            raise trust.Untrusted(site.problem)
        trust.check(site.state)
        records.tidy(site.state)
        found = records.restarts(site.state)
        keyed = keys.jobs(site.state)
        # Request the jobs after listing the records, so that no job can begin in between.
        jobs = runs(site) if found or keyed else {}
    except FileNotFoundError:
        return DONE
    except (OSError, trust.Untrusted, slurm.SlurmError) as error:
        sys.stderr.write(f"qrmi-slurm sweep: {error}\n")
        return UNABLE
    releaser = Releaser(site, secrets)
    outcomes = [
        _sweep(site, releaser, job_id, restart, jobs.get(job_id), dry_run=options.dry_run)
        for job_id, restart in found
    ]
    for job_id in keyed:
        run = jobs.get(job_id)
        if not options.dry_run and (run is None or run[0] in _ENDED):
            outcomes.append(_remove_keys(site, job_id))
    return DONE if all(outcomes) else LEFT


def _remove_keys(site: Site, job_id: int) -> bool:
    """Remove the keys of a job; return False if they could not be removed."""
    try:
        keys.remove(site.state, str(job_id))
    except OSError as error:
        print(f"keys.{job_id}: {error}")
        return False
    return True


def _sweep(
    site: Site,
    releaser: Releaser,
    job_id: int,
    restart: int,
    run: tuple[str, int] | None,
    *,
    dry_run: bool,
) -> bool:
    """Release the QPUs of one record if its job has ended; return False if one remains.

    Args:
        site: The integration's settings.
        releaser: The releaser, shared by all records.
        job_id: The job.
        restart: The number of earlier requeues.
        run: State and number of the job's current run; None if Slurm has no such job.
        dry_run: True to only print the releases.
    """
    name = f"{job_id}.{restart}"
    ended = is_over(run, restart)
    try:
        with locked(site.state, job_id, restart, seconds=0.0) as folder:
            if folder is None:
                return True
            record = folder.read()
            failed = record is not None and any(item.failures for item in record.acquisitions)
            if not (ended or failed):
                return True
            what = ", ".join(item.resource for item in record.acquisitions) if record else ""
            if dry_run:
                print(f"{name}: would release {what or 'nothing'}")
                return True
            deadline = Deadline(site.epilog_limit_seconds)
            if record is not None and not releaser.release(folder, record, deadline):
                print(f"{name}: {_errors(record)}")
                return False
            if ended:
                folder.remove()
            print(f"{name}: released {what or 'nothing'}")
            return True
    except records.Busy:
        print(f"{name}: another process is at work")
        return True
    except (OSError, ValueError) as error:
        print(f"{name}: {error}")
        return False


def is_over(run: tuple[str, int] | None, restart: int) -> bool:
    """Return True if this run of a job has ended.

    Args:
        run: State and number of its current run; None if Slurm has no such job.
        restart: The number of the run in question.
    """
    return run is None or run[0] in _ENDED or run[1] > restart


def _errors(record: Record) -> str:
    return "; ".join(
        f"{item.resource} could not be released: {item.error or 'not accounted for'}"
        for item in record.acquisitions
    )


def runs(site: Site) -> dict[int, tuple[str, int]]:
    """Return the state of every job and the number of its current run."""
    text = slurm.run(
        site.slurm_bin,
        "squeue",
        "--noheader",
        "--all",
        "--array",
        "--states=all",
        "--Format=JobID:20,State:20,RestartCnt:10",
    )
    jobs = {}
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3 and words[0].isdecimal() and words[2].isdecimal():
            jobs[int(words[0])] = (words[1], int(words[2]))
    return jobs
