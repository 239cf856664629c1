"""The account behind the routes of the runtime API: its credentials and its records."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable
from typing import Any, Final

from starlette.requests import Request

from qrmi_emulator.face import Face
from qrmi_emulator.faces.ibm.iam import Iam
from qrmi_emulator.faces.ibm.runtime import errors
from qrmi_emulator.faces.ibm.runtime.records import RuntimeJob, RuntimeSession
from qrmi_emulator.times import epoch
from qrmi_local.engines import MissingExtra, qiskit as engine

PLAN: Final = "emulator-plan"
_LARGE_BYTES: Final = 2**20


class RuntimeService:
    """One account with one instance.

    Args:
        face: The face of the API.

    Raises:
        MissingExtra: Qiskit is not installed.
    """

    def __init__(self, face: Face) -> None:
        self.face = face
        self.state = face.state
        self.resources = [resource.resource_id for resource in engine.resources()]
        if not self.resources:
            raise MissingExtra(f"{face.name} needs Qiskit: pip install 'qrmi-emulator[ibm]'")
        self.iam = Iam(face.state)
        known = face.state.credentials(face.name, lambda: {"instance": str(uuid.uuid4())})
        self.crn = (
            "crn:v1:bluemix:public:quantum-computing:us-east:"
            f"a/{self.iam.account}:{known['instance']}::"
        )
        self.jobs = face.state.jobs_of(face.name, RuntimeJob)
        self.sessions = face.state.sessions_of(face.name, RuntimeSession)

    def authenticate(self, request: Request) -> None:
        """Check the credentials and the CRN of a request.

        Raises:
            Refused: They are not those of the account and its instance.
        """
        self.authenticate_account(request)
        if request.headers.get("service-crn") != self.crn:
            raise errors.refused(404, 1279, "There is no such instance in this region.")

    def authenticate_account(self, request: Request) -> None:
        """Check the credentials of a request.

        Raises:
            Refused: They are not those of the account.
        """
        if not self.iam.accepts(request.headers.get("authorization", "")):
            raise errors.refused(401, 1201, "Invalid credentials.", "Get a new access token.")

    def backend(self, name: object) -> str:
        """Return the name of a backend.

        Raises:
            Refused: The backend is unknown.
        """
        if not isinstance(name, str) or name not in self.resources:
            raise errors.refused(
                404, 1216, f"Backend {name!s:.100} was not found.", "Check its name."
            )
        return name

    def session(self, session_id: str) -> RuntimeSession:
        """Return a session in its present state.

        Raises:
            Refused: The session is unknown.
        """
        self.state.expire()
        if session_id not in self.sessions:
            raise errors.refused(404, "not_found", "Session not found.")
        return self.sessions[session_id]

    def limit_reached(self) -> bool:
        """Return True if the instance has used its limit of time."""
        limit = self.state.settings.usage_limit_seconds
        return limit is not None and self.state.used_seconds.get(self.face.name, 0.0) >= limit


class RuntimeRoutes:
    """A group of routes of the API.

    Args:
        service: The account.
    """

    def __init__(self, service: RuntimeService) -> None:
        self._service = service
        self._state = service.state


async def body_of(request: Request) -> dict[str, Any]:
    """Return the JSON object of a request.

    Raises:
        Refused: The body is not a JSON object.
    """
    content = await request.body()
    try:
        body = await in_thread_if_large(request, lambda: json.loads(content))
    except (ValueError, RecursionError) as error:
        raise errors.invalid("the body is not JSON") from error
    if not isinstance(body, dict):
        raise errors.invalid("the body is not a JSON object")
    return body


async def in_thread_if_large(request: Request, work: Callable[[], Any]) -> Any:
    """Return the result of work whose time grows with the body, without delaying others."""
    if len(await request.body()) < _LARGE_BYTES:
        return work()
    return await asyncio.to_thread(work)


def version_of(request: Request) -> str:
    """Return the version of the API that a request asks for, the oldest by default."""
    return request.headers.get("ibm-api-version", "2024-01-01")


def epoch_of(text: str) -> float:
    """Return the seconds since the epoch of a date and time in a query.

    Raises:
        Refused: The text is not a date and time.
    """
    try:
        return epoch(text)
    except ValueError as error:
        raise errors.invalid(str(error)) from error
