"""A job's program: run a pulse sequence on the job's QPU."""

import json
import sys
from pathlib import Path

from qrmi_core import Payload, resources_from_job

[qpu] = resources_from_job()
task = qpu.run(Payload.PasqalCloud(Path(sys.argv[1]).read_text(), job_runs=100))
print(json.dumps(json.loads(task.result(timeout=100).value)["counter"]))
