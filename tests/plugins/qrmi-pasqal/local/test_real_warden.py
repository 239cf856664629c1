"""Warden itself, with its scheduler and its mock QPU: `make test-peers`."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from qrmi_core import (
    Payload,
    QuantumResource,
    ResourceStatusCode,
    TaskNotFoundError,
    TaskStatus,
    UnsupportedFunctionError,
)
from support.job_processes import NOBODY, Cluster
from support.munged import MISSING, answers, munged
from support.processes import running

# Warden knows no other.
SOCKET = Path("/run/munge/munge.socket.2")
SEQUENCE = {"version": "1", "name": "pulser-exported", "device": {"name": "FRESNEL"}}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert isinstance(port, int)
    return port


def serves(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Warden that runs."""
    source, venv = os.environ.get("QRMI_TEST_WARDEN"), os.environ.get("QRMI_TEST_WARDEN_VENV")
    if not source or not venv:
        pytest.skip("QRMI_TEST_WARDEN names no copy of Warden; run `make test-peers` with it")
    if MISSING:
        pytest.skip(MISSING)
    if os.geteuid() != 0:
        pytest.skip("Warden opens sessions for root only")
    folder = tmp_path_factory.mktemp("warden")
    (folder / "logs").mkdir()
    sample = Path(source, "warden/lib/config/config.sample.yaml").read_text()
    quick = re.sub(r"((db|job|qpu)_polling_interval_s): \d+", r"\1: 0.2", sample)
    (folder / "config.yaml").write_text(quick)
    api_port, qpu_port = free_port(), free_port()
    address, qpu = f"http://127.0.0.1:{api_port}", f"http://127.0.0.1:{qpu_port}"
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": source,
        "PYTHONDONTWRITEBYTECODE": "1",
        "WARDEN_API_HOST": "127.0.0.1",
        "WARDEN_API_PORT": str(api_port),
        "WARDEN_QPU_URI": qpu,
    }
    python = Path(venv, "bin/python")
    mock = [python, "-m", "uvicorn", "mock_qpu_api.app:app", "--app-dir", f"{source}/tests"]
    mock += ["--host", "127.0.0.1", "--port", str(qpu_port)]
    how = {"log": folder / "output", "environment": environment, "folder": folder}
    with ExitStack() as stack:
        if not answers(SOCKET):
            SOCKET.parent.mkdir(mode=0o755, exist_ok=True)
            stack.enter_context(munged(SOCKET))
        migrate = [python, "-m", "alembic", "-c", f"{source}/warden/api/alembic.ini"]
        subprocess.run([*migrate, "upgrade", "head"], env=environment, cwd=folder, check=True)
        stack.enter_context(running(mock, ready=lambda: serves(qpu), **how))
        api = [python, "-m", "warden.api.main"]
        stack.enter_context(running(api, ready=lambda: serves(f"{address}/accessible"), **how))
        scheduler = [python, "-m", "warden.scheduler"]
        log = folder / "logs/warden.log"
        stack.enter_context(
            running(scheduler, ready=lambda: "Scheduler running" in log.read_text(), **how)
        )
        yield address
    shutil.rmtree(folder)


@pytest.fixture
def qpu(url: str) -> Iterator[QuantumResource]:
    settings = {"QRMI_WARDEN_URL": f"{url}/", "QRMI_JOB_UID": "0", "QRMI_JOB_ID": "9"}
    qpu = QuantumResource("PASQAL_LOCAL", "pasqal-local", settings)
    yield qpu
    qpu.close()


def test_the_life_of_a_task(qpu: QuantumResource) -> None:
    token = qpu.acquire()
    task = qpu.run(Payload.PasqalCloud(SEQUENCE, 500))
    assert task.wait(60) is TaskStatus.Completed
    # The mock QPU answers every task with the same 500 shots, and not as JSON.
    assert sum(ast.literal_eval(task.result(0).value)["counter"].values()) == 500
    assert task.id in [info.id for info in qpu.task_list()]
    with pytest.raises(UnsupportedFunctionError, match="cannot cancel jobs"):
        task.stop()
    with pytest.raises(UnsupportedFunctionError, match="logs"):
        task.logs()
    qpu.release(token)
    qpu.release(token)


def test_the_qpu_and_what_is_not_there(qpu: QuantumResource) -> None:
    told = qpu.status()
    assert told.status is ResourceStatusCode.Online
    assert told.capacity is None
    (device,) = json.loads(qpu.target().value)
    assert device["device_type"] == "FRESNEL"
    assert json.loads(device["specs"])["name"] == "FRESNEL"
    with pytest.raises(TaskNotFoundError, match="Job not found"):
        qpu.task_status("999999")
    qpu.release("00000000-0000-4000-8000-000000000001")


def test_root_acquires_and_the_user_submits(url: str) -> None:
    cluster = Cluster(url, NOBODY)
    session = cluster.acquire()
    task_id = cluster.job(session, "start", "a name")
    assert "counter" in cluster.job(session, "result", task_id)
    assert cluster.run(0, "task_status", task_id).startswith("TaskNotFoundError: ")
    assert cluster.run(NOBODY, "release", session).startswith("PermissionDeniedError: ")
    assert cluster.release(session) == "None"
    assert cluster.job(session, "start", "a name").startswith("NotAcquiredError: ")
