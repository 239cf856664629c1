"""IBM's error bodies, in all their forms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qrmi_core.plugin import (
    AuthenticationFailedError,
    InvalidResponseError,
    QrmiError,
    Response,
    TaskNotFoundError,
    read_object,
    read_text,
)

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
