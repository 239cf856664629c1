"""Common parts of the responses of Pasqal's services: error bodies and states of tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from qrmi_core.plugin import (
    InvalidResponseError,
    Observation,
    QrmiError,
    Response,
    TaskStatus,
    read_object,
    read_text,
)

_STATES = {
    "PENDING": TaskStatus.Queued,
    "PAUSED": TaskStatus.Queued,
    "RUNNING": TaskStatus.Running,
    "CANCELING": TaskStatus.Running,
    "DONE": TaskStatus.Completed,
    "ERROR": TaskStatus.Failed,
    "TIMED_OUT": TaskStatus.Failed,
    "CANCELED": TaskStatus.Cancelled,
}
"""The states of batches and jobs by the services' names."""


def observation(task: Mapping[str, Any]) -> Observation:
    """Return the state of a batch or a job."""
    state = read_text(task.get("status"))
    return Observation(_STATES.get((state or "").upper()), raw=state)


def describe(response: Response, error: QrmiError) -> None:
    """Complete an error from an error body: `message`, `vendor_code`, `details`.

    A body in none of these forms leaves the error as it is. The parts of the request that a
    validation error repeats (``input``, ``ctx``) are left out::

        {"status": "fail", "message", "code", "data": {"description", ...}}     the cloud
        {"detail": "..."}    {"detail": [{"type", "loc": [...], "msg", ...}]}   Warden
        {"error", "error_description"}                                          authentication

    Args:
        response: The error response.
        error: The error to complete.
    """
    try:
        body = response.object()
    except InvalidResponseError:
        return
    text, code = _message(body)
    if not text:
        return
    error.message = f"{response.call}: {response.status_code}: {text}"
    error.vendor_code = code or error.vendor_code
    values = {name: body.get(name) for name in ("status", "message")}
    values |= {f"data.{name}": value for name, value in read_object(body, "data").items()}
    error.details = {name: text for name, value in values.items() if (text := _text(value))}


def _message(body: Mapping[str, Any]) -> tuple[str, str]:
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
