"""The choice of a proxy, and errors that name it."""

from __future__ import annotations

import ipaddress
import itertools
import logging
import re
from contextlib import closing

import pytest
from hypothesis import given, strategies as st

from qrmi_core.errors import (
    PermissionDeniedError,
    QrmiError,
    ServiceError,
    TransportError,
)
from qrmi_core.http.client import HttpClient
from qrmi_core.http.proxies import Proxy, is_loopback, proxy_for
from qrmi_core.http.response import Response
from qrmi_core.http.settings import HttpSettings
from support.socket_server import SocketServer, answer, close

PASSWORD = "s3cr3t/of@the:user"
QUOTED = "s3cr3t%2Fof%40the%3Auser"
VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
LOOPBACK = [
    *("127.0.0.1", "127.3.2.1", "[::1]", "[::ffff:127.0.0.1]"),
    *("localhost", "LOCALHOST", "localhost.", "qpu.localhost"),
]
ELSEWHERE = ["10.0.0.1", "[2001:db8::1]", "vendor.example", "localhost.example", "notlocalhost"]


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove all proxies from the environment."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def refuse(_response: Response, error: QrmiError) -> QrmiError:
    """Return an authentication error, like drivers' hooks do for token requests."""
    error.message = "check the API key"
    return error


def request(url: str, proxy: str | None = None) -> Response:
    http = HttpClient(url, settings=HttpSettings(proxy=proxy), error=refuse, sleep=lambda _: None)
    with closing(http):
        return http.request("POST", "/token", data={"key": "value"}, idempotent=True)


# --- which proxy ---


@pytest.mark.parametrize("host", LOOPBACK)
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    "name", [f(name) for name in VARIABLES[:3] for f in (str.lower, str.upper)]
)
def test_loopback_is_never_reached_through_a_proxy(
    monkeypatch: pytest.MonkeyPatch, host: str, scheme: str, name: str
) -> None:
    monkeypatch.setenv(name, "http://proxy.invalid:3128")
    for others in ("", "other.example", "*"):
        monkeypatch.setenv("no_proxy", others)
        assert proxy_for(f"{scheme}://{host}:80/x", None) is None
    assert proxy_for(f"{scheme}://{host}/x", "http://proxy.invalid:3128") is None


@pytest.mark.parametrize("host", ELSEWHERE)
def test_other_hosts_are_reached_through_the_proxy_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("all_proxy", "http://all.invalid:1")
    monkeypatch.setenv("https_proxy", "http://tls.invalid:2")
    found = [proxy_for(f"{scheme}://{host}/x", None) for scheme in ("http", "https")]
    assert [proxy and proxy.address for proxy in found] == [
        "http://all.invalid:1",
        "http://tls.invalid:2",
    ]
    for others in ("*", host.strip("[]")):
        monkeypatch.setenv("no_proxy", others)
        assert proxy_for(f"https://{host}/x", None) is None
    set_for_all = proxy_for(f"https://{host}/x", "http://set.invalid:3")
    assert set_for_all
    assert set_for_all.address == "http://set.invalid:3"


@given(st.ip_addresses())
def test_an_address_is_loopback_as_python_says(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    # Only newer versions of Python check the mapped address.
    assert (
        is_loopback(str(address)) == (getattr(address, "ipv4_mapped", None) or address).is_loopback
    )


@given(st.text())
def test_any_name_of_a_host_is_loopback_or_not(text: str) -> None:
    assert is_loopback(text) in (True, False)


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_requests_to_loopback_do_not_reach_the_proxy(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with SocketServer([answer(403)]) as proxy, SocketServer([answer()]) as vendor:
        monkeypatch.setenv(name, proxy.url)
        assert request(vendor.url).json() == {}
        assert request(vendor.url.replace("127.0.0.1", "localhost"), proxy.url).json() == {}
        assert not proxy.requests


def test_requests_to_others_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with SocketServer([answer()]) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert request("http://vendor.invalid").json() == {}
        assert proxy.requests[0].target == "http://vendor.invalid/token"


# --- what errors say ---

PAGE = b"<html><title>Denied by the site</title></html>"


@pytest.mark.parametrize("explicit", [True, False])
@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (403, "ask the proxy's administrator to allow vendor.invalid, or "),
        (407, "check the user and password of the proxy "),
        (502, "check the proxy "),
        (503, "check the proxy "),
        (504, "check the proxy "),
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_what_a_proxy_refuses_names_the_proxy_and_blames_no_credential(
    monkeypatch: pytest.MonkeyPatch, scheme: str, status: int, advice: str, explicit: bool
) -> None:
    with SocketServer([answer(status, PAGE)]) as proxy:
        url = proxy.url.replace("//", f"//ada:{QUOTED}@")
        if not explicit:
            monkeypatch.setenv(f"{scheme}_proxy", url)
        with pytest.raises(QrmiError) as caught:
            request(f"{scheme}://vendor.invalid", url if explicit else None)
        told = str(caught.value)
        assert f"(via proxy {proxy.url})" in told
        assert advice in told
        assert ("QRMI_HTTP_PROXY" if explicit else f"{scheme}_proxy") in told or status == 403
        assert str(status) in told
        assert "API key" not in told
        assert caught.value.retryable is (status not in (403, 407))
        assert len(proxy.requests) == (1 if status in (403, 407) else HttpSettings().attempts)
        assert "proxy-authorization" in proxy.requests[0].headers
        assert not leaks(told, repr(caught.value), repr(caught.value.__cause__))


def test_what_the_service_answers_through_a_proxy_is_the_services(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with SocketServer([answer(403, {"error": "wrong key"})]) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        with pytest.raises(PermissionDeniedError, match="check the API key"):
            request("http://vendor.invalid")
    with SocketServer([answer(500, PAGE)]) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        with pytest.raises(ServiceError, match="check the API key"):
            request("http://vendor.invalid")


def test_a_page_without_a_proxy_is_the_drivers_to_explain() -> None:
    with (
        SocketServer([answer(403, PAGE)]) as server,
        pytest.raises(PermissionDeniedError, match="check the API key"),
    ):
        request(server.url)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    with SocketServer([answer()]) as proxy:
        port = proxy.port
    monkeypatch.setenv(f"{scheme}_proxy", f"http://ada:{QUOTED}@127.0.0.1:{port}")
    with pytest.raises(TransportError, match="to the proxy .*refused") as caught:
        request(f"{scheme}://vendor.invalid")
    assert f"via proxy http://127.0.0.1:{port}" in str(caught.value)
    assert f"check the proxy ({scheme}_proxy)" in str(caught.value)
    assert caught.value.retryable
    assert not leaks(str(caught.value), repr(caught.value.__cause__))


def test_a_proxy_that_hangs_up_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for scheme in ("http", "https"):
        with SocketServer([close()]) as proxy:
            monkeypatch.setenv(f"{scheme}_proxy", proxy.url)
            with pytest.raises(TransportError, match=re.escape(f"via proxy {proxy.url}")):
                request(f"{scheme}://vendor.invalid")


def leaks(*texts: str) -> bool:
    return any(PASSWORD in text or QUOTED in text or "ada" in text for text in texts)


@pytest.mark.parametrize(
    "url",
    [
        f"http://ada:{QUOTED}@proxy.invalid:notaport",
        f"http://ada:{PASSWORD}@proxy.invalid:3128",
        f"ada:{QUOTED}@proxy.invalid:3128",
        f"socks5://ada:{QUOTED}@proxy.invalid:3128",
        f"http://ada:{QUOTED}@[::1",
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_cannot_be_used_shows_no_password(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, scheme: str, url: str
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv(f"{scheme}_proxy", url)
    with pytest.raises(QrmiError) as caught:
        request(f"{scheme}://vendor.invalid")
    assert "proxy" in str(caught.value)
    causes = [caught.value, caught.value.__cause__, caught.value.__context__]
    assert not leaks(caplog.text, *map(str, causes), *map(repr, causes))


def test_a_password_that_a_proxy_repeats_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    said = f"no such user: ada with {PASSWORD}".encode()
    with SocketServer([answer(407, said)]) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("//", f"//ada:{QUOTED}@"))
        with pytest.raises(TransportError) as caught:
            request("http://vendor.invalid")
    assert PASSWORD not in str(caught.value)


def test_logs_name_the_proxy_without_its_password(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with SocketServer([answer(502), answer(), answer(407)]) as proxy:
        for scheme in ("http", "https"):
            url = proxy.url.replace("//", f"//ada:{QUOTED}@")
            monkeypatch.setenv(f"{scheme}_proxy", url)
        assert request("http://vendor.invalid").status_code == 200
        with pytest.raises(TransportError):
            request("https://vendor.invalid")
    assert f"via proxy {proxy.url}" in caplog.text
    assert not leaks(caplog.text)


LETTERS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=4)


@given(
    st.sampled_from(["http://", "https://", "socks5h://", ""]),
    LETTERS.filter(lambda text: ":" not in text),
    LETTERS.filter(lambda text: not text.startswith("//")),
    st.sampled_from(["proxy.example:3128", "[::1]:80", "10.0.0.1", "proxy.example:8/path?q#f"]),
)
def test_a_proxys_address_and_repr_never_show_its_user(
    scheme: str, user: str, password: str, host: str
) -> None:
    proxy = Proxy(f"{scheme}{user}:{password}@{host}")
    plain = Proxy(f"{scheme}{host}")
    assert proxy.address == plain.address
    assert repr(proxy) == repr(plain)
    assert password in proxy.secrets
    for status, url in itertools.product((None, 403, 407, 502), ("http://a.b", "https://a.b:1/c")):
        assert proxy.advice(status, url) == plain.advice(status, url)
