"""Tokens of IBM Cloud's IAM: fetched once, shared, renewed in time."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Iterator

import pytest

from qrmi_core.errors import (
    AuthenticationFailedError,
    ConfigError,
    InvalidResponseError,
    QrmiError,
    ServiceError,
)
from qrmi_core.plugin import HttpClient, HttpSettings
from qrmi_ibm_common import ibm_client
from support.faulty_server import cut_after, cut_before, malformed, status, truncated
from support.ibm_service import CRN, KEY, IbmService


@pytest.fixture
def service() -> Iterator[IbmService]:
    with IbmService() as service:
        yield service


def client(service: IbmService, key: str | None = None, iam: str | None = None) -> HttpClient:
    return ibm_client(
        service.url,
        iam_endpoint=iam or service.host,
        api_key=key or service.key,
        settings=HttpSettings(first_pause_seconds=0.01),
        headers={"Service-CRN": CRN},
        error=lambda _response, _error: None,
        product="qrmi-test/1",
    )


def fetched(service: IbmService) -> int:
    return service.requests.count("POST identity/token")


def test_one_token_for_all_clients_with_the_same_key_and_one_connection(
    service: IbmService,
) -> None:
    first, second = client(service), client(service, iam=f"{service.host}/")
    for _ in range(3):
        first.request("GET", "/backends")
    assert service.connections == 1
    second.request("GET", "/backends")
    assert fetched(service) == 1
    first.close()
    second.close()


def test_many_threads_fetch_one_token(service: IbmService) -> None:
    http = client(service)

    def call() -> None:
        http.request("GET", "/backends")
        http.close()

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fetched(service) == 1


def test_the_key_goes_to_iam_alone(service: IbmService) -> None:
    http = client(service)
    http.request("GET", "/backends")
    http.close()
    assert not any(KEY in value for fields in service.headers for value in fields.values())
    assert [fields["service-crn"] for fields in service.headers] == [CRN]


def test_a_token_is_renewed_before_it_expires(service: IbmService) -> None:
    service.token_seconds = 0
    http = client(service)
    http.request("GET", "/backends")
    http.request("GET", "/backends")
    http.close()
    assert fetched(service) == 2


def test_a_token_that_was_revoked_is_renewed_and_the_call_repeated(service: IbmService) -> None:
    http = client(service)
    http.request("GET", "/backends")
    service.tokens.clear()
    http.request("GET", "/backends")
    http.close()
    assert fetched(service) == 2


def test_a_wrong_key_is_an_error_with_iams_own_words(service: IbmService) -> None:
    wrong = f"wrong-{uuid.uuid4()}"
    http = client(service, key=wrong)
    with pytest.raises(AuthenticationFailedError) as caught:
        http.request("GET", "/backends")
    error = caught.value
    assert "Provided API key could not be found" in error.message
    assert "check the API key" in error.message
    assert (error.vendor_code, error.status_code) == ("BXNIM0415E", 400)
    assert error.request_id == "iam-request-1"
    assert wrong not in str(error)
    assert fetched(service) == 1
    assert not service.headers, "nothing goes to the API without a token"
    http.close()


@pytest.mark.parametrize(
    "fault",
    [status(503), status(500), status(429, Retry_After="0"), cut_before, cut_after, truncated],
)
def test_iam_is_asked_again_when_that_can_help(service: IbmService, fault: object) -> None:
    service.fail("POST identity", fault)  # type: ignore[arg-type]
    http = client(service)
    assert http.request("GET", "/backends").status_code == 200
    http.close()


def test_an_outage_of_iam_is_an_error_that_may_pass(service: IbmService) -> None:
    service.fail("POST identity", *[status(503)] * 4)
    http = client(service)
    with pytest.raises(ServiceError) as caught:
        http.request("GET", "/backends")
    assert caught.value.retryable
    http.close()


@pytest.mark.parametrize(
    "fault",
    [malformed, *(status(200, body) for body in (b"<html>", b"[]", b'{"access_token": 1}'))],
)
def test_an_answer_without_a_token_is_an_error_that_shows_nothing_of_it(
    service: IbmService, fault: object, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    service.fail("POST identity", fault)  # type: ignore[arg-type]
    http = client(service)
    with pytest.raises(InvalidResponseError, match="has no token") as caught:
        http.request("GET", "/backends")
    http.close()
    for text in (str(caught.value), caplog.text):
        assert "token-" not in text
        assert KEY not in text


def test_a_renewal_that_fails_leaves_the_old_token_in_use(service: IbmService) -> None:
    service.token_seconds = 1
    http = client(service)
    http.request("GET", "/backends")
    threading.Event().wait(0.91)
    service.fail("POST identity", status(400, {"errorCode": "X", "errorMessage": "no"}))
    http.request("GET", "/backends")
    http.close()
    assert fetched(service) == 2


@pytest.mark.parametrize("address", ["iam.cloud.ibm.com", "", "ftp://iam", "https://u:pw1@iam"])
def test_an_iam_endpoint_that_is_no_url_is_found_at_once(service: IbmService, address: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ibm_client(
            service.url,
            iam_endpoint=address,
            api_key=KEY,
            settings=HttpSettings(),
            headers={},
            error=lambda _response, _error: None,
            product="p",
        )
    assert "pw1" not in str(caught.value)
    assert isinstance(caught.value, QrmiError)
