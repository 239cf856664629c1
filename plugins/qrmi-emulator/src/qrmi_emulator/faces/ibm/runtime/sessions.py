"""The sessions."""

from __future__ import annotations

import uuid
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from qrmi_emulator.faces.ibm.runtime import errors
from qrmi_emulator.faces.ibm.runtime.records import RuntimeSession
from qrmi_emulator.faces.ibm.runtime.service import RuntimeRoutes, body_of
from qrmi_emulator.times import iso_milliseconds

_MAX_SESSION_SECONDS: Final = 28800


class RuntimeSessionRoutes(RuntimeRoutes):
    """The routes of the sessions."""

    def routes(self) -> list[Route]:
        """Return the routes of the API."""
        route = self._service.face.route
        return [
            route("/sessions", self._open, "POST"),
            route("/sessions/{session}", self._show),
            route("/sessions/{session}", self._change, "PATCH"),
            route("/sessions/{session}/close", self._close, "DELETE"),
        ]

    async def _open(self, request: Request) -> Response:
        body = await body_of(request)
        mode = body.get("mode")
        if mode not in ("batch", "dedicated"):
            raise errors.invalid("mode is neither batch nor dedicated")
        limit = body.get("max_ttl", _MAX_SESSION_SECONDS)
        if type(limit) is not int or not 1 <= limit <= 2**31 - 1:
            raise errors.invalid("max_ttl is not a whole number from 1 to 2147483647")
        settings = self._state.settings
        if settings.plan == "open" and mode == "dedicated":
            raise errors.refused(
                *(400, 1352, "You are not authorized to run a session when using the open plan."),
                "Use the batch mode, or the job mode.",
            )
        most = 600 if settings.plan == "open" else _MAX_SESSION_SECONDS
        session = RuntimeSession(
            id=str(uuid.uuid4()),
            face=self._service.face.name,
            resource=self._service.backend(body.get("backend") or body.get("backend_name")),
            exclusive=mode == "dedicated",
            created=self._state.clock(),
            max_seconds=min(limit, most),
            mode=mode,
        )
        self._state.open(session)
        return JSONResponse(self._document(session))

    async def _show(self, request: Request) -> Response:
        return JSONResponse(self._document(self._session(request)))

    async def _change(self, request: Request) -> Response:
        session = self._session(request)
        accepting = (await body_of(request)).get("accepting_jobs")
        if not isinstance(accepting, bool):
            raise errors.invalid("accepting_jobs is neither true nor false")
        if not accepting:
            self._state.refuse_jobs(session)
        elif session.closed is None:
            session.accepting = True
            self._state.save(session)
        return Response(status_code=204)

    async def _close(self, request: Request) -> Response:
        self._state.close_session(self._session(request), "session_closed_early")
        return Response(status_code=204)

    def _session(self, request: Request) -> RuntimeSession:
        return self._service.session(request.path_params["session"])

    def _document(self, session: RuntimeSession) -> dict[str, Any]:
        now = session.closed or self._state.clock()
        state = self._state.state_of(session)
        ran = 0.0 if session.started is None else now - session.started
        left = 0 if state == "closed" else max(0, int(session.max_seconds - ran))
        reason = "session_inactivated_by_interactive_ttl" if state == "inactive" else session.reason
        times = (("open", session.created), ("active", session.started), ("closed", session.closed))
        return {
            "id": session.id,
            "backend_name": session.resource,
            "mode": session.mode,
            "interactive_ttl": int(self._state.settings.session_idle_seconds),
            "max_ttl": int(session.max_seconds),
            "active_ttl": left,
            "state": state,
            "state_reason": reason,
            "accepting_jobs": session.accepting,
            "user_id": self._service.iam.account,
            "elapsed_time": int(ran) if session.started else None,
            "started_at": iso_milliseconds(session.created),
            "activated_at": iso_milliseconds(session.started),
            "closed_at": iso_milliseconds(session.closed),
            "last_job_started": iso_milliseconds(session.job_started),
            "last_job_completed": iso_milliseconds(session.busy_until),
            "timestamps": [
                {"status": s, "timestamp": iso_milliseconds(at)} for s, at in times if at
            ],
        }
