"""Resources that an operator takes from service, on demand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from qrmi_emulator import Emulator
from support.runtime_client import Client, job_body

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _online(emulator: Emulator) -> Iterator[None]:
    yield
    emulator.set_resource("aer")


def seen(client: Client) -> tuple[Any, ...]:
    """Return the status and the entry in the list of backends."""
    status = client("GET", "/backends/aer/status").json()
    devices = client("GET", "/backends").json()["devices"]
    device = next(each for each in devices if each["name"] == "aer")
    assert status["length_queue"] == device["queue_length"]
    return (
        *(status["state"], status["status"], status["message"]),
        *(device["status"]["name"], device["status"]["reason"], device["queue_length"]),
    )


@pytest.mark.parametrize(
    ("status", "state", "word", "listed"),
    [
        ("online", True, "active", "online"),
        ("paused", True, "paused", "paused"),
        ("offline", False, "offline", "offline"),
        ("maintenance", False, "maintenance", "offline"),
    ],
)
def test_a_condition_is_told_with_its_reason(
    emulator: Emulator, client: Client, status: str, state: bool, word: str, listed: str
) -> None:
    emulator.set_resource("aer", status=status)
    usual = seen(client)
    assert (usual[0], usual[1], usual[3]) == (state, word, listed)
    assert usual[2] == usual[4]
    emulator.set_resource("aer", status=status, reason="cooling down <1>")
    assert seen(client) == (state, word, "cooling down <1>", listed, "cooling down <1>", 0)
    assert f"{status}: cooling down &lt;1&gt;" in client.http.get(client.root, timeout=10).text
    assert emulator.info()["resources"]["aer"]["status"] == status


@pytest.mark.slow
def test_a_queue_of_others_is_added_to_ones_own(emulator: Emulator, client: Client) -> None:
    emulator.set_resource("aer", queue_length=41)
    assert seen(client)[-1] == 41
    emulator.fault("job-queued")
    job = client.submit()
    assert seen(client)[-1] == 42
    emulator.act(job, "release")
    client.wait(job)


@pytest.mark.parametrize("status", ["offline", "maintenance"])
def test_a_resource_out_of_service_takes_no_jobs_and_keeps_those_it_has(
    emulator: Emulator, client: Client, status: str
) -> None:
    emulator.set_resource("aer", status="paused")
    job = client.submit()
    emulator.set_resource("aer", status=status, reason="moved")
    answer = client("POST", "/jobs", job_body())
    assert answer.status_code == 400
    [error] = answer.json()["errors"]
    assert error["code"] == 1004
    assert "moved" in error["message"]
    assert client.job(job)["status"] == "Queued"
    emulator.set_resource("aer")
    assert client.wait(job)["status"] == "Completed"


def test_a_paused_resource_takes_jobs_and_runs_them_later(
    emulator: Emulator, client: Client
) -> None:
    emulator.set_resource("aer", status="paused")
    waiting = [client.submit(), client.submit()]
    emulator.fault("job-failed", seconds=0)
    waiting.append(client.submit())
    elsewhere = client("POST", "/jobs", job_body(backend="fake_lagos")).json()["id"]
    # It is refused by the device, hence has had its turn.
    assert client.wait(elsewhere)["status"] == "Failed"
    assert [client.job(job)["status"] for job in waiting] == ["Queued"] * 3
    emulator.set_resource("aer", status="online")
    ended = [client.wait(job)["status"] for job in waiting]
    assert ended == ["Completed", "Completed", "Failed"]


@pytest.mark.parametrize(
    ("resource", "values", "message"),
    [
        ("nowhere", {}, "no vendor that is served has a resource 'nowhere'"),
        ("aer", {"status": "gone"}, "there are: online, paused, offline, maintenance"),
        ("aer", {"status": ["online"]}, "there are: online"),
        ("aer", {"reason": 5}, "reason is not text"),
        ("aer", {"queue_length": -1}, "queue_length is not a whole number"),
        ("aer", {"queue_length": True}, "queue_length is not a whole number"),
        ("aer", {"color": "red"}, "'color' is none of: status, reason, queue_length"),
    ],
)
def test_a_wrong_condition_is_refused(
    emulator: Emulator, resource: str, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        emulator.set_resource(resource, **values)
