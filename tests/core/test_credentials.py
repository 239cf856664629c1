"""Reading the token in an OAuth 2 server's answer."""

from __future__ import annotations

import json

import pytest

from qrmi_core import InvalidResponseError
from qrmi_core.http.credentials import Token, read_token
from qrmi_core.http.response import Response


def answer(body: object) -> Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response("POST https://auth.invalid/token", 200, {}, content)


@pytest.mark.parametrize(
    ("lifetime", "seconds"),
    [
        ({"expires_in": 60}, 60.0),
        ({"expires_in": True}, None),
        ({"expires_in": "60"}, None),
        ({}, None),
    ],
)
def test_a_token_and_its_lifetime(lifetime: dict[str, object], seconds: float | None) -> None:
    found = read_token(answer({"access_token": "a-token", **lifetime}), "")
    assert found == Token("a-token", expires_in_seconds=seconds)
    assert "a-token" not in repr(found)


@pytest.mark.parametrize(
    "body", [b'{"access_token": "secret', b"\xff", b"", [], "secret", {"access_token": ["secret"]}]
)
def test_an_answer_without_a_token_is_not_shown(body: object) -> None:
    with pytest.raises(InvalidResponseError, match="no token; check the endpoint") as caught:
        read_token(answer(body), "check the endpoint")
    assert "secret" not in str(caught.value)
    assert caught.value.status_code == 200
