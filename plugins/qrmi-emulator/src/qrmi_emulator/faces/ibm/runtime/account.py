"""The account: versions, plan, usage, instances and workloads."""

from __future__ import annotations

import datetime
import math
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from qrmi_emulator.face import Endpoint
from qrmi_emulator.faces.ibm.runtime import errors, workloads
from qrmi_emulator.faces.ibm.runtime.service import PLAN, RuntimeRoutes, body_of
from qrmi_emulator.times import utc

# A version of the API -> when it ends.
_DEPRECATED: Final = {
    "2026-03-15": "2027-03-15",
    "2026-02-15": "2027-02-15",
    "2026-02-01": "2027-02-01",
    "2025-05-01": "2027-01-01",
    "2025-01-01": "2027-01-01",
    "2024-01-01": "2027-01-01",
}


class RuntimeAccountRoutes(RuntimeRoutes):
    """The routes of the account."""

    def outside(self) -> list[Route]:
        """Return the routes outside of the API: those of IBM Cloud's catalog."""
        route = self._of_account
        return [route("/v3/resources/search", self._search, "POST"), route(f"/{PLAN}", self._plan)]

    def routes(self) -> list[Route]:
        """Return the routes of the API."""
        route = self._service.face.route
        return [
            Route("/versions", self._versions),
            route("/instances/usage", self._usage),
            route("/instances/configuration", self._limit),
            route("/instances/configuration", self._set_limit, "PUT"),
            route("/instance", self._instance),
            route("/workloads", self._workloads),
            self._of_account(f"/{PLAN}", self._plan),
        ]

    def _of_account(self, path: str, endpoint: Endpoint, method: str = "GET") -> Route:
        """Return a route that needs no instance."""
        service = self._service
        return service.face.route(path, endpoint, method, authenticate=service.authenticate_account)

    async def _versions(self, _request: Request) -> Response:
        versions = [{"version": "2026-04-15", "status": "live"}]
        versions += [
            {"version": date, "status": "deprecated", "sunset_date": sunset}
            for date, sunset in _DEPRECATED.items()
        ]
        return JSONResponse({"versions": versions})

    async def _search(self, _request: Request) -> Response:
        found = {
            "crn": self._service.crn,
            "service_plan_unique_id": PLAN,
            "name": "emulator",
            "doc": {"extensions": {"emulator": 1}},
            "tags": [],
        }
        return JSONResponse({"items": [found], "search_cursor": None})

    async def _plan(self, _request: Request) -> Response:
        plan = self._state.settings.plan
        return JSONResponse(
            {
                "overview_ui": {"en": {"display_name": plan.capitalize()}},
                "metadata": {"pricing": {"type": "free" if plan == "open" else "paid"}},
            }
        )

    async def _usage(self, _request: Request) -> Response:
        limit = self._state.settings.usage_limit_seconds
        used = self._state.used_seconds.get(self._service.face.name, 0.0)
        start = utc(self._state.clock()).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        end = (start + datetime.timedelta(days=32)).replace(day=1)
        known: dict[str, Any] = {
            "instance_id": self._service.crn,
            "plan_id": PLAN,
            "usage_consumed_seconds": math.ceil(used),
            "usage_limit_reached": self._service.limit_reached(),
            "usage_period": {"start_time": start.isoformat(), "end_time": end.isoformat()},
        }
        if limit is not None:
            known |= {"usage_limit_seconds": limit, "usage_allocation_seconds": limit}
        return JSONResponse(known)

    async def _instance(self, _request: Request) -> Response:
        limit = self._state.settings.usage_limit_seconds
        seconds = None if limit is None else str(math.ceil(limit))
        return JSONResponse(
            {
                "plan_id": PLAN,
                "backends": self._service.resources,
                "instance_limit": limit,
                "instance_limit_seconds": seconds,
                "usage_allocation_seconds": seconds,
            }
        )

    async def _limit(self, _request: Request) -> Response:
        return JSONResponse({"instance_limit": self._state.settings.usage_limit_seconds})

    async def _set_limit(self, request: Request) -> Response:
        body = await body_of(request)
        if body.keys() != {"instance_limit"}:
            raise errors.invalid("the body is not an object with instance_limit alone")
        try:
            self._state.settings.change({"usage_limit_seconds": body["instance_limit"]})
        except ValueError as error:
            raise errors.invalid("instance_limit is not a number of 0 or more, or null") from error
        return Response(status_code=204)

    async def _workloads(self, request: Request) -> Response:
        return JSONResponse(workloads.page(self._service, request))
