"""A vendor on loopback, seen from a client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from qrmi_core.testing import Fault, Faults, LoopbackVendor, VendorRequest, VendorResponse


class Echo(LoopbackVendor):
    """A service that counts the requests it carries out, and has the id 7."""

    def __init__(self) -> None:
        super().__init__(tokens={"key"})
        self.carried_out = 0

    def ids(self) -> set[str]:
        return {"7"}

    def respond(self, request: VendorRequest) -> VendorResponse:
        self.carried_out += 1
        found = {"method": request.method, "query": request.query, "body": request.json()}
        return VendorResponse(200, found)


@pytest.fixture
def vendor() -> Iterator[Echo]:
    with Echo() as vendor:
        yield vendor


def send(
    vendor: Echo, path: str = "/tasks/7", method: str = "GET", token: str = "key"
) -> requests.Response:
    headers = {"Authorization": f"Bearer {token}"}
    url = f"{vendor.url}{path}"
    return requests.request(method, url, headers=headers, json=[1], timeout=2)


def test_a_request_is_logged_and_carried_out(vendor: Echo) -> None:
    response = send(vendor, "/tasks/7?a=%20&a=c")
    assert response.json() == {"method": "GET", "query": {"a": "c"}, "body": [1]}
    assert vendor.requests == ["GET /tasks/7?a=%20&a=c"]
    assert vendor.counted() == {"GET /tasks/*": 1}
    assert vendor.received[0].headers["authorization"] == "Bearer key"


def test_a_request_without_a_token_is_refused(vendor: Echo) -> None:
    assert send(vendor, token="another").status_code == 401
    vendor.tokens = None
    assert send(vendor, token="another").status_code == 200


LOST = (requests.ConnectionError, requests.Timeout)


@pytest.mark.parametrize(
    ("fault", "outcome", "carried_out"),
    [
        (Faults.response(503, {"a": 1}, Retry_After="0"), 503, 0),
        (Faults.page, 200, 0),
        (Faults.lost_before, LOST, 0),
        (Faults.lost_after, LOST, 1),
        (Faults.silent_before(0.1), LOST, 0),
        (Faults.silent_after(0.1), LOST, 1),
        (Faults.bad_gateway_after, 502, 1),
        (Faults.truncated, (requests.ConnectionError, requests.exceptions.ChunkedEncodingError), 1),
        (
            Faults.stalled(0.1),
            (requests.ConnectionError, requests.exceptions.ChunkedEncodingError),
            1,
        ),
        (Faults.malformed, 200, 1),
    ],
)
def test_a_fault_is_met_once(vendor: Echo, fault: Fault, outcome: object, carried_out: int) -> None:
    vendor.fail("GET /tasks/*", fault)
    if isinstance(outcome, int):
        response = send(vendor)
        assert response.status_code == outcome
        if fault is Faults.malformed:
            with pytest.raises(ValueError):
                response.json()
    else:
        with pytest.raises(outcome):
            send(vendor)
    assert vendor.carried_out == carried_out
    assert send(vendor).status_code == 200


def test_a_fault_waits_for_its_kind_and_its_turn(vendor: Echo) -> None:
    vendor.fail("POST /tasks", Faults.response(500))
    vendor.fail("", Faults.response(501), after=1)
    assert [send(vendor).status_code for _ in range(3)] == [200, 501, 200]
    assert send(vendor, "/tasks", "POST").status_code == 500


def test_a_service_that_fails_is_reported_when_its_block_ends() -> None:
    vendor = LoopbackVendor()
    lost = pytest.raises(requests.ConnectionError)
    with pytest.raises(RuntimeError, match="could not respond"), vendor, lost:
        requests.get(vendor.url, timeout=2)
