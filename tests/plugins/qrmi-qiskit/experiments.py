"""Experiments of qiskit-experiments, unmodified, on the primitives; see test_experiments.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit_experiments.framework import BaseExperiment, ExperimentData
from qiskit_experiments.library import T1, LocalReadoutError, StandardRB, StateTomography

from qrmi_core import QuantumResource
from qrmi_qiskit import SamplerV2, get_backend
from support.local_store import MakeResource

# Ignore warnings about divisions in fits and about calls of SciPy, which are not from our code.
pytestmark = [
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:qiskit_experiments"),
]


def results(experiment: BaseExperiment, qpu: QuantumResource) -> dict[str, Any]:
    data: ExperimentData = experiment.run(sampler=SamplerV2(qpu)).block_for_results(timeout=100)
    assert not data.errors()
    found = data.analysis_results(dataframe=True)
    return dict(zip(found["name"], found["value"], strict=True))


@pytest.fixture(params=["aer", "fake_fez"])
def qpu(request: pytest.FixtureRequest, local: MakeResource) -> QuantumResource:
    """Return a simulator without noise, and one of a device."""
    return local(request.param)


def test_readout_errors_are_measured(qpu: QuantumResource) -> None:
    mitigator = results(LocalReadoutError([0, 1]), qpu)["Local Readout Mitigator"]
    errors = 1 - np.diagonal(mitigator.assignment_matrix([0]))
    assert errors.max() < (0.05 if qpu.resource_id() == "fake_fez" else 1e-9)


def test_a_state_is_reconstructed(qpu: QuantumResource) -> None:
    bell = QuantumCircuit(2)
    bell.h(0)
    bell.cx(0, 1)
    assert results(StateTomography(bell), qpu)["state_fidelity"] > 0.85


def test_gates_are_benchmarked(qpu: QuantumResource) -> None:
    found = results(StandardRB([0], lengths=[1, 20, 60], num_samples=2, seed=1), qpu)
    assert found["EPC"].nominal_value < 0.01


def test_the_decay_of_a_qubit_is_that_of_the_device(local: MakeResource) -> None:
    qpu = local("fake_fez")
    t1 = get_backend(qpu).qubit_properties(3).t1
    found = results(T1([3], delays=np.linspace(t1 / 20, 3 * t1, 8)), qpu)["T1"]
    assert found.nominal_value == pytest.approx(t1, rel=0.25)
