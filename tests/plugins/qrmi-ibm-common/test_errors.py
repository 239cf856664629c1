"""IBM's error bodies, in all their forms."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from qrmi_core.errors import AuthenticationFailedError, QrmiError, ServiceError
from qrmi_core.http.refusals import explain
from qrmi_core.plugin import Redactor, Response, recast
from qrmi_ibm_common import describe

CALL = "GET https://quantum.example/api/v1/jobs/d1"


def described(body: Any, status: int = 400) -> QrmiError:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    error = ServiceError("as the core has it", status_code=status)
    return explain(describe, Response(CALL, status, {}, content), error, Redactor())


@pytest.mark.parametrize("code", [1352, "1352"])
def test_the_services_form_with_its_code_as_number_or_text(code: object) -> None:
    problem = {
        "code": code,
        "message": "You are not authorized to run a session.",
        "solution": "Create an instance of another plan.",
        "more_info": "https://docs.example/errors#1352",
    }
    error = described({"errors": [problem], "trace": "7c1e"})
    assert (
        error.message == f"{CALL}: 400: You are not authorized to run a session; Create an "
        "instance of another plan. (see https://docs.example/errors#1352)"
    )
    assert (error.vendor_code, error.request_id) == ("1352", "7c1e")
    assert error.details == {
        "solution": "Create an instance of another plan.",
        "more_info": "https://docs.example/errors#1352",
        "trace": "7c1e",
    }


def test_several_problems_are_all_told_and_the_first_one_counts() -> None:
    problems = [{"code": 1204, "message": "too many tags"}, {"code": 1205, "message": "too long"}]
    error = described({"errors": problems})
    assert error.message.endswith("400: too many tags; too long")
    assert error.vendor_code == "1204"


def test_iams_form() -> None:
    error = described(
        {
            "errorCode": "BXNIM0415E",
            "errorMessage": "Provided API key could not be found.",
            "errorDetails": "It was deleted.",
            "context": {"requestId": "iam-1"},
        }
    )
    assert error.message.endswith("Provided API key could not be found: It was deleted")
    assert (error.vendor_code, error.request_id) == ("BXNIM0415E", "iam-1")


@pytest.mark.parametrize(
    ("body", "message", "code"),
    [
        ({"error": {"code": "not_found", "message": "Not Found"}}, "Not Found", "not_found"),
        ({"code": 404, "message": "Not Found"}, "Not Found", "404"),
        ({"errors": [{"title": "Not Found", "status_code": 404}]}, "Not Found", None),
        ({"errors": [{"message": "two\nlines\x07"}]}, "two lines", None),
        ({"error": "invalid_grant", "error_description": "expired"}, "expired", None),
    ],
)
def test_other_forms(body: object, message: str, code: str | None) -> None:
    error = described(body, 404)
    assert error.message == f"{CALL}: 404: {message}"
    assert error.vendor_code == code


@pytest.mark.parametrize(
    "body",
    [b"<html>bad gateway</html>", b"", b"null", b"[]", b"{}", b'{"errors": []}', b"\xff", b"1"],
)
def test_a_body_in_no_known_form_leaves_the_error_as_it_was(body: bytes) -> None:
    assert str(described(body)) == "as the core has it"


_NAMES = st.sampled_from(
    ["errors", "error", "code", "message", "solution", "trace", "context", "requestId", "errorCode"]
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(_JSON)
def test_any_json_is_taken(body: object) -> None:
    error = described(body)
    assert error.message
    assert error.message.isprintable()
    assert all(isinstance(value, str) for value in error.details.values())


@given(st.binary(max_size=50))
def test_any_body_is_taken(body: bytes) -> None:
    assert described(body).message


def test_an_error_of_another_kind_tells_the_same() -> None:
    error = described({"errors": [{"code": 1201, "message": "no", "solution": "x"}], "trace": "t"})
    new = recast(error, AuthenticationFailedError, "check the key")
    assert type(new) is AuthenticationFailedError
    assert new.message == f"{error.message}; check the key"
    for name in ("status_code", "vendor_code", "request_id", "details"):
        assert getattr(new, name) == getattr(error, name)
