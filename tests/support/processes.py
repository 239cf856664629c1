"""Programs that tests start and that never outlive them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]

# The standard input ends with the process that started this one, however it ended.
_GUARD = '"$@" < /dev/null & cat > /dev/null; kill $! 2> /dev/null; wait $!'


def said(*command: object, **options: Any) -> str:
    """Return the output of a program, which must succeed; options are those of `subprocess.run`."""
    options = {"capture_output": True, "text": True, "check": False, "timeout": 110, **options}
    done = subprocess.run([*map(str, command)], **options)
    assert done.returncode == 0, done.stdout + done.stderr
    output: str = done.stdout
    return output


def prepared(name: str) -> Path:
    """Return a folder that the Makefile prepares for tests, such as `wheels`.

    `make test` requires it. Otherwise the test is skipped if the folder is missing or older than
    the sources, whose results would be outdated.
    """
    if folder := os.environ.get("QRMI_TEST_PREPARED"):
        return Path(folder, name).resolve(strict=True)
    found = ROOT / ".make" / name
    current = ["make", "--question", "--silent", f"{found}/.ready"]
    if subprocess.run(current, cwd=ROOT, capture_output=True, check=False).returncode:
        pytest.skip(f"{found} is not up to date; `make environments` prepares it")
    return found


def run_tests(python: Path, files: Sequence[Path], *, folder: Path) -> None:
    """Run tests of one folder in another environment; they must pass.

    Args:
        python: The interpreter of the environment.
        files: Test files, next to their conftest.py.
        folder: An empty folder for home and cache.
    """
    (folder / "pytest.ini").write_text(f"[pytest]\npythonpath = {ROOT / 'tests'}\n")
    options = ["-q", "-p", "no:cacheprovider", "--import-mode=importlib", "-c", "pytest.ini"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "XDG_CACHE_HOME": str(folder)}
    output = said(
        *(python, "-m", "pytest", *options, f"--confcutdir={files[0].parent}", *files),
        cwd=folder,
        env=environment,
    )
    assert re.search(r"\d+ passed", output)


def run_example_tests(file: str) -> None:
    """Run a file of the example plugin's tests in this environment; none may fail or be skipped."""
    folder = ROOT / "docs/examples/qrmi-example"
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"tests/{file}")
    output = said(*command, cwd=folder)
    assert re.search(r"\d+ passed", output)
    assert "skipped" not in output


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
    """Run a program in the background until the end of the block or of this process.

    Args:
        command: The program and its arguments.
        log: File for its output.
        ready: Polled until the program can be used.
        seconds: Time limit for that, in seconds.
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
