"""The published clients, unmodified, on the emulator."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from qrmi_core import Payload, QuantumResource
from qrmi_core.errors import TaskFailedError
from qrmi_emulator import Emulator
from support.peers import run

pytestmark = pytest.mark.slow

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


def published(emulator: Emulator, python: Path, kind: str, home: Path) -> dict[str, Any]:
    config = home / "qrmi_config.json"
    entries = emulator.config([(kind, NAME)])["resources"]
    ours = [entry for entry in entries if (entry["type"], entry["name"]) == (kind, NAME)]
    config.write_text(json.dumps({"resources": ours}))
    return run(python, "published.py", config, NAME, SEED, home=home)


def official(
    emulator: Emulator, python: Path, home: Path, script: str, *arguments: object
) -> dict[str, Any]:
    known = emulator.settings_for("ibm-quantum-compute-service")
    key, instance = known["QRMI_IBM_QCS_IAM_APIKEY"], known["QRMI_IBM_QCS_SERVICE_CRN"]
    environment = {
        "IAM_URL": emulator.url,
        "QISKIT_FUNCTIONS_EXPERIMENTAL": "1",
        "QISKIT_IBM_TOKEN": key,
        "QISKIT_IBM_URL": f"{emulator.url}/experimental/api/v1",
        "QISKIT_IBM_INSTANCE": instance,
    }
    return run(python, script, *arguments, home=home, environment=environment)


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


def counts_of(emulator: Emulator, kind: str) -> dict[str, int]:
    """Return the counts that our plugin gets for the circuit and the seed."""
    options = {"simulator": {"seed_simulator": int(SEED)}}
    data = ran(emulator, kind, "sampler", pubs=[[BELL_ON_DEVICE, None, 1000]], options=options)
    return Counter(format(int(sample, 16), "02b") for sample in data["c"]["samples"])


def estimate_of(emulator: Emulator, kind: str) -> float:
    """Return the value that our plugin gets for the observable and the seed."""
    circuit = BELL_ON_DEVICE.partition("c[0]")[0].replace("bit[2] c;", "")
    options = {"seed_estimator": int(SEED), "default_precision": 0.02}
    pub = [circuit, {"I" * 154 + "ZZ": 1.0}]
    value: float = ran(emulator, kind, "estimator", pubs=[pub], options=options)["evs"]
    return value


@pytest.fixture(scope="module")
def counts(emulator: Emulator) -> dict[str, int]:
    """The counts that every client must get."""
    return counts_of(emulator, OURS[0])


@pytest.fixture(scope="module")
def estimate(emulator: Emulator) -> float:
    """The value that every client must get."""
    return estimate_of(emulator, OURS[0])


def is_bell(found: dict[str, int]) -> bool:
    # The device's snapshot is noisy.
    return found["00"] + found["11"] > 0.9 * sum(found.values())


@pytest.mark.parametrize("kind", ["ibm-quantum-compute-service", "qiskit-runtime-service"])
def test_the_published_package_runs_every_operation(
    emulator: Emulator,
    peers: Path,
    tmp_path: Path,
    kind: str,
    counts: dict[str, int],
    estimate: float,
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
    assert found["counts"] == counts
    assert found["estimated"] == estimate


def test_the_published_package_runs_every_operation_of_a_system(
    emulator: Emulator,
    peers: Path,
    tmp_path: Path,
    counts: dict[str, int],
    estimate: float,
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
    assert found["counts"] == counts
    assert found["estimated"] == estimate


def test_ibms_client_runs_in_its_three_modes(
    emulator: Emulator, peers: Path, tmp_path: Path, counts: dict[str, int]
) -> None:
    found = official(emulator, peers, tmp_path, "official.py", NAME, SEED)
    assert found["state"] == "active"
    assert found["qubits"] == 156
    for mode in ("job", "session", "batch"):
        sampled, ising = found[mode]
        assert is_bell(sampled)
        assert ising == pytest.approx(1.0, abs=0.15)
        assert sampled == counts
    assert "accepting new jobs" in found["session_status"]
    assert found["session_closed"] == "Closed"
    assert found["tags"] == ["kept"]
    assert found["listed"] == 3
    assert found["metrics"]["usage"]["status"] == "complete"


def test_ibms_client_finds_the_instance_by_search_and_sees_how_jobs_end(
    emulator: Emulator, peers: Path, tmp_path: Path
) -> None:
    known = emulator.settings_for("ibm-quantum-compute-service")
    key, instance = known["QRMI_IBM_QCS_IAM_APIKEY"], known["QRMI_IBM_QCS_SERVICE_CRN"]
    emulator.clear_requests()
    emulator.set_resource("fake_perth", status="paused")
    urls = {"IAM_URL": emulator.url, "GLOBAL_SEARCH_URL": emulator.url}
    try:
        found = run(
            *(peers, "official_search.py", "fake_lagos", "fake_perth", emulator.url),
            *(key, instance),
            home=tmp_path,
            environment={**urls, "GLOBAL_CATALOG_URL": emulator.url},
        )
    finally:
        emulator.set_resource("fake_perth")
    paths = {request["path"] for request in emulator.requests()}
    assert {"/v3/resources/search", "/emulator-plan"} <= paths
    assert found["instance"] == [True, "premium", "paid"]
    assert found["backends"] > 5
    assert found["least_busy"].startswith("fake_")
    assert "Error code 1517" in found["failed"]
    assert "transpile the circuit" in found["message"]
    assert found["failed_status"] == "ERROR"
    assert found["counts"].keys() <= {"0", "1"}
    assert found["details"] == "dedicated"
    assert "closed" in found["closed"]
    assert found["late_cancel"] == found["cancelled_result"] == "RuntimeInvalidStateError"
    assert found["paused"] == [True, "paused"]
    assert found["queued"] == ["QUEUED"] * 2
    assert found["pending"] == 2
    assert found["cancelled"] == ["CANCELLED"] * 2
    assert found["jobs"]
    assert found["inputs"] == ["options", "pubs", "support_qiskit", "version"]
    assert found["metrics"] == ["created", "finished", "running"]
    assert found["usage_of_job"] >= 0
    assert found["logs"]
    assert sorted(found["tags"]) == ["one", "two"]
    assert "Job not found" in found["deleted"]


@pytest.mark.timeout(240)
def test_ibms_client_runs_the_programs_executor_and_noise_learner(
    emulator: Emulator, peers: Path, tmp_path: Path
) -> None:
    found = official(emulator, peers, tmp_path, "official_programs.py", NAME)
    shape, same = found["circuit"]
    assert shape == [200, 2]
    assert same > 0.85
    assert found["sweep"] == pytest.approx([0, 1, 0], abs=0.1)
    shape, same = found["samplex"]
    assert shape == [5, 200, 2]
    assert same > 0.85
    assert found["chunks"] == 3
    assert found["sampler"] > 0.85
    assert found["estimator"] == pytest.approx(1.0, abs=0.2)
    layer = found["layer"]
    assert layer["qubits"] == [0, 1]
    assert layer["gates"] == ["cz"]
    assert layer["generators"] == len(layer["rates"]) == 15
    assert all(0 < rate < 0.01 for rate in layer["rates"])
    assert layer["metadata"]["backend"] == NAME
    assert layer["metadata"]["input_options"]["max_layers_to_learn"] == 1
    (gates, _, rate), (measurements, _, flips) = found["boxes"]
    assert (gates, measurements) == ("lindblad", "trex")
    assert rate == pytest.approx(sum(layer["rates"]))
    assert 0 < flips < 0.2


def test_our_plugins_get_the_same_counts_and_values(
    emulator: Emulator, counts: dict[str, int], estimate: float
) -> None:
    assert is_bell(counts)
    assert estimate == pytest.approx(1.0, abs=0.2)
    for kind in OURS:
        assert counts_of(emulator, kind) == counts
        assert estimate_of(emulator, kind) == estimate


def test_our_plugin_runs_the_noise_learner_and_the_executor(emulator: Emulator) -> None:
    settings = emulator.settings_for("ibm-quantum-compute-service")
    layers = {"circuits": [BELL_ON_DEVICE], "options": {"max_layers_to_learn": 1}, "version": 2}
    with QuantumResource(NAME, "ibm-quantum-compute-service", config=settings) as qpu:
        for spelling in ("noise-learner", "noiselearner"):
            payload = Payload.QiskitPrimitive(input=layers, program_id=spelling)
            result = json.loads(qpu.run(payload).result(timeout=60).value)
            assert result["data"][0]["__value__"]["qubits"] == [0, 1]
        # Refused by the service only when it reads it.
        program = {"schema_version": "v2.0", "quantum_program": {"shots": 1, "items": []}}
        payload = Payload.QiskitPrimitive(input=program, program_id="executor")
        task = qpu.run(payload)
        with pytest.raises(TaskFailedError, match=r"does not follow v2\.0.*code 1208"):
            task.result(timeout=60)
