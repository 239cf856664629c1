"""Reading the token in an OAuth 2 server's response, and caching it."""

from __future__ import annotations

import gc
import json
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

from qrmi_core import InvalidResponseError
from qrmi_core.http import credentials
from qrmi_core.http.credentials import CachedToken, Token, read_token
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
        ({"expires_in": 10**400}, None),
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


def test_objects_with_equal_inputs_share_a_token_and_the_least_used_is_forgotten() -> None:
    fetched = []

    def fetch() -> Token:
        fetched.append(1)
        return Token("a-token")

    def use(user: str) -> weakref.ref[object]:
        token = CachedToken(fetch, shared_as=("https://auth.invalid", user))
        assert token.authorization() == "Bearer a-token"
        return weakref.ref(token._store)

    places = [use(f"user {number}") for number in range(300)]
    assert len(fetched) == 300
    use("user 299")
    assert len(fetched) == 300
    gc.collect()
    assert sum(place() is not None for place in places) <= 256


def test_threads_that_come_first_at_once_share_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(credentials._TokenStore):
        def __init__(self) -> None:
            time.sleep(0.01)
            super().__init__()

    monkeypatch.setattr(credentials, "_TokenStore", Slow)

    def token(_: int) -> CachedToken:
        return CachedToken(lambda: Token("a-token"), shared_as=("first at once",))

    with ThreadPoolExecutor(4) as pool:
        assert len({each._store for each in pool.map(token, range(4))}) == 1
