"""A bell in the store's folder, by which whoever submits a task wakes the workers."""

from __future__ import annotations

import os
import select
import stat
import time
from contextlib import suppress
from pathlib import Path


class Bell:
    """A named pipe that idle workers read. Where it cannot be made, nothing rings.

    Args:
        path: Its path, made by the first worker that waits.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pipe: int | None = None

    def ring(self) -> None:
        """Wake the workers that wait, if there are any."""
        with suppress(OSError):  # no worker reads
            pipe = self._open(os.O_WRONLY)
            try:
                os.write(pipe, b".")
            finally:
                os.close(pipe)

    def wait(self, seconds: float) -> None:
        """Wait until it rings, for some seconds at most.

        It may not ring for every task, as another worker may hear it first, so the time is the
        longest that a task waits for an idle worker.
        """
        try:
            if self._pipe is None:
                with suppress(FileExistsError):
                    os.mkfifo(self._path, 0o600)
                # Writing too, or it would be at its end whenever nobody else writes.
                self._pipe = self._open(os.O_RDWR)
        except OSError:
            time.sleep(seconds)
            return
        if select.select([self._pipe], [], [], seconds)[0]:
            with suppress(BlockingIOError):  # another worker was faster
                os.read(self._pipe, select.PIPE_BUF)

    def _open(self, access: int) -> int:
        opened = os.open(self._path, access | os.O_NONBLOCK | os.O_CLOEXEC)
        if stat.S_ISFIFO(os.fstat(opened).st_mode):
            return opened
        # A file, as some copies of a store have, can always be read: no wait would last its time.
        os.close(opened)
        raise FileExistsError(f"{self._path} is no pipe")
