"""Bodies that are nested more deeply than Python reads are refused by every route of every face."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from qrmi_emulator import Emulator
from support.direct_access_client import DirectAccessClient
from support.munged import MISSING, munged
from support.pasqal_client import CloudClient, WardenClient
from support.runtime_client import Client, job_body

DEEP = "[" * 100_000 + "]" * 100_000
"""A value of JSON."""


def bodies(whole: dict[str, Any], *texts: str) -> Iterator[str]:
    """Yield bodies that are nested at the top, in each member, and in members that are JSON texts.

    Args:
        whole: A body that is right.
        texts: The members with texts of JSON.
    """
    yield DEEP
    for name in whole:
        members = {**whole, name: "placeholder"}
        yield json.dumps(members).replace('"placeholder"', DEEP)
        if name in texts:
            yield json.dumps({**members, name: DEEP})


def refused(send: Callable[[str], requests.Response], *given: str) -> None:
    """See that each body is the sender's mistake, if it is one."""
    for body in given:
        response = send(body)
        assert response.status_code < 500, (body[:80], response.text)
        assert response.status_code >= 400 or body != DEEP, body[:80]


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator() as running:
        yield running


def test_the_runtime_api(emulator: Emulator) -> None:
    client = Client(emulator)
    opened = client("POST", "/sessions", {"mode": "dedicated", "backend": "aer"}).json()["id"]
    for method, path, body in (
        ("POST", "/jobs", job_body()),
        ("POST", "/sessions", {"mode": "batch", "backend": "aer"}),
        ("PATCH", f"/sessions/{opened}", {"accepting_jobs": True}),
    ):
        refused(
            lambda text, method=method, path=path: client(method, path, data=text), *bodies(body)
        )
    assert client("GET", "/backends").status_code == 200


def test_the_direct_access_api(emulator: Emulator) -> None:
    client = DirectAccessClient(emulator)
    refused(
        lambda text: client("POST", "/v1/jobs", data=text), *bodies(client.job(str(uuid.uuid4())))
    )
    job_id = str(uuid.uuid4())
    client.put(f"input_{job_id}.json", '{"version": 2, "pubs": ' + DEEP + "}")
    assert client("POST", "/v1/jobs", client.job(job_id)).status_code < 500


def test_the_api_of_pasqal_cloud(emulator: Emulator) -> None:
    client = CloudClient(emulator)
    batch = client.submit(10)["id"]
    program = {
        "machine": "EMU_FREE",
        "project_id": client.project,
        "sequence": {"setup": {}, "hamiltonian": {}},
        "shots": 10,
    }
    for method, path, given in (
        ("POST", "/v1/batches", bodies({**client.body(10), "open": False}, "sequence_builder")),
        (
            "POST",
            "/v1/batches",  # the sequence names the device
            bodies(client.body(10, device=None), "sequence_builder"),
        ),
        ("POST", "/v1/cudaq/job", bodies(program, "sequence")),
        ("PATCH", f"/v1/batches/{batch}/tags", iter([DEEP, f'["a", {DEEP}]'])),
        (
            "POST",
            f"/v2/batches/{batch}/jobs",
            iter([DEEP, json.dumps([{"runs": 10, "sequence": DEEP}])]),
        ),
    ):
        refused(lambda text, method=method, path=path: client(method, path, data=text), *given)
    assert client("GET", f"/v2/batches/{batch}").status_code == 200


@pytest.mark.skipif(bool(MISSING), reason=MISSING)
def test_the_api_of_warden() -> None:
    with munged() as socket, Emulator(["pasqal-local"], munge_socket=str(socket)) as emulator:
        client = WardenClient(emulator)
        session = client.session()
        for path, body in (
            ("/jobs", {"sequence": "{}", "shots": 10}),
            ("/sessions", {"user_id": client.uid, "slurm_job_id": "777"}),
            ("/accessible", {"is_accessible": True, "message": "open"}),
        ):
            refused(
                lambda text, path=path: client("POST", path, session=session, data=text),
                *bodies(body, "sequence"),
            )
        assert client("GET", "/jobs").status_code == 200


def test_the_control_of_the_emulator(emulator: Emulator) -> None:
    headers = {"Authorization": f"Bearer {emulator._key}"}
    for method, path, body in (
        ("POST", "faults", {"kind": "status", "status": 500}),
        ("PATCH", "settings", {"plan": "premium"}),
        ("PUT", "resources/aer", {"status": "online"}),
    ):
        refused(
            lambda text, method=method, path=path: requests.request(
                method, f"{emulator.url}/control/{path}", data=text, headers=headers, timeout=30
            ),
            *bodies(body),
        )
