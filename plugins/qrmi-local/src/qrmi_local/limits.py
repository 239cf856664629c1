"""Limits of the tasks of a store, and how a worker enforces them."""

from __future__ import annotations

import json
import mmap
import os
import signal
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import attrs

from qrmi_core.plugin import replace_file

_FILE: Final = "limits.json"
_PAUSE_SECONDS: Final = 0.05
_SHARED: Final = struct.Struct("dQ")


@attrs.frozen(kw_only=True)
class Limits:
    """The most that one task may use. A task that uses more is ended by its worker, and is Failed.

    Attributes:
        seconds: How long it may run; None for no limit.
        memory_bytes: How much resident memory its process may have, with the simulator that is
            loaded there; None for no limit. Enforced on Linux only.
    """

    seconds: float | None = None
    memory_bytes: int | None = None

    @classmethod
    def read(cls, home: Path) -> Limits:
        """Return the limits of the store in a folder; no limits if none were written."""
        try:
            return cls(**json.loads((home / _FILE).read_bytes()))
        except FileNotFoundError:
            return cls()

    def write(self, home: Path) -> None:
        """Write the limits of the store in a folder, for tasks that begin from now on.

        Raises:
            OSError: They cannot be written.
        """
        if self != Limits.read(home):
            replace_file(home / _FILE, json.dumps(attrs.asdict(self)).encode())


class Guard:
    """The limits of the task that an executor runs, in memory that its watcher shares.

    Args:
        home: The folder of the store.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._shared = mmap.mmap(-1, _SHARED.size)

    @contextmanager
    def limiting(self) -> Iterator[None]:
        """Limit the task that this process runs in the block.

        The system ends the process when the time is up, whatever code is running.
        """
        limits = Limits.read(self._home)
        seconds = limits.seconds or 0.0
        _SHARED.pack_into(self._shared, 0, seconds, limits.memory_bytes or 0)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            _SHARED.pack_into(self._shared, 0, 0.0, 0)

    def wait(self, executor: int) -> str | None:
        """Wait for the end of an executor, and kill it if its task needs too much memory.

        Args:
            executor: A child process, which remains to be reaped.

        Returns:
            The limit that its task exceeded, None if it ended for another reason.
        """
        # Without a limit of memory nothing needs to be watched.
        how = os.WNOHANG if Limits.read(self._home).memory_bytes else 0
        while (ended := os.waitid(os.P_PID, executor, os.WEXITED | os.WNOWAIT | how)) is None:
            _, most_bytes = _SHARED.unpack_from(self._shared)
            if most_bytes and _resident_bytes(executor) > most_bytes:
                os.killpg(executor, signal.SIGKILL)
                os.waitid(os.P_PID, executor, os.WEXITED | os.WNOWAIT)
                return f"it needed more than the {most_bytes >> 20} MiB of memory that a task may"
            time.sleep(_PAUSE_SECONDS)
        seconds, _ = _SHARED.unpack_from(self._shared)
        if seconds and (ended.si_code, ended.si_status) == (os.CLD_KILLED, signal.SIGALRM):
            return f"it ran longer than the {seconds:g} s that a task may"
        return None


def _resident_bytes(pid: int) -> int:
    """Return the resident memory of a process; 0 where the system does not report it."""
    try:
        with open(f"/proc/{pid}/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except FileNotFoundError:
        return 0
