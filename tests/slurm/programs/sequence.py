"""A job's program: runs a sequence of pulses on the QPU that the scheduler gave."""

import json
import sys
from pathlib import Path

from qrmi_core import Payload, resources_from_job

[qpu] = resources_from_job()
task = qpu.run(Payload.PasqalCloud(Path(sys.argv[1]).read_text(), job_runs=100))
print(json.dumps(json.loads(task.result(timeout=100).value)["counter"]))
