"""Warden's API as the emulator speaks it, seen by a plain HTTP client with real credentials."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from qrmi_emulator import Emulator
from qrmi_emulator.faces.pasqal.warden import munge as munge_module
from qrmi_emulator.faces.pasqal.warden.munge import MungeDecoder, Undecoded, is_listening
from qrmi_local.engines import MissingExtra
from support import pulses
from support.munged import MISSING, munged
from support.pasqal_client import WardenClient

NOWHERE = "00000000-0000-4000-8000-000000000000"
pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with munged() as socket:
        settings = {"munge_socket": str(socket), "warden_admin": os.geteuid()}
        with Emulator(["pasqal-local"], seed=7, **settings) as running:
            yield running


@pytest.fixture
def client(emulator: Emulator) -> Iterator[WardenClient]:
    emulator.clear_faults()
    made = WardenClient(emulator)
    yield made
    made.http.close()
    emulator.clear_faults()
    emulator.change(warden="2026-06", warden_slots=None, warden_admin=os.geteuid())


def refused(answer: requests.Response, status: int) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json()["detail"]


def test_the_qpu_is_described_to_everybody(client: WardenClient) -> None:
    get = requests.get
    assert get(f"{client.url}/", timeout=30).json()["message"] == "The warden is operational."
    assert get(f"{client.url}/accessible", timeout=30).json() == {
        "is_accessible": True,
        "message": "Warden ok.",
    }
    specs = json.loads(get(f"{client.url}/qpu/specs", timeout=30).json()["specs"])
    assert specs["name"] == "FRESNEL"
    assert refused(get(f"{client.url}//accessible", timeout=30), 404) == "Not Found"
    assert refused(client("PUT", "/jobs"), 405) == "Method Not Allowed"


@pytest.mark.slow
def test_a_job_goes_its_way(client: WardenClient) -> None:
    session = client.session()
    created = client("POST", "/jobs", {"sequence": pulses.sequence(), "shots": 100}, session).json()
    assert created["status"] == "PENDING"
    assert created["created_at"].endswith("Z")
    assert (created["user_id"], created["results"]) == (client.uid, None)
    done = client.wait(created["id"])
    assert not done["created_at"].endswith("Z")
    counter = json.loads(done["results"])["counter"]
    assert sum(counter.values()) == 100
    assert pulses.is_blockaded(counter)
    assert done in client("GET", "/jobs").json()
    assert client("GET", f"/jobs/{created['id']}/logs").json()["logs"]
    text = refused(client("POST", f"/jobs/{created['id']}/cancel"), 409)
    assert text == "Job with status 'DONE' can't be canceled"


@pytest.mark.slow
def test_who_sends_no_good_credential_is_refused(client: WardenClient) -> None:
    def get(credential: str | None) -> requests.Response:
        headers = {} if credential is None else {"X-Munge-Cred": credential}
        return requests.get(f"{client.url}/jobs", headers=headers, timeout=30)

    assert refused(get(None), 401) == "Missing MUNGE credential"
    assert refused(get("MUNGE:nonsense:"), 500) == "MUNGE decode failed"
    credential = client.credential()
    # The second time is tolerated.
    assert [get(credential).status_code for _ in range(2)] == [200, 200]
    brief = client.credential("--ttl=1")
    deadline = time.monotonic() + 10
    while (answer := get(brief)).status_code == 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert refused(answer, 401) == "MUNGE credential expired"


def test_only_the_administrator_opens_and_revokes_sessions(
    emulator: Emulator, client: WardenClient
) -> None:
    session = client.session()
    emulator.change(warden_admin=os.geteuid() + 1)
    body = {"user_id": client.uid, "slurm_job_id": "1"}
    for version, who in (("0.1.0", "root"), ("2026-06", "admin")):
        emulator.change(warden=version)
        text = f"Endpoint restricted to {who} user."
        assert refused(client("POST", "/sessions", body), 403) == text
        assert refused(client("DELETE", f"/sessions/{session}"), 403) == text
        assert refused(client("POST", "/accessible", {"is_accessible": False}), 403) == text


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_a_user_has_his_own_sessions_and_jobs(emulator: Emulator, client: WardenClient) -> None:
    other = WardenClient(emulator, "nobody")
    body = {"sequence": pulses.sequence(), "shots": 5}
    mine = client.session()
    text = refused(other("POST", "/jobs", body, mine), 403)
    assert text == "Session belongs to another user."
    job = client.submit(mine)
    assert refused(other("GET", f"/jobs/{job}"), 404) == "Job not found"
    assert refused(other("POST", f"/jobs/{job}/cancel"), 404) == "Job not found"
    assert refused(other("POST", "/sessions", {"user_id": "1", "slurm_job_id": "1"}), 403)
    uid = subprocess.run(["id", "-u", "nobody"], capture_output=True, text=True, check=True).stdout
    theirs = client.session(uid.strip())
    found = other("POST", "/jobs", body, theirs).json()
    assert found["user_id"] == uid.strip()
    assert [each["id"] for each in other("GET", "/jobs").json()] == [found["id"]]


def test_a_session_is_what_lets_jobs_in(client: WardenClient) -> None:
    body = {"sequence": "", "shots": 1}
    assert refused(client("POST", "/jobs", body), 403) == "Missing 'X-Warden-Session' header."
    assert refused(client("POST", "/jobs", body, NOWHERE), 403) == "Invalid session."
    (problem,) = refused(client("POST", "/jobs", body, "x"), 422)
    assert problem["loc"] == ["header", "x-warden-session"]
    session = client.session()
    first = client("DELETE", f"/sessions/{session}").json()["revoked_at"]
    assert client("DELETE", f"/sessions/{session}").json()["revoked_at"] >= first
    assert refused(client("POST", "/jobs", body, session), 403) == "Session has been revoked."
    assert refused(client("DELETE", f"/sessions/{NOWHERE}"), 404) == "Session not found."
    refused(client("DELETE", "/sessions/x"), 422)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/sessions", {}),
        ("/sessions", {"user_id": 0, "slurm_job_id": "1"}),
        ("/sessions", {"user_id": "0"}),
        ("/sessions", {"user_id": "0", "slurm_job_id": 1}),
        ("/sessions", [1]),
        ("/jobs", {}),
        ("/jobs", {"sequence": {}, "shots": 1}),
        ("/jobs", {"sequence": "", "shots": "1"}),
    ],
)
def test_a_body_of_the_wrong_form_is_unprocessable(
    client: WardenClient, path: str, body: Any
) -> None:
    session = client.session() if path == "/jobs" else None
    (problem,) = refused(client("POST", path, body, session), 422)
    assert problem["loc"][0] == "body"
    assert {"type", "msg", "input"} <= problem.keys()


@pytest.mark.slow
def test_a_job_that_makes_no_sense_is_taken_and_fails(client: WardenClient) -> None:
    session = client.session()
    job = client.submit(session, "nonsense")
    assert client.wait(job)["status"] == "ERROR"
    assert "not JSON" in client("GET", f"/jobs/{job}/logs").json()["logs"]
    assert client.wait(client.submit(session, shots=-5))["status"] == "ERROR"
    assert refused(client("GET", "/jobs/99999"), 404) == "Job not found"
    refused(client("GET", "/jobs/x"), 422)


def test_a_job_is_cancelled(emulator: Emulator, client: WardenClient) -> None:
    emulator.fault("job-queued")
    job = client.submit(client.session())
    assert client("POST", f"/jobs/{job}/cancel").json()["status"] == "CANCELED"
    assert client.wait(job)["results"] is None


def test_an_operator_acts_on_a_job_by_its_number(emulator: Emulator, client: WardenClient) -> None:
    emulator.fault("job-paused")
    job = client.submit(client.session())
    assert client.wait(job, "PENDING")["results"] is None
    emulator.act(str(job), "fail", reason="lasers off")
    assert client.wait(job)["status"] == "ERROR"
    assert "lasers off" in client("GET", f"/jobs/{job}/logs").json()["logs"]


def test_the_first_version_neither_cancels_nor_logs(
    emulator: Emulator, client: WardenClient
) -> None:
    emulator.change(warden="0.1.0")
    session = client.session()
    job = client.submit(session)
    for method, path in (("POST", "cancel"), ("GET", "logs")):
        assert refused(client(method, f"/jobs/{job}/{path}"), 404) == "Not Found"
    refused(client("DELETE", "/sessions", session=session), 405)
    refused(client("GET", "/qpu-slots"), 404)
    # What later versions convert is stored as it is.
    assert client.wait(client.submit(session, pulses.cudaq()))["status"] == "ERROR"


def test_a_program_of_cudaq_is_converted(client: WardenClient) -> None:
    session = client.session()
    job = client.submit(session, pulses.cudaq(), shots=50)
    assert pulses.is_blockaded(json.loads(client.wait(job)["results"])["counter"])
    body = {"sequence": json.dumps({"setup": {}, "hamiltonian": {}}), "shots": 1}
    assert "ahs_register" in refused(client("POST", "/jobs", body, session), 422)


def test_the_latest_version_counts_slots_and_revokes_by_header(
    emulator: Emulator, client: WardenClient
) -> None:
    for session in (client.session(), client.session(job="778")):
        client("DELETE", f"/sessions/{session}")
    emulator.change(warden="2026-09")
    text = refused(client("GET", "/qpu-slots"), 404)
    assert text == "QPU slots are not configured."
    emulator.change(warden_slots=3)
    used = client("GET", "/qpu-slots").json()["qpu_slots_used"]
    emulator.change(warden_slots=used + 3)
    body = {"user_id": client.uid, "scheduler_job_id": "latest", "qpu_slots": 2}
    session = client("POST", "/sessions", body).json()
    assert (session["scheduler_job_id"], session["qpu_slots"]) == ("latest", 2)
    assert client("POST", "/sessions", body).json()["id"] == session["id"]
    refused(client("POST", "/sessions", body | {"qpu_slots": 1}), 409)
    text = refused(client("POST", "/sessions", body | {"scheduler_job_id": "other"}), 409)
    assert text == "Not enough QPU slots available."
    assert client("GET", "/qpu-slots").json()["qpu_slots_available"] == 1
    emulator.fault("job-queued")
    job = client.submit(session["id"])
    refused(client("DELETE", f"/sessions/{session['id']}"), 404)
    refused(client("DELETE", "/sessions"), 403)
    revoked = client("DELETE", "/sessions", session=session["id"]).json()
    assert revoked["revocation_reason"] == "manual"
    assert client.wait(job)["status"] == "CANCELED"
    listed = client("GET", "/sessions?scheduler_job_id=latest&active=false").json()
    assert [each["id"] for each in listed] == [session["id"]]


def test_the_qpu_is_made_inaccessible(emulator: Emulator, client: WardenClient) -> None:
    def accessible() -> Any:
        return requests.get(f"{client.url}/accessible", timeout=30).json()["is_accessible"]

    client("POST", "/accessible", {"is_accessible": False, "message": "cleaning"})
    assert not accessible()
    # It is advice: what is submitted runs.
    assert client.wait(client.submit(client.session()))["status"] == "DONE"
    client("POST", "/accessible", {"is_accessible": True})
    assert accessible()
    emulator.set_resource("PASQAL_LOCAL", status="maintenance")
    assert not accessible()
    job = client.submit(client.session())
    emulator.set_resource("PASQAL_LOCAL", status="online")
    assert client.wait(job)["status"] == "DONE"


def test_faults_speak_wardens_language(emulator: Emulator, client: WardenClient) -> None:
    # A defect of the emulator itself would be an error of 500 too.
    for status, detail in ((503, "The service responds with 503."), (404, "Not Found")):
        emulator.fault("status", status=status, path="/warden/*", method="GET")
        assert refused(client("GET", "/jobs"), status) == detail
        assert client("GET", "/jobs").status_code == 200


@pytest.mark.slow
def test_numbers_go_on_after_a_restart(tmp_path: Path) -> None:
    state = tmp_path / "state"
    admin = {"warden_admin": os.geteuid()}
    with Emulator(["pasqal-local"], state=state, **admin) as first:
        client = WardenClient(first)
        job = client.submit(client.session())
        client.wait(job)
    with Emulator(["pasqal-local"], state=state, **admin) as second:
        client = WardenClient(second)
        assert client.wait(job)["status"] == "DONE"
        assert client.submit(client.session()) == job + 1


def test_a_munged_of_its_own_has_a_key_that_nobody_else_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "qrmi_emulator.faces.pasqal.warden.munge.SYSTEM_SOCKET", str(tmp_path / "none")
    )
    munge = MungeDecoder(tmp_path / "munge")
    try:
        command = ["munge", "--no-input", f"--socket={munge.socket}"]
        made = subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()
        assert munge.uid(made) == os.geteuid()
        assert (tmp_path / "munge" / "key").stat().st_mode & 0o077 == 0
        with munged() as other, pytest.raises(Undecoded):
            MungeDecoder(tmp_path / "other", str(other)).uid(made)
    finally:
        munge.close()
    assert not Path(munge.socket).exists()
    with pytest.raises(Undecoded):
        munge.uid(made)


def test_a_munged_of_its_own_ends_with_an_emulator_that_is_killed(tmp_path: Path) -> None:
    script = (
        "import os, pathlib, signal, sys\n"
        "from qrmi_emulator.faces.pasqal.warden import munge\n"
        "munge.SYSTEM_SOCKET = ''\n"
        "print(munge.MungeDecoder(pathlib.Path(sys.argv[1])).socket, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    home = tmp_path / "munge"
    command = [sys.executable, "-c", script, str(home)]
    killed = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    socket = killed.stdout.strip()
    assert socket
    deadline = time.monotonic() + 10
    while is_listening(socket):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_without_munge_it_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(munge_module, "_PATH", str(tmp_path))
    with pytest.raises(MissingExtra, match="pasqal-local: there is no MUNGE.*apt install munge"):
        Emulator(["pasqal-local"]).__enter__()
