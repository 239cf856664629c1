"""The processes of a run, identified by an environment variable; none outlives the run."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path

import attrs

MARK = "QRMI_CHAOS_RUN"
CONFINED = "QRMI_CHAOS_CONFINED"


@attrs.frozen
class Process:
    """A process of a run.

    Args:
        pid: Its number.
        command: Its command line, joined by spaces.
    """

    pid: int
    command: str

    def send(self, number: int) -> bool:
        """Send a signal; return False if the process has ended."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)
            return True
        return False


def marked(mark: str) -> list[Process]:
    """Return the running processes with a mark in their environment, without this one."""
    found = []
    wanted = f"{MARK}={mark}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                words = (folder / "cmdline").read_bytes().split(b"\0")
                found.append(Process(int(folder.name), b" ".join(words).decode(errors="replace")))
    return [process for process in found if process.pid != os.getpid()]


def end_all(mark: str) -> None:
    """Kill the processes of a run, and those that they start meanwhile."""
    for _ in range(100):
        left = marked(mark)
        if not left:
            return
        for process in left:
            process.send(signal.SIGKILL)
        time.sleep(0.1)


def confine(command: list[str]) -> None:
    """Replace this process by itself in new namespaces, where the system allows it.

    There it may mount a disk, and every process started there ends with it, however it ends.
    """
    if os.environ.get(CONFINED):
        return
    unshare = shutil.which("unshare")
    if unshare is None:
        return
    options = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if os.geteuid():
        options += ["--user", "--map-root-user"]
    works = subprocess.run([unshare, *options, "true"], capture_output=True, check=False)
    if works.returncode == 0:
        os.environ[CONFINED] = "1"
        # The shell is the first process of the namespace, and waits for orphans.
        line = f"{shlex.join(command)}; exit $?"
        os.execv(unshare, [unshare, *options, "/bin/sh", "-c", line])
