"""The primitives on IBM's service, as emulated."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import numpy as np
import pytest
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Parameter
from qiskit.quantum_info import SparsePauliOp

from qrmi_core import QuantumResource, TaskFailedError
from qrmi_emulator import Emulator
from qrmi_qiskit import EstimatorV2, SamplerV2, get_backend
from support.processes import said
from support.resources import quick

TYPE = "ibm-quantum-compute-service"
SECONDS = 60.0


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator() as running:
        yield running


def resource(emulator: Emulator, backend: str) -> QuantumResource:
    settings = emulator.settings_for(TYPE) | {"QRMI_IBM_QCS_SESSION_MODE": "batch"}
    return quick(backend, TYPE, settings)


@pytest.fixture
def qpu(emulator: Emulator) -> Iterator[QuantumResource]:
    emulator.clear_faults()
    made = resource(emulator, "fake_manila")
    yield made
    made.close()
    emulator.clear_faults()


def ansatz() -> QuantumCircuit:
    circuit = QuantumCircuit(2)
    circuit.ry(Parameter("theta"), 0)
    circuit.cx(0, 1)
    return circuit


@pytest.mark.slow
def test_both_primitives_run_transpiled_circuits_in_one_session(
    emulator: Emulator, qpu: QuantumResource
) -> None:
    with qpu:
        isa = transpile(ansatz(), get_backend(qpu), seed_transpiler=1, optimization_level=1)
        angles = np.linspace(0, np.pi, 5)
        observables = [
            [SparsePauliOp(label).apply_layout(isa.layout)] for label in ("ZZ", "ZI", "XX")
        ]
        emulator.clear_requests()
        job = EstimatorV2(qpu).run([(isa, observables, angles)], precision=0.02)
        evs = job.result(SECONDS)[0].data.evs
        exact = [np.ones(5), np.cos(angles), np.sin(angles)]
        assert evs == pytest.approx(np.array(exact), abs=0.2)
        made = [(request["method"], request["path"]) for request in emulator.requests()]
        # A submission, status polls and the result; the description is cached.
        assert sum(method == "POST" for method, _ in made) == 1
        assert not any("/backends/" in path for _, path in made)
        measured = transpile(ansatz().measure_all(inplace=False), get_backend(qpu))
        sampled = SamplerV2(qpu).run([(measured, [np.pi])], shots=200).result(SECONDS)
        assert sampled[0].data.meas.get_counts()["11"] > 150
        assert job.usage().quantum_seconds >= 0
        assert isinstance(job.logs(), str)


@pytest.mark.slow
def test_another_process_finds_the_job(
    emulator: Emulator, bell: QuantumCircuit, qpu: QuantumResource
) -> None:
    job_id = SamplerV2(qpu).run([transpile(bell, get_backend(qpu))], shots=30).job_id()
    script = (
        "import sys\n"
        "from qrmi_core import QuantumResource\n"
        "from qrmi_qiskit import SamplerV2\n"
        f"qpu = QuantumResource('fake_manila', {TYPE!r})\n"
        "job = SamplerV2(qpu).job(sys.argv[1])\n"
        "print(job.result(60)[0].data.meas.num_shots, job.status().name)"
    )
    known = {f"fake_manila_{key}": value for key, value in emulator.settings_for(TYPE).items()}
    told = said(sys.executable, "-c", script, job_id, env={**os.environ, **known})
    assert told.split() == ["30", "DONE"]


def test_a_queued_job_is_cancelled(
    emulator: Emulator, qpu: QuantumResource, bell: QuantumCircuit
) -> None:
    emulator.fault("job-queued", count=1)
    job = SamplerV2(qpu).run([transpile(bell, get_backend(qpu))], shots=10)
    assert job.status().name == "QUEUED"
    job.cancel()
    job.wait_for_final_state(SECONDS)
    assert job.cancelled()


def test_a_failure_carries_the_services_reason_and_code(
    emulator: Emulator, qpu: QuantumResource, bell: QuantumCircuit
) -> None:
    emulator.fault("job-failed", reason="the fridge is warm", code=5203)
    job = SamplerV2(qpu).run([transpile(bell, get_backend(qpu))], shots=10)
    with pytest.raises(TaskFailedError, match="the fridge is warm") as failure:
        job.result(SECONDS)
    assert "5203" in str(failure.value.vendor_code)
    assert job.errored()


def test_the_emulator_and_this_machine_give_the_same_for_the_same_seed(
    emulator: Emulator, aer: QuantumResource, bell: QuantumCircuit
) -> None:
    counts = [
        SamplerV2(qpu, options={"simulator": {"seed_simulator": 9}})
        .run([bell], shots=100)
        .result(SECONDS)[0]
        .data.meas.get_counts()
        for qpu in (aer, resource(emulator, "aer"))
    ]
    assert counts[0] == counts[1]
