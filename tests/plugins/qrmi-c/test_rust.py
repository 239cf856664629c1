"""The Rust crate: the example, a program for the published crate, and one of a user's own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from qrmi_emulator import Emulator
from support.c_library import HERE, ROOT, runner

pytestmark = [pytest.mark.native, pytest.mark.slow]

REGISTRY = Path("/usr/share/cargo/registry")
BELL = """OPENQASM 3.0;
include "stdgates.inc";
bit[1] c;
sx $0;
c[0] = measure $0;
"""


def works(cargo: str) -> bool:
    """Return True if a cargo is there; rustup's is of no use without a toolchain."""
    if shutil.which(cargo) is None:
        return False
    return subprocess.run([cargo, "--version"], capture_output=True, check=False).returncode == 0


def built(project: Path, *names: str) -> list[Path]:
    """Programs of a project, built with the crates that Debian has."""
    cargo = next(filter(works, ("cargo", "/usr/bin/cargo")), None)
    if cargo is None:
        pytest.skip("there is no cargo, or rustup has no toolchain for this user")
    if project == HERE / "rust" and not list(REGISTRY.glob("tokio-1*")):
        pytest.skip("Debian's crates are not installed (librust-tokio-dev)")
    target = ROOT / ".make/cargo"
    replaced = ['source.crates-io.replace-with="debian"', f'source.debian.directory="{REGISTRY}"']
    options = [word for setting in replaced for word in ("--config", setting)]
    environment = {**os.environ, "CARGO_TARGET_DIR": str(target)}
    done = subprocess.run(
        [cargo, "build", "--offline", *(options if REGISTRY.exists() else [])],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [target / "debug" / name for name in names]


@pytest.mark.timeout(600)
def test_a_program_of_a_user_runs_under_tokio(environment: dict[str, str]) -> None:
    (program,) = built(HERE / "rust", "own")
    assert runner(program, environment)().stdout == "done\n"


@pytest.mark.timeout(600)
def test_a_program_for_the_published_crate_runs_on_the_emulator(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (program,) = built(HERE / "rust", "published")
    task = {"pubs": [[BELL, None, 10]], "version": 2, "support_qiskit": False}
    (tmp_path / "input.json").write_text(json.dumps(task))
    with Emulator(["ibm-da"]) as emulator:
        settings = emulator.settings_for("direct-access")
        environment |= {f"ibm_rensselaer_{key}": value for key, value in settings.items()}
        environment["QRMI_PYTHON"] = sys.executable
        done = runner(program, environment)("ibm_rensselaer", "sampler", tmp_path / "input.json")
    assert '"samples"' in done.stdout


@pytest.mark.timeout(600)
def test_the_example_runs_a_whole_task_on_its_own_executor(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (program,) = built(ROOT / "docs/examples/rust", "task")
    store = {"QRMI_LOCAL_HOME": str(tmp_path / "store"), "QRMI_LOCAL_IDLE_SECONDS": "5"}
    environment |= {**store, "QRMI_PYTHON": sys.executable}
    assert '"samples"' in runner(program, environment)().stdout
