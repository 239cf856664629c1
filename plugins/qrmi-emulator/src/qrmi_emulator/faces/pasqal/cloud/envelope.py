"""The envelope of responses, errors included."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response

from qrmi_emulator.face import Refused


def success(data: object, **more: object) -> Response:
    """Return the response with some data."""
    envelope = {"status": "success", "message": "OK.", "code": "200", "data": data}
    return JSONResponse({**envelope, **more})


def failure(status: int, message: str, description: str | None = None) -> dict[str, Any]:
    """Return the body of an error response."""
    return {
        "status": "error" if status >= 500 else "fail",
        "message": message,
        "code": str(status),
        "data": {"description": description or message},
    }


def refused(status: int, message: str, description: str | None = None) -> Refused:
    """Return the exception for an error response with an HTTP status."""
    return Refused(JSONResponse(failure(status, message, description), status))


def invalid(description: str) -> Refused:
    """Return the exception for a value that the service does not accept."""
    return refused(422, "Unprocessable entity", description)
