"""The scripts that Slurm starts as prolog and epilog."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from qrmi_slurm import setup

PYTHON = """#!/bin/sh
echo "$@" > {folder}/started
while [ ! -e {folder}/go ]; do sleep 0.05; done
echo done > {folder}/ended
exit 7
"""


@pytest.fixture
def hooks(tmp_path: Path) -> Path:
    """Write the scripts, which start a program that waits for the file `go`."""
    python = tmp_path / "python"
    python.write_text(PYTHON.format(folder=tmp_path))
    python.chmod(0o755)
    config = tmp_path / "qrmi_config.json"
    config.write_text('{"resources": []}')
    settings = tmp_path / "slurm.toml"
    settings.write_text(f"config = {json.dumps(str(config))}")
    setup.install(tmp_path, str(settings), python=str(python))
    return tmp_path


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def start(script: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a hook as slurmd does: in a new process group, without a PATH."""
    return subprocess.Popen([script, *arguments], env={}, process_group=0)


@pytest.mark.parametrize("name", ["prolog", "epilog"])
def test_a_hook_waits_for_its_program_and_never_fails(hooks: Path, name: str) -> None:
    hook = start(hooks / name, "--qpu=a b")
    until((hooks / "started").exists)
    assert hook.poll() is None
    (hooks / "go").touch()
    assert hook.wait(30) == 0
    assert (hooks / "ended").exists()
    started = (hooks / "started").read_text()
    assert started == f"-I -m qrmi_slurm --settings {hooks}/slurm.toml {name} --qpu=a b\n"


@pytest.mark.parametrize("name", ["prolog", "epilog"])
def test_a_hook_that_slurmd_ends_does_not_fail_and_its_program_goes_on(
    hooks: Path, name: str
) -> None:
    hook = start(hooks / name)
    until((hooks / "started").exists)
    os.killpg(hook.pid, signal.SIGTERM)
    assert hook.wait(30) == 0
    with pytest.raises(ProcessLookupError):
        os.killpg(hook.pid, signal.SIGKILL)  # slurmd's next step
    (hooks / "go").touch()
    until((hooks / "ended").exists)
