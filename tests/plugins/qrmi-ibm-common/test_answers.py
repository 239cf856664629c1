"""Reading answers that are not as they should be."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, strategies as st

from qrmi_core.errors import ConfigError, InvalidResponseError, ServiceError, TaskNotFoundError
from qrmi_core.http import Response
from qrmi_ibm_common import (
    describe,
    is_number,
    job_path,
    member,
    target_of,
    to_count,
    to_object,
    to_text,
    to_time,
)
from qrmi_ibm_common.settings import check_url, to_url, to_version, to_word

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


def answer(content: bytes, status: int = 200) -> Response:
    return Response("GET https://quantum.example/x", status, {}, content)


@given(_JSON)
def test_whatever_a_member_is_reading_it_does_not_fail(value: object) -> None:
    assert to_text(value) is None or isinstance(value, str | int)
    assert to_count(value) is None or value == to_count(value)
    assert to_time(value) is None or isinstance(value, str)
    assert member({"it": value}, "it") == (value if isinstance(value, dict) else {})
    assert is_number(value) is (isinstance(value, int | float) and not isinstance(value, bool))


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
    assert to_time(text) == expected


@given(_JSON.filter(lambda value: not isinstance(value, dict)))
def test_what_is_no_object_is_an_error(value: object) -> None:
    with pytest.raises(InvalidResponseError, match="not a JSON object"):
        to_object(answer(json.dumps(value).encode()))


def test_a_target_is_two_documents_as_they_came() -> None:
    both = target_of(answer(b'{"a":  1}'), answer(b"[]"))
    assert both == b'{"configuration":{"a":  1},"properties":[]}'
    assert target_of(answer(b"{}"), None) == b'{"configuration":{},"properties":null}'
    with pytest.raises(InvalidResponseError):
        target_of(answer(b"{}"), answer(b"<html>"))


@given(st.text(min_size=1).filter(lambda text: text.strip(".") and "\ud800" not in text))
def test_an_id_is_one_segment(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    path = job_path(text)
    assert path.startswith("/jobs/")
    assert path.count("/") == 2
    assert not set(path) & set("?#")


@pytest.mark.parametrize("text", [".", "..", "...", ""])
def test_an_id_that_means_another_address_is_unknown(text: str) -> None:
    with pytest.raises(TaskNotFoundError):
        job_path(text)


def test_the_correlation_id_is_kept_and_asked_for_where_there_is_no_trace() -> None:
    problem = {"code": "1216", "message": "backend not found"}
    for trace, asked in (("t-1", "t-1"), ("", "c-1")):
        body = {"errors": [problem], "trace": trace, "correlation_id": "c-1"}
        error = ServiceError("404")
        describe(answer(json.dumps(body).encode(), 404), error)
        assert error.request_id == asked
        assert error.details["correlation_id"] == "c-1"


def test_settings() -> None:
    assert to_url(" https://h/x// ") == "https://h/x"
    assert to_word(" crn:v1:x ") == "crn:v1:x"
    assert to_version("2025-08-15") == "2025-08-15"
    for convert, text in ((to_word, "a b"), (to_word, "a\nb"), (to_version, "latest")):
        with pytest.raises(ValueError, match="^a "):
            convert(text)
    with pytest.raises(ConfigError, match="THE_KEY") as caught:
        check_url("THE_KEY", "https://h?secret")
    assert "secret" not in str(caught.value)
