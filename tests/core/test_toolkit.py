"""The toolkit for drivers: readers of responses, ids in paths, URLs, errors, redaction, files."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from hypothesis import example, given, strategies as st

from qrmi_core import errors
from qrmi_core.plugin import (
    ConfigError,
    InvalidResponseError,
    NotAcquiredError,
    Observation,
    QrmiError,
    Redactor,
    ResourceBusyError,
    Response,
    ServiceError,
    StaticToken,
    TaskNotFoundError,
    TaskStatus,
    is_secret,
    join_documents,
    lock_file,
    missing_result,
    path_segment,
    read_count,
    read_number,
    read_object,
    read_text,
    read_time,
    recast,
    replace_file,
    to_url,
)
from qrmi_core.urls import origin

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
_HUGE = 10**5000


def response(body: object, status: int = 200) -> Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response("POST https://quantum.example/v1/x (via proxy http://p:1)", status, {}, content)


# --- readers ------------------------------------------------------------------------------------


@given(_JSON)
@example(_HUGE)
@example(2**53 + 1)
@example("9999-12-31T23:59:59-23:59")
@example("0001-01-01T00:00:00+23:59")
def test_whatever_a_member_is_reading_it_does_not_fail(value: object) -> None:
    assert read_text(value) is None or isinstance(value, str | int)
    assert read_count(value) is None or value == read_count(value)
    # The nearest float.
    assert (number := read_number(value)) is None or value == pytest.approx(number, rel=1e-15)
    assert read_time(value) is None or isinstance(value, str)
    assert read_object({"it": value}, "it") == (value if isinstance(value, dict) else {})


@pytest.mark.parametrize("value", [True, None, [], {}, "", 1.5, pytest.param(_HUGE, id="huge")])
def test_what_is_not_a_text_is_none(value: object) -> None:
    assert read_text(value) is None


@pytest.mark.parametrize(
    "value", [True, None, "1", float("nan"), float("inf"), pytest.param(_HUGE, id="huge")]
)
def test_what_is_not_a_number_is_none(value: object) -> None:
    assert read_number(value) is None
    assert read_count(value) is None or value == _HUGE


def test_codes_may_be_numbers() -> None:
    assert (read_text(1352), read_text("1352"), read_count(0), read_number(3)) == (
        *("1352", "1352"),
        0,
        3.0,
    )
    assert read_count(-1) is None


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("2026-01-01T12:00:00.000001Z", 0),
        ("2026-01-01T12:00:00.000001+02:00", 2),
        ("2026-01-01T12:00:00.000001", 0),
    ],
)
def test_a_time_has_a_zone(text: str, hours: int) -> None:
    expected = datetime(2026, 1, 1, 12, 0, 0, 1, tzinfo=UTC) - timedelta(hours=hours)
    found = read_time(text)
    assert found == expected
    assert found is not None
    assert found.tzinfo is UTC


# --- bodies -------------------------------------------------------------------------------------


@given(_JSON.filter(lambda value: not isinstance(value, dict)))
def test_what_is_no_object_is_an_error(value: object) -> None:
    with pytest.raises(InvalidResponseError, match="the response is not an object"):
        response(value).object()


def test_objects_lists_and_texts_are_found_by_their_keys() -> None:
    body = {"data": {"jobs": [{"id": 1}], "name": "n", "empty": "", "mixed": [{}, 1]}}
    assert response(body).object("data")["name"] == "n"
    assert response(body).items("data", "jobs") == [{"id": 1}]
    assert response([{"id": 2}]).items() == [{"id": 2}]
    assert response(body).text("data", "name") == "n"
    for read, keys in (
        (Response.object, ("data", "name", "x")),
        (Response.items, ("data", "name")),
        (Response.items, ("data", "mixed")),
        (Response.items, ("missing",)),
        (Response.text, ("data", "empty")),
        (Response.text, ("data", "jobs")),
    ):
        with pytest.raises(InvalidResponseError, match=f"`{'.'.join(keys)}` of the resp") as caught:
            read(response(body, 201), *keys)
        assert caught.value.status_code == 201
        assert not caught.value.uncertain


def test_the_id_of_what_was_created() -> None:
    assert response({"id": "a"}).created_id() == "a"
    assert response({"id": 7}).created_id(kind=int) == "7"
    assert response({"data": {"uid": "b"}}).created_id("data", "uid") == "b"


@pytest.mark.parametrize(
    "body", [b"<html>", {}, {"id": None}, {"id": ""}, {"id": True}, {"id": 1.5}, [], "id"]
)
def test_a_lost_id_leaves_the_submission_uncertain(body: object) -> None:
    for kind in (str, int):
        with pytest.raises(InvalidResponseError) as caught:
            response(body).created_id(kind=kind)  # type: ignore[arg-type]
        assert caught.value.uncertain


def test_the_request_of_a_response_is_known_also_through_a_proxy() -> None:
    assert response({}).method == "POST"
    assert response({}).path == "/v1/x"


def test_a_target_is_two_documents_as_they_came() -> None:
    both = join_documents(configuration=response(b'{"a":  1}'), properties=response(b"[]"))
    assert both == b'{"configuration":{"a":  1},"properties":[]}'
    assert join_documents(a=response(b"{}"), b=None) == b'{"a":{},"b":null}'
    assert join_documents(a=response(b'\xef\xbb\xbf{"b": 1}\n')) == b'{"a":{"b": 1}}'


@pytest.mark.parametrize("body", [b"<html>", b'{"a": 1', b'{"a": [1]', b'["a"', b"", b"tru", b"}"])
def test_a_document_that_does_not_end_as_it_begins_is_not_joined(body: bytes) -> None:
    with pytest.raises(InvalidResponseError, match="is not JSON"):
        join_documents(a=response(b"{}"), b=response(body))


@pytest.mark.parametrize("body", [b" {}\n", b"[1]\r\n", b"null", b'"text"', b"-1.5"])
def test_any_json_is_joined(body: bytes) -> None:
    assert json.loads(join_documents(a=response(body)))["a"] == json.loads(body)


def test_a_large_document_is_joined_without_parsing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json, "loads", None)
    assert join_documents(a=response(b'{"a": 1}')) == b'{"a":{"a": 1}}'


# --- ids and URLs -------------------------------------------------------------------------------


@given(st.text(min_size=1).filter(lambda text: text.strip(".")))
def test_an_id_is_one_segment(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        with pytest.raises(TaskNotFoundError):
            path_segment(text)
        return
    segment = path_segment(text)
    assert not set(segment) & set("/?#\\ ")
    assert segment.isprintable()
    assert unquote(segment) == text


@pytest.mark.parametrize("text", [".", "..", "...", "", "\ud800"])
def test_an_id_that_means_another_address_is_unknown(text: str) -> None:
    with pytest.raises(TaskNotFoundError, match="is not the id of a task"):
        path_segment(text)
    with pytest.raises(NotAcquiredError, match="is not the id of a resource"):
        path_segment(text, NotAcquiredError)


def test_an_origin_without_a_port_has_that_of_its_scheme() -> None:
    assert origin("https://H/x?y") == origin("https://h:443") == ("https", "h", 443)
    assert origin("http://h") == origin("HTTP://h:80/") == ("http", "h", 80)
    assert origin("https://h:8443") != origin("https://h") != origin("http://h:443")


def test_an_address_of_settings() -> None:
    assert to_url(" https://h/x// ") == "https://h/x"
    for text in ("https://h?s3cret", "https://h/#s3cret", "https://me:s3cret@h", "h?s3cret", ""):
        with pytest.raises(ConfigError) as caught:
            to_url(text)
        assert "s3cret" not in str(caught.value)


# --- errors -------------------------------------------------------------------------------------


def test_another_kind_of_error_keeps_everything() -> None:
    error = ServiceError(
        "no",
        resource_id="r",
        task_id="t1",
        status_code=500,
        vendor_code="c",
        request_id="q",
        retryable=True,
        retry_after=3.0,
        uncertain=True,
    )
    error.details["more"] = "words"
    other = recast(error, NotAcquiredError, "do this")
    assert type(other) is NotAcquiredError
    assert other.message == "no; do this"
    assert str(other) == "no; do this [resource r, task t1, code c, request q]"
    assert vars(other) == vars(error)
    assert recast(ServiceError("full"), ResourceBusyError).retryable


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (TaskStatus.Failed, errors.TaskFailedError, "task 1 failed: too hot"),
        (TaskStatus.Cancelled, errors.TaskCancelledError, "task 1 was cancelled: too hot"),
        (TaskStatus.Completed, errors.TaskNotReadyError, "its state is DONE"),
        (TaskStatus.Running, errors.TaskNotReadyError, "its state is DONE"),
        (None, errors.TaskNotReadyError, "its state is DONE"),
    ],
)
def test_a_task_without_a_result(
    status: TaskStatus | None, kind: type[QrmiError], words: str
) -> None:
    error = missing_result("1", Observation(status, "too hot", "E1", "DONE"))
    assert type(error) is kind
    assert words in error.message
    assert error.vendor_code == ("E1" if "too hot" in words else None)
    silent = missing_result("1", Observation(status), no_reason="its time was up")
    assert ("its time was up" in silent.message) == ("too hot" in words)


def test_a_static_token_shows_nothing() -> None:
    assert StaticToken("s3cret").authorization() == "Bearer s3cret"
    assert StaticToken("s3cret", scheme="").authorization() == "s3cret"
    assert "s3cret" not in repr(StaticToken("s3cret"))


# --- redaction ----------------------------------------------------------------------------------

_SECRET = st.text(st.characters(codec="ascii", min_codepoint=33), min_size=1, max_size=30)


@given(st.lists(_SECRET, min_size=1, max_size=4), st.text(max_size=20), st.text(max_size=20))
def test_no_secret_is_left_and_a_longer_one_goes_first(
    secrets: list[str], before: str, after: str
) -> None:
    redact = Redactor(secrets)
    long = [secret for secret in secrets if len(secret) >= 8 and set(secret) != {"*"}]
    for secret in long:
        shown = redact(f"{before} {secret} {after}")
        assert secret not in shown.replace("***", "") or secret in f"{before} {after}"


def test_of_secrets_that_contain_each_other_nothing_is_left() -> None:
    redact = Redactor(["abcdefgh", "abcdefgh12345678"])
    assert redact("x abcdefgh12345678 abcdefgh") == "x *** ***"


def test_a_short_secret_is_redacted_where_it_stands_alone() -> None:
    assert Redactor(["pw"])("password 'pw' refused, pw=pw") == "password '***' refused, ***=***"


@pytest.mark.parametrize("secret", ["s3cr/t:8", "s3cret-789", "s3cret-" * 20])
def test_a_secret_of_eight_characters_or_more_is_redacted_within_words(secret: str) -> None:
    assert Redactor([secret])(f"x{secret}y {secret}1") == "x***y ***1"


@pytest.mark.parametrize("secret", ["two  blanks", "line 1\nline 2\n", "with\ttab", 'quo"te/d é'])
def test_a_secret_of_any_characters_is_redacted_in_an_excerpt(secret: str) -> None:
    forms = [secret, json.dumps(secret)[1:-1], quote(secret), " ".join(secret.split())]
    for form in forms:
        assert Redactor([secret]).excerpt(f"key {form} was refused") == "key *** was refused"


def test_a_secret_is_redacted_where_it_is_percent_encoded() -> None:
    assert Redactor(["s3cr/t:of us"])("?s3cr%2Ft%3Aof%20us") == "?***"


@given(st.text())
def test_an_excerpt_is_one_printable_line_of_limited_length(text: str) -> None:
    shown = Redactor(["password"]).excerpt(text, 20)
    assert shown.isprintable()
    assert len(shown) <= 23


@pytest.mark.parametrize(
    "name",
    [
        *("Authorization", "Proxy-Authorization", "X-Auth-Token", "X-Munge-Cred", "X-API-Key"),
        *("apikey", "password", "client_secret", "client_assertion", "X-Amz-Signature", "sig"),
        *("X-Amz-Credential", "Cookie", "X-Warden-Session", "QRMI_IBM_QS_AWS_ACCESS_KEY_ID"),
        *("QRMI_IBM_QCS_IAM_APIKEY", "QRMI_JOB_ACQUISITION_TOKEN", "QRMI_IBM_QCS_SESSION_ID"),
        *("X-Session-Id", "X-Key-File"),
    ],
)
def test_names_of_secrets(name: str) -> None:
    assert is_secret(name)
    assert is_secret(name.upper())
    assert not is_secret(f"{name}_FILE")


@pytest.mark.parametrize(
    "name",
    [
        *("Service-CRN", "Accept", "username", "QRMI_IBM_QCS_SESSION_MODE", "design", "grant_type"),
        *("QRMI_PASQAL_CLOUD_AUTH_ENDPOINT", "QRMI_HTTP_CLIENT_KEY", "passes", "signal", "author"),
    ],
)
def test_names_of_what_is_not_secret(name: str) -> None:
    assert not is_secret(name)


# --- files --------------------------------------------------------------------------------------


def test_a_file_is_replaced_whole_with_its_mode_and_a_link_itself(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"untouched")
    target = tmp_path / "file"
    target.symlink_to(other)
    for mode in (0o400, 0o640):
        replace_file(target, b"content", mode=mode, owner=(os.geteuid(), -1))
        assert target.read_bytes() == b"content"
        assert stat.S_IMODE(target.lstat().st_mode) == mode
    assert other.read_bytes() == b"untouched"
    assert sorted(tmp_path.iterdir()) == [target, other]
    with pytest.raises(OSError, match=str(tmp_path)):
        replace_file(tmp_path / "missing" / "file", b"")


def test_a_lock_of_a_file_has_one_holder_and_ends_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lock"
    held = lock_file(path)
    assert held is not None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert lock_file(path) is None
    os.close(held)
    held = lock_file(path)
    assert held is not None
    os.close(held)
    with pytest.raises(OSError, match="missing"):
        lock_file(tmp_path / "missing/lock")

    def without_locks(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", without_locks)
    before = os.listdir("/proc/self/fd")
    with pytest.raises(OSError, match="No locks available"):
        lock_file(path)
    assert os.listdir("/proc/self/fd") == before
