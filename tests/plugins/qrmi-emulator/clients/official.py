"""Runs with IBM's own client, in its three modes. Arguments: name, seed."""

import json
import sys
import warnings

from qiskit import QuantumCircuit
from qiskit.quantum_info import SparsePauliOp
from qiskit_ibm_runtime import Batch, EstimatorV2, QiskitRuntimeService, SamplerV2, Session

warnings.simplefilter("ignore")
name, seed = sys.argv[1:]

service = QiskitRuntimeService()
backend = service.backend(name)
found = {
    "state": backend.status().status_msg,
    "usage": service.usage(),
    "qubits": backend.num_qubits,
}


def rotated(circuit, qubit):
    # The gates that the text of the other client has: equal circuits, equal seeds, equal counts.
    half = 1.5707963267948966
    circuit.rz(half, qubit)
    circuit.sx(qubit)
    circuit.rz(half, qubit)


bell = QuantumCircuit(backend.num_qubits, 2)
rotated(bell, 0)
rotated(bell, 1)
bell.cz(0, 1)
rotated(bell, 1)
unmeasured = bell.remove_final_measurements(inplace=False)
bell.measure([0, 1], [0, 1])


def sample(mode):
    sampler = SamplerV2(mode=mode)
    sampler.options.simulator.seed_simulator = int(seed)
    job = sampler.run([bell], shots=1000)
    return job, job.result()[0].data.c.get_counts()


def estimate(mode):
    estimator = EstimatorV2(mode=mode)
    ising = SparsePauliOp(["ZZ", "XI", "IX"], [1.0, 0.5, 0.5]).apply_layout(
        [0, 1], backend.num_qubits
    )
    job = estimator.run([(unmeasured, ising)], precision=0.02)
    return float(job.result()[0].data.evs)


job, counts = sample(backend)
found |= {"job": [counts, estimate(backend)], "logs": job.logs(), "metrics": job.metrics()}
with Session(backend, max_time="1h") as session:
    found["session"] = [sample(session)[1], estimate(session)]
    found["session_status"] = session.status()
found["session_closed"] = session.status()
with Batch(backend) as batch:
    found["batch"] = [sample(batch)[1], estimate(batch)]
job.update_tags(["kept"])
found["tags"] = service.job(job.job_id()).tags
found["listed"] = len(service.jobs(limit=3))
service.delete_job(job.job_id())
print(json.dumps(found, default=str))
