"""Errors in the form of IBM's runtime API."""

from __future__ import annotations

import uuid
from typing import Any

from starlette.responses import JSONResponse

from qrmi_emulator.face import Refused


def body(code: int | str, message: str, solution: str | None = None) -> dict[str, Any]:
    """Return the body of an error response."""
    error: dict[str, Any] = {"code": code, "message": message}
    if solution:
        error["solution"] = solution
    error["more_info"] = f"https://quantum.cloud.ibm.com/docs/errors#{code}"
    return {"errors": [error], "trace": str(uuid.uuid4())}


def refused(status: int, code: int | str, message: str, solution: str | None = None) -> Refused:
    """Return the exception for an error response with an HTTP status."""
    return Refused(JSONResponse(body(code, message, solution), status))


def invalid(message: str) -> Refused:
    """Return the exception for a request that the service does not accept."""
    return refused(400, 1208, message)
