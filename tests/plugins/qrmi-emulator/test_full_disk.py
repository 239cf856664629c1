"""An emulator that cannot write its state for a while, and one whose work fails."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import requests
from botocore.exceptions import ClientError

from qrmi_core import ServiceError
from qrmi_emulator import Emulator, app
from qrmi_emulator.runner import Runner
from support.direct_access_client import DirectAccessClient
from support.pasqal_client import CloudClient
from support.runtime_client import Client, job_body

SESSION = {"backend": "aer", "mode": "batch"}
Full = Callable[[Emulator], AbstractContextManager[None]]


@contextmanager
def no_records(emulator: Emulator) -> Iterator[None]:
    database = emulator.faces[0].state._file._db
    database.execute("PRAGMA query_only = ON")
    yield
    database.execute("PRAGMA query_only = OFF")


@contextmanager
def no_inputs(emulator: Emulator) -> Iterator[None]:
    inputs, away = emulator.home / "inputs", emulator.home / "away"
    inputs.rename(away)
    yield
    away.rename(inputs)


@contextmanager
def no_objects(emulator: Emulator) -> Iterator[None]:
    store = emulator.faces[0]._store  # type: ignore[attr-defined]
    # The connection belongs to the thread.
    store._thread.submit(lambda: store._db.execute("PRAGMA query_only = ON")).result()
    yield  # it is opened again afterwards


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "state"


def listed(client: Client) -> set[str]:
    return {job["id"] for job in client("GET", "/jobs").json()["jobs"]}


@pytest.mark.slow
@pytest.mark.parametrize("full", [no_records, no_inputs])
def test_a_job_that_cannot_be_kept_is_refused_and_is_not_there(home: Path, full: Full) -> None:
    with Emulator(["ibm-runtime"], state=home) as emulator:
        client = Client(emulator)
        accepted = {client.submit()}
        client.wait(*accepted)
        with full(emulator):
            for _ in range(3):
                refused = client("POST", "/jobs", job_body())
                assert (refused.status_code, refused.json()["errors"][0]["code"]) == (507, 9707)
            assert client.token()["access_token"]
            assert listed(client) == accepted
        accepted.add(client.submit())
        assert len(list((home / "inputs").iterdir())) == len(accepted)
        for job in accepted:
            client.wait(job)
        client.http.close()
    with Emulator(["ibm-runtime"], state=home) as emulator:
        client = Client(emulator)
        assert listed(client) == accepted
        client.http.close()


@pytest.mark.slow
def test_changes_that_cannot_be_kept_are_kept_later(home: Path) -> None:
    with Emulator(["ibm-runtime"], state=home) as emulator:
        client = Client(emulator)
        emulator.fault("job-queued")
        cancelled, runs = client.submit(), client.submit()
        with no_records(emulator):
            assert client("POST", f"/jobs/{cancelled}/cancel").status_code == 507
            assert client("PUT", f"/jobs/{runs}/tags", {"tags": ["late"]}).status_code == 507
            assert client("POST", "/sessions", SESSION).status_code == 507
            with pytest.raises(ValueError, match="507"):
                emulator.set_resource("aer", status="paused")
            assert client.wait(runs)["status"] == "Completed"
            assert client.job(cancelled)["status"] == "Cancelled"
            assert not emulator.faces[0].state.sessions
        client.http.close()
    with Emulator(["ibm-runtime"], state=home) as emulator:
        client = Client(emulator)
        assert client.job(cancelled)["status"] == "Cancelled"
        found = client.job(runs)
        assert (found["status"], found["tags"]) == ("Completed", ["late"])
        client.http.close()


def test_a_batch_is_kept_as_a_whole_or_not_at_all(home: Path) -> None:
    with Emulator(["pasqal-cloud"], state=home) as emulator:
        client = CloudClient(emulator)
        emulator.fault("job-queued", count=None)
        batch = client.data("POST", "/v1/batches", {**client.body(10), "open": True})["id"]
        more = f"/v2/batches/{batch}/jobs"
        state = emulator.faces[0].state
        with no_records(emulator):
            refused = client("POST", "/v1/batches", client.body(10, 20))
            assert (refused.status_code, refused.json()["code"]) == (507, "507")
            assert client("POST", more, [{"runs": 10}]).status_code == 507
            assert client.token().status_code == 200
        assert len(state.jobs) == len(state.sessions) == 1
        assert client.batch(batch)["jobs_count"] == 1
        assert client.data("POST", more, [{"runs": 10}])["jobs_count"] == 2
        assert len(list((home / "inputs").iterdir())) == 3, "a sequence, and two jobs"
        client.http.close()


def test_an_object_that_cannot_be_kept_is_refused_and_is_not_there(home: Path) -> None:
    with Emulator(["ibm-da"], state=home) as emulator:
        client = DirectAccessClient(emulator)
        client.put("first", b"1")
        for name in ("first", "second"):
            with no_objects(emulator), pytest.raises(ClientError, match="InternalError") as raised:
                client.put(name, b"2")
            assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 507
            assert client.get("first") == b"1"
        with pytest.raises(ClientError, match="NoSuchKey"):
            client.get("second")
        client.put("second", b"3")
        assert client.get("second") == b"3"
        client.http.close()


@pytest.mark.slow
def test_objects_that_cannot_be_read_are_refused(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_given: object) -> bool:
        raise sqlite3.OperationalError("disk I/O error")

    with Emulator(["ibm-da"], state=home) as emulator:
        client = DirectAccessClient(emulator)
        monkeypatch.setattr(type(emulator.faces[0]._store), "_has_upload", full)  # type: ignore[attr-defined]
        with pytest.raises(ClientError) as raised:
            client.s3.abort_multipart_upload(Bucket=client.bucket, Key="k", UploadId="u")
        assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 507
        client.http.close()


def test_a_job_that_cannot_be_deleted_is_still_there(home: Path) -> None:
    with Emulator(["ibm-da"], state=home) as emulator:
        client = DirectAccessClient(emulator)
        emulator.fault("job-queued")
        job = client.submit()
        path = f"/v1/jobs/{job}"
        assert client("POST", f"{path}/cancel").status_code == 204
        with no_records(emulator):
            assert client("DELETE", path).status_code == 507
            assert client.show(job)["status"] == "Cancelled"
        assert client("DELETE", path).status_code == 204
        assert client("GET", path).status_code == 404
        client.close()


def test_an_emulator_whose_work_fails_ends_with_the_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reason = "the emulator has ended: RuntimeError: a wheel is broken"
    broken = threading.Event()

    class Fragile(Runner):
        def _play(self) -> None:
            if broken.is_set():
                raise RuntimeError("a wheel is broken")
            super()._play()

    # Not a method of the class, which emulators of other tests use in this process.
    monkeypatch.setattr(app, "Runner", Fragile)
    with pytest.raises(ServiceError, match=reason), Emulator(["ibm-runtime"]) as emulator:
        broken.set()
        with pytest.raises(ServiceError, match=reason):
            emulator.wait()
        with pytest.raises(requests.ConnectionError):
            requests.get(emulator.url, timeout=10)


COMMAND = """
import sys
import threading
from qrmi_core.cli import main
from qrmi_emulator.faces.ibm.direct_access.attendant import Attendant

async def fail(attendant, job, ended):
    raise RuntimeError("a wheel is broken")

Attendant._see_through = fail
sys.exit(main())
"""


@pytest.mark.slow
def test_the_command_ends_with_the_reason(home: Path) -> None:
    with Emulator(["ibm-da"], state=home) as emulator:
        client = DirectAccessClient(emulator)
        emulator.fault("job-queued")
        client.submit()
        client.close()
    ended = subprocess.run(
        [sys.executable, "-c", COMMAND, "emulator", "serve", "--vendor", "ibm-da", "--state", home],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode not in (0, 70)
    assert ended.stderr.count("the emulator has ended: RuntimeError: a wheel is broken") == 1
    assert "Traceback" not in ended.stderr
