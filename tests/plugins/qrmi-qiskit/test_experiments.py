"""The tests of experiments.py, in the environment that has qiskit-experiments."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.processes import prepared, run_tests

EXPERIMENTS = Path(__file__).with_name("experiments.py")


@pytest.fixture(scope="module")
def experiments() -> Path:
    """Return the interpreter of the environment with qiskit-experiments."""
    return prepared("experiments") / "bin/python"


def test_its_experiments_run(experiments: Path, tmp_path: Path) -> None:
    run_tests(experiments, [EXPERIMENTS], folder=tmp_path)
