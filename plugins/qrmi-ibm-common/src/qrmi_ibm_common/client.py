"""Clients of IBM's APIs, whose calls carry a token of IBM Cloud's IAM."""

from __future__ import annotations

import json
from collections.abc import Mapping

from qrmi_core.credentials import CachedToken, Token
from qrmi_core.errors import AuthenticationFailedError, InvalidResponseError, QrmiError
from qrmi_core.http import ErrorHook, HttpClient, HttpPolicy, Response
from qrmi_ibm_common.errors import describe, recast

_GRANT = "urn:ibm:params:oauth:grant-type:apikey"


def ibm_client(
    base_url: str,
    *,
    iam_endpoint: str,
    api_key: str,
    policy: HttpPolicy,
    headers: Mapping[str, str],
    error: ErrorHook,
    product: str,
) -> HttpClient:
    """Make a client whose calls carry an IAM token.

    The token is fetched when first needed, kept in memory, renewed before it expires, and shared by
    all clients of the process with the same IAM endpoint and key. If IAM and the API are on
    one host, they share the connection too.

    Args:
        base_url: Address of the API.
        iam_endpoint: Address of IAM, such as ``https://iam.cloud.ibm.com``.
        api_key: IBM Cloud API key.
        policy: Time-outs, retries and network settings, also of the calls to IAM.
        headers: Sent with every call to the API.
        error: Makes the API's own errors of its error answers.
        product: Appended to ``User-Agent``.

    Raises:
        ConfigError: An address is not a URL, or carries a user or password.
    """
    iam = HttpClient(iam_endpoint, policy=policy, error=_refused, product=product)

    def fetch() -> Token:
        answer = iam.request(
            "POST",
            "/identity/token",
            data={"grant_type": _GRANT, "apikey": api_key},
            headers={"Accept": "application/json"},
            idempotent=True,  # another token does no harm
        )
        return _token(answer)

    return iam.sibling(
        base_url,
        auth=CachedToken(fetch, shared_as=(iam_endpoint.rstrip("/"), api_key)),
        headers=headers,
        error=error,
        secrets=(api_key,),
    )


def _token(answer: Response) -> Token:
    # Not Response.json(): its error would show the beginning of the token.
    try:
        body = json.loads(answer.content)
        value, lifetime = body["access_token"], body.get("expires_in")
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        value = lifetime = None
    if not isinstance(value, str) or not value:
        raise InvalidResponseError(
            f"{answer.call}: the answer has no token; check that the IAM endpoint setting names "
            "IBM's IAM and that no login page or proxy answers in its place",
            status_code=answer.status_code,
        )
    known = isinstance(lifetime, int | float) and not isinstance(lifetime, bool)
    return Token(value, expires_in_seconds=float(lifetime) if known else None)


def _refused(response: Response, error: QrmiError) -> QrmiError:
    describe(response, error)
    if response.status_code in (400, 401, 403, 404):
        return recast(
            error,
            AuthenticationFailedError,
            "IAM gives no token: check the API key and the IAM endpoint",
        )
    return error
