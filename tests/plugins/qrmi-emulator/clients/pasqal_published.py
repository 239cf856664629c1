"""Pasqal Cloud or Local with the published package: every operation once.

Arguments: configuration, name, and files with a sequence and, for the cloud, a program of CUDA-Q's.
"""

import json
import os
import pathlib
import sys
import time

from qrmi import Config, Payload, QuantumResource, TaskStatus

path, name, *programs = sys.argv[1:]
entry = Config.load(path).resource_map[name]
for key, value in entry.environment.items():
    os.environ[f"{name}_{key}"] = os.environ[key] = value
qpu = QuantumResource(name, entry.resource_type)

found = {"type": str(qpu.resource_type()), "metadata": qpu.metadata()}
found["accessible"] = qpu.is_accessible()
token = qpu.acquire()
os.environ[f"{name}_QRMI_JOB_ACQUISITION_TOKEN"] = token
found["status"] = str(qpu.status().status)
found["target"] = [each["device_type"] for each in json.loads(qpu.target().value)]


def run(file):
    sequence = pathlib.Path(file).read_text()
    task = qpu.task_start(Payload.PasqalCloud(sequence=sequence, job_runs=200))
    while (status := qpu.task_status(task)) in (TaskStatus.Queued, TaskStatus.Running):
        time.sleep(0.1)
    assert status == TaskStatus.Completed, status
    return task, json.loads(qpu.task_result(task).value)["counter"]


found["counts"] = []
for file in programs:
    task, counts = run(file)
    found["counts"].append(counts)
    found["logs"] = qpu.task_logs(task)
stopped = qpu.task_start(
    Payload.PasqalCloud(sequence=pathlib.Path(programs[0]).read_text(), job_runs=10)
)
qpu.task_stop(stopped)
found["stopped"] = str(qpu.task_status(stopped))
qpu.release(token)
print(json.dumps(found))
