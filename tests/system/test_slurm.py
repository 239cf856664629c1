"""A job's hooks with real drivers: the emulator's faces, and local simulators."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from qrmi_core import Payload
from qrmi_core.config import resources_from_job
from qrmi_emulator import Emulator
from support.munged import MISSING, munged
from support.slurm_site import SlurmSite
from support.warden import Warden

RUNTIME = "ibm-quantum-compute-service"
# In the device's gates, since the service compiles nothing.
CIRCUIT = 'OPENQASM 3.0; include "stdgates.inc"; bit[1] c; x $0; c[0] = measure $0;'
SAMPLING = json.dumps({"version": 2, "support_qiskit": False, "pubs": [[CIRCUIT, None, 100]]})


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator() as running:
        yield running


@pytest.fixture
def site(tmp_path: Path, emulator: Emulator) -> Iterator[SlurmSite]:
    """Return a site with one of IBM's QPUs and local simulators."""
    emulator.clear_faults()
    emulator.clear_requests()
    made = SlurmSite(tmp_path)
    made.resources(
        {
            "name": "fake_fez",
            "type": RUNTIME,
            "environment": dict(emulator.settings_for(RUNTIME)),
        },
        {
            "name": "aer",
            "type": "local",
            "environment": {
                "QRMI_LOCAL_HOME": f"{tmp_path}/store",
                "QRMI_LOCAL_ACQUISITION": "exclusive",
                "QRMI_LOCAL_IDLE_SECONDS": "1",
            },
        },
    )
    yield made
    emulator.clear_faults()


def closed(emulator: Emulator) -> list[str]:
    """Return the sessions that requests closed, one entry per request."""
    return [
        exchange["path"].split("/")[-2]
        for exchange in emulator.requests()
        if exchange["path"].endswith("/close") and exchange["status"] < 300
    ]


def opened(emulator: Emulator) -> int:
    """Return the number of sessions that were opened."""
    return sum(
        exchange["method"] == "POST"
        and exchange["path"].endswith("/sessions")
        and exchange["status"] < 300
        for exchange in emulator.requests()
    )


def test_a_job_runs_on_what_was_acquired_for_it(site: SlurmSite, emulator: Emulator) -> None:
    site.prolog("qpu=fake_fez,aer")
    status, variables, _ = site.task()
    assert status == 0
    payload = Payload.QiskitPrimitive(input=SAMPLING, program_id="sampler")
    for qpu in resources_from_job(variables):
        assert json.loads(qpu.run(payload, timeout=30).result(timeout=60).value)["results"]
        qpu.close()
    site.epilog()
    assert (opened(emulator), len(closed(emulator))) == (1, 1)
    lines = {line["resource"]: line for line in site.accounts()}
    assert {line["outcome"] for line in lines.values()} == {"released"}
    assert [line["tasks"] for line in lines.values()] == [1, 1]
    assert site.records() == []


def test_one_that_cannot_be_had_costs_the_others_nothing(
    site: SlurmSite, emulator: Emulator
) -> None:
    site.prolog("qpu=aer", SLURM_JOB_ID="70")
    site.prolog("qpu=fake_fez,aer")
    status, _, (printed,) = site.task()
    assert status == 1
    assert "aer" in printed
    assert (opened(emulator), len(closed(emulator))) == (1, 1)


def test_a_release_that_the_vendor_refuses_is_made_up_for(
    site: SlurmSite, emulator: Emulator
) -> None:
    site.prolog("qpu=fake_fez")
    emulator.fault("status", path="*/close", status=500, count=None)
    site.epilog()
    assert closed(emulator) == []
    emulator.clear_faults()
    site.jobs((71, "COMPLETED", 0))
    assert site.run("sweep").status == 0
    assert len(closed(emulator)) == 1
    assert site.records() == []


def test_no_log_has_a_secret_of_the_exchange(site: SlurmSite, emulator: Emulator) -> None:
    emulator.fault("status", path="*/close", status=500, count=1)
    site.prolog("qpu=fake_fez")
    variables = site.task()[1]
    site.epilog()
    logged = site.log.read_text()
    assert "/sessions/<hidden>/close" in logged
    assert variables["fake_fez_QRMI_JOB_ACQUISITION_TOKEN"] not in logged
    assert variables["fake_fez_QRMI_IBM_QCS_IAM_APIKEY"] not in logged


@pytest.mark.skipif(bool(MISSING), reason=MISSING)
def test_a_session_of_warden_is_for_the_job_and_its_user(tmp_path: Path) -> None:
    site = SlurmSite(tmp_path)
    with munged() as socket, Warden(socket) as warden:
        site.resources({"name": "QPU", "type": "pasqal-local", "environment": warden.settings()})
        site.prolog("qpu=QPU", SLURM_JOB_UID="1234")
        assert site.task()[0] == 0
        (session,) = warden.sessions.values()
        (wanted,) = [body for body in warden.bodies if body and "user_id" in body]
        assert (wanted["user_id"], wanted["slurm_job_id"]) == ("1234", "71")
        assert session["revoked_at"] is None
        site.epilog()
        assert session["revoked_at"] is not None
    assert [line["outcome"] for line in site.accounts()] == ["released"]
