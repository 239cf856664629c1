"""Reading IBM's answers, and addressing what they name, without trusting either."""

from __future__ import annotations

import datetime
from typing import Any, TypeGuard
from urllib.parse import quote

from qrmi_core.errors import InvalidResponseError, TaskNotFoundError
from qrmi_core.http import Response


def to_object(answer: Response) -> dict[str, Any]:
    """An answer that must be a JSON object.

    Raises:
        InvalidResponseError: It is something else.
    """
    value = answer.json()
    if not isinstance(value, dict):
        raise InvalidResponseError(
            f"{answer.call}: the answer is not a JSON object", status_code=answer.status_code
        )
    return value


def member(mapping: dict[str, Any], name: str) -> dict[str, Any]:
    """An object within an answer; empty if there is none."""
    found = mapping.get(name)
    return found if isinstance(found, dict) else {}


def to_time(value: object) -> datetime.datetime | None:
    """IBM's notation of a time; None for anything else."""
    try:
        moment = datetime.datetime.fromisoformat(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)


def to_text(value: object) -> str | None:
    """A text, also of a number; None for anything else and for an empty one."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value) or None


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a number, which true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def to_count(value: object) -> int | None:
    """A whole number of at least 0; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def target_of(configuration: Response, properties: Response | None) -> bytes:
    """A backend's two documents as one, each passed on as it came.

    Raises:
        InvalidResponseError: One of them is not JSON.
    """
    for answer in (configuration, properties):
        if answer:
            answer.json()
    described = properties.content if properties else b"null"
    return b'{"configuration":' + configuration.content + b',"properties":' + described + b"}"


def segment(text: str) -> str:
    """One segment of a path."""
    return quote(text, safe="")


def job_path(job_id: str) -> str:
    """The path of a job, ``/jobs/<id>``.

    Raises:
        TaskNotFoundError: This cannot be the id of one.
    """
    if not job_id.strip("."):
        # Such a segment means another address.
        raise TaskNotFoundError(f"{job_id!r} is not the id of a task")
    return f"/jobs/{segment(job_id)}"
