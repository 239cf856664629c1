"""Scripts as users write them, in separate processes, on simulators and on the emulator."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pulser
import pytest

from qrmi_emulator import Emulator
from support.local_store import end_store
from support.processes import said

pytestmark = pytest.mark.slow

HEAD = "from qrmi import QuantumResource, ResourceType, Payload, TaskStatus\n"
SEED = (
    HEAD
    + """
import sys
name, kind, input_file, program_id = sys.argv[1:]
qrmi = QuantumResource(name, getattr(ResourceType, kind, None) or ResourceType(kind))
lock = qrmi.acquire()
with open(input_file, encoding="utf-8") as f:
    payload = Payload.QiskitPrimitive(input=f.read(), program_id=program_id)
job_id = qrmi.task_start(payload)
print(qrmi.task_result(job_id).value)
print(qrmi.task_status(job_id))
qrmi.task_stop(job_id)
qrmi.release(lock)
"""
)
POLLING = (
    HEAD
    + """
import sys, time
name, kind, input_file, runs = sys.argv[1:]
qrmi = QuantumResource(name, getattr(ResourceType, kind, None) or ResourceType(kind))
token = qrmi.acquire()
job_id = qrmi.task_start(Payload.PasqalCloud(sequence=open(input_file).read(), job_runs=int(runs)))
while True:
    status = qrmi.task_status(job_id)
    if status not in [TaskStatus.Running, TaskStatus.Queued]:
        break
    time.sleep(0.05)
print(qrmi.task_result(job_id).value)
print("%s" % status)
qrmi.release(token)
"""
)
PRIMITIVES = """
from qiskit import QuantumCircuit
from qiskit.transpiler.preset_passmanagers import generate_preset_pass_manager
from qrmi.primitives import QRMIService
from qrmi.primitives.ibm import SamplerV2, get_target

resources = QRMIService().resources()
(qrmi,) = resources
print(f"Available resource: id={qrmi.resource_id()} type={str(qrmi.resource_type())}")
target = get_target(qrmi)
circuit = QuantumCircuit(1)
circuit.x(0)
circuit.measure_all()
isa = generate_preset_pass_manager(optimization_level=1, target=target).run(circuit)
job = SamplerV2(qrmi, options={"default_shots": 50}).run([(isa,)])
data = job.result()[0].data.meas
print(sum(data.get_counts().values()))
assert not job.errored()
"""
CIRCUIT = (
    b'OPENQASM 3.0;\\ninclude "stdgates.inc";\\nbit[1] c;\\nx $0;\\nc[0] = measure $0;\\n'.decode(
        "unicode_escape"
    )
)


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator() as running:
        yield running


@pytest.fixture
def sampler(tmp_path: Path) -> Path:
    path = tmp_path / "sampler.json"
    document = {"pubs": [[CIRCUIT, None, 20]], "version": 2, "support_qiskit": False, "options": {}}
    path.write_text(json.dumps(document))
    return path


@pytest.fixture
def sequence(tmp_path: Path) -> Path:
    register = pulser.Register({"q0": (0.0, 0.0), "q1": (10.0, 0.0)})
    register = register.with_automatic_layout(pulser.AnalogDevice)
    made = pulser.Sequence(register, pulser.AnalogDevice)
    made.declare_channel("rydberg", "rydberg_global")
    made.add(pulser.Pulse.ConstantPulse(500, 6.0, 0.0, 0.0), "rydberg")
    made.measure("ground-rydberg")
    path = tmp_path / "sequence.json"
    path.write_text(made.to_abstract_repr())
    return path


def lines(script: str, *arguments: object, environment: Mapping[str, str], home: Path) -> list[str]:
    command = (sys.executable, "-W", "error::DeprecationWarning:__main__", "-c", script, *arguments)
    return said(
        *command, env={**os.environ, "HOME": str(home), **environment}, cwd=home
    ).splitlines()


def prefixed(name: str, settings: Mapping[str, str]) -> dict[str, str]:
    """Return the emulator's settings as environment variables of a script."""
    shared = ("QRMI_JOB_UID", "QRMI_JOB_ID", "PASQAL_USERNAME", "PASQAL_PASSWORD")
    return {key if key in shared else f"{name}_{key}": value for key, value in settings.items()}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "store"
    end_store(tmp_path / "store")


def test_the_seed_example_runs_on_local(sampler: Path, store: Path, tmp_path: Path) -> None:
    environment = {"QRMI_LOCAL_HOME": str(store), "aer_QRMI_LOCAL_HOME": str(store)}
    *_, result, status = lines(
        SEED, "aer", "local", sampler, "sampler", environment=environment, home=tmp_path
    )
    assert json.loads(result)["results"][0]["data"]["c"]["samples"] == ["0x1"] * 20
    assert status == "TaskStatus.Completed"


IBM = {
    "IBMQuantumComputeService": "ibm-quantum-compute-service",
    "IBMQiskitRuntimeService": "qiskit-runtime-service",
    "IBMQuantumSystem": "ibm-quantum-system",
    "IBMDirectAccess": "direct-access",
}


@pytest.mark.parametrize("kind", IBM)
def test_the_seed_example_runs_on_the_emulator(
    emulator: Emulator, kind: str, sampler: Path, tmp_path: Path
) -> None:
    environment = prefixed("fake_manila", emulator.settings_for(IBM[kind]))
    environment.setdefault("fake_manila_QRMI_JOB_TIMEOUT_SECONDS", "100")
    result, status = lines(
        SEED, "fake_manila", kind, sampler, "sampler", environment=environment, home=tmp_path
    )
    samples = json.loads(result)["results"][0]["data"]["c"]["samples"]
    assert len(samples) == 20
    assert samples.count("0x1") > 10
    assert status == "TaskStatus.Completed"


def test_a_sequence_runs_on_the_emulator(
    emulator: Emulator, sequence: Path, tmp_path: Path
) -> None:
    environment = prefixed("FRESNEL", emulator.settings_for("pasqal-cloud"))
    result, status = lines(
        POLLING, "FRESNEL", "PasqalCloud", sequence, 40, environment=environment, home=tmp_path
    )
    assert sum(json.loads(result)["counter"].values()) == 40
    assert status == "TaskStatus.Completed"


def test_primitives_run_on_the_resource_of_the_job(emulator: Emulator, tmp_path: Path) -> None:
    kind = "ibm-quantum-compute-service"
    environment = prefixed("fake_manila", emulator.settings_for(kind)) | {
        "SLURM_JOB_QPU_RESOURCES": "fake_manila",
        "SLURM_JOB_QPU_TYPES": kind,
    }
    named, shots = lines(PRIMITIVES, environment=environment, home=tmp_path)
    assert named.endswith("id=fake_manila type=ResourceType.IBMQuantumComputeService")
    assert shots == "50"
