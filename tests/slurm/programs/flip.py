"""A job's program: flip a qubit or not, and print the counts, on each QPU of the job."""

import json
import os
import sys

from qrmi_core import Payload, resources_from_job

flips = int(sys.argv[1]) if len(sys.argv) > 1 else int(os.environ["SLURM_PROCID"])
circuit = (
    'OPENQASM 3.0;\ninclude "stdgates.inc";\nbit[1] c;\nqubit[1] q;\n'
    + "x q[0];\n" * (flips % 2)
    + "c[0] = measure q[0];\n"
)
text = json.dumps({"pubs": [[circuit, None, 100]], "support_qiskit": False, "version": 2})
for qpu in resources_from_job():
    task = qpu.run(Payload.QiskitPrimitive(text, "sampler"))
    samples = json.loads(task.result(timeout=100).value)["results"][0]["data"]["c"]["samples"]
    ones = sum(int(sample, 16) for sample in samples)
    print(f"{qpu.resource_id()} {flips} {ones}")
