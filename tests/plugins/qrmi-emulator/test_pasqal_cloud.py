"""Pasqal Cloud's API as the emulator speaks it, seen by a plain HTTP client."""

from __future__ import annotations

import base64
import gzip
import json
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from qrmi_emulator import Emulator
from support import pulses
from support.pasqal_client import CloudClient

PASSWORD_REALM = "http://auth0.com/oauth/grant-type/password-realm"
NOWHERE = "00000000-0000-4000-8000-000000000000"
PARAMETRISED = json.dumps(
    json.loads(pulses.sequence()) | {"variables": {"amplitude": {"type": "float", "value": [0.0]}}}
)


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator(["pasqal-cloud"], seed=7) as running:
        yield running


@pytest.fixture
def client(emulator: Emulator) -> Iterator[CloudClient]:
    emulator.clear_faults()
    made = CloudClient(emulator)
    yield made
    made.http.close()
    emulator.clear_faults()
    emulator.change(cancel_seconds=0.0, seed=7)


def refused(answer: requests.Response, status: int) -> str:
    """Return the contents of an error envelope."""
    assert answer.status_code == status, answer.text
    envelope = answer.json()
    assert envelope["status"] == ("error" if status >= 500 else "fail")
    assert envelope["code"] == str(status)
    return str(envelope["data"]["description"])


def test_a_user_gets_a_jwt(client: CloudClient) -> None:
    answer = client.token(
        grant_type=PASSWORD_REALM,
        realm="pcs-users",
        client_id="any",
        audience="https://apis.pasqal.cloud/account/api/v1",
        username=client.known["PASQAL_USERNAME"],
        password=client.known["PASQAL_PASSWORD"],
    ).json()
    assert answer["token_type"] == "Bearer"
    payload = answer["access_token"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert claims["exp"] - claims["iat"] == answer["expires_in"] == 3600
    client.http.headers["Authorization"] = f"Bearer {answer['access_token']}"
    assert client.data("GET", "/v2/jobs") is not None


@pytest.mark.parametrize(
    ("form", "status", "code"),
    [
        ({"grant_type": "password", "client_id": "c", "username": "u"}, 400, "invalid_request"),
        (
            {"grant_type": PASSWORD_REALM, "client_id": "c", "username": "u", "password": "p"},
            *(403, "invalid_grant"),
        ),
        (
            {"grant_type": "client_credentials", "client_id": "c", "client_secret": "s"},
            *(401, "access_denied"),
        ),
        ({"grant_type": "other"}, 403, "unauthorized_client"),
    ],
)
def test_wrong_credentials_are_refused_as_auth0_does(
    client: CloudClient, form: dict[str, str], status: int, code: str
) -> None:
    answer = client.token(**form)
    assert answer.status_code == status
    assert answer.json()["error"] == code
    assert answer.json()["error_description"]


@pytest.mark.parametrize("value", ["", "Bearer a.b.c", "Bearer é", "Basic x"])
def test_nothing_but_a_token_opens_the_api(client: CloudClient, value: str) -> None:
    client.http.headers["Authorization"] = value.encode()  # type: ignore[assignment]
    refused(client("GET", "/v2/jobs"), 401)


def test_a_token_ends_with_its_time(
    emulator: Emulator, client: CloudClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator.change(token_seconds=600)
    try:
        token = client.token().json()
    finally:
        emulator.change(token_seconds=3600)
    assert token["expires_in"] == 600
    long_lived = client.http.headers["Authorization"]
    client.http.headers["Authorization"] = f"Bearer {token['access_token']}"
    assert client("GET", "/v2/jobs").status_code == 200
    monkeypatch.setattr(emulator.faces[0].state, "clock", lambda: time.time() + 601)
    refused(client("GET", "/v2/jobs"), 401)
    client.http.headers["Authorization"] = long_lived
    assert client("GET", "/v2/jobs").status_code == 200


def test_devices_are_public(client: CloudClient) -> None:
    del client.http.headers["Authorization"]
    devices = {each["device_type"]: each for each in client.data("GET", "/v1/devices")}
    assert {"FRESNEL", "FRESNEL_CAN1", "EMU_FREE", "EMU_FRESNEL", "EMU_MPS"} <= devices.keys()
    assert (devices["FRESNEL"]["status"], devices["FRESNEL"]["availability"]) == ("UP", "ACTIVE")
    assert not devices["FRESNEL"]["is_emulator"]
    for query in ("device_type=EMU_FREE", "device_type[]=EMU_FREE"):
        (found,) = client.data("GET", f"/v1/devices?{query}")
        assert found["device_type"] == "EMU_FREE"
    assert client.data("GET", "/v1/devices?device_type=NOWHERE") == []
    assert client.data("GET", "/v1/devices?availability=RETIRED") == []


def test_specs_are_those_of_the_devices_in_pulsers_form(client: CloudClient) -> None:
    from pulser.devices import Device

    every = client.data("GET", "/v1/devices/specs")
    public = client.data("GET", "/v1/devices/public-specs")
    assert {each["device_type"]: each["specs"] for each in public} == every
    one = client.data("GET", "/v1/devices/specs/FRESNEL")
    assert one == {"device_type": "FRESNEL", "specs": every["FRESNEL"]}
    device = Device.from_abstract_repr(one["specs"])
    assert device.name == "FRESNEL"
    assert device.requires_layout
    refused(client("GET", "/v1/devices/specs/EMU_FREE"), 404)


def test_a_double_slash_is_tolerated(client: CloudClient) -> None:
    answer = client.http.get(f"{client.root}//core-fast/api/v2/jobs", timeout=30)
    assert answer.status_code == 200


@pytest.mark.slow
def test_a_batch_goes_its_way(client: CloudClient) -> None:
    batch = client.submit(200, device="FRESNEL", tags=["mine"])
    assert batch["status"] == "PENDING"
    assert (batch["open"], batch["complete"]) == (False, True)
    (job,) = batch["jobs"]
    done = client.wait(batch["id"])
    assert done["status"] == "DONE"
    assert done["job_ids"] == [job["id"]]
    assert done["sequence_builder"] == pulses.sequence()
    assert done["start_datetime"] <= done["end_datetime"] == done["updated_at"]
    light = client.data("GET", f"/v1/batches/{batch['id']}/status")
    assert light["jobs_count_per_status"] == {"DONE": 1}
    assert light["status"] == client.data("GET", f"/v1/jobs/{job['id']}/status")["status"] == "DONE"
    document = client.data("GET", f"/v2/jobs/{job['id']}")
    assert (document["runs"], document["batch_id"]) == (200, batch["id"])
    assert document["errors"] is None
    (found,) = client.data("GET", f"/v1/batches/{batch['id']}/full_results").values()
    assert sum(found["counter"].values()) == 200
    assert pulses.is_blockaded(found["counter"])


@pytest.mark.slow
def test_equal_seeds_give_equal_counts(emulator: Emulator, client: CloudClient) -> None:
    def counts(device: str) -> Any:
        batch = client.submit(100, device=device)
        client.wait(batch["id"])
        (found,) = client.data("GET", f"/v1/batches/{batch['id']}/full_results").values()
        return found["counter"]

    first = counts("FRESNEL")
    assert first == counts("EMU_FREE") == counts("EMU_FRESNEL")
    emulator.change(seed=8)
    assert counts("FRESNEL") != first


def link_of(client: CloudClient, job: str) -> Any:
    return client.data("GET", f"/v1/jobs/{job}/results_link")["results_link"]


def test_results_come_by_a_presigned_link(emulator: Emulator, client: CloudClient) -> None:
    from pulser.backend import Results

    emulator.fault("job-queued")
    batch = client.submit(50)
    (job,) = batch["job_ids"]
    assert link_of(client, job) is None
    assert client.data("GET", f"/v1/batches/{batch['id']}/full_results") == {}
    emulator.act(job, "release")
    client.wait(batch["id"])
    link = link_of(client, job)
    document = requests.get(link, timeout=30).json()
    assert Counter(document["raw"]) == document["counter"]
    results = Results.from_abstract_repr(document["serialised_results"])
    assert dict(results.final_bitstrings) == document["counter"]
    assert list(results.atom_order) == ["q0", "q1"]
    # As a store of objects has it: one kind of credential, and the right one.
    assert requests.get(link, headers=dict(client.http.headers), timeout=30).status_code == 400
    for wrong in (link[:-1], link.replace("Expires=900", "Expires=901"), link.partition("?")[0]):
        assert requests.get(wrong, timeout=30).status_code == 403
    seen = emulator.requests()[-1]
    assert "Signature" not in seen["query"]
    assert all(link.rpartition("=")[2] not in request["query"] for request in emulator.requests())


def test_a_body_may_be_compressed(client: CloudClient) -> None:
    body = gzip.compress(json.dumps(client.body(5)).encode())
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    url = f"{client.url}/v1/batches"
    answer = client.http.post(url, data=body, headers=headers, timeout=30)
    assert answer.status_code == 200
    refused(client.http.post(url, data=body[:-9], headers=headers, timeout=30), 422)
    refused(client.http.post(url, data=b"x", headers=headers, timeout=30), 422)


@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        ({"project_id": ""}, 422, "project_id"),
        ({"project_id": NOWHERE}, 400, "project"),
        ({"device_type": "NOWHERE"}, 422, "device_type"),
        ({"device_type": None}, 422, "device_type"),  # Pulser's example is none of the devices
        ({"jobs": []}, 422, "jobs"),
        ({"jobs": [3]}, 422, "jobs[0]"),
        ({"jobs": [{"runs": 0}]}, 422, "runs"),
        ({"jobs": [{"runs": True}]}, 422, "runs"),
        ({"jobs": [{"runs": 2001}], "device_type": "FRESNEL"}, 422, "from 1 to 2000"),
        ({"jobs": [{}], "device_type": "FRESNEL"}, 422, "runs"),
        ({"sequence_builder": "nonsense"}, 422, "not JSON"),
        ({"sequence_builder": 3}, 422, "sequence_builder"),
        ({"sequence_builder": None}, 422, "sequence"),
        ({"sequence_builder": PARAMETRISED}, 422, "variables"),
        (
            {"sequence_builder": PARAMETRISED, "jobs": [{"runs": 1, "variables": {"other": 1}}]},
            *(422, "amplitude"),
        ),
        ({"jobs": [{"runs": 1, "variables": 3}]}, 422, "variables"),
        ({"tags": "one"}, 422, "tags"),
        ({"open": "yes"}, 422, "open"),
    ],
)
def test_what_cannot_run_is_refused(
    client: CloudClient, change: dict[str, Any], status: int, says: str
) -> None:
    before = client("GET", "/v1/batches").json()["pagination"]["total"]
    assert says in refused(client("POST", "/v1/batches", client.body(10) | change), status)
    refused(client("POST", "/v1/batches", [1]), 422)
    assert client("GET", "/v1/batches").json()["pagination"]["total"] == before


def test_the_device_is_the_sequences_where_none_is_named(client: CloudClient) -> None:
    specs = client.data("GET", "/v1/devices/specs")["FRESNEL_CAN1"]
    batch = client.submit(10, device_type=None, sequence_builder=pulses.sequence(specs))
    assert batch["device_type"] == "FRESNEL_CAN1"


def test_an_unknown_batch_or_job_is_not_found(client: CloudClient) -> None:
    for method, path in (
        ("GET", f"/v2/batches/{NOWHERE}"),
        ("GET", f"/v1/batches/{NOWHERE}/full_results"),
        ("PATCH", f"/v2/batches/{NOWHERE}/cancel"),
        ("GET", f"/v2/jobs/{NOWHERE}"),
        ("GET", f"/v1/jobs/{NOWHERE}/results_link"),
        ("GET", f"/v1/cudaq/job/{NOWHERE}"),
        ("GET", "/v9/nothing"),
    ):
        assert "not found" in refused(client(method, path), 404).lower()
    refused(client("PUT", "/v2/jobs"), 405)


def test_a_batch_is_cancelled_and_stays_so(emulator: Emulator, client: CloudClient) -> None:
    emulator.fault("job-queued", count=2)
    batch = client.submit(5, 6)
    assert client.data("PATCH", f"/v2/batches/{batch['id']}/cancel")["status"] == "CANCELED"
    assert client.data("PATCH", f"/v2/batches/{batch['id']}/cancel")["status"] == "CANCELED"
    assert {client.data("GET", f"/v2/jobs/{job}")["status"] for job in batch["job_ids"]} == {
        "CANCELED"
    }
    assert client.data("GET", f"/v1/batches/{batch['id']}/full_results") == {}


def test_a_cancellation_takes_its_time_on_demand(emulator: Emulator, client: CloudClient) -> None:
    emulator.change(cancel_seconds=0.3)
    emulator.fault("job-queued")
    batch = client.submit(5)
    assert client.data("PATCH", f"/v2/batches/{batch['id']}/cancel")["status"] == "CANCELING"
    assert client.wait(batch["id"])["status"] == "CANCELED"


@pytest.mark.parametrize(
    ("fault", "word", "errors"),
    [
        ({"kind": "job-failed", "reason": "lasers off"}, "ERROR", ["lasers off"]),
        ({"kind": "job-too-long", "seconds": 0.1}, "TIMED_OUT", None),
        ({"kind": "job-cancelled", "reason": "maintenance"}, "CANCELED", ["maintenance"]),
    ],
)
def test_a_job_meets_its_fate(
    emulator: Emulator, client: CloudClient, fault: dict[str, Any], word: str, errors: Any
) -> None:
    emulator.fault(**fault)
    batch = client.submit(5)
    assert client.wait(batch["id"])["status"] == word
    document = client.data("GET", f"/v2/jobs/{batch['job_ids'][0]}")
    assert document["errors"] == errors or (errors is None and document["errors"])


def test_a_job_is_paused_until_released(emulator: Emulator, client: CloudClient) -> None:
    emulator.fault("job-paused")
    batch = client.submit(5)
    assert batch["status"] == client.batch(batch["id"])["status"] == "PAUSED"
    emulator.act(batch["job_ids"][0], "release")
    assert client.wait(batch["id"])["status"] == "DONE"


def test_a_sequence_that_the_simulator_refuses_is_an_error_with_its_words(
    client: CloudClient,
) -> None:
    sequence = json.loads(pulses.sequence())
    sequence["operations"] = [{"op": "nonsense"}]
    batch = client.submit(5, sequence_builder=json.dumps(sequence))
    assert client.wait(batch["id"])["status"] == "ERROR"
    assert client.data("GET", f"/v2/jobs/{batch['job_ids'][0]}")["errors"]


def test_a_device_that_is_down_lets_jobs_wait_or_takes_none(
    emulator: Emulator, client: CloudClient
) -> None:
    emulator.set_resource("FRESNEL", status="paused", queue_length=4)
    (device,) = client.data("GET", "/v1/devices?device_type=FRESNEL")
    assert (device["status"], device["availability"]) == ("DOWN", "ACTIVE")
    assert device["average_queue_time"] > 0
    batch = client.submit(5, device="FRESNEL")
    emulator.set_resource("FRESNEL", status="offline")
    (device,) = client.data("GET", "/v1/devices?device_type=FRESNEL")
    assert device["availability"] == "INACTIVE"
    assert "available" in refused(client("POST", "/v1/batches", client.body(device="FRESNEL")), 400)
    assert client.batch(batch["id"])["status"] == "PENDING"
    emulator.set_resource("FRESNEL", status="online")
    assert client.wait(batch["id"])["status"] == "DONE"


def test_an_open_batch_takes_jobs_until_it_is_completed(client: CloudClient) -> None:
    batch = client.submit(open=True, jobs=[])["id"]
    assert client.batch(batch)["status"] == "PENDING"
    answer = client.data("POST", f"/v2/batches/{batch}/jobs", [{"runs": 5}, {"runs": 6}])
    assert [job["runs"] for job in answer["jobs"]] == [5, 6]
    for job in answer["job_ids"]:
        deadline = time.monotonic() + 60
        while client.data("GET", f"/v1/jobs/{job}/status")["status"] != "DONE":
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert client.batch(batch)["open"]
    assert client.data("PATCH", f"/v2/batches/{batch}/complete")["open"] is False
    assert client.batch(batch)["status"] == "DONE"
    assert "closed" in refused(client("POST", f"/v2/batches/{batch}/jobs", [{"runs": 5}]), 400)


def test_lists_are_filtered_and_come_in_pages(client: CloudClient) -> None:
    ids = [client.submit(5, 6, tags=["pages"])["id"] for _ in range(3)]
    found = client.data("GET", "/v1/batches?tag=pages")
    assert [batch["id"] for batch in found] == ids[::-1]
    answer = client("GET", "/v1/batches?tag=pages&limit=2").json()
    assert answer["pagination"] == {"total": 3, "start": 0, "end": 2}
    answer = client("GET", "/v1/batches?tag=pages&limit=2&offset=2").json()
    assert [batch["id"] for batch in answer["data"]] == ids[:1]
    assert answer["pagination"]["end"] == 3
    for matching, other in (
        ("device_type=EMU_FREE", "device_type=FRESNEL"),
        (f"project_id={client.project}", f"project_id={NOWHERE}"),
        ("open=false", "open=true"),
        ("end_date=2099-01-01T00:00:00", "end_date=2020-01-01T00:00:00"),
        ("start_date=2020-01-01T00:00:00", "start_date=2099-01-01T00:00:00"),
    ):
        found = client.data("GET", f"/v1/batches?tag=pages&{matching}")
        assert [batch["id"] for batch in found] == ids[::-1], matching
        assert client.data("GET", f"/v1/batches?tag=pages&{other}") == [], other
    some = f"id={ids[0]}&id={ids[2]}&id={NOWHERE}&limit=100"
    assert [batch["id"] for batch in client.data("GET", f"/v1/batches?{some}")] == [ids[2], ids[0]]
    jobs = [job for batch_id in ids[:2] for job in client.batch(batch_id)["job_ids"]]
    some = "&".join(f"id={job}" for job in [*jobs[1:], NOWHERE])
    found = client.data("GET", f"/v2/jobs?{some}")
    assert {job["id"] for job in found} == {*jobs[1:]}
    query = f"batch_id={ids[1]}&order_by=creation_order&order_by_direction=ASC"
    jobs = client.data("GET", f"/v2/jobs?{query}")
    assert [job["runs"] for job in jobs] == [5, 6]
    assert [job["id"] for job in jobs] == client.batch(ids[1])["job_ids"]
    assert [job["runs"] for job in client.data("GET", f"/v2/jobs?{query}&min_runs=6")] == [6]
    for wrong in ("limit=0", "limit=101", "limit=x", "offset=-1", "start_date=x"):
        refused(client("GET", f"/v1/batches?{wrong}"), 422)


def test_tags_are_set_anew(client: CloudClient) -> None:
    batch = client.submit(5, tags=["old"])["id"]
    assert client.data("PATCH", f"/v1/batches/{batch}/tags", ["new"])["tags"] == ["new"]
    assert client.data("GET", "/v1/batches?tag=old") == []
    refused(client("PATCH", f"/v1/batches/{batch}/tags", "new"), 422)


def cudaq(client: CloudClient, program: Any, shots: int = 50) -> requests.Response:
    body = {"machine": "FRESNEL", "project_id": client.project, "sequence": program, "shots": shots}
    return client("POST", "/v1/cudaq/job", body)


@pytest.mark.slow
def test_a_program_of_cudaq_runs_and_its_id_is_a_batch_too(client: CloudClient) -> None:
    for program in (pulses.program(), pulses.cudaq()):
        job = cudaq(client, program).json()["data"]["id"]
        assert client.wait(job)["status"] == "DONE"
        document = client.data("GET", f"/v1/cudaq/job/{job}")
        assert document["status"] == "DONE"
        (result,) = document["result"].values()
        assert pulses.is_blockaded(result["counter"])
    batch = client.submit(5)["id"]
    refused(client("GET", f"/v1/cudaq/job/{batch}"), 404)


def test_vacant_sites_are_zeros(client: CloudClient) -> None:
    program = pulses.program()
    program["setup"]["ahs_register"] = {
        "sites": [[0, 0], ["6e-6", "0"], [12e-6, 0], [18e-6, 0]],
        "filling": [0, 1, 0, 1],
    }
    job = cudaq(client, program).json()["data"]["id"]
    client.wait(job)
    (result,) = client.data("GET", f"/v1/cudaq/job/{job}")["result"].values()
    assert {bits[0] + bits[2] for bits in result["counter"]} == {"00"}
    assert "0101" in result["counter"]


def changed(name: str, **series: Any) -> dict[str, Any]:
    field = pulses.program()["hamiltonian"]["drivingFields"][0][name]
    time_series = field["time_series"] | {k: v for k, v in series.items() if k != "pattern"}
    return pulses.program(
        **{name: {"pattern": series.get("pattern", "uniform"), "time_series": time_series}}
    )


def test_a_ramp_is_a_ramp(client: CloudClient) -> None:
    from pulser import Sequence

    times, values = [0.0, 1e-7, 3e-7, 4e-7], [0.0, 6.28e6, 6.28e6, 0.0]
    job = cudaq(client, changed("amplitude", times=times, values=values)).json()["data"]["id"]
    sequence = Sequence.from_abstract_repr(client.batch(job)["sequence_builder"])
    samples = next(iter(sequence._schedule.values()))[-1].type.amplitude.samples
    assert len(samples) == 400
    assert max(samples) == pytest.approx(6.28)
    assert samples[50] == pytest.approx(3.14, abs=0.1)
    assert samples[0] == samples[-1] == 0


@pytest.mark.parametrize(
    ("program", "says"),
    [
        ("nonsense", "Expecting"),
        ({}, "setup"),
        (pulses.program() | {"hamiltonian": {}}, "drivingFields"),
        (pulses.program() | {"hamiltonian": {"drivingFields": []}}, "one driving field"),
        (changed("amplitude", pattern=[1, 0]), "uniform"),
        (changed("phase", values=[0.0, 1.0]), "phase"),
        (changed("detuning", times=[0.0, 5e-7]), "end"),
        (changed("detuning", times=[1e-7, 4e-7]), "from 0"),
        (changed("detuning", values=[0.0]), "one value a time"),
        (changed("detuning", values=["a", "b"]), "numbers"),
        (changed("amplitude", values=[6e9, 6e9]), "converted"),
        (pulses.program() | {"setup": {"ahs_register": {"sites": []}}}, "no atoms"),
        (pulses.program() | {"setup": {"ahs_register": {"sites": [[0], [1]]}}}, "coordinates"),
    ],
)
def test_other_programs_of_cudaq_are_refused(client: CloudClient, program: Any, says: str) -> None:
    assert says in refused(cudaq(client, program), 422)
    assert "shots" in refused(cudaq(client, pulses.program(), shots=0), 422)


def test_faults_speak_the_services_language(emulator: Emulator, client: CloudClient) -> None:
    emulator.fault("status", status=503, retry_after=3)
    answer = client("GET", "/v2/jobs")
    assert answer.headers["Retry-After"] == "3"
    assert answer.json()["status"] == "error"
    emulator.fault("status", status=429, retry_after=2, path="/oauth/token")
    answer = client.token()
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "2")
    assert answer.json()["error"]
    emulator.fault("expired-token")
    refused(client("GET", "/v2/jobs"), 401)
    refused(client("GET", "/v2/jobs"), 401)


@pytest.mark.slow
def test_an_emulator_that_is_started_again_knows_its_batches(tmp_path: Any) -> None:
    with Emulator(["pasqal-cloud"], state=tmp_path / "state") as first:
        before = CloudClient(first)
        first.fault("job-queued")
        waiting = before.submit(5, tags=["kept"])
        done = before.submit(7)
        before.wait(done["id"])
        job = cudaq(before, pulses.program()).json()["data"]["id"]
    with Emulator(["pasqal-cloud"], state=tmp_path / "state") as second:
        after = CloudClient(second)
        assert after.known == before.known
        assert after.batch(done["id"])["status"] == "DONE"
        assert after.data("GET", "/v1/batches?tag=kept")[0]["id"] == waiting["id"]
        second.act(waiting["job_ids"][0], "release")
        assert after.wait(waiting["id"])["sequence_builder"] == pulses.sequence()
        assert after.wait(job)["status"] == "DONE"
        assert after.data("GET", f"/v1/cudaq/job/{job}")["result"]


def test_the_page_shows_the_jobs(emulator: Emulator, client: CloudClient) -> None:
    emulator.fault("job-paused")
    batch = client.submit(5)
    page = client.http.get(client.root, timeout=30).text
    assert f"<td>{batch['job_ids'][0]}<td>EMU_FREE<td>5<td>PAUSED" in page
    assert batch["id"] in page
    client.data("PATCH", f"/v2/batches/{batch['id']}/cancel")
