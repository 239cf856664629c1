"""Requests of those who wish the emulator ill."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from starlette.routing import BaseRoute, Mount, Route

from qrmi_emulator import Emulator
from qrmi_emulator.app import application
from qrmi_emulator.bodies import MOST_BYTES, UNCHECKED_BYTES
from qrmi_emulator.faces.ibm.direct_access.transfer import TransferError, download
from qrmi_emulator.faces.pasqal.programs import with_vacant
from support.runtime_client import Client

README = Path(__file__).parents[3] / "plugins/qrmi-emulator/README.md"
VERSIONS_OF_WARDEN = ("0.1.0", "2026-06", "2026-09")
TOKEN = "/identity/token"
JOBS = "/api/v1/jobs"
FORM = b"grant_type=client_credentials"
PRESIGNED = (
    "/other/key?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=60&X-Amz-Date=20260101T000000Z"
    "&X-Amz-Credential=key/20260101/us-east-1/s3/aws4_request&X-Amz-SignedHeaders=host"
    "&X-Amz-Signature=0"
)


@pytest.fixture(scope="module")
def everything() -> Iterator[Emulator]:
    with Emulator(warden_slots=4) as running:
        assert not running.unavailable
        yield running


def requests_of(routes: Iterable[BaseRoute], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the method and path of each request that routes accept, HEAD excepted."""
    for route in routes:
        if isinstance(route, Mount):
            yield from requests_of(route.routes or (), prefix + route.path)
        elif isinstance(route, Route):
            path = re.sub(r"\{[^}]*\}", "1", prefix + route.path)
            yield from ((method, path) for method in sorted(route.methods or ()))
        else:
            assert type(route).__name__ == "_S3Route", "its requests are added to these"


def test_only_documented_requests_are_served_without_credentials(everything: Emulator) -> None:
    routes = application(
        everything.faces[0].state,
        everything.faces,
        control_key="",
        cut=lambda *_: None,
        fail=lambda _error: None,
    ).routes
    found = {each for each in requests_of(routes) if each[0] != "HEAD"}
    bucket = everything.settings_for("ibm-quantum-system")["QRMI_IBM_QS_S3_BUCKET"]
    for path in (f"/{bucket}", f"/{bucket}/key", PRESIGNED):
        found |= {(method, path) for method in ("DELETE", "GET", "POST", "PUT")}
    assert len(found) > 80
    statuses: dict[tuple[str, str], set[int]] = {each: set() for each in found}
    with requests.Session() as http:
        for version in VERSIONS_OF_WARDEN:
            everything.change(warden=version)
            for method, path in sorted(found):
                response = http.request(method, everything.url + path, data=FORM, timeout=30)
                statuses[method, path].add(response.status_code)
    # Versions of Warden lack some routes.
    open_ones = {
        f"{method} {path}"
        for (method, path), seen in statuses.items()
        if not seen <= {401, 403, 404, 405} or not seen & {401, 403}
    }
    section = README.read_text(encoding="utf-8").split("## What others can do")[1].split("\n##")[0]
    assert open_ones == set(re.findall(r"`([A-Z]+ /\S*)`", section))


def answer_to(emulator: Emulator, *parts: bytes) -> bytes:
    """Return the first line of the response to a request that is sent no further."""
    address = urlsplit(emulator.url)
    assert address.hostname
    with socket.create_connection((address.hostname, address.port or 0), timeout=10) as connection:
        for part in parts:
            connection.sendall(part)
        return connection.makefile("rb").readline()


def headers_of(client: Client) -> bytes:
    wanted = ("Authorization", "Service-CRN")
    return "".join(f"{name}: {client.http.headers[name]!s}\r\n" for name in wanted).encode()


@pytest.mark.parametrize("path", [TOKEN, "/oauth/token", JOBS, "/v1/jobs", "/", "/control/faults"])
@pytest.mark.parametrize("size", [UNCHECKED_BYTES + 1, 10**15])
def test_a_body_that_is_announced_as_too_large_is_not_read(
    everything: Emulator, path: str, size: int
) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n"
    status = answer_to(everything, head.encode()).split()[1]
    # Others do not look at the body at all.
    assert status == {JOBS: b"401", "/": b"405", "/control/faults": b"401"}.get(path, b"413")


def test_a_body_without_a_length_is_read_up_to_the_bound(everything: Emulator) -> None:
    head = b"Host: localhost\r\nTransfer-Encoding: chunked\r\n"
    chunk = b"%x\r\n%s\r\n" % (2**15, b"a" * 2**15)
    parts = [b"POST %s HTTP/1.1\r\n%s\r\n" % (TOKEN.encode(), head), *3 * [chunk]]
    assert answer_to(everything, *parts).split()[1] == b"413"
    whole = [*parts[:-2], b"0\r\n\r\n"]
    assert answer_to(everything, *whole).split()[1] == b"400"


def test_valid_credentials_have_a_larger_bound_with_the_error_of_the_vendor(
    everything: Emulator,
) -> None:
    client = Client(everything)
    large = b" " * (UNCHECKED_BYTES + 1)
    refused = client.http.post(everything.url + JOBS, data=large, timeout=30)
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, 1208)
    head = b"POST %s HTTP/1.1\r\nHost: localhost\r\n%s" % (JOBS.encode(), headers_of(client))
    announced = head + b"Content-Length: %d\r\n\r\n" % (MOST_BYTES + 1)
    assert answer_to(everything, announced).split()[1] == b"413"
    everything.fault("reset-after", path=JOBS)
    with pytest.raises(ConnectionResetError):
        answer_to(everything, announced)
    assert everything.requests()[-1]["fault"] == "reset-after"
    streamed = client.http.post(
        everything.url + JOBS, data=iter(2**10 * [b" " * 2**17]), timeout=60
    )
    assert (streamed.status_code, "errors" in streamed.json()) == (413, True)
    client.http.close()


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example"]
)
def test_the_page_is_not_served_under_the_name_of_another(everything: Emulator, host: str) -> None:
    port = urlsplit(everything.url).port
    refused = requests.get(everything.url, headers={"Host": f"{host}:{port}"}, timeout=10)
    assert (refused.status_code, "Jobs" in refused.text) == (421, False)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "[::1]", "10.0.0.7", None])
def test_the_page_is_served_under_names_of_this_machine(
    everything: Emulator, host: str | None
) -> None:
    name = f"{host or socket.gethostname()}:{urlsplit(everything.url).port}"
    assert "Jobs" in requests.get(everything.url, headers={"Host": name}, timeout=10).text


def test_sites_without_atoms_are_filled_in_once() -> None:
    assert with_vacant("101", []) == "101"
    assert with_vacant("101", [0, 2, 5]) == "010010"
    start = time.process_time()
    assert with_vacant("1", range(1, 500_000)) == "1" + "0" * 499_999
    assert time.process_time() - start < 3, "the time is not quadratic"


class Nonsense(BaseHTTPRequestHandler):
    """A store whose responses have a length that is not a number."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "many")
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        return


def test_a_store_that_responds_with_nonsense_is_an_error_of_the_transfer(tmp_path: Path) -> None:
    with HTTPServer(("127.0.0.1", 0), Nonsense) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/bucket/key"
        with pytest.raises(TransferError, match="ValueError"):
            download(url, tmp_path / "input", agent="test", most_bytes=10)
        thread.join()


GREEDY = (
    """OPENQASM 3.0;
include "stdgates.inc";
bit[1] c;
qubit[18] q;
h q;
"""
    + "c[0] = measure q[0];\nreset q[1];\nh q[0];\nh q[1];\n" * 40
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ({"job_seconds": 1.0}, "it ran longer than the 1 s that a task may"),
        ({"job_mebibytes": 50}, "it needed more than the 50 MiB of memory that a task may"),
    ],
)
def test_a_job_that_needs_too_much_fails_and_others_go_on(
    tmp_path: Path, setting: dict[str, float], reason: str
) -> None:
    params = {"pubs": [[GREEDY, None, 1_000_000]], "version": 2}
    with Emulator(["ibm-runtime"], slots=1, state=tmp_path / "state", **setting) as emulator:
        client = Client(emulator)
        job = client.submit(params=params)
        document = client.wait(job)
        assert document["state"] == {
            **{"status": "Failed", "reason": reason, "reason_code": 5203},
            "reason_solution": "See the job's logs.",
        }
        assert client.http.get(emulator.url, timeout=10).ok
        client.http.close()
    with Emulator(["ibm-runtime"], slots=1, state=tmp_path / "state") as emulator:
        client = Client(emulator)
        assert client.wait(client.submit())["status"] == "Completed"
        client.http.close()
