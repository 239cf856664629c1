"""Errors in the form of Direct Access."""

from __future__ import annotations

import secrets
import uuid
from typing import Any, Final

from starlette.responses import JSONResponse

from qrmi_emulator.face import Refused

_TITLES: Final = {
    400: "input is invalid",
    401: "not authorized",
    404: "not found",
    409: "conflict",
    413: "request is too large",
    423: "backend is reserved",
    429: "execution lanes are taken",
}


def body(
    status: int,
    code: str,
    message: str,
    target: tuple[str, str] | None = None,
    solution: str | None = None,
) -> dict[str, Any]:
    """Return the body of an error response."""
    error: dict[str, Any] = {
        "code": code,
        "message": message if solution is None else f"{message} {solution}",
        "more_info": f"https://quantum.cloud.ibm.com/docs/errors#{code}",
    }
    if target:
        error["target"] = {"type": target[0], "name": target[1]}
    return {
        "status_code": status,
        "title": _TITLES.get(status, "service error"),
        "trace": str(uuid.uuid4()),
        "correlation_id": secrets.token_hex(10),
        "errors": [error],
    }


def refused(
    status: int,
    code: str,
    message: str,
    target: tuple[str, str] | None = None,
    solution: str | None = None,
) -> Refused:
    """Return the exception for an error response with an HTTP status."""
    return Refused(JSONResponse(body(status, code, message, target, solution), status))


def invalid(field: str, message: str) -> Refused:
    """Return the exception for a field that the service does not accept."""
    return refused(400, "1337", message, ("field", field) if field else None)


def no_backend(name: str, where: str) -> Refused:
    """Return the exception for the name of an unknown backend."""
    return refused(404, "1216", f"Backend {name:.100} was not found.", (where, "backend"))
