"""Errors in the form of IBM's runtime API."""

from __future__ import annotations

import uuid
from typing import Any, Final

from starlette.responses import JSONResponse

from qrmi_emulator.faces import Refused

# Words of a simulator's reason -> the service's number.
_CODES: Final = {
    "(ISA)": 1517,
    "OpenQASM": 1506,
    "cannot be decoded": 1603,
    "cannot be read": 1603,
    "takes at most": 6000,
    "does not follow": 1208,
}


def body(code: int | str, message: str, solution: str | None = None) -> dict[str, Any]:
    """The body of an error."""
    error: dict[str, Any] = {"code": code, "message": message}
    if solution:
        error["solution"] = solution
    error["more_info"] = f"https://quantum.cloud.ibm.com/docs/errors#{code}"
    return {"errors": [error], "trace": str(uuid.uuid4())}


def refused(status: int, code: int | str, message: str, solution: str | None = None) -> Refused:
    """To be raised: an answer of an HTTP status with an error."""
    return Refused(JSONResponse(body(code, message, solution), status))


def invalid(message: str) -> Refused:
    """To be raised: the body of the request is not as the service takes it."""
    return refused(400, 1208, message)


def code_for(reason: str) -> int:
    """The service's number for why a simulator refused a job."""
    for words, code in _CODES.items():
        if words in reason:
            return code
    return 5203
