"""The command in environments that break its dependencies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

QRMI = Path(sys.executable).with_name("qrmi")
VENDORS = {
    "pasqal-cloud": {
        "QRMI_PASQAL_CLOUD_BASE_URL": "http://127.0.0.1:9",
        "QRMI_PASQAL_CLOUD_PROJECT_ID": "project",
        "QRMI_PASQAL_CLOUD_AUTH_TOKEN": "token",
    },
    "ibm-quantum-compute-service": {
        "QRMI_IBM_QCS_ENDPOINT": "http://127.0.0.1:9",
        "QRMI_IBM_QCS_IAM_ENDPOINT": "http://127.0.0.1:9",
        "QRMI_IBM_QCS_IAM_APIKEY": "key",
        "QRMI_IBM_QCS_SERVICE_CRN": "crn",
    },
}
CIRCUIT = "OPENQASM 3.0;\nbit[1] c;\nqubit[1] q;\nc[0] = measure q[0];"
INPUT = {
    "program_id": "sampler",
    "parameters": {"pubs": [[CIRCUIT]], "version": 2, "options": {}},
}


def qrmi(*arguments: object, **variables: object) -> subprocess.CompletedProcess[str]:
    environment = {name: str(value) for name, value in variables.items()}
    return subprocess.run(
        [QRMI, *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


@pytest.mark.parametrize("kind", VENDORS)
@pytest.mark.parametrize("text", ["raise RuntimeError('an old copy')", "x = 1"])
def test_a_file_that_shadows_requests_is_named(tmp_path: Path, kind: str, text: str) -> None:
    (tmp_path / "requests.py").write_text(text)
    variables = {f"qpu_{key}": value for key, value in VENDORS[kind].items()}
    ended = qrmi("status", f"{kind}:qpu", PYTHONPATH=tmp_path, **variables)
    assert ended.returncode == 2, ended.stdout
    assert f"module requests ({tmp_path}/requests.py) cannot be used" in ended.stderr
    assert "defect" not in ended.stderr
    assert "authors" not in ended.stderr


def test_a_task_whose_simulator_cannot_be_imported_names_the_module(tmp_path: Path) -> None:
    package = tmp_path / "path/numpy"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('libopenblas.so.0 is missing')")
    (tmp_path / "input.json").write_text(json.dumps(INPUT))
    ended = qrmi(
        *("run", "local:aer", tmp_path / "input.json", tmp_path / "result.json"),
        PYTHONPATH=tmp_path / "path",
        QRMI_LOCAL_HOME=tmp_path / "store",
        QRMI_LOCAL_IDLE_SECONDS=1,
    )
    assert ended.returncode == 1
    assert f"module numpy ({package}/__init__.py) cannot be used: ImportError" in ended.stderr
    assert "libopenblas.so.0 is missing" in ended.stderr
