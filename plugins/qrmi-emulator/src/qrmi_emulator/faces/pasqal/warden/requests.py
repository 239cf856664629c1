"""Bodies of requests, and errors in Warden's form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from qrmi_emulator.face import Refused


async def body_of(
    request: Request, wanted: Mapping[str, type], optional: Mapping[str, type] | None = None
) -> dict[str, Any]:
    """Return a body with members of these types.

    Args:
        request: The request.
        wanted: Types of members that it needs, by name.
        optional: Types of members that it may have, by name.

    Raises:
        Refused: The body is not an object, or a member is missing or of another type.
    """
    content = await request.body()
    try:
        body = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise unprocessable(problem("json_invalid", "0", None)) from error
    if not isinstance(body, dict):
        raise unprocessable(problem("model_attributes_type", "0", body))
    for name, kind in {**wanted, **(optional or {})}.items():
        if name not in body:
            if name in wanted:
                raise unprocessable(missing(name, body))
        elif type(body[name]) is not kind:
            raise unprocessable(problem(f"{kind.__name__}_type", name, body[name]))
    return body


def missing(name: str, body: object) -> dict[str, Any]:
    """Return the problem of a body without a member."""
    return {"type": "missing", "loc": ["body", name], "msg": "Field required", "input": body}


def problem(kind: str, name: str, value: object, where: str = "body") -> dict[str, Any]:
    """Return the problem of a value."""
    message = f"Input should be valid ({kind})"
    return {"type": kind, "loc": [where, name], "msg": message, "input": value}


def unprocessable(problem: Mapping[str, Any]) -> Refused:
    """Return the exception for a problem."""
    return Refused(JSONResponse({"detail": [problem]}, 422))


def refused(status: int, detail: str) -> Refused:
    """Return the exception for an error response with an HTTP status."""
    return Refused(JSONResponse({"detail": detail}, status))
