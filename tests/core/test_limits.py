"""Time limits of a call and of a submission, with peers that use up every limit."""

from __future__ import annotations

import itertools
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import attrs
import pytest

from qrmi_core import (
    CallTimeoutError,
    QrmiError,
    QuantumResource,
    ResourceBusyError,
    SubmissionUncertainError,
    TaskInfo,
    TransportError,
    submission,
)
from qrmi_core.deadline import current
from qrmi_core.driver import Prepares
from qrmi_core.http.client import HttpClient
from qrmi_core.http.connections import SENT_BYTES
from qrmi_core.http.credentials import CachedToken, Token
from qrmi_core.http.settings import HttpSettings
from qrmi_core.testing import FakeClock, FakeVendor
from support.fakes import PAYLOAD, fake_resource
from support.socket_server import Behaviour, Request, SocketServer, answer, drip, reset, stall

SCALE = 100
"""Limits are this much shorter than by default."""
DEFAULT = HttpSettings()
SHORT = attrs.evolve(
    DEFAULT,
    **{
        name: getattr(DEFAULT, name) / SCALE
        for name in (
            "connect_timeout_seconds",
            "read_timeout_seconds",
            "transfer_timeout_seconds",
            "slow_seconds",
            "call_timeout_seconds",
            "first_pause_seconds",
        )
    },
)
SLACK = 0.4
ENDLESS = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
UNAUTHORIZED = ENDLESS.replace(b"200 OK", b"401 No")


def trickle(head: bytes = ENDLESS, size: int = 1) -> Behaviour:
    """Send a byte every 20 ms, far below the minimum rate, for 20 s."""
    return drip(head, itertools.repeat(b" " * size, 1000), 0.02)


def stream(head: bytes = ENDLESS) -> Behaviour:
    """Send 5 kB a second, above the minimum rate, for 20 s."""
    return trickle(head, 100)


def late(behaviour: Behaviour, default_seconds: float) -> Behaviour:
    """Wait a while, then behave in another way."""

    def behave(request: Request, connection: socket.socket) -> object:
        time.sleep(default_seconds / SCALE)
        return behaviour(request, connection)

    return behave


class Watch:
    """A check that a block ends within some seconds of the default limits."""

    def __init__(self, default_seconds: float) -> None:
        self.limit = default_seconds / SCALE + SLACK

    def __enter__(self) -> None:
        self.start = time.monotonic()

    def __exit__(self, *_: object) -> None:
        assert time.monotonic() - self.start < self.limit


PEERS: dict[str, Callable[[], Behaviour]] = {
    "silence": stall,
    "the head trickles": lambda: trickle(b"HTTP/1.1 200 OK\r\nX: "),
    "the body trickles": trickle,
    "an error's body trickles": lambda: trickle(ENDLESS.replace(b"200 OK", b"500 No")),
    "late, then the head trickles": lambda: late(trickle(b"HTTP/1.1 200 OK\r\nX: "), 25),
    "late, then the body trickles": lambda: late(trickle(), 55),
}


@pytest.mark.slow
@pytest.mark.parametrize("peer", PEERS.values(), ids=PEERS)
def test_no_call_takes_more_than_a_minute(peer: Callable[[], Behaviour]) -> None:
    with SocketServer([peer()]) as server, closing(HttpClient(server.url, settings=SHORT)) as http:
        with Watch(60), pytest.raises(QrmiError):
            http.request("GET", "/jobs")
        with Watch(60), pytest.raises(QrmiError):
            http.request("POST", "/sessions")


@pytest.mark.slow
@pytest.mark.parametrize("peer", PEERS.values(), ids=PEERS)
@pytest.mark.parametrize("first", [answer(401), answer(429), trickle(UNAUTHORIZED)])
def test_no_submission_takes_more_than_250_seconds(
    first: Behaviour, peer: Callable[[], Behaviour]
) -> None:
    def fetch() -> Token:
        tokens.request("POST", "/token", idempotent=True)
        return Token("value")

    with (
        SocketServer([late(first, 55), peer()]) as server,
        SocketServer([late(answer(), 25)]) as vendor,
    ):
        http = HttpClient(server.url, settings=SHORT, auth=CachedToken(fetch))
        tokens = HttpClient(vendor.url, settings=SHORT)
        with closing(http), closing(tokens), Watch(250), pytest.raises(QrmiError):
            http.request("POST", "/jobs", json={}, submission=True)
        assert server.requests


@pytest.mark.parametrize(
    ("peer", "seconds"),
    [
        (stall, 60),
        (stream, 60),
        (lambda: stream(b"HTTP/1.1 200 OK\r\nX: "), 60),
        (lambda: late(trickle(), 30), 90),
    ],
    ids=["silence", "an endless body", "an endless head", "late, then the body trickles"],
)
def test_a_submission_is_aborted_after_a_minute_before_or_in_the_response(
    peer: Callable[[], Behaviour], seconds: float
) -> None:
    with SocketServer([peer()]) as server, closing(HttpClient(server.url, settings=SHORT)) as http:
        with Watch(seconds), pytest.raises(CallTimeoutError) as caught:
            http.request("POST", "/jobs", json={}, submission=True)
        assert len(server.requests) == 1
    assert caught.value.uncertain


def test_a_credential_is_not_renewed_when_the_time_for_the_call_is_up() -> None:
    renewed = []
    auth = CachedToken(lambda: renewed.append(1) or Token("value"))  # type: ignore[func-returns-value]
    settings = attrs.evolve(SHORT, transfer_timeout_seconds=5.0)
    with SocketServer([late(answer(401), 70)]) as server:
        http = HttpClient(server.url, settings=settings, auth=auth)
        with closing(http), pytest.raises(QrmiError):
            http.request("POST", "/jobs", json={}, submission=True)
    assert len(renewed) == len(server.requests) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "peer", [trickle, lambda: trickle(b"HTTP/1.1 200 OK\r\nX: ")], ids=["body", "head"]
)
def test_a_result_that_trickles_is_aborted_after_a_minute_and_read_again(
    peer: Callable[[], Behaviour],
) -> None:
    class Driver(FakeVendor().driver()):  # type: ignore[misc]
        def task_result(self, _task_id: str) -> Iterator[bytes]:
            return http.stream("/result")

    script = [peer(), peer(), answer(200, b"42")]
    with SocketServer(script) as server, closing(HttpClient(server.url, settings=SHORT)) as http:
        task = QuantumResource("q", "fake", {}, driver_class=Driver).run(PAYLOAD)
        task.wait()
        with Watch(60 + 60 + 2 * 0.25 * SCALE):  # including the pauses, which are not shortened
            assert task.result().value == "42"
    assert len(server.requests) == 3


def test_a_slow_upload_is_not_taken_for_a_stalled_one() -> None:
    assert SENT_BYTES / DEFAULT.slow_bytes_per_second < DEFAULT.read_timeout_seconds


# --- submissions --------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("findable", [True, False])
def test_a_search_ends_in_time_however_the_vendor_trickles(
    monkeypatch: pytest.MonkeyPatch, findable: bool
) -> None:
    monkeypatch.setattr(submission, "SEARCH_SECONDS", 0.4)

    class Driver(FakeVendor().driver()):  # type: ignore[misc]
        def task_start(self, _payload: object, **_how: object) -> str:
            return http.request("POST", "/jobs", json={}, submission=True).created_id()

        def task_list(self) -> Iterator[TaskInfo]:
            for page in itertools.count():
                http.request("GET", f"/jobs?page={page}")
                yield TaskInfo(f"task-{page}")

    def find(_self: object, _tag: str) -> str:
        return http.request("GET", "/jobs").created_id()

    if findable:
        Driver.find_submission = find
    pages = [answer(200, {}), trickle()]
    with (
        SocketServer([reset(), *(pages if findable else [*pages, trickle()])]) as server,
        closing(HttpClient(server.url)) as http,
    ):
        qpu = QuantumResource("q", "fake", {}, driver_class=Driver)
        start = time.monotonic()
        with pytest.raises(SubmissionUncertainError):
            qpu.task_start(PAYLOAD, timeout=0.3)
        assert 0.65 < time.monotonic() - start < 0.7 + SLACK
        assert len(server.requests) >= 3


class Slow:
    """A vendor whose calls last until the deadline, and whose responses are lost.

    Args:
        seconds: Duration of each call without a deadline.
    """

    def __init__(self, seconds: dict[str, float], **how: bool) -> None:
        self.clock = FakeClock()
        self.vendor = FakeVendor(on_call=self.spend)
        self.vendor.faults["task_start"] = [TransportError("reset", uncertain=True)] * 99
        self.vendor.faults["find_submission"] = [TransportError("reset")] * 99
        self.seconds = seconds
        self.resource = fake_resource(self.vendor, self.clock, **how)

    def spend(self, function: str) -> None:
        self.clock.advance(current().clip(self.seconds.get(function, 0.0)))

    def start(self, timeout: float | None) -> float:
        start = self.clock()
        with pytest.raises(SubmissionUncertainError):
            self.resource.task_start(PAYLOAD, timeout)
        return self.clock() - start


@pytest.mark.parametrize("seconds", [60.0, 100.0, 200.0, 245.0])
@pytest.mark.parametrize("timeout", [None, 0])
def test_a_submission_without_a_timeout_ends_with_its_repetitions(
    seconds: float, timeout: float | None
) -> None:
    slow = Slow({"task_start": seconds}, chooses_ids=True)
    assert seconds <= slow.start(timeout) <= 250
    assert slow.vendor.calls["task_start"] == (4 if seconds == 60 else 1 + int(250 // seconds))


@pytest.mark.parametrize(("timeout", "end"), [(None, 280), (0, 280), (5, 35), (400, 430)])
def test_a_search_has_one_bound(timeout: float | None, end: float) -> None:
    slow = Slow({"find_submission": 100, "task_list": 100}, findable=True)
    assert slow.start(timeout) <= end + 0.01


def test_a_search_has_its_time_after_a_submission_that_took_longer_than_any() -> None:
    slow = Slow({"task_start": 1000, "find_submission": 7}, findable=True)
    assert slow.start(None) <= 1030
    assert slow.vendor.calls["find_submission"] == 4


def test_each_wait_for_a_slot_has_a_submission_of_its_own() -> None:
    slow = Slow({"task_start": 10}, findable=True)
    lost = TransportError("reset", uncertain=True)
    busy = [ResourceBusyError("full") for _ in range(60)]
    slow.vendor.faults["task_start"] = [lost, *busy, lost]
    slow.vendor.faults["find_submission"] = []
    assert slow.resource.task_start(PAYLOAD) in slow.vendor.tasks
    assert slow.clock() > 600
    assert slow.vendor.calls["task_start"] == 63


def test_cleaning_up_is_part_of_the_search() -> None:
    slow = Slow({"task_list": 100})
    left: list[float | None] = []

    class Uploading(slow.vendor.driver(), Prepares):  # type: ignore[misc]
        def give_up(self, submission: str) -> None:
            left.append(current().remaining())

    slow.resource = QuantumResource(
        "q", "fake", {}, driver_class=Uploading, clock=slow.clock, sleep=slow.clock.sleep
    )
    assert slow.start(5) <= 35
    assert left == [0.0]
