"""Pasqal's published clients, unmodified, on the emulator."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qrmi_core import Payload, QuantumResource
from qrmi_emulator import Emulator
from qrmi_emulator.faces.pasqal.warden.munge import SYSTEM_SOCKET, is_listening
from support import pulses
from support.munged import MISSING, munged
from support.pasqal_client import CloudClient
from support.peers import run

pytestmark = pytest.mark.slow

NAMES = {"pasqal-cloud": "FRESNEL", "pasqal-local": "PASQAL_LOCAL"}


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator(["pasqal-cloud"], seed=7) as running:
        yield running


@pytest.fixture(scope="module")
def sequence(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a sequence for the device that the emulator describes."""
    specs = CloudClient(emulator).data("GET", "/v1/devices/specs/FRESNEL")["specs"]
    path = tmp_path_factory.mktemp("sequence") / "sequence.json"
    path.write_text(pulses.sequence(specs))
    return path


def counts_of(emulator: Emulator, kind: str, sequence: Path) -> dict[str, int]:
    """Return the counts that our plugin gets for the sequence and the seed."""
    payload = Payload.PasqalCloud(sequence=sequence.read_text(), job_runs=200)
    with QuantumResource(NAMES[kind], kind, config=emulator.settings_for(kind)) as qpu:
        found: dict[str, int] = json.loads(qpu.run(payload).result(timeout=60).value)["counter"]
    return found


@pytest.fixture(scope="module")
def counts(emulator: Emulator, sequence: Path) -> dict[str, int]:
    """The counts that every client must get."""
    return counts_of(emulator, "pasqal-cloud", sequence)


def published(
    emulator: Emulator, python: Path, kind: str, home: Path, *programs: Path
) -> dict[str, Any]:
    config = home / "qrmi_config.json"
    entries = emulator.config([(kind, NAMES[kind])])["resources"]
    ours = [e for e in entries if (e["type"], e["name"]) == (kind, NAMES[kind])]
    config.write_text(json.dumps({"resources": ours}))
    return run(python, "pasqal_published.py", config, NAMES[kind], *programs, home=home)


def test_the_published_package_runs_every_operation(
    emulator: Emulator,
    peers: Path,
    sequence: Path,
    tmp_path: Path,
    counts: dict[str, int],
) -> None:
    program = tmp_path / "program.json"
    program.write_text(pulses.cudaq())
    found = published(emulator, peers, "pasqal-cloud", tmp_path, sequence, program)
    assert found["accessible"]
    assert found["status"].endswith("Online")
    assert found["target"] == ["FRESNEL"]
    assert found["stopped"] == "TaskStatus.Cancelled"
    assert all(pulses.is_blockaded(each) for each in found["counts"])
    assert found["counts"][0] == counts


def test_pasqals_client_runs(
    emulator: Emulator,
    peers: Path,
    sequence: Path,
    tmp_path: Path,
    counts: dict[str, int],
) -> None:
    known = emulator.settings_for("pasqal-cloud")
    project = known["QRMI_PASQAL_CLOUD_PROJECT_ID"]
    environment = {
        "PASQAL_USERNAME": known["PASQAL_USERNAME"],
        "PASQAL_PASSWORD": known["PASQAL_PASSWORD"],
        "PASQAL_PROJECT_ID": project,
    }
    arguments = (emulator.url, sequence)
    found = run(peers, "pasqal_official.py", *arguments, home=tmp_path, environment=environment)
    assert found["devices"] == ["FRESNEL", "FRESNEL_CAN1"]
    assert found["qpu"] == found["again"] == found["emulator"]
    assert found["default_runs"] == 1000
    assert found["open"]
    assert found["job_ids"] == [1, 2]
    nothing, something = found["parametrised"]
    assert nothing == {"00": 100}
    assert pulses.is_blockaded(something)
    assert found["tagged"]
    assert found["page"] == [True, 1, 2]
    assert found["runs"] == [5, 6, 7]
    assert found["result"] == 7
    assert found["closed"] == [False, "DONE"]
    assert found["rebatched"] == [True, 2]
    assert found["canceled"] == "CANCELED"
    assert found["over"] == ["Batch is CANCELED"]
    assert found["projects"] == [project]
    assert found["error"][0] == "BatchFetchingError"
    assert "404: Batch not found" in found["error"][1]
    assert found["qpu"][0] == counts


@pytest.fixture
def system_munged() -> Iterator[None]:
    """A munged at the one socket that the published package asks."""
    if is_listening(SYSTEM_SOCKET):
        yield
        return
    if MISSING:
        pytest.skip(MISSING)
    if os.geteuid() != 0:
        pytest.skip(f"no munged runs at {SYSTEM_SOCKET}, and only root can start one there")
    folder = Path(SYSTEM_SOCKET).parent
    folder.mkdir(mode=0o755, exist_ok=True)
    with munged(Path(SYSTEM_SOCKET)):
        yield


@pytest.mark.usefixtures("system_munged")
def test_the_published_package_runs_behind_warden(
    peers: Path, sequence: Path, tmp_path: Path, counts: dict[str, int]
) -> None:
    with Emulator(["pasqal-local"], seed=7, warden_admin=os.geteuid()) as emulator:
        found = published(emulator, peers, "pasqal-local", tmp_path, sequence)
    assert found["accessible"]
    assert found["target"] == ["FRESNEL"]
    assert found["logs"] == "There are no logs for this job"
    assert found["stopped"] == "TaskStatus.Cancelled"
    assert found["counts"][0] == counts


def test_our_plugin_gets_the_same_counts(
    emulator: Emulator, sequence: Path, counts: dict[str, int]
) -> None:
    assert pulses.is_blockaded(counts)
    assert counts_of(emulator, "pasqal-cloud", sequence) == counts


@pytest.mark.skipif(bool(MISSING), reason=MISSING)
def test_our_plugin_gets_the_same_counts_behind_warden(
    sequence: Path, counts: dict[str, int]
) -> None:
    with Emulator(["pasqal-local"], seed=7, warden_admin=os.geteuid()) as emulator:
        assert counts_of(emulator, "pasqal-local", sequence) == counts
