"""The body of a submission, checked as the service checks it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.requests import Request

from qrmi_emulator.faces.ibm.direct_access.errors import invalid

_LOG_LEVELS: Final = ("critical", "error", "warning", "info", "debug")


async def body_of(request: Request) -> dict[str, Any]:
    """Return the JSON object of a request.

    Raises:
        Refused: The body is not a JSON object.
    """
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise invalid("", "The body is not JSON.") from error
    if not isinstance(body, dict):
        raise invalid("", "The body is not a JSON object.")
    return body


def check_job(body: Mapping[str, Any]) -> None:
    """Check the form of a submission.

    Raises:
        Refused: The service would not accept it.
    """
    for field in ("id", "backend", "program_id"):
        value = body.get(field)
        if not isinstance(value, str) or not 1 <= len(value) <= 256:
            raise invalid(field, "It is not a text of 1 to 256 characters.")
    seconds = body.get("timeout_secs")
    if type(seconds) is not int or not 1 <= seconds < 2**63:
        raise invalid("timeout_secs", "It is not a whole number of 1 or more.")
    if body.get("log_level") not in (None, *_LOG_LEVELS):
        raise invalid("log_level", f"It is none of: {', '.join(_LOG_LEVELS)}")
    storage = body.get("storage")
    if not isinstance(storage, dict):
        raise invalid("storage", "It is not an object.")
    for member in ("input", "results", "logs"):
        if member == "logs" and storage.get(member) is None:
            storage.pop(member, None)
            continue
        location = storage.get(member)
        field = f"storage.{member}"
        if not isinstance(location, dict) or location.get("type") != "s3_compatible":
            raise invalid(field, "It is not an object of the type s3_compatible.")
        if not _is_address(location.get("presigned_url")):
            raise invalid(f"{field}.presigned_url", "It is not an HTTP URL.")


def _is_address(url: object) -> bool:
    if not isinstance(url, str) or not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
