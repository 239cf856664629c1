"""IBM's own client where it finds the instance by search, and what becomes of jobs that do not end
well. Arguments: name, another that is paused, URL, API key, CRN."""

import json
import sys
import time
import warnings

from qiskit import QuantumCircuit
from qiskit_ibm_runtime import QiskitRuntimeService, RuntimeInvalidStateError, SamplerV2, Session
from qiskit_ibm_runtime.exceptions import IBMRuntimeError, RuntimeJobFailureError

name, paused, url, key, instance = sys.argv[1:]
warnings.simplefilter("ignore")
service = QiskitRuntimeService(
    channel="ibm_quantum_platform",
    token=key,
    instance=instance,
    url=url,
    url_resolver=lambda *_arguments: f"{url}/api/v1",
)
[known] = service.instances()
found = {"instance": [known["crn"] == instance, known["plan"], known["pricing_type"]]}
backend = service.backend(name)
found["backends"] = len(service.backends(simulator=False, min_num_qubits=100))
found["least_busy"] = service.least_busy(operational=True, simulator=False).name
found["usage"] = service.usage()["usage_limit_reached"]

# Not of the device's gates; the client itself would refuse it.
circuit = QuantumCircuit(2, 2)
circuit.h(0)
circuit.measure([0, 1], [0, 1])
failed = service._run(
    program_id="sampler",
    options={"backend": backend, "instance": instance},
    inputs={"pubs": [(circuit, None, 10)], "version": 2, "support_qiskit": True},
)
try:
    failed.result()
except RuntimeJobFailureError as error:
    found["failed"] = str(error)
found["failed_status"] = failed.status()
found["message"] = failed.error_message()

plain = QuantumCircuit(1, 1)
plain.x(0)
plain.measure(0, 0)
with Session(backend) as session:
    sampler = SamplerV2(session)
    done = sampler.run([plain], shots=10)
    found["counts"] = done.result()[0].data.c.get_counts()
    found["details"] = session.details()["mode"]
try:
    sampler.run([plain])
except IBMRuntimeError as error:
    found["closed"] = str(error)
try:
    done.cancel()
except RuntimeInvalidStateError as error:
    found["late_cancel"] = type(error).__name__

waiting = service.backend(paused)
found["paused"] = [waiting.status().operational, waiting.status().status_msg]
sampler = SamplerV2(waiting)
sampler.options.environment.job_tags = ["kept-queued"]
queued = [sampler.run([plain]) for _ in range(2)]
found["queued"] = [job.status() for job in queued]
found["pending"] = len(service.jobs(pending=True, job_tags=["kept-queued"], backend_name=paused))
for job in queued:
    job.cancel()
while not all(job.in_final_state() for job in queued):
    time.sleep(0.1)
found["cancelled"] = [job.status() for job in queued]
try:
    queued[0].result()
except RuntimeInvalidStateError as error:
    found["cancelled_result"] = type(error).__name__
found["jobs"] = [job.job_id() for job in service.jobs(limit=2, descending=True)] == [
    job.job_id() for job in reversed(queued)
]
found["inputs"] = sorted(done.inputs)
found["metrics"] = sorted(done.metrics()["timestamps"])
found["usage_of_job"] = done.usage()
found["logs"] = isinstance(done.logs(), str)
found["tags"] = queued[0].update_tags(["one", "two"])
for job in queued:
    service.delete_job(job.job_id())
try:
    service.job(queued[0].job_id())
except IBMRuntimeError as error:
    found["deleted"] = str(error)
print(json.dumps(found, default=str))
