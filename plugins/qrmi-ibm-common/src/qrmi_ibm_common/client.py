"""Clients of IBM's APIs, authenticated by IBM Cloud's IAM."""

from __future__ import annotations

from collections.abc import Mapping

from qrmi_core.plugin import (
    AuthenticationFailedError,
    CachedToken,
    ErrorHook,
    HttpClient,
    HttpSettings,
    QrmiError,
    Response,
    Token,
    read_token,
    recast,
)
from qrmi_ibm_common.errors import describe

_GRANT = "urn:ibm:params:oauth:grant-type:apikey"


def ibm_client(
    base_url: str,
    *,
    iam_endpoint: str,
    api_key: str,
    settings: HttpSettings,
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
        settings: Time-outs, retries and network settings, also of the calls to IAM.
        headers: Sent with every call to the API.
        error: Makes the API's own errors of its error responses.
        product: Appended to ``User-Agent``.

    Raises:
        ConfigError: An address is not a URL, or carries a user or password.
    """
    iam = HttpClient(
        iam_endpoint, settings=settings, error=_explain, secrets=(api_key,), product=product
    )

    def fetch() -> Token:
        response = iam.request(
            "POST",
            "/identity/token",
            data={"grant_type": _GRANT, "apikey": api_key},
            headers={"Accept": "application/json"},
            idempotent=True,  # another token does no harm
        )
        return read_token(
            response,
            "check that the IAM endpoint setting names IBM's IAM and that no login page or proxy "
            "answers in its place",
        )

    return iam.sibling(
        base_url,
        auth=CachedToken(fetch, shared_as=(iam_endpoint.rstrip("/"), api_key)),
        headers=headers,
        error=error,
        secrets=(api_key,),
    )


def _explain(response: Response, error: QrmiError) -> None:
    describe(response, error)
    if response.status_code in (400, 401, 403, 404):
        advice = "IAM gives no token: check the API key and the IAM endpoint"
        raise recast(error, AuthenticationFailedError, advice)
