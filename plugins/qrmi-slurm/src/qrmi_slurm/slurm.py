"""Slurm's commands, each with a time limit and an environment without users' variables."""

from __future__ import annotations

import os
import subprocess

from qrmi_slurm import trust

LIMIT_SECONDS = 10.0


class SlurmError(Exception):
    """A command failed or could not be run."""


def run(folder: str, *command: str, seconds: float = LIMIT_SECONDS) -> str:
    """Run a command and return its output.

    Args:
        folder: The folder of Slurm's commands.
        command: The command's name and arguments.
        seconds: Time limit in seconds.

    Raises:
        SlurmError: The command failed, did not end in time, or could be changed by another user;
            the message contains its error output.
    """
    name, *arguments = command
    program = os.path.join(folder, name)
    if problem := trust.problem(program):
        raise SlurmError(f"{program} {problem}")
    environment = {"LC_ALL": "C"}
    if "SLURM_CONF" in os.environ:
        environment["SLURM_CONF"] = os.environ["SLURM_CONF"]
    try:
        done = subprocess.run(
            [program, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        raise SlurmError(f"{name} did not respond within {seconds:g} s") from None
    except OSError as error:
        raise SlurmError(f"{program}: {error.strerror}") from error
    if done.returncode:
        reason = " ".join(done.stderr.split()) or f"it ended with status {done.returncode}"
        raise SlurmError(f"{name}: {reason}")
    return done.stdout
