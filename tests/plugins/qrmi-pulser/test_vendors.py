"""Pulser's backends on local simulators, Pasqal Cloud and an on-premises QPU."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
from pasqal_cloud import RemoteEmuFreeBackend
from pulser import Pulse, QPUBackend, Register, Sequence
from pulser.backend import BitStrings, EmulationConfig, Results
from pulser.backend.remote import BatchStatus, RemoteBackend, RemoteResults
from pulser.devices import MockDevice

from qrmi_core import InvalidInputError, Payload, QuantumResource
from qrmi_emulator import Emulator
from qrmi_pulser import InvalidArgumentError, MissingResultsError, PulserQRMIConnection
from support.local_store import end_store, maker
from support.munged import MISSING, munged
from support.resources import quick
from support.warden import Warden

pytestmark = pytest.mark.slow

MakePulse = Callable[..., Sequence]
RUNS = 100


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QuantumResource]:
    home = tmp_path_factory.mktemp("local") / "store"
    yield maker(home)("EMU_FREE")
    end_store(home)


@pytest.fixture(scope="module")
def cloud() -> Iterator[Emulator]:
    with Emulator(["pasqal-cloud"], seed=7) as running:
        yield running


@pytest.fixture(params=["local", "cloud emulator", "cloud QPU", "on premises"])
def qpu(request: pytest.FixtureRequest) -> Iterator[QuantumResource]:
    """Return an acquired resource of every kind that runs sequences."""
    if request.param == "local":
        yield request.getfixturevalue("local")
    elif request.param == "on premises":
        yield from request.getfixturevalue("premises")
    else:
        settings = request.getfixturevalue("cloud").settings_for("pasqal-cloud")
        name = "EMU_FREE" if "emulator" in request.param else "FRESNEL"
        made = quick(name, "pasqal-cloud", settings)
        yield made
        made.close()


@pytest.fixture
def premises() -> Iterator[Iterator[QuantumResource]]:
    if MISSING:
        pytest.skip(MISSING)

    def run() -> Iterator[QuantumResource]:
        with munged() as socket:
            how = {"munge_socket": str(socket), "warden_admin": os.geteuid()}
            with Emulator(["pasqal-local"], seed=7, **how) as running:
                settings = running.settings_for("pasqal-local")
                job = {"QRMI_JOB_UID": str(os.geteuid()), "QRMI_JOB_ID": "77"}
                with quick("PASQAL_LOCAL", "pasqal-local", settings | job) as made:
                    yield made

    return run()


def device_of(connection: PulserQRMIConnection) -> object:
    return next(iter(connection.fetch_available_devices().values()))


def are_excited(results: Results) -> bool:
    counts = results.final_bitstrings
    return sum(counts.values()) == RUNS and counts["11"] > 0.85 * RUNS


def test_a_qpus_backend_runs_a_batch(qpu: QuantumResource, pulse: MakePulse) -> None:
    connection = PulserQRMIConnection(qpu, timeout=60)
    sequence = pulse(device_of(connection), variable=True, measure=False)
    params = [{"runs": RUNS, "variables": {"amplitude": value}} for value in (3.14159, 0.0)]
    results = QPUBackend(sequence, connection).run(params, wait=True)
    assert results.get_batch_status() is BatchStatus.DONE
    excited, still = results.results
    assert are_excited(excited)
    assert still.final_bitstrings == {"00": RUNS}
    assert excited.atom_order == ("left", "right")
    assert list(results.get_available_results()) == results.job_ids
    assert all(isinstance(text, str) for text in connection.get_batch_logs())
    # by its id alone
    again = RemoteResults(results.batch_id, PulserQRMIConnection(qpu))
    assert [each.final_bitstrings for each in again] == [each.final_bitstrings for each in results]
    named = qpu.supports("task_input")
    assert again[0].atom_order == (("left", "right") if named else ("q0", "q1"))
    connection.cancel_batch_jobs()


@pytest.mark.parametrize("name", ["FRESNEL", "EMU_FREE"])
def test_an_open_batch_takes_jobs_until_it_is_closed(
    cloud: Emulator, pulse: MakePulse, name: str
) -> None:
    qpu = quick(name, "pasqal-cloud", cloud.settings_for("pasqal-cloud"))
    connection = PulserQRMIConnection(qpu, timeout=60)
    sequence = pulse(device_of(connection), variable=True, measure=False)
    backend = QPUBackend(sequence, connection)

    def params(*amplitudes: float) -> list[Any]:
        return [{"runs": RUNS, "variables": {"amplitude": value}} for value in amplitudes]

    cloud.clear_requests()
    with backend.open_batch():
        first = backend.run(params(3.14159), wait=True)
        assert are_excited(first[0])
        further = backend.run(params(0.0, 3.14159), wait=True)
        with pytest.raises(InvalidArgumentError, match="is open"):
            backend.open_batch().__enter__()
    made = [each["path"] for each in cloud.requests() if each["method"] == "POST"]
    assert sum(path.endswith("/v1/batches") for path in made) == 1
    assert sum(path.endswith("/jobs") for path in made) == 2
    assert first.batch_id == further.batch_id
    assert [each.final_bitstrings.get("00", 0) for each in further] == [RUNS, ANY]
    assert first.get_batch_status() is BatchStatus.DONE
    with pytest.raises(InvalidInputError, match="closed"):
        connection.submit(sequence, batch_id=first.batch_id, job_params=params(0.0))
    # by its id alone: all jobs in their order
    again = RemoteResults(first.batch_id, PulserQRMIConnection(qpu))
    assert again.job_ids == [*first.job_ids, *further.job_ids]
    assert [each.final_bitstrings for each in again] == [
        each.final_bitstrings for each in (*first, *further)
    ]
    assert again[0].atom_order == ("left", "right")
    qpu.close()


def test_jobs_of_an_open_batch_are_cancelled_together(cloud: Emulator, pulse: MakePulse) -> None:
    qpu = quick("EMU_FREE", "pasqal-cloud", cloud.settings_for("pasqal-cloud"))
    connection = PulserQRMIConnection(qpu, timeout=60)
    backend = QPUBackend(pulse(device_of(connection)), connection)
    cloud.fault("job-queued", count=2)
    with backend.open_batch():
        results = RemoteResults(str(connection._last_batch_id), connection)
        assert (results.job_ids, results.get_batch_status()) == ([], BatchStatus.PENDING)
        backend.run([{"runs": RUNS}, {"runs": RUNS}])
        connection.cancel_batch_jobs()
    assert len(results.job_ids) == 2
    assert results.get_batch_status() is BatchStatus.CANCELED
    qpu.close()


def test_an_emulators_backend_runs(qpu: QuantumResource, pulse: MakePulse) -> None:
    connection = PulserQRMIConnection(qpu, timeout=60)
    config = EmulationConfig(observables=[BitStrings()], default_num_shots=RUNS)
    backend = RemoteEmuFreeBackend(pulse(device_of(connection)), connection, config=config)
    assert are_excited(backend.run(wait=True)[0])


def test_another_process_reads_the_batch(local: QuantumResource, pulse: MakePulse) -> None:
    backend = QPUBackend(pulse(), PulserQRMIConnection(local, timeout=60))
    batch_id = backend.run([{"runs": RUNS}] * 2, wait=True).batch_id
    script = (
        "import sys\n"
        "from pulser.backend.remote import RemoteResults\n"
        "from qrmi_core import QuantumResource\n"
        "from qrmi_pulser import PulserQRMIConnection\n"
        "connection = PulserQRMIConnection(QuantumResource('EMU_FREE', 'local'))\n"
        "results = RemoteResults(sys.argv[1], connection)\n"
        "print(results.get_batch_status().name, len(results), results[1].atom_order,\n"
        "      sum(results[1].final_bitstrings.values()))"
    )
    home = str(local._driver.settings.home)  # type: ignore[attr-defined]
    done = subprocess.run(
        [sys.executable, "-c", script, batch_id],
        env={**os.environ, "EMU_FREE_QRMI_LOCAL_HOME": home, "QRMI_LOCAL_HOME": home},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.stdout.strip() == f"DONE 2 ('q0', 'q1') {RUNS}", done.stderr


def test_why_a_job_failed_at_the_vendors_is_told(cloud: Emulator) -> None:
    many = Sequence(Register.square(4, spacing=6.0, prefix="q"), MockDevice)
    many.declare_channel("rydberg", "rydberg_global")
    many.add(Pulse.ConstantPulse(100, 1.0, 0.0, 0.0), "rydberg")
    qpu = quick("EMU_FREE", "pasqal-cloud", cloud.settings_for("pasqal-cloud"))
    connection = PulserQRMIConnection(qpu, timeout=60)
    results = RemoteBackend(many, connection).run([{"runs": 10}], wait=True)
    assert results.get_batch_status() is BatchStatus.ERROR
    with pytest.raises(MissingResultsError, match="16 atoms"):
        connection._fetch_result(results.batch_id, None)
    assert "16 atoms" in connection.get_batch_logs()[0]
    qpu.close()


def test_what_a_qpu_on_premises_gives_is_no_json_and_is_read(pulse: MakePulse) -> None:
    if MISSING:
        pytest.skip(MISSING)
    with munged() as socket, Warden(Path(socket)) as warden:
        settings = warden.settings(
            QRMI_JOB_UID=str(os.geteuid()), QRMI_JOB_ID="7", QRMI_HTTP_FIRST_PAUSE_SECONDS="0.01"
        )
        qpu = quick("PASQAL_LOCAL", "pasqal-local", settings)
        with qpu:
            payload = Payload.PasqalCloud(sequence=pulse().to_abstract_repr(), job_runs=100)
            task = qpu.run(payload)
            task.wait(60)
            found = RemoteResults(task.id, PulserQRMIConnection(qpu))[0]
            assert found.final_bitstrings == {"00": 36, "10": 64}
