"""Faults on demand, as clients see them."""

from __future__ import annotations

import math
import re
import time
from typing import Any

import pytest
import requests

from qrmi_emulator import Emulator
from support.runtime_client import Client, job_body

WRONG: dict[str, list[Any]] = {
    "path": [5, None, "\ud800"],
    "method": [5, ["GET"]],
    "count": [0, -1, 1.5, "1", True],
    "seconds": [-1, "1", math.nan, math.inf, 10**400, True],
    "status": [200, 600, 500.0, "500", None, True],
    "retry_after": [-1, math.nan, [1], "1\r\nX: y", "1\n", "é"],
    "delay": [-0.1, None, "1", math.nan, math.inf],
    "reason": [1, ["x"]],
    "code": ["1", 1.5, -1, True],
}


def jobs_tagged(client: Client, tag: str) -> int:
    return int(client("GET", f"/jobs?tags={tag}").json()["count"])


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 520])
def test_an_error_comes_as_often_as_asked_for(
    emulator: Emulator, client: Client, status: int
) -> None:
    emulator.fault("status", path="*/backends", status=status, retry_after=7, count=2)
    assert client("GET", "/instances/usage").status_code == 200
    for _ in range(2):
        answer = client("GET", "/backends")
        assert answer.status_code == status
        assert answer.headers["Retry-After"] == "7"
        assert answer.json()["errors"][0]["code"] == (1202 if status == 429 else 9707)
    assert client("GET", "/backends").status_code == 200


def test_an_error_of_iam_is_in_its_form(emulator: Emulator, client: Client) -> None:
    emulator.fault("status", path="/identity/token", status=503)
    answer = client.http.post(f"{client.root}/identity/token", timeout=10)
    assert answer.status_code == 503
    assert "Retry-After" not in answer.headers
    assert answer.json()["errorMessage"]


def test_a_latency_goes_with_another_fault(emulator: Emulator, client: Client) -> None:
    emulator.fault("latency", delay=0.3)
    emulator.fault("status", status=500)
    begun = time.monotonic()
    assert client("GET", "/backends").status_code == 500
    assert time.monotonic() - begun >= 0.3


def test_a_reset_before_the_effect_makes_no_job_and_one_after_it_does(
    emulator: Emulator, client: Client
) -> None:
    for kind, made in (("reset", 0), ("reset-after", 1)):
        emulator.fault(kind, path="*/jobs", method="post")
        with pytest.raises(requests.ConnectionError):
            client("POST", "/jobs", job_body(tags=[f"tag-{kind}"]))
        assert jobs_tagged(client, f"tag-{kind}") == made


@pytest.mark.slow
def test_a_truncated_answer_ends_in_its_middle(emulator: Emulator, client: Client) -> None:
    emulator.fault("truncated", path="*/backends")
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        client("GET", "/backends")
    job = client.submit()
    client.wait(job)
    emulator.fault("truncated", path="*/results")
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        client("GET", f"/jobs/{job}/results")
    assert client("GET", f"/jobs/{job}/results").status_code == 200


def test_a_truncated_answer_without_a_body_is_none(emulator: Emulator, client: Client) -> None:
    emulator.fault("job-queued")
    job = client.submit()
    emulator.fault("truncated", path="*/cancel")
    with pytest.raises(requests.ConnectionError):
        client("POST", f"/jobs/{job}/cancel")
    assert client.job(job)["status"] == "Cancelled"


def test_a_malformed_answer_is_not_json(emulator: Emulator, client: Client) -> None:
    emulator.fault("malformed")
    answer = client("GET", "/backends")
    assert answer.status_code == 200
    with pytest.raises(requests.JSONDecodeError):
        answer.json()


def test_an_expired_token_stays_expired_and_a_new_one_is_good(
    emulator: Emulator, client: Client
) -> None:
    bearer = f"Bearer {client.token()['access_token']}"
    client.http.headers["Authorization"] = bearer
    assert client("GET", "/backends").status_code == 200
    emulator.fault("expired-token", path="*/backends")
    for _ in range(3):
        assert client("GET", "/backends").status_code == 401
    client.http.headers["Authorization"] = f"Bearer {client.token()['access_token']}"
    assert client("GET", "/backends").status_code == 200


def test_an_expired_token_is_not_that_of_a_request_without_one(
    emulator: Emulator, client: Client
) -> None:
    emulator.fault("expired-token")
    client.http.headers["Authorization"] = f"Bearer {client.token()['access_token']}"
    assert client("GET", "/backends").status_code == 401
    client.http.headers["Authorization"] = f"Bearer {client.token()['access_token']}"
    assert client("GET", "/backends").status_code == 200


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "bad_request"), (405, "method_not_allowed"), (409, "bad_request"), (408, 9707)],
)
def test_only_a_passing_error_has_the_code_of_one(
    emulator: Emulator, client: Client, status: int, code: int | str
) -> None:
    emulator.fault("status", status=status)
    answer = client("GET", "/backends")
    assert answer.status_code == status
    assert answer.json()["errors"][0]["code"] == code


def test_an_outage_ends(emulator: Emulator, client: Client) -> None:
    emulator.fault("outage", seconds=0.5)
    begun = time.monotonic()
    failures = 0
    while True:
        try:
            assert client("GET", "/backends").status_code == 200
            break
        except requests.ConnectionError:
            failures += 1
            time.sleep(0.05)
    assert failures > 1
    assert time.monotonic() - begun >= 0.4


def test_faults_hit_only_their_path_and_method(emulator: Emulator, client: Client) -> None:
    emulator.fault("status", path="*/sessions*", method="DELETE", status=500, count=None)
    assert client("GET", "/backends").status_code == 200
    assert client("GET", "/sessions/nowhere").status_code == 404
    assert client("DELETE", "/sessions/nowhere/close").status_code == 500
    assert len(emulator.info()["faults"]) == 1
    emulator.clear_faults()
    assert client("DELETE", "/sessions/nowhere/close").status_code == 404


@pytest.mark.slow
def test_a_job_stays_queued_until_released(emulator: Emulator, client: Client) -> None:
    emulator.fault("job-queued")
    job = client.submit()
    done = client.submit()
    client.wait(done)
    assert client.job(job)["status"] == "Queued"
    assert client("GET", "/backends/aer/status").json()["length_queue"] == 1
    emulator.act(job, "release")
    assert client.wait(job)["status"] == "Completed"


def test_a_job_stays_queued_for_a_time(emulator: Emulator, client: Client) -> None:
    emulator.fault("job-queued", seconds=0.2)
    assert client.wait(client.submit())["status"] == "Completed"


@pytest.mark.parametrize(
    ("kind", "status", "state", "code"),
    [
        ("job-failed", "Failed", "Failed", 1517),
        ("job-too-long", "Cancelled - Ran too long", "Cancelled", 1305),
        ("job-cancelled", "Cancelled", "Cancelled", None),
    ],
)
def test_a_job_meets_its_fate(
    emulator: Emulator, client: Client, kind: str, status: str, state: str, code: int | None
) -> None:
    more: dict[str, Any] = {"code": 1517, "reason": "no"} if kind == "job-failed" else {}
    emulator.fault(kind, path="*/jobs", seconds=0.1, **more)
    job = client.wait(client.submit(cost=5))
    assert job["status"] == status
    assert job["state"]["status"] == state
    assert job["state"].get("reason_code") == code
    assert job["state"]["reason"]
    assert client("GET", f"/jobs/{job['id']}/results").status_code == 204
    assert client.wait(client.submit())["status"] == "Completed"


@pytest.mark.parametrize(
    ("action", "status"),
    [("cancel", "Cancelled"), ("fail", "Failed"), ("too-long", "Cancelled - Ran too long")],
)
def test_an_operator_ends_a_job(
    emulator: Emulator, client: Client, action: str, status: str
) -> None:
    emulator.fault("job-queued")
    job = client.submit()
    emulator.act(job, action)
    assert client.job(job)["status"] == status


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "fire"}, "there is no fault 'fire'; there are: latency, status, reset, "),
        ({"kind": ["reset"]}, "there is no fault"),
        ({}, "there is no fault"),
        ({"kind": "reset", "nothing": 1}, "'nothing' is none of: kind, path, "),
        ({"kind": "outage"}, "an outage needs seconds"),
        *(
            ({"kind": "status", name: value}, f"{name} is not ")
            for name, values in WRONG.items()
            for value in values
        ),
    ],
)
def test_what_is_no_fault_is_refused(
    emulator: Emulator, client: Client, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}.*$"):
        emulator.call("POST", "faults", values)
    assert emulator.info()["faults"] == []
    assert client("GET", "/versions").status_code == 200


def test_what_is_not_json_is_refused(emulator: Emulator) -> None:
    with pytest.raises(ValueError, match="JSON serializable"):
        emulator.fault("reset", path=object())
    for value in (math.nan, math.inf):
        with pytest.raises(ValueError, match="token_seconds is not a finite number"):
            emulator.change(token_seconds=value)
        with pytest.raises(ValueError, match="token_seconds is not a finite number"):
            Emulator(token_seconds=value)


def test_faults_that_are_spent_are_not_listed(emulator: Emulator, client: Client) -> None:
    emulator.fault("status", status=500)
    assert len(emulator.info()["faults"]) == 1
    assert client("GET", "/versions").status_code == 500
    assert emulator.info()["faults"] == []


def test_control_needs_its_key(emulator: Emulator, client: Client) -> None:
    for path in ("", "/requests"):
        assert client.http.get(f"{client.root}/control{path}", timeout=10).status_code == 401


def test_requests_are_noted(emulator: Emulator, client: Client) -> None:
    emulator.fault("reset", path="*/backends")
    client("GET", "/instances/usage?x=1")
    with pytest.raises(requests.ConnectionError):
        client("GET", "/backends")
    first, second = emulator.requests()
    assert (first["path"], first["query"], first["status"]) == (
        "/api/v1/instances/usage",
        "x=1",
        200,
    )
    assert (second["status"], second["fault"]) == (None, "reset")
    assert first["connection"] == second["connection"]
