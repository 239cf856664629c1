"""Acquisitions left behind by ended jobs, and the timer of the sweep."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator

from qrmi_slurm import records, slurm, sweep
from qrmi_slurm.check.finding import Finding, error, ok, warning
from qrmi_slurm.site import Site

ABOUT = "sweep"
TIMER = "qrmi-slurm-sweep.timer"
_LIMIT_SECONDS = 10.0


def left(site: Site) -> Iterator[Finding]:
    """Check for records that the sweep must handle."""
    try:
        found = records.restarts(site.state)
        runs = sweep.runs(site) if found else {}
    except FileNotFoundError:
        found, runs = [], {}
    except (OSError, slurm.SlurmError) as failure:
        yield error(
            ABOUT,
            f"the records cannot be compared with the jobs: {failure}",
            "see the other findings",
        )
        return
    failing, over, held = 0, [], 0
    for job_id, restart in found:
        folder = records.Folder(site.state, job_id, restart)
        try:
            record = folder.read()
        except (OSError, ValueError) as failure:
            remedy = f"look at {folder.path}, release by hand what is in it, and remove it"
            yield error(ABOUT, f"the record of {folder.name} cannot be read: {failure}", remedy)
            continue
        failed = [item for item in (record.acquisitions if record else ()) if item.failures]
        for item in failed:
            yield warning(
                ABOUT,
                f"{item.resource} of job {folder.name} could not be released "
                f"({item.failures} attempts): {item.error}",
                "correct that, and run `qrmi-slurm sweep`",
            )
        if failed:
            failing += 1
        elif sweep.is_over(runs.get(job_id), restart):
            over.append(folder.name)
        else:
            held += 1
    if over:
        yield warning(ABOUT, f"ended jobs have left {', '.join(over)}", "run `qrmi-slurm sweep`")
    if not failing and not over:
        yield ok(ABOUT, f"ended jobs have left nothing; jobs that have QPUs now: {held}")


def timer() -> Iterator[Finding]:
    """Check that the sweep is started regularly."""
    systemctl = shutil.which("systemctl", path="/usr/bin:/bin")
    if systemctl is None or not os.path.isdir("/run/systemd/system"):
        yield warning(
            ABOUT,
            "this machine was not started by systemd, so that the start of the sweep cannot be "
            "checked",
            "let cron or the like run `qrmi-slurm sweep` every few minutes",
        )
        return
    try:
        state = subprocess.run(
            [systemctl, "is-active", TIMER],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_LIMIT_SECONDS,
        ).stdout.strip()
    except (OSError, subprocess.TimeoutExpired) as failure:
        state = str(failure)
    if state == "active":
        yield ok(ABOUT, f"{TIMER} is active")
    else:
        yield warning(
            ABOUT,
            f"{TIMER} is {state or 'missing'}, so that a release that failed is not tried again",
            f"install it from the folder of `qrmi-slurm setup`: systemctl enable --now {TIMER}",
        )
