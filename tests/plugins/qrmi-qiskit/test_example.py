"""The example plugin's backend, tested here because its own environment lacks Qiskit."""

from __future__ import annotations

import pytest

from support.processes import run_example_tests


@pytest.mark.slow
def test_the_backend_of_the_example_plugin_passes_its_tests() -> None:
    run_example_tests("test_qiskit.py")
