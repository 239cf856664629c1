"""IBM's API as the emulator speaks it, seen by a plain HTTP client."""

from __future__ import annotations

import datetime
import json
import time
from collections import Counter
from typing import Any

import pytest

from qrmi_emulator import Emulator
from support.runtime_client import BELL, Client, job_body


def code(answer: Any, status: int) -> Any:
    assert answer.status_code == status, answer.text
    document = answer.json()
    assert document["trace"]
    return document["errors"][0]["code"]


def session(client: Client, mode: str = "dedicated", **fields: Any) -> dict[str, Any]:
    answer = client("POST", "/sessions", {"mode": mode, "backend": "aer", **fields})
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def test_a_token_is_a_jwt_that_opens_the_api(client: Client) -> None:
    token = client.token()
    assert token["expiration"] - token["expires_in"] > 0
    assert token["access_token"].count(".") == 2
    client.http.headers["Authorization"] = f"Bearer {token['access_token']}"
    assert client("GET", "/backends").status_code == 200


@pytest.mark.parametrize("value", ["", "Bearer a.b.c", "Bearer é", "apikey no", "Basic x"])
def test_anything_else_is_unauthorized(client: Client, value: str) -> None:
    client.http.headers["Authorization"] = value.encode()  # type: ignore[assignment]
    assert code(client("GET", "/backends"), 401) == 1201


def test_a_token_ends_with_its_time(
    emulator: Emulator, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulator.change(token_seconds=600)
    try:
        token = client.token()
    finally:
        emulator.change(token_seconds=3600)
    client.http.headers["Authorization"] = f"Bearer {token['access_token']}"
    assert client("GET", "/instances/usage").status_code == 200
    monkeypatch.setattr(emulator.faces[0].state, "clock", lambda: time.time() + 601)
    assert code(client("GET", "/instances/usage"), 401) == 1201


@pytest.mark.parametrize(
    ("form", "wanted"),
    [({"grant_type": "x", "apikey": "y"}, "BXNIM0109E"), ({"apikey": "no"}, "BXNIM0109E")],
)
def test_iam_refuses_in_its_own_form(client: Client, form: dict[str, str], wanted: str) -> None:
    answer = client.http.post(f"{client.root}/identity/token", data=form, timeout=10)
    assert answer.status_code == 400
    assert answer.json()["errorCode"] == wanted
    form = {"grant_type": "urn:ibm:params:oauth:grant-type:apikey", "apikey": "no"}
    answer = client.http.post(f"{client.root}/identity/token", data=form, timeout=10)
    assert answer.json()["errorCode"] == "BXNIM0415E"


def test_another_instance_is_not_known(client: Client) -> None:
    client.http.headers["Service-CRN"] = "crn:v1:other"
    assert code(client("GET", "/backends"), 404) == 1279


def test_backends_depend_on_the_version_of_the_api(client: Client) -> None:
    devices = {device["name"]: device for device in client("GET", "/backends").json()["devices"]}
    assert devices["fake_fez"]["qubits"] == 156
    assert isinstance(devices["fake_fez"]["processor_type"]["revision"], str)
    assert devices["aer"]["is_simulator"]
    del client.http.headers["IBM-API-Version"]
    assert set(client("GET", "/backends").json()["devices"]) == set(devices)


def test_a_backend_has_its_documents(client: Client) -> None:
    for document in ("configuration", "properties"):
        known = client("GET", f"/backends/fake_lagos/{document}").json()
        assert known["backend_name"] == "fake_lagos"
        assert code(client("GET", f"/backends/nowhere/{document}"), 404) == 1216
    assert client("GET", "/backends/fake_lagos/status").json()["status"] == "active"
    assert client("GET", "/backends/fake_lagos/defaults").json() is None


@pytest.mark.slow
def test_a_job_goes_its_way(client: Client) -> None:
    job = client.submit(shots=200, seed=5, tags=["a", "b"], cost=100)
    assert client.wait(job)["status"] == "Completed"
    answer = client("GET", f"/jobs/{job}/results")
    assert answer.headers["content-type"].startswith("text/plain")
    counts = Counter(answer.json()["results"][0]["data"]["c"]["samples"])
    assert set(counts) == {"0x0", "0x3"}
    assert sum(counts.values()) == 200
    again = client.submit(shots=200, seed=5)
    client.wait(again)
    assert client("GET", f"/jobs/{again}/results").json() == answer.json()
    document = client("GET", f"/jobs/{job}").json()
    assert document["params"]["pubs"][0][0] == BELL
    assert document["cost"] == 100
    assert "params" not in client.job(job)
    metrics = client("GET", f"/jobs/{job}/metrics").json()
    assert metrics["usage"]["status"] == "complete"
    assert metrics["timestamps"]["finished"].endswith("Z")
    assert "quantum_seconds" not in metrics["usage"]
    logs = client("GET", f"/jobs/{job}/logs")
    assert logs.headers["content-type"].startswith("text/plain")
    assert "sampler on aer completed after" in logs.text
    assert code(client("POST", f"/jobs/{job}/cancel"), 409) == 1306
    assert client("PUT", f"/jobs/{job}/tags", {"tags": []}).status_code == 204
    assert client.job(job)["tags"] == []
    assert client("DELETE", f"/jobs/{job}").status_code == 204
    assert code(client("GET", f"/jobs/{job}"), 404) == 1291


WIDE = 'OPENQASM 3.0; include "stdgates.inc"; qubit[26] q; bit[26] c;\n'
WIDE += "".join(f"rx(0.{n}) q[{n}]; cx q[{n}], q[{(n + 1) % 26}];\n" for n in range(26)) * 40
WIDE += "c = measure q;"


@pytest.mark.slow
def test_a_job_ends_at_its_cost_which_does_not_count_the_start_of_a_worker(client: Client) -> None:
    long = client.submit(params={"pubs": [[WIDE, None, 1]], "version": 2}, cost=1)
    # The worker was stopped with the job, so the next one's loads the simulator again.
    short = client.submit(cost=1)
    job = client.wait(long)
    assert job["status"] == "Cancelled - Ran too long"
    assert job["state"]["reason_code"] == 1305
    assert client("GET", f"/jobs/{long}/results").status_code == 204
    times = client("GET", f"/jobs/{long}/metrics").json()["timestamps"]
    ran = [datetime.datetime.fromisoformat(times[name]) for name in ("running", "finished")]
    assert 1 <= (ran[1] - ran[0]).total_seconds() < 20
    assert client.wait(short)["status"] == "Completed"


@pytest.mark.slow
def test_a_running_job_is_cancelled_and_the_next_one_runs(client: Client) -> None:
    job = client.submit(params={"pubs": [[WIDE, None, 1]], "version": 2})
    client.wait(job, "Running")
    assert client("POST", f"/jobs/{job}/cancel").status_code == 204
    assert client.job(job)["status"] == "Cancelled"
    assert client.wait(client.submit())["status"] == "Completed"
    assert client.job(job)["status"] == "Cancelled"


def test_metrics_name_the_client_that_submitted_the_job(client: Client) -> None:
    client.http.headers["User-Agent"] = "a-script/1.0"
    job = client.submit()
    client.http.headers["User-Agent"] = "a-monitor/2.0"
    assert client("GET", f"/jobs/{job}/metrics").json()["caller"] == "a-script/1.0"


def test_older_versions_of_the_api_tell_seconds(client: Client) -> None:
    job = client.submit()
    client.wait(job)
    client.http.headers["IBM-API-Version"] = "2025-01-01"
    metrics = client("GET", f"/jobs/{job}/metrics").json()
    assert metrics["usage"]["quantum_seconds"] == metrics["bss"]["seconds"] >= 1


def test_a_circuit_that_is_none_fails_with_a_reason(client: Client) -> None:
    params = {"pubs": [["OPENQASM 3.0; nonsense", None, 1]], "version": 2}
    job = client.wait(client.submit(params=params))
    assert job["status"] == "Failed"
    assert job["state"]["reason_code"] == 1506
    assert client("GET", f"/jobs/{job['id']}/results").status_code == 204


def test_a_private_job_is_read_once(emulator: Emulator, client: Client) -> None:
    job = client.submit(private=True)
    client.wait(job)
    assert not (emulator.home / "inputs" / job).exists()
    assert "params" not in client("GET", f"/jobs/{job}").json()
    assert client("GET", f"/jobs/{job}/results").status_code == 200
    assert client("GET", f"/jobs/{job}/results").status_code == 204


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({"program_id": "circuit-runner"}, 1208),
        ({"params": {"pubs": [], "version": 2}}, 1208),
        ({"params": {"pubs": [[BELL]], "version": 2, "surprise": 1}}, 1208),
        ({"params": {"pubs": [[BELL]], "version": 2, "options": {"surprise": 1}}}, 1208),
        ({"program_id": "noiselearner"}, 1208),
        ({"program_id": ["sampler"]}, 1208),
        ({"params": []}, 1208),
        ({"cost": -1}, 1208),
        ({"cost": 1.5}, 1208),
        ({"cost": True}, 1208),
        ({"log_level": "loud"}, 1208),
        ({"log_level": 3}, 1208),
        ({"session_id": 5}, 1208),
        ({"session_id": "s" * 37}, 1208),
        ({"calibration_id": "c" * 101}, 1208),
        ({"runtime": "image"}, 1208),
        ({"remote_storage": {}}, 1208),
        ({"tags": "one"}, 1204),
        ({"tags": [1]}, 1204),
        ({"private": "yes"}, 1208),
        ({"surprise": 1}, 1208),
        ({"tags": ["t"] * 9}, 1204),
        ({"tags": ["t" * 87]}, 1205),
    ],
)
def test_a_wrong_submission_is_refused(client: Client, fields: dict[str, Any], wanted: int) -> None:
    assert code(client("POST", "/jobs", job_body() | fields), 400) == wanted


@pytest.mark.parametrize(
    ("program", "params"),
    [
        ("sampler", {"options": []}),
        ("sampler", {"options": {"simulator": []}}),
        ("sampler", {"options": {"simulator": {"seed_simulator": -1}}}),
        ("sampler", {"options": {"simulator": {"seed_simulator": "1"}}}),
        ("sampler", {"options": {"simulator": {"surprise": 1}}}),
        ("sampler", {"options": {"execution": {"surprise": 1}}}),
        ("sampler", {"options": {"execution": {"init_qubits": False}}}),
        ("sampler", {"options": {"simulator": {"noise_model": "none"}}}),
        ("estimator", {"pubs": [[BELL, "ZZ"]], "options": {"resilience": {"surprise": 1}}}),
        ("noise-learner", {"pubs": None, "circuits": [BELL], "options": {"surprise": 1}}),
        ("sampler", {"options": {"twirling": {"strategy": "none"}}}),
        ("sampler", {"options": {"twirling": {"num_randomizations": 0}}}),
        ("sampler", {"options": {"dynamical_decoupling": {"enable": "yes"}}}),
        ("sampler", {"options": {"dynamical_decoupling": []}}),
        ("sampler", {"options": {"execution": {"meas_type": "kerneled"}}}),
        ("sampler", {"options": {"default_shots": 1_000_001}}),
        ("sampler", {"shots": 1_000_001}),
        ("sampler", {"pubs": [[BELL, None, 1_000_001]]}),
        ("estimator", {"pubs": [[BELL, "ZZ"]], "resilience_level": 3}),
        ("estimator", {"pubs": [[BELL, "ZZ"]], "options": {"seed_estimator": 1.5}}),
        ("estimator", {"pubs": [[BELL, "ZZ"]], "options": {"resilience": {"zne_mitigation": 1}}}),
        ("noise-learner", {"pubs": None, "circuits": [BELL]}),
        ("noise-learner", {"pubs": None}),
    ],
)
def test_wrong_values_of_an_input_are_refused(
    client: Client, program: str, params: dict[str, Any]
) -> None:
    everything = {"pubs": [[BELL]], "version": 2, **params}
    answer = client("POST", "/jobs", job_body(program_id=program, params=everything))
    assert code(answer, 400) == 1208


def test_options_are_applied_or_have_no_effect_as_the_log_says(client: Client) -> None:
    wrong = {"type": "roerror", "operations": ["measure"], "probabilities": [[0, 1], [1, 0]]}
    options = {
        "simulator": {"noise_model": {"errors": [wrong]}},
        "twirling": {"enable_measure": True},
    }
    circuit = BELL.replace("h q[0];\n", "")
    params = {"pubs": [[circuit]], "version": 2, "options": options, "support_qiskit": False}
    job = client.submit(params=params)
    client.wait(job, "Completed")
    [result] = client("GET", f"/jobs/{job}/results").json()["results"]
    assert set(result["data"]["c"]["samples"]) == {"0x3"}
    log = client("GET", f"/jobs/{job}/logs").text
    assert log.count("no effect on a local simulator: twirling.enable_measure\n") == 1


def test_optional_values_may_be_null_or_in_capitals(client: Client) -> None:
    fields = ("cost", "session_id", "calibration_id", "private", "runtime", "tags")
    job = client.submit(log_level="WARNING", **dict.fromkeys(fields))
    assert client.wait(job)["cost"] == 10800


def test_workloads_are_sessions_and_the_jobs_of_none(emulator: Emulator, client: Client) -> None:
    batch, dedicated = session(client, "batch"), session(client)
    inside = client.submit(session_id=batch["id"], tags=["workload-1"])
    client.wait(inside)
    emulator.fault("job-failed", seconds=0, reason="broken")
    failed = client.submit(tags=["workload-1"])
    client.wait(failed)
    client("DELETE", f"/sessions/{dedicated['id']}/close")

    def listed(query: str) -> list[str]:
        answer = client("GET", f"/workloads?sort=-createdAt&{query}")
        assert answer.status_code == 200, answer.text
        return [workload["id"] for workload in answer.json()["workloads"]]

    assert listed("limit=3") == [failed, dedicated["id"], batch["id"]]
    assert listed("tags=workload-1") == [failed, batch["id"]]
    assert listed("search=workload-1&mode=batch") == [batch["id"]]
    assert listed(f"search={failed}&status=failed&status=pending") == [failed]
    assert dedicated["id"] in listed("mode=session&status=completed")
    assert listed("created_before=2020-01-01T00:00:00Z") == []
    assert inside not in listed("limit=50")
    first = client("GET", "/workloads?sort=-createdAt&limit=1").json()
    assert first["workloads"][0]["status_reason"] == "broken"
    assert first["workloads"][0]["mode"] == "job"
    assert "previous" not in first
    second = client.http.get(first["next"]["href"], timeout=10).json()
    assert [each["id"] for each in second["workloads"]] == [dedicated["id"]]
    again = client.http.get(second["previous"]["href"], timeout=10).json()
    assert again["workloads"] == first["workloads"]
    for wrong in ("limit=0", "limit=51", "limit=x", "sort=name", "next=nowhere", "user=you"):
        assert code(client("GET", f"/workloads?{wrong}"), 400) == 1208


def test_the_limit_of_the_instance_can_be_set(emulator: Emulator, client: Client) -> None:
    assert client("GET", "/instances/configuration").json() == {"instance_limit": None}
    assert client("PUT", "/instances/configuration", {"instance_limit": 0}).status_code == 204
    assert client("GET", "/instances/configuration").json() == {"instance_limit": 0}
    assert code(client("POST", "/jobs", job_body()), 409) == "conflict"
    for wrong in ({}, {"instance_limit": -1}, {"instance_limit": "1"}, {"surprise": 1}):
        assert code(client("PUT", "/instances/configuration", wrong), 400) == 1208
    assert client("PUT", "/instances/configuration", {"instance_limit": None}).status_code == 204


def test_a_body_that_is_not_json_is_refused(client: Client) -> None:
    answer = client.http.post(client.url + "/jobs", data="{", timeout=10)
    assert code(answer, 400) == 1208
    assert code(client("POST", "/jobs", job_body(backend="nowhere")), 404) == 1216
    assert code(client("GET", "/nowhere"), 404) == "not_found"


def test_jobs_are_listed_in_pages_and_by_filters(emulator: Emulator, client: Client) -> None:
    emulator.fault("job-queued", count=5)
    jobs = [client.submit(tags=["page", f"n{n}"]) for n in range(5)]

    def listed(query: str) -> list[str]:
        return [job["id"] for job in client("GET", f"/jobs?tags=page&{query}").json()["jobs"]]

    assert listed("") == jobs[::-1]
    assert listed("sort=ASC&limit=2&offset=1") == jobs[1:3]
    assert listed("tags=n3") == [jobs[3]]
    assert listed("pending=true&backend=aer&program=sampler") == jobs[::-1]
    assert listed("pending=false") == []
    assert listed("limit=1000") == jobs[::-1]
    created = client.job(jobs[2])["created"]
    assert jobs[2] in listed(f"created_after={created}")
    assert listed("created_before=2020-01-01T00:00:00Z") == []
    page = client("GET", "/jobs?tags=page&limit=2").json()
    assert (page["count"], page["limit"], page["offset"]) == (5, 2, 0)
    assert "params" not in page["jobs"][0]
    assert client("GET", "/tags?type=job&search=pag").json() == {"tags": ["page"]}
    for job in jobs:
        assert code(client("DELETE", f"/jobs/{job}"), 400) == 1337
        assert client("POST", f"/jobs/{job}/cancel").status_code == 204
        assert client.job(job)["status"] == "Cancelled"


def test_a_session_opens_works_rests_and_closes(client: Client) -> None:
    opened = session(client, max_ttl=500)
    assert (opened["state"], opened["max_ttl"], opened["accepting_jobs"]) == ("open", 500, True)
    job = client.submit(session_id=opened["id"])
    assert client.wait(job)["session_id"] == opened["id"]
    known = client("GET", f"/sessions/{opened['id']}").json()
    assert known["state"] in ("active", "inactive")
    assert 0 < known["active_ttl"] <= 500
    assert client("PATCH", f"/sessions/{opened['id']}", {"accepting_jobs": False}).ok
    assert client("GET", f"/sessions/{opened['id']}").json()["state"] == "closed"
    answer = client("POST", "/jobs", job_body(session_id=opened["id"]))
    assert code(answer, 400) == 1217
    answer = client("POST", "/jobs", job_body(session_id="nowhere"))
    assert code(answer, 404) == "not_found"


def test_closing_a_session_cancels_what_is_queued_and_refusing_jobs_lets_it_end(
    emulator: Emulator, client: Client
) -> None:
    emulator.fault("job-queued", count=2)
    closed, refusing = session(client, "batch"), session(client, "batch")
    lost, kept = (client.submit(session_id=each["id"]) for each in (closed, refusing))
    assert client("DELETE", f"/sessions/{closed['id']}/close").status_code == 204
    assert client.job(lost)["status"] == "Cancelled"
    client("PATCH", f"/sessions/{refusing['id']}", {"accepting_jobs": False})
    known = client("GET", f"/sessions/{refusing['id']}").json()
    assert (known["state"], known["accepting_jobs"]) == ("open", False)
    emulator.act(kept, "release")
    assert client.wait(kept)["status"] == "Completed"
    assert client("GET", f"/sessions/{refusing['id']}").json()["state"] == "closed"


def test_jobs_of_others_wait_for_an_active_dedicated_session(
    emulator: Emulator, client: Client
) -> None:
    opened = session(client)
    emulator.fault("job-too-long", seconds=0.5)
    mine = client.submit(session_id=opened["id"])
    client.wait(mine, "Running")
    other = client.submit()
    assert client.wait(other)["status"] == "Completed"
    assert client.job(mine)["status"] == "Cancelled - Ran too long"
    client("DELETE", f"/sessions/{opened['id']}/close")


@pytest.mark.slow
def test_a_session_ends_with_its_time(emulator: Emulator, client: Client) -> None:
    opened = session(client, "batch", max_ttl=1)
    emulator.fault("job-too-long", seconds=3)
    emulator.fault("job-queued")
    running = client.submit(session_id=opened["id"])
    queued = client.submit(session_id=opened["id"])
    client.wait(running, "Running")
    assert client.wait(queued, "Failed")["state"]["reason"] == "its session reached its time limit"
    assert client("GET", f"/sessions/{opened['id']}").json()["state"] == "closed"
    client.wait(running)


@pytest.mark.parametrize(
    "body",
    [{}, {"mode": "job"}, {"mode": "batch", "max_ttl": 0}, {"mode": "batch", "max_ttl": "1"}],
)
def test_a_wrong_session_is_refused(client: Client, body: dict[str, Any]) -> None:
    assert code(client("POST", "/sessions", {"backend": "aer", **body}), 400) == 1208
    assert code(client("GET", "/sessions/nowhere"), 404) == "not_found"


def test_the_open_plan_has_no_dedicated_sessions(emulator: Emulator, client: Client) -> None:
    emulator.change(plan="open")
    answer = client("POST", "/sessions", {"mode": "dedicated", "backend": "aer"})
    assert code(answer, 400) == 1352
    assert session(client, "batch")["max_ttl"] == 600
    assert client("GET", "/emulator-plan").json()["metadata"]["pricing"]["type"] == "free"


def test_a_limit_of_submissions_is_told_with_a_time_to_wait(
    emulator: Emulator, client: Client
) -> None:
    client.submit()
    emulator.change(submissions_per_minute=1)
    answer = client("POST", "/jobs", job_body())
    assert code(answer, 429) == 1202
    assert 1 <= int(answer.headers["Retry-After"]) <= 60


def test_a_limit_of_usage_is_told(emulator: Emulator, client: Client) -> None:
    usage = client("GET", "/instances/usage").json()
    assert usage["usage_limit_reached"] is False
    emulator.change(usage_limit_seconds=0)
    assert client("GET", "/instances/usage").json()["usage_limit_reached"] is True
    assert code(client("POST", "/jobs", job_body()), 409) == "conflict"
    assert client("GET", "/instance").json()["instance_limit_seconds"] == "0"


def test_the_instance_is_found_by_search(client: Client) -> None:
    answer = client.http.post(f"{client.root}/v3/resources/search?limit=100", json={}, timeout=10)
    assert answer.json()["items"][0]["crn"] == client.http.headers["Service-CRN"]
    assert json.loads(client.http.get(f"{client.root}/emulator-plan", timeout=10).text)


def test_the_page_lists_resources_sessions_and_jobs_without_secrets(
    emulator: Emulator, client: Client
) -> None:
    opened = session(client, "batch")
    emulator.fault("job-failed", reason="<b>broken</b>", code=1234)
    job = client.submit(session_id=opened["id"])
    document = client.wait(job)
    assert document["state"]["reason_code"] == 1234
    text = client.http.get(client.root, timeout=10).text
    for word in ("fake_fez", opened["id"], job, "Failed", "&lt;b&gt;broken"):
        assert word in text
    assert client.key not in text
    assert str(client.http.headers["Service-CRN"]) not in text
