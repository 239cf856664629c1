"""Clients of IBM's APIs, authenticated by IBM Cloud's IAM, and IBM's error bodies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qrmi_core.plugin import (
    AuthenticationFailedError,
    CachedToken,
    ErrorHook,
    HttpClient,
    HttpSettings,
    InvalidResponseError,
    QrmiError,
    Response,
    TaskNotFoundError,
    Token,
    read_object,
    read_text,
    read_token,
    recast,
)

_GRANT = "urn:ibm:params:oauth:grant-type:apikey"

KINDS: Mapping[str, tuple[type[QrmiError], str]] = {
    "1200": (AuthenticationFailedError, "check the API key's access to the instance"),
    "1201": (AuthenticationFailedError, "check the API key"),
    "1219": (AuthenticationFailedError, "check the API key"),
    "1291": (TaskNotFoundError, ""),
}
"""The errors, with advice, of the codes that the services have in common."""

# IAM's message is the general one, its details say what is wrong with this request.
_MESSAGES = ("message", "errorMessage", "errorDetails", "detail", "error_description")
_DETAILS = ("solution", "more_info", "title", "status_code", "location", "value", "target")


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
    iam = HttpClient(iam_endpoint, settings=settings, error=_explain, product=product)

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
    )


def _explain(response: Response, error: QrmiError) -> None:
    describe(response, error)
    if response.status_code in (400, 401, 403, 404):
        advice = "IAM gives no token: check the API key and the IAM endpoint"
        raise recast(error, AuthenticationFailedError, advice)


def describe(response: Response, error: QrmiError) -> None:
    """Complete an error from an error body: message, `vendor_code`, `request_id`, `details`.

    A body in none of these forms leaves the error as it is::

        {"errors": [{"code", "message", "solution", "more_info", ...}, ...],
         "trace", "correlation_id"}
        {"error": {"code", "message", ...}}      {"code", "message", ...}
        {"errorCode", "errorMessage", "errorDetails", "context": {"requestId"}}

    Codes may be numbers or strings. The id to quote to IBM's support, which is the trace, the
    correlation id or IAM's request id, becomes `request_id`; the further fields of the first
    problem become `details`.

    Args:
        response: The error response.
        error: The error to complete.
    """
    try:
        body = response.object()
    except InvalidResponseError:
        return
    problems = _problems(body)
    texts = [text for problem in problems if (text := _sentence(problem))]
    if not texts:
        return
    first = problems[0]
    error.message = f"{response.call}: {response.status_code}: {'; '.join(texts)}"
    code = _text(first.get("code")) or _text(first.get("errorCode"))
    error.vendor_code = code or error.vendor_code
    error.details = {name: text for name in _DETAILS if (text := _text(first.get(name)))}
    ids = {name: text for name in ("trace", "correlation_id") if (text := _text(body.get(name)))}
    error.details |= ids
    iam = _text(read_object(body, "context").get("requestId"))
    error.request_id = next(iter(ids.values()), iam) or None


def _problems(body: dict[str, Any]) -> list[dict[str, Any]]:
    many = body.get("errors")
    if isinstance(many, list):
        return [problem for problem in many if isinstance(problem, dict)]
    return [read_object(body, "error") or body]


def _sentence(problem: dict[str, Any]) -> str:
    """Return the message of one problem, with its solution."""
    texts = dict.fromkeys(_text(problem.get(name)).rstrip(".") for name in _MESSAGES)
    message = ": ".join(filter(None, texts)) or _text(problem.get("title"))
    if not message:
        return ""
    if solution := _text(problem.get("solution")):
        message += f"; {solution}"
    if more_info := _text(problem.get("more_info")):
        message += f" (see {more_info})"
    return message


def _text(value: object) -> str:
    return (read_text(value) or "").strip()
