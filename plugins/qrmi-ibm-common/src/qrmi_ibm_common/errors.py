"""IBM's error bodies, in all their forms."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from qrmi_core.plugin import QrmiError, Response, read_text

_CODES = ("code", "errorCode")
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
        body = json.loads(response.content)
    except (ValueError, RecursionError):
        return
    if not isinstance(body, Mapping):
        return
    problems = _problems(body)
    texts = [text for problem in problems if (text := _sentence(problem))]
    if not texts:
        return
    first = problems[0]
    error.message = f"{response.call}: {response.status_code}: {'; '.join(texts)}"
    error.vendor_code = _first(first, _CODES) or error.vendor_code
    error.details = {name: text for name in _DETAILS if (text := _text(first.get(name)))}
    context = body.get("context")
    ids = {name: text for name in ("trace", "correlation_id") if (text := _text(body.get(name)))}
    error.details |= ids
    iam = _text(context.get("requestId") if isinstance(context, Mapping) else None)
    error.request_id = next(iter(ids.values()), iam) or None


def _problems(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    many, one = body.get("errors"), body.get("error")
    found = many if isinstance(many, list) else [one if isinstance(one, Mapping) else body]
    return [problem for problem in found if isinstance(problem, Mapping)]


def _sentence(problem: Mapping[str, Any]) -> str:
    """Return the message of one problem, with its solution."""
    texts = dict.fromkeys(_text(problem.get(name)).rstrip(".") for name in _MESSAGES)
    message = ": ".join(filter(None, texts)) or _text(problem.get("title"))
    if not message:
        return ""
    solution, more_info = _text(problem.get("solution")), _text(problem.get("more_info"))
    return "".join(
        [message, f"; {solution}" if solution else "", f" (see {more_info})" if more_info else ""]
    )


def _first(problem: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return next((text for name in names if (text := _text(problem.get(name)))), "")


def _text(value: object) -> str:
    return (read_text(value) or "").strip()
