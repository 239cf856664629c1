"""The published clients, unmodified, on the emulator."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from qrmi_emulator import Emulator

HERE = Path(__file__).parent
SEED = "7"
NAME = "fake_fez"


def run(
    python: Path,
    script: str,
    *arguments: object,
    home: Path,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    done = subprocess.run(
        [python, HERE / "clients" / script, *map(str, arguments)],
        env={"HOME": str(home), "PATH": "/usr/bin:/bin", **environment},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def published(emulator: Emulator, python: Path, kind: str, home: Path) -> dict[str, Any]:
    config = home / "qrmi_config.json"
    entries = emulator.config([(kind, NAME)])["resources"]
    config.write_text(json.dumps({"resources": [e for e in entries if e["type"] == kind]}))
    return run(python, "published.py", config, NAME, SEED, home=home)


def official(emulator: Emulator, python: Path, home: Path) -> dict[str, Any]:
    known = emulator.settings_for("ibm-quantum-compute-service")
    key, instance = known["QRMI_IBM_QCS_IAM_APIKEY"], known["QRMI_IBM_QCS_SERVICE_CRN"]
    environment = {
        "IAM_URL": emulator.url,
        "QISKIT_FUNCTIONS_EXPERIMENTAL": "1",
        "QISKIT_IBM_TOKEN": key,
        "QISKIT_IBM_URL": f"{emulator.url}/experimental/api/v1",
        "QISKIT_IBM_INSTANCE": instance,
    }
    return run(python, "official.py", NAME, SEED, home=home, environment=environment)


@pytest.fixture(scope="module")
def counts() -> dict[str, dict[str, int]]:
    """What each client got for the same circuit and seed."""
    return {}


def is_bell(found: dict[str, int]) -> bool:
    # The device's snapshot is noisy.
    return found["00"] + found["11"] > 0.9 * sum(found.values())


@pytest.mark.parametrize("kind", ["ibm-quantum-compute-service", "qiskit-runtime-service"])
def test_the_published_package_runs_every_operation(
    emulator: Emulator, peers: Path, tmp_path: Path, kind: str, counts: dict[str, dict[str, int]]
) -> None:
    found = published(emulator, peers, kind, tmp_path)
    assert found["accessible"]
    assert NAME in found["discovered"]
    assert found["least_busy"].startswith("fake_")
    assert found["target"] == ["configuration", "properties"]
    assert found["end"] == found["stopped"] == "TaskStatus.Completed"
    assert is_bell(found["counts"])
    assert is_bell(found["primitive"])
    assert found["ising"] == pytest.approx(1.0, abs=0.15)
    counts[kind] = found["counts"]
    assert len({json.dumps(each, sort_keys=True) for each in counts.values()}) == 1


def test_ibms_client_runs_in_its_three_modes(
    emulator: Emulator, peers: Path, tmp_path: Path, counts: dict[str, dict[str, int]]
) -> None:
    found = official(emulator, peers, tmp_path)
    assert found["state"] == "active"
    assert found["qubits"] == 156
    for mode in ("job", "session", "batch"):
        sampled, ising = found[mode]
        assert is_bell(sampled)
        assert ising == pytest.approx(1.0, abs=0.15)
        counts[mode] = sampled
    assert "accepting new jobs" in found["session_status"]
    assert found["session_closed"] == "Closed"
    assert found["tags"] == ["kept"]
    assert found["listed"] == 3
    assert found["metrics"]["usage"]["status"] == "complete"
    assert len({json.dumps(each, sort_keys=True) for each in counts.values()}) == 1
