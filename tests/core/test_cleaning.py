"""Errors and logs: one line without secrets, whatever a vendor or driver returns."""

from __future__ import annotations

import copy
import logging
import pickle
import traceback
from contextlib import closing
from typing import Any

import attrs
import pytest

from qrmi_core import (
    CallTimeoutError,
    DriverDefectError,
    InvalidInputError,
    InvalidResponseError,
    Observation,
    QrmiError,
    QuantumResource,
    ResourceStatus,
    ServiceError,
    Settings,
    SubmissionUncertainError,
    TaskFailedError,
    TaskStatus,
    TransportError,
)
from qrmi_core.errors import recast
from qrmi_core.http.client import HttpClient
from qrmi_core.http.credentials import StaticToken
from qrmi_core.http.proxies import Proxy
from qrmi_core.http.response import Response
from qrmi_core.http.settings import HttpSettings
from qrmi_core.plugin import setting
from qrmi_core.redaction import Redactor
from qrmi_core.testing import FakeVendor
from support.fakes import PAYLOAD
from support.socket_server import Behaviour, SocketServer, answer, close

SECRET = "s3cr3t-of-the-user"
NOISE = f"\x1b[31m{SECRET}\r\n\t\x07" + "x" * 9000


def is_clean(text: str) -> bool:
    return text.isprintable() and SECRET not in text and len(text) < 2500


def client(server: SocketServer, **how: Any) -> HttpClient:
    settings = HttpSettings(attempts=1)
    return HttpClient(server.url, settings=settings, auth=StaticToken(SECRET), **how)


def raw(head: str, body: bytes = b"") -> Behaviour:
    return close(head.encode("latin-1") + b"\r\n\r\n" + body)


ECHOES = {
    "request id": answer(500, {}, {"X-Request-ID": f"{SECRET}\x1b[31m{'x' * 9000}"}),
    "content type": answer(200, b"no", {"Content-Type": f"{SECRET}\x1b[31m{'x' * 9000}"}),
    "status line": raw(f"HTTP/1.1 {SECRET}\x1b[31m"),
    "first line": raw(f"{SECRET}\x1b[31m{'x' * 9000}"),
    "phrase": raw(f"HTTP/1.1 500 {SECRET}\x1b[31m\r\nContent-Length: 0"),
    "body": answer(400, NOISE.encode()),
    "location": answer(302, b"", {"Location": f"https://{SECRET}.example/?x"}),
    "header that is none": raw(f"HTTP/1.1 500 No\r\n{SECRET}\x1b[31m\r\nContent-Length: 0"),
    "chunk": raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", f"{SECRET}\x07\r\n".encode()),
}


@pytest.mark.parametrize("behaviour", ECHOES.values(), ids=ECHOES)
def test_no_part_of_a_response_reaches_an_error_or_a_log_as_it_is(
    behaviour: Behaviour, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with (
        SocketServer([behaviour]) as server,
        closing(client(server)) as http,
        pytest.raises(QrmiError) as caught,
    ):
        http.request("GET", "/jobs").json()
    error = caught.value
    for text in (str(error), repr(error), str(error.request_id), *error.details.values()):
        assert is_clean(text)
    assert SECRET not in "".join(traceback.format_exception(error))
    for record in caplog.records:
        assert is_clean(record.getMessage())
        assert record.exc_info is None


@pytest.mark.parametrize(
    "form",
    [
        *("w/rd &<'ö\\", "w%2Frd%20%26%3C%27%C3%B6%5C", "w%2frd+%26%3c%27%c3%b6%5c"),
        *("w\\/rd &<'\\u00f6\\\\", "w/rd &<'ö\\\\", "w/rd &amp;&lt;&#x27;ö\\"),
    ],
)
def test_a_secret_is_redacted_in_every_form_that_a_response_may_give_it(form: str) -> None:
    assert Redactor(["w/rd &<'ö\\"])(f"it was {form}!") == "it was ***!"


@pytest.mark.parametrize(
    "form",
    [
        *("a+b=c&lt;d&amp;e&quot;f&#39;g", "a+b=c&lt;d&amp;e&#34;f&#39;g"),
        *("a+b=c&lt;d&amp;e&quot;f&#039;g", "a+b=c&lt;d&amp;e&quot;f&apos;g"),
        "a+b=c&lt;d&amp;e\"f'g",
        r"a+b=c\u003cd\u0026e\"f'g",
        r"a+b\u003dc\u003cd\u0026e\"f\u0027g",
        r"a\u002Bb=c\u003Cd\u0026e\"f\u0027g",
    ],
)
def test_secrets_are_known_as_other_languages_write_them(form: str) -> None:
    assert Redactor(["a+b=c<d&e\"f'g"])(f"it was {form}!") == "it was ***!"


def test_an_encoded_credential_is_redacted_without_its_scheme() -> None:
    echo = answer(400, b"dXNlcjpwYXNz is wrong")
    with (
        SocketServer([echo]) as server,
        closing(HttpClient(server.url)) as http,
        pytest.raises(InvalidInputError, match=r"\*\*\* is wrong"),
    ):
        http.request("GET", "/", headers={"Authorization": "Basic dXNlcjpwYXNz"})


def test_what_a_proxy_says_of_a_tunnel_is_cleaned() -> None:
    said = raw(f"HTTP/1.1 502 {SECRET}\x1b[31m{'x' * 9000}\r\nContent-Length: 0")
    with SocketServer([said]) as server:
        settings = HttpSettings(attempts=1, proxy=f"http://me:{SECRET}@127.0.0.1:{server.port}")
        http = HttpClient("https://vendor.example", settings=settings)
        with closing(http), pytest.raises(TransportError, match="Tunnel connection") as caught:
            http.request("GET", "/")
    assert is_clean(str(caught.value))


@pytest.mark.parametrize("user", [f"me:{SECRET}", SECRET])
def test_the_credentials_of_a_proxy_are_secrets(user: str) -> None:
    assert SECRET in Proxy(f"http://{user}@proxy.example:3128").secrets


@attrs.frozen(kw_only=True)
class KeySettings(Settings):
    key: str = setting("QRMI_FAKE_KEY", help="The key.", secret=True)


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (ServiceError(f"refused: {NOISE}", vendor_code=NOISE), ServiceError),
        (KeyError(NOISE), DriverDefectError),
        (ServiceError(7, request_id=[SECRET]), ServiceError),  # type: ignore[arg-type]
    ],
    ids=["error", "defect", "not text"],
)
def test_an_error_of_a_driver_is_cleaned_of_the_secrets_of_its_settings(
    raised: BaseException, kind: type[QrmiError]
) -> None:
    vendor = FakeVendor()
    vendor.faults["status"] = [raised]
    driver = type("D", (vendor.driver(),), {"settings_class": KeySettings})
    qpu = QuantumResource("q", "fake", {"QRMI_FAKE_KEY": SECRET}, driver_class=driver)
    with pytest.raises(kind) as caught:
        qpu.status()
    assert is_clean(str(caught.value))
    assert is_clean(repr(caught.value))
    assert caught.value.resource_id == "q"


def test_an_error_of_a_drivers_constructor_is_cleaned() -> None:
    class Refusing(FakeVendor().driver()):  # type: ignore[misc]
        settings_class = KeySettings

        def __init__(self, *_given: object) -> None:
            raise InvalidInputError(f"wrong: {NOISE}")

    with pytest.raises(InvalidInputError, match="wrong") as caught:
        QuantumResource("q", "fake", {"QRMI_FAKE_KEY": SECRET}, driver_class=Refusing)
    assert is_clean(str(caught.value))


@pytest.mark.parametrize("explicit", [True, False], ids=["cause", "context"])
@pytest.mark.parametrize("text", [f"http://me:{SECRET}@h", "https://h/?sig=1", "\x1b[31m", "down"])
def test_causes_and_notes_of_an_error_are_shown_if_they_are_clean(
    text: str, explicit: bool
) -> None:
    class Failing(FakeVendor().driver()):  # type: ignore[misc]
        settings_class = KeySettings

        def status(self) -> ResourceStatus:
            try:
                raise OSError(f"no route to {text}")
            except OSError as cause:
                error = TransportError("no connection")
                error.add_note(NOISE)
                if explicit:
                    raise error from cause
                raise error  # noqa: B904

    qpu = QuantumResource("q", "fake", {"QRMI_FAKE_KEY": SECRET}, driver_class=Failing)
    with pytest.raises(TransportError) as caught:
        qpu.status()
    assert is_clean(caught.value.__notes__[0])
    shown = "".join(traceback.format_exception(caught.value))
    assert SECRET not in shown
    assert ("no route to" in shown) == (text == "down")


def test_the_reason_of_a_failure_is_cleaned() -> None:
    failed = Observation(TaskStatus.Failed, reason=f"broken: {NOISE}")
    vendor = FakeVendor(reports=[failed])
    driver = type("D", (vendor.driver(),), {"settings_class": KeySettings})
    qpu = QuantumResource("q", "fake", {"QRMI_FAKE_KEY": SECRET}, driver_class=driver)
    with pytest.raises(TaskFailedError, match="broken") as caught:
        qpu.run(PAYLOAD).result()
    assert is_clean(str(caught.value))


# --- hooks --------------------------------------------------------------------------------------


def amended(**changes: Any) -> Any:
    def hook(_response: Response, error: QrmiError) -> None:
        for name, value in changes.items():
            setattr(error, name, value)

    return hook


def raising(error: BaseException) -> Any:
    def hook(_response: Response, _error: QrmiError) -> None:
        raise error

    return hook


HOOKS = {
    "no text": amended(message=7.5, details={1: [SECRET]}),
    "nothing": amended(message=None, details=None, args=()),
    "an object": amended(message=object(), vendor_code={}, task_id=[1], retryable="no"),
    "a key": amended(details={object(): "x", "y": {"z": SECRET}}),
    "notes": amended(__notes__=[object(), 7.5, NOISE]),
    "no notes": amended(__notes__=object()),
    "another answer": lambda _response, _error: "refused",
    "a class": lambda _response, _error: QrmiError,
    "defect": raising(KeyError(SECRET)),
    "no exception": raising(BaseException(SECRET)),
    "gateway": lambda response, _error: response.object("errors"),
}


@pytest.mark.parametrize("hook", HOOKS.values(), ids=HOOKS)
def test_whatever_a_hook_does_a_refusal_is_a_refusal(
    hook: Any, caplog: pytest.LogCaptureFixture
) -> None:
    class Driver(FakeVendor().driver()):  # type: ignore[misc]
        def task_start(self, _payload: object, **_how: object) -> str:
            return http.request("POST", "/jobs", json={}, submission=True).created_id()

    foreign = answer(400, {"gateway": "says no"})
    with SocketServer([foreign]) as server, closing(client(server, error=hook)) as http:
        qpu = QuantumResource("q", "fake", {}, driver_class=Driver)
        with pytest.raises(InvalidInputError) as caught:
            qpu.task_start(PAYLOAD)
    error = caught.value
    assert not isinstance(error, SubmissionUncertainError)
    assert (error.status_code, error.uncertain, len(server.requests)) == (400, False, 1)
    assert is_clean(str(error))
    assert error.message
    notes = getattr(error, "__notes__", [])
    assert all(isinstance(text, str) for text in (*error.details.values(), *notes))
    assert all(map(is_clean, notes))
    assert "Traceback" not in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize("how", ["returned", "raised"])
def test_an_error_that_a_hook_raises_counts_like_one_that_it_returns(how: str) -> None:
    def hook(_response: Response, _error: QrmiError) -> QrmiError:
        other = ServiceError(NOISE, vendor_code="E7", uncertain=True)
        if how == "raised":
            raise other
        return other

    with (
        SocketServer([answer(400, {}, {"X-Request-ID": "r-1"})]) as server,
        closing(client(server, error=hook)) as http,
        pytest.raises(ServiceError) as caught,
    ):
        http.request("POST", "/jobs", submission=True)
    error = caught.value
    assert (error.status_code, error.vendor_code, error.request_id) == (400, "E7", "r-1")
    assert not error.uncertain
    assert is_clean(str(error))


def test_a_hook_that_leaves_no_text_does_not_stop_retries() -> None:
    with SocketServer([answer(500), answer(200)]) as server:
        http = HttpClient(server.url, error=amended(message=7.5), sleep=lambda _seconds: None)
        with closing(http):
            assert http.request("GET", "/").json() == {}


# --- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [ServiceError, CallTimeoutError, InvalidResponseError])
def test_repr_and_str_show_a_message_that_was_amended(kind: type[QrmiError]) -> None:
    error = kind("it failed", task_id="t1")
    error.message += "; try later"
    for shown in (error, copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert str(shown) == "it failed; try later [task t1]"
        assert "it failed; try later" in repr(shown)


def test_an_error_of_another_kind_keeps_what_the_first_one_knew() -> None:
    error = ServiceError(
        "no", resource_id="r", task_id="t", uncertain=True, retryable=True, retry_after=3.0
    )
    error.add_note("seen at noon")
    new = recast(error, InvalidInputError)
    assert vars(new) == vars(error)
    assert recast(ServiceError("no"), SubmissionUncertainError).uncertain
