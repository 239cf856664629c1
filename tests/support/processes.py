"""Programs that tests start and that never outlive them."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

# The end of its input is the end of whoever started it, however that came about.
_GUARD = '"$@" < /dev/null & cat > /dev/null; kill $! 2> /dev/null; wait $!'


@contextmanager
def running(
    command: Sequence[str | Path],
    *,
    log: Path,
    ready: Callable[[], bool],
    seconds: float = 30.0,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Iterator[None]:
    """Run a program in the background until the block, or this process, ends.

    Args:
        command: The program and its arguments.
        log: File for what it prints.
        ready: Asked until the program can be used.
        seconds: How long that may take.
        environment: Its environment; by default that of this process.
        folder: Its working directory.
    """
    with log.open("ab") as output:
        guard = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "sh", *map(str, command)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env=environment,
            cwd=folder,
        )
    assert guard.stdin
    try:
        end = time.monotonic() + seconds
        while not ready():
            assert time.monotonic() < end, f"{command[0]} is not ready: {log.read_text()}"
            time.sleep(0.02)
        yield
    finally:
        guard.stdin.close()
        guard.wait(20)
