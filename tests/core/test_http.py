"""`qrmi_core.http` against a scripted server on loopback."""

from __future__ import annotations

import contextlib
import datetime
import email.utils
import gc
import gzip
import io
import itertools
import logging
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import attrs
import pytest
import trustme
from hypothesis import given, strategies as st

from qrmi_core import errors
from qrmi_core._version import __version__
from qrmi_core.deadline import Deadline, current, within
from qrmi_core.errors import (
    AuthenticationFailedError,
    CallTimeoutError,
    ConfigError,
    InvalidResponseError,
    QrmiError,
    ResourceBusyError,
    ServiceError,
    TaskNotFoundError,
    TransportError,
)
from qrmi_core.http import failures
from qrmi_core.http.client import HttpClient
from qrmi_core.http.credentials import CachedToken, StaticToken, Token
from qrmi_core.http.failures import Failure, Repeat
from qrmi_core.http.response import Response, retry_after_seconds
from qrmi_core.http.settings import HttpSettings
from support.socket_server import (
    HALF,
    HALF_CHUNKED,
    Behaviour,
    Request,
    SocketServer,
    answer,
    close,
    drip,
    reset,
    stall,
)

DOCS = Path(__file__).parents[2] / "docs" / "retries-and-polling.md"
SMALL = HttpSettings(max_response_bytes=1000, max_result_bytes=2000)
QUICK = attrs.evolve(
    SMALL, connect_timeout_seconds=0.2, read_timeout_seconds=0.2, transfer_timeout_seconds=0.2
)
SECRET = "s3cr3t-of-the-user"


def client(server: SocketServer, pauses: list[float] | None = None, **how: Any) -> HttpClient:
    pauses = [] if pauses is None else pauses
    return HttpClient(server.url, **({"settings": SMALL, "sleep": pauses.append} | how))


# --- the table of failures, row by row ----------------------------------------------------------

REPEATED, ONCE, RAISED, UNCERTAIN = "repeated", "repeated once", "raised", "raised, uncertain"


@attrs.frozen
class Row:
    """The failures of one row of the table, with the expected outcome.

    Args:
        what: The name of the case.
        idempotent: Outcome of an idempotent call.
        submission: Outcome of a submission.
        error: Name of the error.
        failures: Behaviours of the server.
        failure: The row of the table; None if the case has another number of retries than its row.
        settings: The client's settings.
        pause: The shortest and the longest pause.
        read: Reads the response.
        transfer: True if the idempotent call is a transfer, as submissions are.
    """

    what: str
    idempotent: str
    submission: str
    error: str
    failures: list[Behaviour]
    failure: Failure | None
    settings: HttpSettings = SMALL
    pause: tuple[float, float] = (0.5, 0.7)
    read: Callable[[Response], object] = Response.json
    transfer: bool = False


def statuses(*codes: int, headers: dict[str, str] | None = None) -> list[Behaviour]:
    return [answer(code, {"detail": "no"}, headers) for code in codes]


def of_status(*codes: int) -> Failure:
    (found,) = {failures.of_status(code, None).what: None for code in codes}
    return next(row for row in failures.FAILURES if row.what == found)


def unavailable_for_40_seconds(request: Request, connection: socket.socket) -> object:
    until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=40)
    headers = {"Retry-After": email.utils.format_datetime(until, usegmt=True)}
    return answer(503, headers=headers)(request, connection)


TWO_LENGTHS = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}"
DRIPS = [drip(HALF, [b" "] * 20), drip(HALF_CHUNKED, [b"1\r\n \r\n"] * 20)]

ROWS = [
    Row(
        "Connection reset before the answer",
        REPEATED,
        UNCERTAIN,
        "TransportError",
        [reset(), close()],
        failure=failures.LOST,
    ),
    Row(
        "Connection reset in the answer",
        REPEATED,
        UNCERTAIN,
        "TransportError",
        [reset(HALF), reset(b"HTTP/1.1 200 OK\r\nContent-")],
        failure=failures.LOST,
    ),
    Row(
        "Connection closed in the answer",
        REPEATED,
        UNCERTAIN,
        "TransportError",
        [close(HALF), close(HALF_CHUNKED)],
        failure=failures.LOST,
    ),
    Row(
        "Nothing received in time",
        REPEATED,
        UNCERTAIN,
        "CallTimeoutError",
        [stall(), stall(HALF)],
        failure=failures.STALLED,
        settings=QUICK,
    ),
    Row(
        "The answer as a whole is too slow",
        RAISED,
        UNCERTAIN,
        "CallTimeoutError",
        DRIPS,
        failure=failures.TOO_LATE,
        settings=attrs.evolve(QUICK, call_timeout_seconds=0.3),
    ),
    Row("429", REPEATED, REPEATED, "ServiceError", statuses(429), failure=failures.BUSY),
    Row(
        "429 with `Retry-After` in seconds",
        REPEATED,
        REPEATED,
        "ServiceError",
        statuses(429, headers={"Retry-After": "7"}),
        failure=failures.BUSY,
        pause=(7, 7),
    ),
    Row(
        "429 with `Retry-After` as a date",
        REPEATED,
        REPEATED,
        "ServiceError",
        statuses(
            429,
            headers={
                "Date": "Wed, 01 Apr 2020 12:00:00 GMT",
                "Retry-After": "Wed, 01 Apr 2020 12:00:09 GMT",
            },
        ),
        failure=failures.BUSY,
        pause=(9, 9),
    ),
    Row("503", REPEATED, UNCERTAIN, "ServiceError", statuses(503), failure=failures.UNAVAILABLE),
    Row(
        "503 with `Retry-After` in seconds",
        REPEATED,
        REPEATED,
        "ServiceError",
        statuses(503, headers={"Retry-After": "0"}),
        failure=failures.UNAVAILABLE_UNTIL,
    ),
    Row(
        "503 with `Retry-After` as a date",
        REPEATED,
        REPEATED,
        "ServiceError",
        [unavailable_for_40_seconds],
        failure=failures.UNAVAILABLE_UNTIL,
        pause=(30, 40),
    ),
    Row(
        "`Retry-After` beyond the time left",
        RAISED,
        RAISED,
        "ServiceError",
        statuses(429, 503, headers={"Retry-After": "61"}),
        failure=None,
    ),
    Row(
        "408, 500, 502, 504, 520 to 524",
        REPEATED,
        UNCERTAIN,
        "ServiceError",
        statuses(408, 500, 502, 504, 520, 521, 522, 523, 524),
        failure=of_status(408, 500, 502, 504, 520, 524),
    ),
    Row(
        "Any other 5xx",
        RAISED,
        UNCERTAIN,
        "ServiceError",
        statuses(501, 507),
        failure=failures.ANY_OTHER,
    ),
    Row(
        "401",
        ONCE,
        ONCE,
        "AuthenticationFailedError",
        statuses(401),
        failure=failures.UNAUTHENTICATED,
    ),
    Row("403", RAISED, RAISED, "PermissionDeniedError", statuses(403), failure=of_status(403)),
    Row("404", RAISED, RAISED, "ResourceNotFoundError", statuses(404), failure=failures.NOT_FOUND),
    Row(
        "400, 413, 422",
        RAISED,
        RAISED,
        "InvalidInputError",
        statuses(400, 413, 422),
        failure=of_status(400, 413, 422),
    ),
    Row(
        "Any other 4xx",
        RAISED,
        RAISED,
        "ServiceError",
        statuses(405, 409, 423),
        failure=of_status(405, 409, 423),
    ),
    Row(
        "303",
        RAISED,
        UNCERTAIN,
        "InvalidResponseError",
        statuses(303, headers={"Location": "/elsewhere"}),
        failure=failures.SEE_OTHER,
    ),
    Row(
        "Any other redirect",
        RAISED,
        RAISED,
        "InvalidResponseError",
        statuses(301, 302, 307, 308, headers={"Location": "https://login.example/?x=y"}),
        failure=failures.REDIRECTED,
    ),
    Row(
        "Malformed JSON",
        RAISED,
        UNCERTAIN,
        "InvalidResponseError",
        [answer(200, b'{"id": ')],
        failure=failures.UNREADABLE,
    ),
    Row(
        "HTML in place of JSON",
        RAISED,
        UNCERTAIN,
        "InvalidResponseError",
        [answer(200, b"<html>Sign in</html>", {"Content-Type": "text/html"})],
        failure=failures.UNREADABLE,
    ),
    Row(
        "The answer is too large",
        RAISED,
        UNCERTAIN,
        "InvalidResponseError",
        [
            answer(200, b" " * 1001),
            answer(200, gzip.compress(b" " * 10000000), {"Content-Encoding": "gzip"}),
        ],
        failure=failures.TOO_LARGE,
    ),
    Row(
        "A transfer that is too slow",
        REPEATED,
        UNCERTAIN,
        "CallTimeoutError",
        DRIPS,
        failure=failures.TOO_SLOW,
        settings=HttpSettings(slow_seconds=0.2),
        transfer=True,
    ),
    Row(
        "Not HTTP",
        RAISED,
        UNCERTAIN,
        "InvalidResponseError",
        [close(TWO_LENGTHS)],
        failure=failures.NOT_HTTP,
    ),
    Row("407", RAISED, RAISED, "ServiceError", statuses(407), failure=of_status(407)),
]

# These need other servers, and are tested separately.
ELSEWHERE = [
    (failures.REFUSED, REPEATED, REPEATED, "TransportError"),
    (failures.NOT_ACCEPTED, REPEATED, REPEATED, "CallTimeoutError"),
    (failures.NO_HOST, REPEATED, REPEATED, "TransportError"),
    (failures.PROXY_REFUSED, RAISED, RAISED, "TransportError"),
    (failures.TLS_FAILED, RAISED, RAISED, "TransportError"),
    (failures.TLS_ENDED, RAISED, UNCERTAIN, "TransportError"),
    (failures.NOT_MADE, RAISED, RAISED, "ConfigError"),
]

CASES = [
    pytest.param(row, submission, failure, id=f"{row.what}-{kind}-{number}")
    for row in ROWS
    for kind, submission in (("idempotent", False), ("submission", True))
    for number, failure in enumerate(row.failures)
]


def call(http: HttpClient, submission: bool, transfer: bool = False) -> Response:
    if submission:
        return http.request("POST", "/jobs", json={"program": 1}, submission=True)
    return http.request("GET", "/jobs", transfer=transfer)


def renewing() -> CachedToken:
    numbers = itertools.count()
    return CachedToken(lambda: Token(f"number-{next(numbers)}"))


def outcomes(failure: Failure) -> tuple[str, str]:
    """Return the outcomes of an idempotent call and of a submission."""
    if failure.repeat is Repeat.RENEWED:
        return ONCE, ONCE
    doubt = failure.leaves_doubt(idempotent=False, submission=True)
    return (
        REPEATED if failure.repeat.applies(idempotent=True, submission=False) else RAISED,
        REPEATED
        if failure.repeat.applies(idempotent=False, submission=True)
        else (UNCERTAIN if doubt else RAISED),
    )


def test_the_documented_table_is_the_tested_one() -> None:
    section = DOCS.read_text().partition("## Retries within one call\n")[2].split("\n## ")[0]
    documented = [line for line in section.splitlines() if line.startswith("|")][2:]
    assert documented == [
        f"| {row.what} | {' | '.join(outcomes(row))} | `{row.error.__name__}` | {row.why} |"
        for row in failures.FAILURES
    ]


def test_every_row_of_the_table_is_tested_with_what_it_says() -> None:
    tested = [(row.failure, row.idempotent, row.submission, row.error) for row in ROWS]
    for failure, idempotent, submission, error in [*tested, *ELSEWHERE]:
        if failure is not None:
            assert outcomes(failure) == (idempotent, submission)
            assert failure.error.__name__ == error
    assert {row.what for row in failures.FAILURES} == {
        failure.what for failure, *_ in [*tested, *ELSEWHERE] if failure is not None
    }


@given(st.integers(0, 999), st.none() | st.floats(0, 1000))
def test_every_status_has_a_row(status: int, retry_after: float | None) -> None:
    assert failures.of_status(status, retry_after) in failures.FAILURES


@pytest.mark.parametrize(("row", "submission", "failure"), CASES)
def test_a_failure_that_passes(row: Row, submission: bool, failure: Behaviour) -> None:
    expected = row.submission if submission else row.idempotent
    pauses: list[float] = []
    with SocketServer([failure, answer(200, {"id": "1"})]) as server:
        http = client(server, pauses, settings=row.settings, auth=renewing())
        with closing(http):
            if expected in (REPEATED, ONCE):
                assert row.read(call(http, submission, row.transfer)) == {"id": "1"}
                assert len(server.requests) == 2
                assert len(pauses) == (expected == REPEATED)
                assert all(row.pause[0] <= pause <= row.pause[1] for pause in pauses)
            else:
                with pytest.raises(getattr(errors, row.error)) as caught:
                    row.read(call(http, submission, row.transfer))
                assert len(server.requests) == 1
                assert not pauses
                assert caught.value.uncertain == (expected == UNCERTAIN)


@pytest.mark.parametrize(("row", "submission", "failure"), CASES)
def test_a_failure_that_stays(row: Row, submission: bool, failure: Behaviour) -> None:
    expected = row.submission if submission else row.idempotent
    with SocketServer([failure]) as server:
        http = client(server, settings=row.settings, auth=renewing())
        with closing(http), pytest.raises(QrmiError) as caught:
            row.read(call(http, submission, row.transfer))
    error = caught.value
    assert type(error).__name__ == row.error
    assert len(server.requests) == {REPEATED: 4, ONCE: 2}.get(expected, 1)
    assert ("(4 attempts)" in str(error)) == (expected == REPEATED)
    assert error.uncertain == (expected == UNCERTAIN)
    assert str(error).startswith(f"{'POST' if submission else 'GET'} {server.url}/jobs: ")
    passes = ("`Retry-After`", "The answer as a")
    assert error.retryable == (row.idempotent == REPEATED or row.what.startswith(passes))
    assert row.failure is None or error.retryable == row.failure.retryable


@pytest.mark.parametrize("code", [503, 429])
def test_any_other_call_is_treated_like_a_submission_but_for_a_503(code: int) -> None:
    with SocketServer([*statuses(code), *statuses(500)]) as server, closing(client(server)) as http:
        with pytest.raises(ServiceError) as caught:
            http.request("POST", "/sessions")
        assert len(server.requests) == 2
        assert caught.value.uncertain


def test_a_post_can_be_declared_idempotent_and_a_put_not() -> None:
    with SocketServer([reset(), answer(), reset()]) as server, closing(client(server)) as http:
        http.request("POST", "/token", idempotent=True)
        with pytest.raises(TransportError) as caught:
            http.request("PUT", "/count", idempotent=False)
    assert caught.value.uncertain


def test_a_repeated_submission_stays_uncertain_whatever_comes_later() -> None:
    script = [reset(), *statuses(409)]
    with (
        SocketServer(script) as server,
        closing(client(server)) as http,
        pytest.raises(ServiceError) as caught,
    ):
        http.request("POST", "/jobs", json={}, submission=True, idempotent=True)
    assert caught.value.status_code == 409
    assert caught.value.uncertain


# --- nothing was sent ---------------------------------------------------------------------------


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.mark.parametrize("submission", [False, True])
def test_connection_refused(submission: bool) -> None:
    port = free_port()
    with (
        closing(HttpClient(f"http://127.0.0.1:{port}", sleep=lambda _: None)) as http,
        pytest.raises(TransportError, match="refused.*endpoint setting.*4 attempts") as caught,
    ):
        call(http, submission)
    assert type(caught.value) is TransportError
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)
    assert not caught.value.uncertain

    with ExitStack() as stack:
        server = SocketServer([answer(200, {"id": "1"})], port=port)
        starting = lambda _: stack.enter_context(server)  # noqa: E731
        with closing(HttpClient(f"http://127.0.0.1:{port}", sleep=starting)) as http:
            assert call(http, submission).json() == {"id": "1"}


@pytest.mark.parametrize("submission", [False, True])
def test_connection_not_accepted_in_time(submission: bool) -> None:
    pauses: list[float] = []
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):  # fill the queue of connections
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        settings = attrs.evolve(QUICK, connect_timeout_seconds=0.1)
        http = HttpClient(
            f"http://127.0.0.1:{listener.getsockname()[1]}", settings=settings, sleep=pauses.append
        )
        with closing(http), pytest.raises(CallTimeoutError, match="4 attempts") as caught:
            call(http, submission)
    assert not caught.value.uncertain
    assert len(pauses) == 3


@pytest.mark.parametrize("submission", [False, True])
def test_host_name_not_found(submission: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object, **_more: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)  # a slow resolver
    pauses: list[float] = []
    http = HttpClient("http://vendor.invalid", sleep=pauses.append)
    with closing(http), pytest.raises(TransportError, match="Name or service") as caught:
        call(http, submission)
    assert type(caught.value) is TransportError
    assert not caught.value.uncertain
    assert len(pauses) == 3


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, str]:
    authority = trustme.CA()
    path = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return authority, str(path)


def tls_server(authority: trustme.CA, name: str, script: list[Behaviour]) -> SocketServer:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return SocketServer(script, tls=context)


@pytest.mark.parametrize("submission", [False, True])
@pytest.mark.parametrize("wrong", ["authority", "name"])
def test_tls_failed(wrong: str, submission: bool, authority: tuple[trustme.CA, str]) -> None:
    ca, bundle = authority
    settings = HttpSettings(ca_bundle=None if wrong == "authority" else bundle)
    name = "elsewhere.example" if wrong == "name" else "127.0.0.1"
    pauses: list[float] = []
    with (
        tls_server(ca, name, [answer()]) as server,
        closing(client(server, pauses, settings=settings)) as http,
        pytest.raises(
            TransportError, match="check QRMI_HTTP_CA_BUNDLE .*QRMI_HTTP_CLIENT_CERT"
        ) as caught,
    ):
        call(http, submission)
    assert type(caught.value) is TransportError
    assert not caught.value.retryable
    assert not caught.value.uncertain
    assert not pauses


def test_https_to_a_server_that_does_not_speak_it() -> None:
    def refuse(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=refuse, args=(listener,))
        thread.start()
        http = HttpClient(f"https://127.0.0.1:{listener.getsockname()[1]}")
        with closing(http), pytest.raises(TransportError, match="endpoint speaks https"):
            http.request("GET", "/")
        thread.join()


def test_tls_with_the_ca_bundle(
    authority: tuple[trustme.CA, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ca, bundle = authority
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other))
    with (
        tls_server(ca, "127.0.0.1", [answer(), reset(HALF), answer()]) as server,
        closing(client(server, settings=HttpSettings(ca_bundle=bundle))) as http,
    ):
        assert http.request("GET", "/").json() == {}
        assert http.request("GET", "/").json() == {}
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    with tls_server(ca, "127.0.0.1", [answer()]) as server, closing(client(server)) as http:
        assert http.request("GET", "/").json() == {}


def test_a_client_certificate(authority: tuple[trustme.CA, str], tmp_path: Path) -> None:
    ca, bundle = authority
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    issued = ca.issue_cert("client.example")
    issued.cert_chain_pems[0].write_to_path(str(cert))
    issued.private_key_pem.write_to_path(str(key))
    server = tls_server(ca, "127.0.0.1", [answer()])
    assert server.tls
    server.tls.verify_mode = ssl.CERT_REQUIRED
    ca.configure_trust(server.tls)
    settings = HttpSettings(ca_bundle=bundle, client_cert=str(cert), client_key=str(key))
    with server:
        with closing(client(server, settings=settings)) as http:
            assert http.request("GET", "/").json() == {}
        bare = HttpClient(server.url, settings=HttpSettings(ca_bundle=bundle), sleep=lambda _: None)
        with closing(bare), pytest.raises(TransportError):
            bare.request("GET", "/")
        # The service refuses the connection only after the request was sent.
        with closing(bare), pytest.raises(TransportError) as caught:
            call(bare, submission=True)
        assert caught.value.uncertain


def test_a_proxy() -> None:
    with SocketServer([answer(), answer(407)]) as server:
        settings = HttpSettings(proxy=server.url)
        with closing(HttpClient("http://vendor.example", settings=settings)) as http:
            assert http.request("GET", "/jobs").json() == {}
        assert server.requests[0].target == "http://vendor.example/jobs"
        http = HttpClient("https://vendor.example", settings=settings, sleep=lambda _: None)
        with closing(http), pytest.raises(TransportError, match="to the proxy .*407") as caught:
            http.request("POST", "/jobs", submission=True)
        assert server.requests[1].method == "CONNECT"
        assert not caught.value.uncertain


def test_settings_that_cannot_be_right(tmp_path: Path) -> None:
    for wrong in (
        {"attempts": 0},
        {"read_timeout_seconds": -1.0},
        {"ca_bundle": str(tmp_path / "none.pem")},
        {"client_key": str(tmp_path)},
    ):
        with pytest.raises(ConfigError, match=f"QRMI_HTTP_{next(iter(wrong)).upper()}"):
            HttpSettings(**wrong)  # type: ignore[arg-type]
    for url in ("api.example.com", "ftp://example.com", "https://", "http://[::1", "http://a:b/"):
        with pytest.raises(ConfigError, match="not a URL"):
            HttpClient(url)
    with pytest.raises(ConfigError, match="user or password") as caught:
        HttpClient(f"https://me:{SECRET}@api.example.com")
    assert SECRET not in str(caught.value)
    with pytest.raises(ConfigError, match="cannot be made") as caught:
        HttpClient("http://127.0.0.1:1", headers={"Key": f"{SECRET}\n"}).request("GET", "/")
    assert SECRET not in everything(caught.value)


# --- time ---------------------------------------------------------------------------------------


def test_pauses_double() -> None:
    pauses: list[float] = []
    with (
        SocketServer(statuses(500)) as server,
        closing(client(server, pauses)) as http,
        pytest.raises(ServiceError),
    ):
        http.request("GET", "/")
    assert [0.5, 1, 2] <= pauses <= [0.625, 1.25, 2.5]


def test_retries_can_be_switched_off() -> None:
    settings = HttpSettings(attempts=1)
    with (
        SocketServer(statuses(429)) as server,
        closing(client(server, settings=settings)) as http,
        pytest.raises(ServiceError),
    ):
        http.request("GET", "/")
    assert len(server.requests) == 1


def test_all_attempts_and_pauses_are_within_the_call_timeout() -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    settings = HttpSettings(call_timeout_seconds=2.0)
    with SocketServer(statuses(500)) as server:
        http = HttpClient(server.url, settings=settings, clock=lambda: now[0], sleep=sleep)
        with closing(http), pytest.raises(ServiceError, match="3 attempts"):
            http.request("GET", "/")
    assert now[0] < 2.0


def test_the_deadline_of_the_operation_bounds_a_call() -> None:
    with (
        SocketServer([stall()]) as server,
        closing(client(server, settings=HttpSettings())) as http,
    ):
        for submission in (False, True):
            start = time.monotonic()
            with within(Deadline(0.2)), pytest.raises(CallTimeoutError) as caught:
                call(http, submission)
            assert time.monotonic() - start < 0.5
            assert caught.value.uncertain == submission
        with within(Deadline(0.2)), pytest.raises(CallTimeoutError):
            list(http.stream("/result"))
        with within(Deadline(0)), pytest.raises(CallTimeoutError, match="no time was left") as last:
            call(http, submission=True)
        assert not last.value.uncertain


def test_retry_after_beyond_the_deadline_of_the_operation_is_told() -> None:
    with (
        SocketServer(statuses(429, headers={"Retry-After": "30"})) as server,
        closing(client(server)) as http,
        within(Deadline(20)),
        pytest.raises(ServiceError, match="asks to wait 30 s") as caught,
    ):
        http.request("GET", "/")
    assert caught.value.retry_after == 30


@pytest.mark.parametrize(
    "behaviour",
    [
        drip(b"HTTP/1.1 200 OK\r\nX: ", [b"x"] * 20),
        drip(b"HTTP/1.1 200 OK\r\n", [b"X: y\r\n"] * 20),
        drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", [b"x"] * 20),
    ],
    ids=["header line", "headers", "chunk size"],
)
def test_no_part_of_an_answer_can_outlast_the_call_drop_by_drop(behaviour: Behaviour) -> None:
    settings = HttpSettings(call_timeout_seconds=0.3)
    with SocketServer([behaviour]) as server, closing(client(server, settings=settings)) as http:
        start = time.monotonic()
        with pytest.raises(CallTimeoutError):
            http.request("GET", "/")
        assert time.monotonic() - start < 0.6


def test_an_upload_may_take_longer_than_connecting_and_than_the_call_timeout() -> None:
    def slow_reader(_request: Request, connection: socket.socket) -> object:
        return answer()(_request, connection)

    settings = HttpSettings(
        connect_timeout_seconds=0.1, transfer_timeout_seconds=0.5, call_timeout_seconds=0.3
    )
    pieces = (time.sleep(0.1) or b"x" * 1000 for _ in range(6))
    with SocketServer([slow_reader]) as server, closing(client(server, settings=settings)) as http:
        http.request("PUT", "/input", data=lambda: pieces, transfer=True)
    assert len(server.requests[0].body) == 6000


def test_an_upload_that_stalls_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        settings = attrs.evolve(QUICK, attempts=1)
        http = HttpClient(f"http://127.0.0.1:{listener.getsockname()[1]}", settings=settings)
        start = time.monotonic()
        with closing(http), pytest.raises(CallTimeoutError, match="nothing came"):
            http.request("PUT", "/input", data=b"x" * 20_000_000, transfer=True)
        assert time.monotonic() - start < 10


def test_the_first_byte_may_take_longer_after_a_large_upload() -> None:
    def late(request: Request, connection: socket.socket) -> object:
        time.sleep(0.3)
        return answer()(request, connection)

    settings = attrs.evolve(QUICK, transfer_seconds_per_megabyte=1.0)
    with (
        SocketServer([late]) as server,
        closing(client(server, settings=settings)) as http,
    ):
        http.request("PUT", "/input", data=b"x" * 1_000_000, transfer=True)
        with pytest.raises(CallTimeoutError, match=r"nothing came for 0\.2"):
            http.request("PUT", "/input", data=b"x", transfer=True)


def test_a_pause_of_the_reader_does_not_make_a_stream_slow() -> None:
    settings = HttpSettings(slow_seconds=0.2)
    with (
        SocketServer([answer(200, b"x" * 300_000)]) as server,
        closing(client(server, settings=settings)) as http,
    ):
        stream = http.stream("/result")
        size = len(next(stream))
        time.sleep(0.5)
        assert size + sum(map(len, stream)) == 300_000


def test_a_stream_that_is_too_slow_is_aborted() -> None:
    settings = HttpSettings(slow_seconds=0.2)
    with (
        SocketServer(DRIPS[:1]) as server,
        closing(client(server, settings=settings)) as http,
        pytest.raises(CallTimeoutError, match="less than 1000 bytes/s") as caught,
    ):
        list(http.stream("/result"))
    assert caught.value.retryable


def test_ctrl_c_ends_a_pause_at_once() -> None:
    def interrupted(_seconds: float) -> None:
        raise KeyboardInterrupt

    with SocketServer(statuses(500)) as server:
        http = HttpClient(server.url, sleep=interrupted)
        with closing(http), pytest.raises(KeyboardInterrupt):
            http.request("GET", "/")
    assert len(server.requests) == 1


# --- streams ------------------------------------------------------------------------------------


def test_a_stream_may_be_larger_than_the_limit_and_slower_than_a_call() -> None:
    settings = attrs.evolve(QUICK, call_timeout_seconds=0.2)
    big = b"x" * 3_000_000
    slow = drip(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", [b"y"] * 10)
    with (
        SocketServer([answer(200, big), slow]) as server,
        closing(client(server, settings=settings)) as http,
    ):
        assert b"".join(http.stream("/result")) == big
        assert b"".join(http.stream("/result")) == b"y" * 10


def test_a_stream_is_repeated_until_it_begins_and_not_after() -> None:
    script = [reset(), *statuses(503), close(HALF)]
    with SocketServer(script) as server, closing(client(server)) as http:
        stream = http.stream("/result")
        assert not server.requests
        assert next(stream) == b'{"half": '
        with pytest.raises(TransportError) as caught:
            next(stream)
        assert len(server.requests) == 3
    assert caught.value.retryable
    assert not caught.value.uncertain


def test_a_stream_that_stalls_or_is_not_there() -> None:
    with (
        SocketServer([stall(HALF), answer(404)]) as server,
        closing(client(server, settings=QUICK)) as http,
    ):
        with pytest.raises(CallTimeoutError, match="nothing came for 0.2 s"):
            list(http.stream("/result"))
        with pytest.raises(TaskNotFoundError):
            next(http.stream("/result", not_found=TaskNotFoundError))


def test_a_stream_that_is_iterated_later_keeps_its_deadline_and_leaves_the_readers() -> None:
    script = [answer(200, b"x" * 3_000_000), stall(HALF)]
    with SocketServer(script) as server, closing(client(server)) as http:
        with within(Deadline(60)):
            stream = http.stream("/result")
        theirs = Deadline(90)
        with within(theirs):
            next(stream)
            assert current() is theirs
            assert sum(map(len, stream)) > 0
            assert current() is theirs
        with within(Deadline(0.2)):
            late = http.stream("/result")
        start = time.monotonic()
        with pytest.raises(CallTimeoutError):
            list(late)
        assert time.monotonic() - start < 5


def test_a_stream_that_is_left_early_closes_its_connection() -> None:
    left = threading.Event()

    def begin(_request: Request, connection: socket.socket) -> object:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 100_000)
        with contextlib.suppress(ConnectionResetError):
            connection.recv(1)  # until the client closes the connection
        left.set()
        return False

    with SocketServer([begin]) as server, closing(client(server)) as http:
        stream = http.stream("/result")
        next(stream)
        assert not left.is_set()
        # A traceback holds the response, whose end would close the connection.
        with pytest.raises(KeyboardInterrupt) as kept:
            stream.throw(KeyboardInterrupt())  # type: ignore[attr-defined]
        assert left.wait(10)
        del kept


# --- requests -----------------------------------------------------------------------------------


def test_what_is_sent() -> None:
    with SocketServer([answer(201, b""), answer(204), answer(), answer()]) as server:
        http = client(server, headers={"X-Site": "here"}, product="qrmi-example/1.0")
        with closing(http):
            assert http.request("post", "v1/jobs", json={"a": 1}).status_code == 201
            assert (
                http.request("DELETE", "/v1/jobs/1", params={"b": "c d", "e": None}).content == b""
            )
            http.request("POST", "/token", data={"grant": "x y"}, headers={"X-Site": "there"})
            http.request("PUT", f"{server.url}/object?signed=yes", data=b"bytes")
    one, two, three, four = server.requests
    assert (one.method, one.target, one.body) == ("POST", "/v1/jobs", b'{"a": 1}')
    assert one.headers["content-type"] == "application/json"
    assert one.headers["user-agent"] == f"qrmi-core/{__version__} qrmi-example/1.0"
    assert (one.headers["x-site"], three.headers["x-site"]) == ("here", "there")
    assert two.target == "/v1/jobs/1?b=c+d"
    assert three.body == b"grant=x+y"
    assert (four.target, four.body) == ("/object?signed=yes", b"bytes")


def test_json_that_is_encoded_already_is_sent_as_it_is_in_every_attempt() -> None:
    body = '{ "a":1, "b": "\\u00e9 \u00e9" }'.encode()
    with SocketServer([*statuses(500), answer()]) as server, closing(client(server)) as http:
        http.request("PUT", "/", json=body, params={"id": ["a", "b c"], "none": []})
    assert len(server.requests) == 2
    for request in server.requests:
        assert (request.target, request.body) == ("/?id=a&id=b+c", body)
        assert request.headers["content-type"] == "application/json"
        assert request.headers["content-length"] == str(len(body))


def test_factories_are_called_for_every_attempt() -> None:
    number = itertools.count()
    fresh = lambda: str(next(number))  # noqa: E731
    with SocketServer([*statuses(500), answer()]) as server, closing(client(server)) as http:
        http.request(
            "POST",
            lambda: f"/{fresh()}",
            params=lambda: {"p": fresh()},
            json=lambda: {"j": fresh()},
            headers=lambda: {"h": fresh()},
            idempotent=True,
        )
    seen = [(r.target, r.headers["h"], r.body) for r in server.requests]
    assert len({target for target, _, _ in seen}) == 2
    assert len({header for _, header, _ in seen}) == 2
    assert len({body for _, _, body in seen}) == 2


def test_a_file_is_sent_from_where_it_stood_at_every_attempt() -> None:
    file = io.BytesIO(b"skipped" + b"x" * 100_000)
    file.seek(7)
    with SocketServer([reset(), answer()]) as server, closing(client(server)) as http:
        http.request("PUT", "/input", data=file)
    assert [len(request.body) for request in server.requests] == [100_000, 100_000]


def test_a_body_in_pieces_is_sent_as_it_is_with_its_length_at_every_attempt() -> None:
    class Pieces:
        def __init__(self, *pieces: bytes) -> None:
            self.pieces = pieces

        def __len__(self) -> int:
            return sum(map(len, self.pieces))

        def __iter__(self) -> Iterator[bytes]:
            return iter(self.pieces)

    body = Pieces(b"[", b"x" * 300_000, b"]")
    with SocketServer([reset(), answer()]) as server, closing(client(server)) as http:
        http.request("PUT", "/input", data=body)
    for request in server.requests:
        assert request.body == b"[" + b"x" * 300_000 + b"]"
        assert request.headers["content-length"] == "300002"


def test_a_body_that_is_not_json_is_not_sent() -> None:
    http = HttpClient("http://127.0.0.1:1")
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    for value in (float("nan"), {1}, b"x", {(1, 2): 3}, deep):
        with pytest.raises(errors.InvalidInputError, match="cannot be sent as JSON") as caught:
            http.request("POST", "/jobs", json={"angle": value}, submission=True)
        assert not caught.value.uncertain


def test_statuses_that_are_answers() -> None:
    with SocketServer(statuses(409)) as server, closing(client(server)) as http:
        assert http.request("POST", "/jobs", ok=(409,)).status_code == 409


@pytest.mark.parametrize("submission", [False, True])
def test_an_answer_with_two_lengths_is_none(submission: bool) -> None:
    with (
        SocketServer([close(TWO_LENGTHS)]) as server,
        closing(client(server)) as http,
        pytest.raises(InvalidResponseError, match="not HTTP that can be read") as caught,
    ):
        call(http, submission)
    assert len(server.requests) == 1
    assert caught.value.uncertain == submission
    assert not caught.value.retryable


def test_a_vendor_describes_its_own_errors() -> None:
    def describe(response: Response, error: QrmiError) -> QrmiError | None:
        body = response.json()
        error.message = f"{response.call}: {body['title']}"
        error.vendor_code = body["code"]
        error.details = {"hint": f"ask for {SECRET}"}
        return ResourceBusyError("all lanes are taken") if response.status_code == 429 else None

    script = [
        answer(404, {"title": "no such job", "code": "1291"}, {"X-Request-ID": "r-1"}),
        answer(500, b"not JSON"),
        answer(500, {"unexpected": "shape"}),
        answer(429, {"title": "full", "code": "1232"}, {"Retry-After": "1"}),
    ]
    with SocketServer(script) as server:
        with closing(client(server, error=describe, settings=HttpSettings(attempts=1))) as http:
            with pytest.raises(TaskNotFoundError) as first:
                params = {"apikey": SECRET}
                http.request("GET", "/jobs/1", params=params, not_found=TaskNotFoundError)
            with pytest.raises(ServiceError, match="not JSON"):
                http.request("GET", "/jobs/1")
            with pytest.raises(ServiceError, match="unexpected"):
                http.request("GET", "/jobs/1")
        with closing(client(server, error=describe)) as http, pytest.raises(ResourceBusyError) as b:
            http.request("POST", "/jobs", submission=True)
    error = first.value
    assert str(error) == f"GET {server.url}/jobs/1: no such job [code 1291, request r-1]"
    assert (error.status_code, error.vendor_code, error.request_id) == (404, "1291", "r-1")
    assert error.details == {"hint": "ask for ***"}
    assert (b.value.status_code, b.value.retry_after, len(server.requests)) == (429, 1.0, 4)


class VendorLibraryError(BaseException):
    """An error that is not an `Exception`, as in some vendors' libraries."""


@pytest.mark.parametrize("strange", [KeyError(SECRET), RecursionError(), VendorLibraryError("x")])
def test_a_hook_that_raises_leaves_the_error_as_it_was(
    strange: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    def hook(_response: Response, _error: QrmiError) -> QrmiError:
        raise strange

    with (
        SocketServer(statuses(409)) as server,
        closing(client(server, error=hook)) as http,
        pytest.raises(ServiceError, match="409 Conflict") as caught,
    ):
        call(http, submission=True)
    assert not caught.value.uncertain
    assert type(strange).__name__ in caplog.text
    assert "Traceback" not in caplog.text
    assert SECRET not in caplog.text


def test_a_hook_may_raise_its_error() -> None:
    def hook(_response: Response, _error: QrmiError) -> QrmiError:
        raise ResourceBusyError("full", uncertain=True)

    with (
        SocketServer(statuses(429)) as server,
        closing(client(server, error=hook)) as http,
        pytest.raises(ResourceBusyError, match="full") as caught,
    ):
        call(http, submission=True)
    assert len(server.requests) == 1
    assert (caught.value.status_code, caught.value.uncertain) == (429, False)


@pytest.mark.parametrize("wrong", [None, 7, [], {}, b"x", object(), float("nan"), "\x1b[31m\nred"])
def test_whatever_a_hook_leaves_in_an_error_is_text(wrong: Any) -> None:
    def hook(_response: Response, error: QrmiError) -> Any:
        error.message = error.vendor_code = error.request_id = wrong
        error.retry_after = error.status_code = wrong
        error.details = {"it": wrong, "long": "x" * 10_000} if wrong != 7 else wrong
        return wrong

    with (
        SocketServer(statuses(404)) as server,
        closing(client(server, error=hook)) as http,
        pytest.raises(QrmiError) as caught,
    ):
        http.request("GET", "/", not_found=TaskNotFoundError)
    error = caught.value
    assert type(error) is TaskNotFoundError
    assert error.message
    assert error.message.isprintable()
    assert error.status_code == 404
    for text in (error.vendor_code, error.request_id, *error.details.values()):
        assert text is None or (text.isprintable() and len(text) < 3000)
    assert error.retry_after in (None, 7)
    assert not error.uncertain


@pytest.mark.parametrize("code", [200, 502])
@pytest.mark.parametrize(
    ("page", "shown"),
    [
        (
            "<html><head><title>\nBad Gateway </title></head><p>Cookie: x1",
            "an HTML page, Bad Gateway",
        ),
        ("\n<!DOCTYPE html>\n<html><body>Cookie: x1</body>", "an HTML page"),
    ],
)
def test_of_a_page_the_title_alone_is_shown(code: int, page: str, shown: str) -> None:
    script = [answer(code, page.encode(), {"Content-Type": "text/html"})]
    with (
        SocketServer(script) as server,
        closing(client(server, settings=HttpSettings(attempts=1))) as http,
        pytest.raises(ServiceError, match=shown) as caught,
    ):
        http.request("GET", "/").json()
    assert "x1" not in str(caught.value)
    assert "<" not in str(caught.value)


def test_a_redirect_names_where_it_leads_and_the_setting() -> None:
    leads = {"Location": "https://me:pw@login.example:8443/x?session=1"}
    with (
        SocketServer([answer(302, b"", leads)]) as server,
        closing(client(server)) as http,
        pytest.raises(
            InvalidResponseError, match=r"to https://login\.example:8443, .* endpoint setting"
        ) as caught,
    ):
        http.request("GET", "/")
    assert caught.value.status_code == 302


@pytest.mark.parametrize(
    ("status", "headers"),
    [(302, {"Location": "http://[bad"}), (301, {}), (304, {}), (307, {"Location": "mailto:me"})],
)
def test_a_redirect_to_nowhere_names_no_target(status: int, headers: dict[str, str]) -> None:
    with (
        SocketServer([answer(status, b"", headers)]) as server,
        closing(client(server)) as http,
        pytest.raises(InvalidResponseError, match="redirects are not followed") as caught,
    ):
        http.request("POST", "/", submission=True)
    assert caught.value.status_code == status
    assert not caught.value.uncertain


def test_the_body_of_a_redirect_is_not_read_to_its_end() -> None:
    leads = {"Location": "/there", "Content-Length": str(1 << 40)}
    with (
        SocketServer([answer(302, b"x" * 1_000_000, leads)]) as server,
        closing(client(server)) as http,
        pytest.raises(InvalidResponseError, match="redirects, here to"),
    ):
        http.request("GET", "/")


def test_what_is_to_be_changed_is_named_by_its_key() -> None:
    script = [answer(200, b"x" * 1001), answer(407)]
    with SocketServer(script) as server, closing(client(server)) as http:
        with pytest.raises(InvalidResponseError, match="raise QRMI_HTTP_MAX_RESPONSE_BYTES"):
            http.request("GET", "/")
        with pytest.raises(ServiceError, match="QRMI_HTTP_PROXY"):
            http.request("GET", "/")


@pytest.mark.parametrize("packed", [False, True])
def test_a_transfer_may_be_as_large_as_a_result(packed: bool) -> None:
    def sized(size: int) -> Behaviour:
        body = b"x" * size
        if packed:
            return answer(200, gzip.compress(body), {"Content-Encoding": "gzip"})
        return answer(200, body)

    with SocketServer(map(sized, (2000, 2001, 1001))) as server, closing(client(server)) as http:
        assert http.request("GET", "/", transfer=True).content == b"x" * 2000
        with pytest.raises(InvalidResponseError, match="raise QRMI_HTTP_MAX_RESULT_BYTES"):
            http.request("GET", "/", transfer=True)
        with pytest.raises(InvalidResponseError, match="raise QRMI_HTTP_MAX_RESPONSE_BYTES"):
            http.request("POST", "/", submission=True)


def test_the_middle_of_an_error_answer_may_be_missing_or_without_end() -> None:
    head = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 1000\r\n\r\nthe reason"
    endless = answer(403, b"x" * 10_000_000)
    with SocketServer([close(head), endless]) as server, closing(client(server)) as http:
        with pytest.raises(errors.PermissionDeniedError, match="the reason"):
            http.request("GET", "/")
        with pytest.raises(errors.PermissionDeniedError, match=r"x{300}\.\.\."):
            http.request("GET", "/")


# --- connections --------------------------------------------------------------------------------


def test_one_connection_for_the_calls_of_a_thread_and_one_more_for_another() -> None:
    script = [answer(), answer(204), answer(500), answer(), answer(200, b"x" * 3_000_000), answer()]
    with SocketServer(script) as server, closing(client(server)) as http:
        http.request("GET", "/")
        http.request("DELETE", "/")
        http.request("GET", "/")
        list(http.stream("/"))
        http.request("GET", "/")
        assert server.connections == 1
        thread = threading.Thread(target=http.request, args=("GET", "/"))
        thread.start()
        thread.join()
        http.request("GET", "/")
    assert server.connections == 2
    assert [request.connection for request in server.requests] == [1, 1, 1, 1, 1, 1, 2, 1]


def test_siblings_share_connections_and_nothing_else() -> None:
    def describe(_response: Response, error: QrmiError) -> None:
        error.vendor_code = "tokens"

    with SocketServer([answer(), answer(401), answer(), answer()]) as server:
        http = client(server, auth=CachedToken(lambda: Token("of-the-api")), product="p/1")
        tokens = http.sibling(server.url, headers={"X-Of": "tokens"}, error=describe)
        http.request("GET", "/")
        with pytest.raises(AuthenticationFailedError) as caught:
            tokens.request("POST", "/token")
        http.request("GET", "/")
        assert server.connections == 1
        tokens.close()
        http.request("GET", "/")
        http.close()
    assert caught.value.vendor_code == "tokens"
    assert server.connections == 2
    first, second, *_ = (request.headers for request in server.requests)
    assert first["user-agent"] == second["user-agent"]
    assert ("authorization" in first, "x-of" in first) == (True, False)
    assert ("authorization" in second, "x-of" in second) == (False, True)


def test_a_client_can_be_used_after_it_was_closed() -> None:
    with SocketServer([answer()]) as server, closing(client(server)) as http:
        for _ in range(2):
            http.request("GET", "/")
            http.close()
    assert server.connections == 2


def test_a_client_that_is_dropped_leaves_no_open_socket() -> None:
    sockets: list[socket.socket] = []

    def note(request: Request, connection: socket.socket) -> object:
        sockets.append(connection)
        return answer()(request, connection)

    with SocketServer([note]) as server:
        http = client(server)
        http.request("GET", "/")
        assert sockets[0].fileno() != -1
        del http
        gc.collect()
        until = time.monotonic() + 5
        while sockets[0].fileno() != -1 and time.monotonic() < until:
            time.sleep(0.01)
        assert sockets[0].fileno() == -1


def test_the_connections_of_a_thread_are_closed_when_it_ends() -> None:
    sockets: list[socket.socket] = []
    kept: list[QrmiError] = []

    def note(request: Request, connection: socket.socket) -> object:
        sockets.append(connection)
        return answer()(request, connection)

    def work() -> None:
        http.request("GET", "/")
        try:
            http.request("GET", f"http://127.0.0.1:{port}/")
        except TransportError as error:
            kept.append(error)  # The traceback refers to the session.

    port = free_port()
    with SocketServer([note]) as server, closing(client(server)) as http:
        http.request("GET", "/")
        for _ in range(3):
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
        until = time.monotonic() + 5
        while any(sock.fileno() != -1 for sock in sockets[1:]) and time.monotonic() < until:
            time.sleep(0.01)
        assert [sock.fileno() != -1 for sock in sockets] == [True, False, False, False]
        http.request("GET", "/")
    assert server.requests[-1].connection == 1


def test_a_stream_outlives_the_thread_that_began_it() -> None:
    with SocketServer([answer(200, b"x" * 3_000_000)]) as server, closing(client(server)) as http:
        stream = http.stream("/result")
        size = []
        thread = threading.Thread(target=lambda: size.append(len(next(stream))))
        thread.start()
        thread.join()
        assert sum(size) + sum(map(len, stream)) == 3_000_000


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_has_its_own_connection_and_free_locks() -> None:
    with SocketServer([answer()]) as server:
        release = threading.Event()
        held = threading.Event()

        def fetch() -> Token:
            if threading.current_thread() is holder:
                held.set()
                release.wait(5)
            return Token("value")

        token = CachedToken(fetch)
        holder = threading.Thread(target=token.authorization)
        with closing(client(server, auth=token)) as http, closing(client(server)) as plain:
            plain.request("GET", "/")
            holder.start()
            held.wait(5)
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    with within(Deadline(5)):
                        plain.request("GET", "/")
                        http.request("GET", "/")
                    status = 0
                finally:
                    os._exit(status)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            release.set()
            holder.join()
            plain.request("GET", "/")
    connections = [request.connection for request in server.requests]
    assert connections == [1, 2, 3, 1]


# --- credentials --------------------------------------------------------------------------------


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_token_is_renewed_once_by_many_threads() -> None:
    fetched: list[int] = []

    def fetch() -> Token:
        time.sleep(0.05)
        fetched.append(1)
        return Token(f"value-{len(fetched)}", expires_in_seconds=3600)

    def only_the_second(request: Request, connection: socket.socket) -> object:
        fine = request.headers["authorization"] == "Bearer value-2"
        return answer(200 if fine else 401)(request, connection)

    done: list[Response] = []

    def work(http: HttpClient) -> None:
        done.append(http.request("POST", "/", submission=True))
        http.close()

    with SocketServer([only_the_second]) as server:
        clients = [
            client(server, auth=CachedToken(fetch, shared_as=("many", server.url)))
            for _ in range(2)
        ]
        threads = [threading.Thread(target=work, args=(http,)) for http in clients * 8]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(done) == 16
    assert len(fetched) == 2
    assert len(server.requests) <= 32


@pytest.mark.parametrize(("lifetime", "early"), [(36_000, 3600), (3600, 360), (300, 150)])
def test_a_token_is_renewed_before_it_expires(lifetime: int, early: int) -> None:
    clock = Clock()
    number = itertools.count(1)
    token = CachedToken(lambda: Token(str(next(number)), expires_in_seconds=lifetime), clock=clock)
    used = lifetime - early
    seen = {}
    for clock.now in (0, used - 1, used + 1, 2 * used - 1, 2 * used + 2):
        seen[clock.now] = token.authorization()
    assert list(seen.values()) == ["Bearer 1", "Bearer 1", "Bearer 2", "Bearer 2", "Bearer 3"]


def test_a_token_without_an_end_is_not_renewed() -> None:
    clock = Clock()
    token = CachedToken(lambda: Token("for ever"), clock=clock)
    token.authorization()
    clock.now = 1e12
    assert token.authorization() == "Bearer for ever"


def test_others_use_the_old_token_while_one_renews_it_or_cannot() -> None:
    clock = Clock()
    fetching, go_on = threading.Event(), threading.Event()
    outcomes: Iterator[Any] = iter([Token("old", 1000), TransportError("down"), Token("new", 1000)])

    def fetch() -> Token:
        outcome = next(outcomes)
        if isinstance(outcome, QrmiError):
            fetching.set()
            go_on.wait(5)
            raise outcome
        return outcome  # type: ignore[no-any-return]

    token = CachedToken(fetch, clock=clock)
    token.authorization()
    clock.now = 950
    renewer = threading.Thread(target=token.authorization)
    renewer.start()
    fetching.wait(5)
    assert token.authorization() == "Bearer old"
    go_on.set()
    renewer.join()
    assert token.authorization() == "Bearer old"
    clock.now = 980
    assert token.authorization() == "Bearer new"


def test_a_token_refused_while_it_is_renewed_early_is_not_used_again() -> None:
    clock = Clock()
    tokens = iter(["old", "new"])

    def fetch() -> Token:
        token.refused("Bearer old")
        return Token(next(tokens), expires_in_seconds=1000)

    token = CachedToken(fetch, clock=clock)
    assert token.authorization() == "Bearer old"
    clock.now = 950
    assert token.authorization() == "Bearer new"


def test_waiting_for_another_threads_renewal_keeps_to_the_deadline() -> None:
    go_on = threading.Event()
    token = CachedToken(lambda: go_on.wait(5) and Token("value"))  # type: ignore[arg-type, return-value]
    holder = threading.Thread(target=token.authorization)
    holder.start()
    time.sleep(0.05)
    with within(Deadline(0.1)), pytest.raises(CallTimeoutError, match="access token"):
        token.authorization()
    go_on.set()
    holder.join()


def test_a_failed_renewal_leaves_no_doubt_about_the_submission_and_is_not_repeated() -> None:
    fetched = []

    def fetch() -> Token:
        fetched.append(1)
        raise ServiceError("IAM is down", uncertain=True, retryable=True)

    with (
        SocketServer([answer()]) as server,
        closing(client(server, auth=CachedToken(fetch))) as http,
        pytest.raises(ServiceError, match="IAM") as caught,
    ):
        http.request("POST", "/jobs", submission=True)
    assert not caught.value.uncertain
    assert len(fetched) == 1
    assert not server.requests


def test_a_fixed_credential_is_not_tried_twice() -> None:
    fixed = CachedToken(lambda: Token(SECRET, scheme="apikey"))
    with (
        SocketServer([answer(401)]) as server,
        closing(client(server, auth=fixed)) as http,
        pytest.raises(AuthenticationFailedError, match="check the credential"),
    ):
        http.request("GET", "/")
    assert len(server.requests) == 1
    assert server.requests[0].headers["authorization"] == f"apikey {SECRET}"


def test_credentials_stay_with_their_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login me password {SECRET}\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with SocketServer([answer()]) as vendor, SocketServer([answer(), answer()]) as storage:
        http = client(vendor, auth=CachedToken(lambda: Token("t")), headers={"Service-CRN": "crn"})
        with closing(http):
            http.request("GET", "/")
            http.request("GET", f"{storage.url}/object", headers={"X-Own": "1"})
            list(http.stream(f"{storage.url}/object"))
    assert vendor.requests[0].headers["authorization"] == "Bearer t"
    for request in storage.requests:
        assert not {"authorization", "service-crn"} & set(request.headers)
        assert request.headers["user-agent"].startswith("qrmi-core/")
    assert storage.requests[0].headers["x-own"] == "1"


def everything(error: BaseException | None) -> str:
    """Return every text that a traceback of an error could show."""
    text = ""
    while error is not None:
        text += f"{error} {error!r} {vars(error)} {getattr(error, '__notes__', '')}\n"
        error = error.__cause__ or error.__context__
    return text


@pytest.mark.parametrize(
    "failure",
    [reset(), stall(), *(answer(code) for code in (200, 302, 400, 401, 404, 500))],
)
def test_no_secret_is_logged_or_in_an_error(
    failure: Behaviour, caplog: pytest.LogCaptureFixture
) -> None:
    def echo(request: Request, connection: socket.socket) -> object:
        """Return the failure with the whole request in its message."""
        if failure.__qualname__.startswith("answer"):
            said = f"{request.target} {request.headers} {request.body!r} {'x' * 60}".encode()
            connection.sendall(b"")
            status = dict(zip(failure.__code__.co_freevars, failure.__closure__ or (), strict=True))
            code = status["status"].cell_contents
            return answer(code, said, {"Location": f"/?{SECRET}"})(request, connection)
        return failure(request, connection)

    caplog.set_level(logging.DEBUG)
    token = CachedToken(lambda: Token(f"{SECRET}-token"), shared_as=("endpoint", SECRET))
    with (
        SocketServer([echo]) as server,
        closing(client(server, auth=token, settings=QUICK)) as http,
    ):
        with pytest.raises(QrmiError) as caught:
            http.request(
                "PUT",
                f"/x/{SECRET}?X-Amz-Signature={SECRET}",
                params={"token": SECRET},
                headers={"X-Munge-Cred": SECRET},
                data={"password": SECRET},
            ).json()
        with pytest.raises(QrmiError) as other:
            list(http.stream(f"http://127.0.0.1:{free_port()}/?X-Amz-Signature={SECRET}"))
    assert caplog.records
    shown = [record.getMessage() + str(record.__dict__) for record in caplog.records]
    assert SECRET not in "".join(shown)
    assert "urllib3" in {record.name.partition(".")[0] for record in caplog.records}
    assert SECRET not in everything(caught.value)
    assert SECRET not in everything(other.value)
    assert SECRET not in f"{http!r} {token!r} {Token(SECRET)!r} {HttpSettings(proxy=SECRET)!r}"


def test_secrets_of_eight_characters_are_not_shown_wherever_they_were_sent() -> None:
    secrets = [f"s3cret-{number}" for number in range(4)]
    token, munge, password, signature = secrets
    script = [answer(400, "and".join(secrets).encode())]
    with (
        SocketServer(script) as server,
        closing(client(server, auth=StaticToken(token))) as http,
        pytest.raises(QrmiError) as caught,
    ):
        http.request(
            "PUT",
            "/x",
            params={"X-Amz-Signature": signature},
            headers={"X-Munge-Cred": munge},
            json={"password": password},
        )
    assert "***and***and***and***" in caught.value.message


def test_retries_are_logged_with_reason_and_pause(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "qrmi_core.http")
    script = [*statuses(500), *statuses(429, headers={"Retry-After": "8"}), answer()]
    with SocketServer(script) as server, closing(client(server)) as http:
        http.request("GET", "/")
    short, long = caplog.records
    assert re.search(r"500 Internal Server Error.*; trying again in 0\.\d s", short.getMessage())
    assert (short.levelname, long.levelname) == ("INFO", "WARNING")
    assert "429" in long.getMessage()


# --- Retry-After --------------------------------------------------------------------------------


@given(st.integers(0, 999_999_999))
def test_retry_after_in_seconds(seconds: int) -> None:
    assert retry_after_seconds({"Retry-After": f" {seconds} "}) == seconds


@given(
    st.datetimes(datetime.datetime(1971, 1, 1), datetime.datetime(2200, 1, 1)),
    st.integers(-100_000, 100_000),
    st.booleans(),
)
def test_retry_after_as_a_date(moment: datetime.datetime, seconds: int, dated: bool) -> None:
    moment = moment.replace(microsecond=0, tzinfo=datetime.UTC)
    until = moment + datetime.timedelta(seconds=seconds)
    headers = {"Retry-After": email.utils.format_datetime(until, usegmt=True)}
    if dated:
        headers["Date"] = email.utils.format_datetime(moment, usegmt=True)
    now = 0.0 if dated else moment.timestamp()
    assert retry_after_seconds(headers, lambda: now) == max(0, seconds)


@given(st.text(), st.text())
def test_nonsense_in_retry_after_is_harmless(text: str, date: str) -> None:
    found = retry_after_seconds({"Retry-After": text, "Date": date})
    assert found is None or found >= 0


def test_no_retry_after() -> None:
    assert retry_after_seconds({}) is None
    assert retry_after_seconds({"Retry-After": "soon"}) is None
    assert retry_after_seconds({"Retry-After": "9" * 5000}) is None
