"""Disks that can be filled: a small one in memory, or else a limit on file sizes."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

SIZE_BYTES = 96 * 2**20


class Disk:
    """A folder whose space can run out.

    Where mounting is not possible, the processes that write there get a limit on file sizes
    (`RLIMIT_FSIZE`), and writing fails with ``EFBIG``.

    Args:
        folder: The folder, created here.
        writers: Returns the numbers of the processes that write there.

    Attributes:
        mounted: True if it is a mounted disk.
    """

    def __init__(self, folder: Path, writers: Callable[[], Iterable[int]]) -> None:
        self.folder = folder
        self._writers = writers
        self._filler = folder / "filler"
        folder.mkdir()
        options = f"size={SIZE_BYTES},mode=755"
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        self.mounted = (
            bool(shutil.which("mount"))
            and not subprocess.run(command, capture_output=True, check=False).returncode
        )

    def fill(self, left_bytes: int) -> None:
        """Fill the disk.

        Args:
            left_bytes: The space that stays free.
        """
        if not self.mounted:
            self._limit(left_bytes)
            return
        with contextlib.suppress(OSError), self._filler.open("ab", buffering=0) as stream:
            while True:
                stream.write(bytes(2**16))
        with contextlib.suppress(OSError):
            os.truncate(self._filler, max(0, self._filler.stat().st_size - left_bytes))

    def free(self) -> None:
        """Make the space available again."""
        if self.mounted:
            self._filler.unlink(missing_ok=True)
        else:
            self._limit(resource.RLIM_INFINITY)

    def unmount(self) -> None:
        """Unmount the disk."""
        if self.mounted:
            subprocess.run(["umount", "-l", self.folder], capture_output=True, check=False)

    def _limit(self, size: int) -> None:
        for pid in self._writers():
            with contextlib.suppress(OSError):
                _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))
