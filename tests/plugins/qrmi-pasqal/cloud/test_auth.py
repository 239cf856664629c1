"""Tokens: where they come from, how long they are used, and what is sent for them."""

from __future__ import annotations

import base64
import json
import logging
import time

import pytest

from qrmi_core import AuthenticationFailedError, ConfigError, InvalidResponseError, QrmiError
from qrmi_pasqal.cloud.api import CloudApi
from qrmi_pasqal.cloud.auth import expiry
from qrmi_pasqal.cloud.settings import (
    AUDIENCE,
    GRANT_TYPE,
    PUBLIC_CLIENT_ID,
    REALM,
    PasqalCloudSettings,
)
from support.faulty_server import cut_before, status
from support.pasqal_service import PASSWORD, PasqalService

SERVICE_ACCOUNT = {"PASQAL_USERNAME": "", "PASQAL_PASSWORD": "", "CLIENT_ID": "c-1"}


def call(service: PasqalService, **settings: str) -> str:
    """Make one call, and give the token that it carried."""
    settings = service.settings(QRMI_HTTP_FIRST_PAUSE_SECONDS="0.01", **settings)
    api = CloudApi(PasqalCloudSettings.from_mapping(settings))
    try:
        list(api.batches("p"))
    finally:
        api.close()
    return service.headers[-1]["authorization"].removeprefix("Bearer ")


def jwt(claims: object) -> str:
    parts = [json.dumps(part).encode() for part in ({"alg": "none"}, claims)]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts) + ".sig"


def test_a_user_logs_in_with_a_form(service: PasqalService) -> None:
    call(service)
    assert service.forms == [
        {
            "grant_type": GRANT_TYPE,
            "realm": REALM,
            "client_id": PUBLIC_CLIENT_ID,
            "audience": AUDIENCE,
            "username": "me@example.org",
            "password": service.password,
        }
    ]


def test_another_region_is_a_matter_of_settings(service: PasqalService) -> None:
    call(
        service,
        AUTH_REALM="pasqal-cloud",
        AUTH_AUDIENCE="https://apis.example/",
        AUTH_PUBLIC_CLIENT_ID="cloud-sdk",
        AUTH_GRANT_TYPE="password",
    )
    (form,) = service.forms
    assert (form["grant_type"], form["realm"]) == ("password", "pasqal-cloud")
    assert (form["client_id"], form["audience"]) == ("cloud-sdk", "https://apis.example/")


def test_a_service_account_has_a_form_of_its_own(service: PasqalService) -> None:
    call(service, **SERVICE_ACCOUNT, CLIENT_SECRET=service.password)
    assert service.forms == [
        {
            "grant_type": "client_credentials",
            "client_id": "c-1",
            "client_secret": service.password,
            "audience": AUDIENCE,
        }
    ]


def test_a_user_comes_before_a_service_account(service: PasqalService) -> None:
    call(service, CLIENT_ID="c-1", CLIENT_SECRET="s")
    assert "username" in service.forms[0]


@pytest.mark.parametrize(
    "token",
    [
        "opaque",
        "a.b",
        "a.@@.c",  # three parts, the middle of which says nothing
        "a.bm90IGpzb24.c",
        jwt([1]),
        jwt({"sub": "me"}),
        jwt({"exp": None}),
        jwt({"exp": 4e9}),
        jwt({"exp": "4000000000"}),
        jwt({"exp": 1e400}),
    ],
)
def test_a_given_token_is_used_first(service: PasqalService, token: str) -> None:
    service.tokens.add(token)
    assert call(service, AUTH_TOKEN=token) == token
    assert not service.forms


@pytest.mark.parametrize(
    "exp", [0, time.time() + 5, str(int(time.time()) + 5)], ids=["long ago", "number", "text"]
)
def test_a_given_token_that_has_expired_is_replaced(service: PasqalService, exp: object) -> None:
    assert call(service, AUTH_TOKEN=jwt({"exp": exp})) in service.tokens
    nobody = {"PASQAL_USERNAME": "", "PASQAL_PASSWORD": ""}
    before = len(service.requests)
    with pytest.raises(AuthenticationFailedError, match="has expired"):
        call(service, AUTH_TOKEN=jwt({"exp": exp}), **nobody)
    assert len(service.requests) == before


def test_a_given_token_that_is_refused_is_replaced_once_and_for_all(service: PasqalService) -> None:
    api = CloudApi(PasqalCloudSettings.from_mapping(service.settings(AUTH_TOKEN="given")))
    list(api.batches("p"))
    service.tokens.clear()
    list(api.batches("p"))
    api.close()
    sent = [headers["authorization"] for headers in service.headers]
    assert sent.count("Bearer given") == 1
    assert len(service.forms) == 2


def test_a_given_token_with_nothing_beside_it_is_kept_and_the_services_words_are_told(
    service: PasqalService,
) -> None:
    nobody = {"PASQAL_USERNAME": "", "PASQAL_PASSWORD": ""}
    with pytest.raises(AuthenticationFailedError, match="the token is not valid.*credentials"):
        call(service, AUTH_TOKEN="a-given-token", **nobody)
    assert len(service.headers) == 1


@pytest.mark.parametrize(
    ("told", "within", "expected"),
    [
        (3600, None, 1),
        (0, None, 3),
        (None, 3600, 1),
        (None, -5, 3),
        (3600, -5, 1),  # what the server tells comes before what the token says
        (None, None, 1),
    ],
)
def test_a_token_is_kept_for_its_lifetime(
    service: PasqalService, told: int | None, within: int | None, expected: int
) -> None:
    token = "opaque" if within is None else jwt({"exp": time.time() + within})
    service.tokens.add(token)
    body = {"access_token": token} | ({} if told is None else {"expires_in": told})
    service.fail("POST oauth/token", *[status(200, body)] * 3)
    api = CloudApi(PasqalCloudSettings.from_mapping(service.settings()))
    for _ in range(3):
        list(api.batches("p"))
    api.close()
    assert len(service.faults["POST oauth/token"]) == 3 - expected


# --- what is refused, and how ---


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            {"PASQAL_USERNAME": "", "PASQAL_PASSWORD": ""},
            "no credentials are set.*home folder.*mapping.*PASQAL_CONFIG_ROOT",
        ),
        ({"PASQAL_PASSWORD": ""}, "PASQAL_USERNAME lacks PASQAL_PASSWORD$"),
        ({"PASQAL_USERNAME": ""}, "PASQAL_PASSWORD lacks PASQAL_USERNAME$"),
        (SERVICE_ACCOUNT, "CLIENT_ID lacks QRMI_PASQAL_CLOUD_CLIENT_SECRET$"),
        (
            {"PASQAL_PASSWORD": "", "CLIENT_SECRET": "s"},
            "PASQAL_USERNAME lacks PASQAL_PASSWORD and QRMI_PASQAL_CLOUD_CLIENT_SECRET lacks "
            "QRMI_PASQAL_CLOUD_CLIENT_ID$",
        ),
    ],
)
def test_missing_credentials_are_found_before_any_request(
    service: PasqalService, settings: dict[str, str], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        call(service, **settings)
    assert not service.requests


def test_wrong_credentials_are_tried_once(service: PasqalService) -> None:
    with pytest.raises(AuthenticationFailedError, match="Wrong email or password") as caught:
        call(service, PASQAL_PASSWORD="not-the-password")
    assert caught.value.vendor_code == "invalid_grant"
    assert caught.value.status_code == 403
    assert service.counted() == {"POST oauth/token": 1}


def test_an_endpoint_without_its_path_is_told(service: PasqalService) -> None:
    service.fail("POST ", status(405, b"<html>Not Allowed</html>"))
    with pytest.raises(AuthenticationFailedError, match="path, such as /oauth/token") as caught:
        call(service, AUTH_ENDPOINT=service.host)
    assert caught.value.status_code == 405


def test_asking_for_a_token_is_repeated_where_it_can_help(service: PasqalService) -> None:
    service.fail("POST oauth/token", cut_before, status(503), status(500))
    assert call(service) in service.tokens


@pytest.mark.parametrize("password", ["pw", "p", f"{PASSWORD}-wrong", 'with "quotes"'])
@pytest.mark.parametrize("code", [400, 401, 403, 404, 500])
def test_an_answer_that_repeats_the_password_is_not_shown(
    service: PasqalService, caplog: pytest.LogCaptureFixture, password: str, code: int
) -> None:
    caplog.set_level(logging.DEBUG)
    words = {"error": "invalid_grant", "error_description": f"Not [{password}] for you"}
    service.fail("POST oauth/token", *[status(code, words)] * 9)
    with pytest.raises(QrmiError) as caught:
        call(service, PASQAL_PASSWORD=password)
    shown = f"{caught.value} {caught.value.details} {caplog.text}"
    assert f"[{password}]" not in shown


@pytest.mark.parametrize("body", [b"<html>", {"access_token": 5}, [], {"secret": "token-x"}])
def test_an_answer_without_a_token_is_told_and_not_shown(
    service: PasqalService, body: object
) -> None:
    service.fail("POST oauth/token", status(200, body))
    with pytest.raises(InvalidResponseError, match="no token.*AUTH_ENDPOINT") as caught:
        call(service)
    assert "token-x" not in str(caught.value)


def test_the_end_of_a_token_is_read_from_it() -> None:
    assert expiry(jwt({"exp": 12})) == 12.0
    assert expiry("opaque") is None
