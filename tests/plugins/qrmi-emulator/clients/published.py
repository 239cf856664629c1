"""Runs with the published package: every operation once. Arguments: configuration, name, seed."""

import json
import os
import sys
import time
import warnings
from collections import Counter

from qiskit import QuantumCircuit, transpile
from qiskit.quantum_info import SparsePauliOp

from qrmi import (
    Config,
    Payload,
    QuantumResource,
    ResourceProvider,
    ResourceType,
    TaskNotFoundError,
    TaskStatus,
)
from qrmi.primitives.ibm import EstimatorV2, SamplerV2, get_backend

warnings.simplefilter("ignore")
path, name, seed = sys.argv[1:]
entry = Config.load(path).resource_map[name]
for key, value in entry.environment.items():
    os.environ[f"{name}_{key}"] = value
qpu = QuantumResource(name, entry.resource_type)

found = {"accessible": qpu.is_accessible(), "status": str(qpu.status().status)}
provider = ResourceProvider(entry.resource_type, entry.environment)
found["discovered"] = [
    each.resource_id() for each in provider.resources("num_qubits=150&status=online&name=fake_*")
]
found["least_busy"] = provider.least_busy().resource_id()
token = qpu.acquire()
is_direct = qpu.resource_type() == ResourceType.IBMQuantumSystem
# Where nothing is reserved, each gets another.
assert (qpu.acquire() == token) != is_direct
found["target"] = sorted(json.loads(qpu.target().value))
found["metadata"] = qpu.metadata()

bell = """OPENQASM 3.0;
include "stdgates.inc";
bit[2] c;
rz(pi/2) $0; sx $0; rz(pi/2) $0;
rz(pi/2) $1; sx $1; rz(pi/2) $1;
cz $0, $1;
rz(pi/2) $1; sx $1; rz(pi/2) $1;
c[0] = measure $0;
c[1] = measure $1;
"""


def start(circuit):
    params = {
        "pubs": [[circuit, None, 1000]],
        "options": {"simulator": {"seed_simulator": int(seed)}},
        "support_qiskit": False,
        "version": 2,
    }
    return qpu.task_start(Payload.QiskitPrimitive(input=json.dumps(params), program_id="sampler"))


def wait(task):
    while qpu.task_status(task) in (TaskStatus.Queued, TaskStatus.Running):
        time.sleep(0.1)
    return str(qpu.task_status(task))


task = start(bell)
found["end"] = wait(task)
data = json.loads(qpu.task_result(task).value)["results"][0]["data"]["c"]
found["counts"] = Counter(format(int(sample, 16), "02b") for sample in data["samples"])
found["logs"] = qpu.task_logs(task)
qpu.task_stop(task)
try:
    found["stopped"] = wait(task)
except TaskNotFoundError:
    found["stopped"] = "deleted"
found["running_stopped"] = start(bell)
qpu.task_stop(found["running_stopped"])

params = {
    "pubs": [[bell.partition("c[0]")[0].replace("bit[2] c;", ""), {"I" * 154 + "ZZ": 1.0}]],
    "options": {"seed_estimator": int(seed), "default_precision": 0.02},
    "support_qiskit": False,
    "version": 2,
}
task = qpu.task_start(Payload.QiskitPrimitive(input=json.dumps(params), program_id="estimator"))
wait(task)
found["estimated"] = json.loads(qpu.task_result(task).value)["results"][0]["data"]["evs"]
qpu.task_stop(task)

backend = get_backend(qpu)
circuit = QuantumCircuit(2)
circuit.h(0)
circuit.cx(0, 1)
isa = transpile(circuit, backend, initial_layout=[0, 1], optimization_level=1)
ising = SparsePauliOp(["ZZ", "XI", "IX"], [1.0, 0.5, 0.5]).apply_layout(isa.layout)
result = EstimatorV2(qpu).run([(isa, ising)], precision=0.02).result()
found["ising"] = float(result[0].data.evs)
circuit.measure_all()
isa = transpile(circuit, backend, initial_layout=[0, 1], optimization_level=1)
result = SamplerV2(qpu).run([isa], shots=500).result()
found["primitive"] = result[0].data.meas.get_counts()
qpu.release(token)
print(json.dumps(found))
