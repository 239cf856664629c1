"""The published clients, unmodified, on the emulator."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from qrmi_core import Payload, QuantumResource
from qrmi_emulator import Emulator

HERE = Path(__file__).parent
BELL_ON_DEVICE = """OPENQASM 3.0;
include "stdgates.inc";
bit[2] c;
rz(pi/2) $0; sx $0; rz(pi/2) $0;
rz(pi/2) $1; sx $1; rz(pi/2) $1;
cz $0, $1;
rz(pi/2) $1; sx $1; rz(pi/2) $1;
c[0] = measure $0;
c[1] = measure $1;
"""
SEED = "7"
NAME = "fake_fez"
OURS = ["ibm-quantum-compute-service", "ibm-quantum-system"]


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
    ours = [entry for entry in entries if (entry["type"], entry["name"]) == (kind, NAME)]
    config.write_text(json.dumps({"resources": ours}))
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
def estimates() -> dict[str, float]:
    """What each client got for the same observable and seed."""
    return {}


@pytest.fixture(scope="module")
def counts() -> dict[str, dict[str, int]]:
    """What each client got for the same circuit and seed."""
    return {}


def is_bell(found: dict[str, int]) -> bool:
    # The device's snapshot is noisy.
    return found["00"] + found["11"] > 0.9 * sum(found.values())


@pytest.mark.parametrize("kind", ["ibm-quantum-compute-service", "qiskit-runtime-service"])
def test_the_published_package_runs_every_operation(
    emulator: Emulator,
    peers: Path,
    tmp_path: Path,
    kind: str,
    counts: dict[str, dict[str, int]],
    estimates: dict[str, float],
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
    counts[kind], estimates[kind] = found["counts"], found["estimated"]
    assert len(set(estimates.values())) == 1
    assert len({json.dumps(each, sort_keys=True) for each in counts.values()}) == 1


def test_the_published_package_runs_every_operation_of_a_system(
    emulator: Emulator,
    peers: Path,
    tmp_path: Path,
    counts: dict[str, dict[str, int]],
    estimates: dict[str, float],
) -> None:
    kind = "ibm-quantum-system"
    found = published(emulator, peers, kind, tmp_path)
    assert found["accessible"]
    assert found["status"] == "ResourceStatusCode.Online"
    assert NAME in found["discovered"]
    assert found["least_busy"] == "ibm_rensselaer"
    assert found["target"] == ["configuration", "properties"]
    assert found["metadata"] == {"backend_name": NAME}
    assert found["end"] == "TaskStatus.Completed"
    assert found["stopped"] == "deleted"
    assert is_bell(found["counts"])
    assert is_bell(found["primitive"])
    assert found["ising"] == pytest.approx(1.0, abs=0.15)
    assert emulator.info()["jobs"]["Queued"] == emulator.info()["jobs"]["Running"] == 0
    counts[kind], estimates[kind] = found["counts"], found["estimated"]
    assert len(set(estimates.values())) == 1
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


def ran(emulator: Emulator, kind: str, program: str, **fields: Any) -> dict[str, Any]:
    """The data of the one pub of a primitive that our plugin runs."""
    document = {**fields, "support_qiskit": False, "version": 2}
    payload = Payload.QiskitPrimitive(input=document, program_id=program)
    with QuantumResource(NAME, kind, config=emulator.settings_for(kind)) as qpu:
        task = qpu.run(payload)
        result = json.loads(task.result(timeout=60).value)
        task.stop()
    found: dict[str, Any] = result["results"][0]["data"]
    return found


@pytest.mark.parametrize("kind", OURS)
def test_our_plugins_get_the_same_counts_and_values(
    emulator: Emulator,
    kind: str,
    counts: dict[str, dict[str, int]],
    estimates: dict[str, float],
) -> None:
    options: dict[str, Any] = {"simulator": {"seed_simulator": int(SEED)}}
    data = ran(emulator, kind, "sampler", pubs=[[BELL_ON_DEVICE, None, 1000]], options=options)
    found = Counter(format(int(sample, 16), "02b") for sample in data["c"]["samples"])
    assert is_bell(found)
    assert all(found == each for each in counts.values())
    circuit = BELL_ON_DEVICE.partition("c[0]")[0].replace("bit[2] c;", "")
    options = {"seed_estimator": int(SEED), "default_precision": 0.02}
    pub = [circuit, {"I" * 154 + "ZZ": 1.0}]
    data = ran(emulator, kind, "estimator", pubs=[pub], options=options)
    assert data["evs"] == pytest.approx(1.0, abs=0.2)
    assert all(data["evs"] == each for each in estimates.values())
