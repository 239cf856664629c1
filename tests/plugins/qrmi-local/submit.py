"""Submits tasks and leaves: python submit.py HOME NUMBER."""

import os
import sys

from qrmi_core import Payload, QuantumResource

CIRCUIT = 'OPENQASM 3.0;\ninclude "stdgates.inc";\nbit[1] c;\nqubit[1] q;\nc[0] = measure q[0];\n'

home, number = sys.argv[1:]
config = {
    "QRMI_LOCAL_HOME": home,
    "QRMI_LOCAL_SLOTS": "2",
    "QRMI_LOCAL_IDLE_SECONDS": os.environ.get("QRMI_LOCAL_IDLE_SECONDS", "5"),
}
aer = QuantumResource("aer", "local", config)
document = {"pubs": [[CIRCUIT, None, 10]], "version": 2, "options": {}}
payload = Payload.QiskitPrimitive(input=document, program_id="sampler")
for _ in range(int(number)):
    print(aer.task_start(payload))
