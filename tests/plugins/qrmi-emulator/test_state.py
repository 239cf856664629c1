"""The state of an emulator: across restarts, in files, and over time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import attrs
import pytest

from qrmi_core.values import TaskStatus
from qrmi_emulator import Emulator, config
from qrmi_emulator.face import Condition, FaceJob, FaceSession, State
from qrmi_emulator.settings import EmulatorSettings
from qrmi_emulator.state import may_start
from support.runtime_client import TYPE, Client

SERVE = """
import sys, time
from qrmi_emulator import Emulator
with Emulator(state=sys.argv[1]) as emulator:
    print(emulator.url, flush=True)
    time.sleep(100)
"""


class SteppedClock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


@pytest.fixture
def state(tmp_path: Path, clock: SteppedClock) -> Any:
    made = State(tmp_path / "state", EmulatorSettings(), clock)
    yield made
    made.close()


def new_session(state: State, *, exclusive: bool = True) -> FaceSession:
    session = FaceSession(
        id=f"s{len(state.sessions)}",
        face="any",
        resource="aer",
        exclusive=exclusive,
        created=state.clock(),
        max_seconds=3600,
    )
    state.open(session)
    return session


def new_job(state: State, session: FaceSession | None = None) -> FaceJob:
    job = FaceJob(
        face="any",
        resource="aer",
        argument="sampler",
        created=state.clock(),
        session=session.id if session else None,
    )
    state.submit([(job, b"{}")])
    return job


def test_a_session_goes_through_its_states(state: State, clock: SteppedClock) -> None:
    session = new_session(state)
    assert state.state_of(session) == "open"
    job, other = new_job(state, session), new_job(state)
    state.start(job, clock.now)
    assert state.state_of(session) == "active"
    assert not may_start(other, state.holders())
    clock.now += 100
    state.end(job, TaskStatus.Completed)
    assert state.state_of(session) == "active"
    clock.now += 61
    assert state.state_of(session) == "inactive"
    assert may_start(other, state.holders())
    state.start(new_job(state, session), clock.now)
    assert state.state_of(session) == "active"
    clock.now += 3600
    queued = new_job(state, session)
    state.expire()
    assert state.state_of(session) == "closed"
    assert queued.status is TaskStatus.Failed
    assert other.status is TaskStatus.Queued


def test_a_session_that_nobody_uses_is_closed(state: State, clock: SteppedClock) -> None:
    session = new_session(state)
    clock.now += 1801
    state.expire()
    assert session.reason == "session_unused"


def test_a_job_that_has_ended_does_not_end_again(state: State, clock: SteppedClock) -> None:
    job = new_job(state)
    assert state.end(job, TaskStatus.Cancelled, "first")
    assert not state.end(job, TaskStatus.Completed)
    state.start(job, clock.now)
    assert (job.status, job.reason) == (TaskStatus.Cancelled, "first")


def test_everything_is_read_again(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    first = State(folder, EmulatorSettings())
    session = new_session(first)
    jobs = [new_job(first, session) for _ in range(3)]
    first.end(jobs[0], TaskStatus.Failed, "why", code=5)
    first.delete(jobs[0])
    first.end(jobs[1], TaskStatus.Cancelled)
    first.revoke("Bearer a.b.c")
    first.set_condition("aer", Condition(status="paused", reason="why", queue_length=3))
    first.close()
    assert b"a.b.c" not in (folder / "emulator.db").read_bytes()
    second = State(folder, EmulatorSettings())
    assert second.is_revoked("Bearer a.b.c")
    assert not second.is_revoked("Bearer a.b.d")
    assert second.condition("aer") == Condition(status="paused", reason="why", queue_length=3)
    assert not second.jobs, "they are read for their face"
    assert list(second.sessions_of("any", FaceSession).values()) == [session]
    assert list(second.jobs_of("any", FaceJob).values()) == jobs[1:]
    assert list(second.jobs.values()) == jobs[1:]
    assert list(second.live.values()) == jobs[2:]
    assert list(second.sessions.values()) == [session]
    second.close()


def test_a_folder_has_one_emulator_and_no_other_reader(tmp_path: Path) -> None:
    with Emulator(state=tmp_path / "state") as emulator:
        with pytest.raises(ValueError, match="another emulator"), Emulator(state=emulator.home):
            pass
        Client(emulator).submit()
        files = [path for path in emulator.home.rglob("*") if path.is_file()]
        assert {"credentials.json", "server.json", "emulator.db"} <= {path.name for path in files}
        assert any(path.parent.name == "inputs" for path in files)
        for path in files:
            assert path.stat().st_mode & 0o077 == 0, path
    (tmp_path / "open").mkdir(mode=0o755)
    with pytest.raises(PermissionError), Emulator(state=tmp_path / "open"):
        pass


@pytest.mark.slow
def test_a_killed_emulator_knows_its_jobs_when_started_again(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    url, keys = "", set()
    known: list[str] = []
    sessions: list[str] = []
    for _ in range(2):
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE, folder], stdout=subprocess.PIPE, text=True
        )
        try:
            assert process.stdout is not None
            listening = process.stdout.readline().strip()
            url = url or listening
            assert listening == url, "the port is that of the last time"
            credentials = json.loads((folder / "credentials.json").read_text())
            keys.add(credentials["ibm-iam"]["api_key"])
            client = Client(_Known(listening, credentials))
            for job in known:
                assert client.wait(job)["status"] == "Completed"
                assert client("GET", f"/jobs/{job}/results").status_code == 200
            for session in sessions:
                assert client("GET", f"/sessions/{session}").json()["state"] in ("open", "active")
            body = {"mode": "batch", "backend": "aer"}
            sessions = [client("POST", "/sessions", body).json()["id"]]
            known = [client.submit(session_id=sessions[0]) for _ in range(10)]
            client.http.close()
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            process.stdout.close()
    assert len(keys) == 1


@attrs.frozen
class _Known:
    """An emulator in another process, for `Client`."""

    url: str
    credentials: dict[str, dict[str, str]]

    def settings_for(self, _type: str) -> dict[str, str]:
        iam = self.credentials["ibm-iam"]
        instance = self.credentials["ibm-runtime"]["instance"]
        return {
            "QRMI_IBM_QCS_ENDPOINT": f"{self.url}/api/v1",
            "QRMI_IBM_QCS_IAM_APIKEY": iam["api_key"],
            "QRMI_IBM_QCS_SERVICE_CRN": "crn:v1:bluemix:public:quantum-computing:us-east:"
            f"a/{iam['account']}:{instance}::",
        }


def test_the_configuration_has_one_resource_and_those_named(tmp_path: Path) -> None:
    with Emulator(["ibm-runtime"]) as emulator:
        home = emulator.home
        document = emulator.config([("qiskit-runtime-service", "fake_lagos")])
        with pytest.raises(ValueError, match="no resource"):
            emulator.config([(TYPE, "fake_nothing")])
        with pytest.raises(ValueError, match="no vendor"):
            emulator.config([("pasqal-cloud", "EMU_FREE")])
        with pytest.raises(ValueError, match="no vendor"):
            emulator.settings_for("local")
    assert not home.exists()
    first, second = document["resources"]
    assert (first["type"], first["name"]) == (TYPE, "fake_fez")
    assert set(first) == {"type", "name", "environment"}
    assert set(second["environment"]) == {
        f"QRMI_IBM_QRS_{key}"
        for key in ("ENDPOINT", "IAM_ENDPOINT", "IAM_APIKEY", "SERVICE_CRN", "SESSION_MODE")
    }


def test_the_configuration_file_is_written_over_by_the_same_state_alone(tmp_path: Path) -> None:
    path, state = tmp_path / "qrmi_config.json", tmp_path / "state"
    extra = [("qiskit-runtime-service", "fake_lagos")]
    with Emulator(["ibm-runtime"], state=state) as emulator:
        first = emulator.write_config(path, extra)
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text()) == first
    with Emulator(["ibm-runtime"], state=state) as emulator:
        again = emulator.write_config(path)
        assert [entry["name"] for entry in again["resources"]] == ["fake_fez", "fake_lagos"]
        assert emulator.write_config(path, [])["resources"] == again["resources"][:1]
        assert emulator.write_config(path)["resources"] == again["resources"][:1]
        kept = path.read_text()
    with (
        Emulator(["ibm-runtime"], state=tmp_path / "other") as other,
        pytest.raises(FileExistsError, match="not made by the emulator of this state"),
    ):
        other.write_config(path)
    assert path.read_text() == kept


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "qrmi_config.json"
    with (
        Emulator(["ibm-runtime"]) as emulator,
        pytest.raises(OSError, match=f"cannot write {path}: No such"),
    ):
        emulator.write_config(path)


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"resources": []}', '{"resources": [{"environment": {"K": "v"}}]}']
)
def test_anothers_file_is_not_overwritten(tmp_path: Path, text: str) -> None:
    path = tmp_path / "qrmi_config.json"
    path.write_text(text)
    with pytest.raises(FileExistsError):
        config.write(path, {}, {"secret"})
    assert path.read_text() == text


@pytest.mark.parametrize(
    "values",
    [{"plan": "gold"}, {"token_seconds": 0}, {"slots": 3}, {"seed": "x"}, {"plan": None}, {"x": 1}],
)
def test_a_wrong_setting_changes_nothing(values: dict[str, Any]) -> None:
    settings = EmulatorSettings()
    with pytest.raises(ValueError):
        settings.change({"seed": 5, **values})
    assert settings == EmulatorSettings()


@pytest.mark.slow
def test_jobs_without_a_seed_get_that_of_the_settings() -> None:
    with Emulator(seed=3) as emulator:
        client = Client(emulator)
        results = []
        for _ in range(2):
            job = client.submit(shots=200, seed=None)
            client.wait(job)
            results.append(client("GET", f"/jobs/{job}/results").text)
        client.http.close()
    assert results[0] == results[1]


@pytest.mark.slow
def test_an_emulator_can_be_used_again() -> None:
    emulator = Emulator()
    for _ in range(2):
        with emulator:
            assert emulator.info()["jobs"]["Queued"] == 0
        time.sleep(0)
