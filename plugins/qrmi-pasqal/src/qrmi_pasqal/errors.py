"""The error bodies of Pasqal's services."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from qrmi_core.plugin import QrmiError, Response, read_text


def describe(response: Response, error: QrmiError) -> None:
    """Complete an error from an error body: `message`, `vendor_code`, `details`.

    A body in none of these forms leaves the error as it is. What a validation error repeats of the
    request (``input``, ``ctx``) is left out::

        {"status": "fail", "message", "code", "data": {"description", ...}}     the cloud
        {"detail": "..."}    {"detail": [{"type", "loc": [...], "msg", ...}]}   Warden
        {"error", "error_description"}                                          authentication

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
    text, code = _told(body)
    if not text:
        return
    error.message = f"{response.call}: {response.status_code}: {text}"
    error.vendor_code = code or error.vendor_code
    error.details = {
        name: told for name in ("status", "message") if (told := _text(body.get(name)))
    }
    data = body.get("data")
    if isinstance(data, Mapping):
        error.details |= {
            f"data.{name}": told for name, value in data.items() if (told := _text(value))
        }


def _told(body: Mapping[str, Any]) -> tuple[str, str]:
    """Return the message of a body, and its code."""
    data, detail = body.get("data"), body.get("detail")
    description = _text(data.get("description")) if isinstance(data, Mapping) else _text(data)
    if isinstance(detail, list):
        return "; ".join(_problems(detail)), ""
    texts = dict.fromkeys(
        text
        for value in (description or body.get("message"), detail, body.get("error_description"))
        if (text := _text(value))
    )
    word = _text(body.get("error"))
    return ": ".join(texts) or word, _text(body.get("code")) or word


def _problems(problems: list[Any]) -> Iterator[str]:
    for problem in problems:
        if isinstance(problem, Mapping) and (message := _text(problem.get("msg"))):
            place = problem.get("loc")
            where = ".".join(map(str, place)) if isinstance(place, list) else ""
            yield f"{where}: {message}" if where else message


def _text(value: object) -> str:
    return (read_text(value) or "").strip()
