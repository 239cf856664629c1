"""Slurm's commands, each with a limit of time and an environment that holds nothing of a user's."""

from __future__ import annotations

import os
import subprocess

from qrmi_slurm import trust

LIMIT_SECONDS = 10.0


class SlurmError(Exception):
    """A command could not be run, or says that something is wrong."""


def run(folder: str, *command: str, seconds: float = LIMIT_SECONDS) -> str:
    """Run a command and give its output.

    Args:
        folder: Where Slurm's commands are.
        command: The command's name and arguments.
        seconds: How long it may take.

    Raises:
        SlurmError: The message says what it said.
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
        raise SlurmError(f"{name} did not answer within {seconds:g} s") from None
    except OSError as error:
        raise SlurmError(f"{program}: {error.strerror}") from error
    if done.returncode:
        said = " ".join(done.stderr.split()) or f"it ended with status {done.returncode}"
        raise SlurmError(f"{name}: {said}")
    return done.stdout
