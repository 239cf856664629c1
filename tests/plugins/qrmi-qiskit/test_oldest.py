"""The same tests with the oldest declared releases of Qiskit and qiskit-ibm-runtime."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from support.processes import prepared, run_tests

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
# The emulator and Pasqal's packages are missing, and the schemas need a newer Qiskit.
FILES = ("test_backend.py", "test_inputs.py", "test_jobs.py", "test_options.py")
ON_SIMULATORS = ("test_delays.py", "test_primitives.py")


@pytest.fixture(scope="module")
def oldest() -> Path:
    """Return the interpreter of the environment with the oldest releases."""
    return prepared("oldest") / "bin/python"


def test_the_environment_has_the_oldest_releases_that_are_declared(oldest: Path) -> None:
    project = tomllib.loads((ROOT / "plugins/qrmi-qiskit/pyproject.toml").read_text())["project"]
    declared = dict(
        re.findall(r"^(qiskit[a-z-]*)>=([0-9.]+)", "\n".join(project["dependencies"]), re.MULTILINE)
    )
    assert set(declared) == {"qiskit", "qiskit-ibm-runtime"}
    script = (
        "import importlib.metadata as m, json, sys;"
        "print(json.dumps({name: m.version(name) for name in sys.argv[1:]}))"
    )
    done = subprocess.run(
        [oldest, "-c", script, *declared], capture_output=True, text=True, timeout=60, check=True
    )
    found = json.loads(done.stdout)
    assert {name: ".".join(version.split(".")[:2]) for name, version in found.items()} == declared


@pytest.mark.parametrize("files", [FILES, ON_SIMULATORS], ids=["unit", "simulators"])
def test_the_tests_pass_with_them(oldest: Path, tmp_path: Path, files: tuple[str, ...]) -> None:
    run_tests(oldest, [HERE / file for file in files], folder=tmp_path)
