"""The backends."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from qrmi_emulator.faces.ibm import backends
from qrmi_emulator.faces.ibm.runtime.service import RuntimeRoutes, version_of


class RuntimeBackendRoutes(RuntimeRoutes):
    """The routes of the backends."""

    def routes(self) -> list[Route]:
        """Return the routes of the API."""
        route = self._service.face.route
        return [
            route("/backends", self._list),
            route("/backends/{backend}/status", self._status),
            route("/backends/{backend}/configuration", self._configuration),
            route("/backends/{backend}/properties", self._properties),
            route("/backends/{backend}/defaults", self._defaults),
        ]

    async def _list(self, request: Request) -> Response:
        service = self._service
        if version_of(request) < "2025-01-01":
            return JSONResponse({"devices": service.resources})
        devices = [backends.device(name, service.state) for name in service.resources]
        return JSONResponse({"devices": devices})

    async def _status(self, request: Request) -> Response:
        return JSONResponse(backends.status(self._name(request), self._state))

    async def _configuration(self, request: Request) -> Response:
        return JSONResponse(backends.configuration(self._name(request)))

    async def _properties(self, request: Request) -> Response:
        return JSONResponse(backends.properties(self._name(request)))

    async def _defaults(self, request: Request) -> Response:
        self._name(request)
        return JSONResponse(None)

    def _name(self, request: Request) -> str:
        return self._service.backend(request.path_params["backend"])
