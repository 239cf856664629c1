"""The system: its backends, and the credentials of its one client."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from qrmi_emulator.face import MAINTENANCE, OFFLINE, ONLINE, PAUSED, Face
from qrmi_emulator.faces.ibm import backends
from qrmi_emulator.faces.ibm.direct_access.errors import no_backend, refused
from qrmi_emulator.faces.ibm.iam import Iam
from qrmi_local.engines import qiskit as engine

VERSIONS: Final = ("2025-08-01", "2025-08-15")
RENSSELAER: Final = "ibm_rensselaer"
# A device of the same kind, 127 qubits of an Eagle, of which there is a snapshot.
STANDS_FOR: Final = {RENSSELAER: "fake_sherbrooke"}
_NAMES: Final = {ONLINE: "online", PAUSED: "paused", OFFLINE: "offline", MAINTENANCE: "offline"}


class QuantumSystem:
    """One system for one client.

    Args:
        face: The face of the API.
        instance: Id of the client's instance.
    """

    def __init__(self, face: Face, instance: str) -> None:
        self._face = face
        self._state = face.state
        self.resources = [
            *STANDS_FOR,
            *(resource.resource_id for resource in engine.resources()),
        ]
        self.iam = Iam(face.state)
        self.crn = (
            f"crn:v1:bluemix:public:quantum-computing:us-east:a/{self.iam.account}:{instance}::"
        )

    def routes(self) -> list[Route]:
        """Return the routes of the API."""
        route = self._face.route
        return [
            *self.iam.routes(),
            Route("/version", self._version),
            Route("/versions", self._versions),
            route("/v1/backends", self._list_backends),
            route("/v1/backends/{backend}", self._show_backend),
            route("/v1/backends/{backend}/configuration", self._configuration),
            route("/v1/backends/{backend}/properties", self._properties),
            route("/v1/backends/{backend}/lanes", self._lanes),
        ]

    def authenticate(self, request: Request) -> None:
        """Check the credentials of a request.

        Raises:
            Refused: They are not those of the client.
        """
        if not self.iam.accepts(request.headers.get("authorization", "")):
            raise refused(401, "1201", "The credentials are invalid.")
        if request.headers.get("service-crn") != self.crn:
            message = "The instance is not known to this system."
            raise refused(401, "1200", message, ("header", "Service-CRN"))

    async def _version(self, _request: Request) -> Response:
        return JSONResponse({"version": VERSIONS[-1]})

    async def _versions(self, _request: Request) -> Response:
        return JSONResponse({"versions": VERSIONS})

    async def _list_backends(self, _request: Request) -> Response:
        return JSONResponse({"backends": [self._backend_document(n) for n in self.resources]})

    async def _show_backend(self, request: Request) -> Response:
        return JSONResponse(self._backend_document(self._backend(request)))

    async def _configuration(self, request: Request) -> Response:
        name = self._backend(request)
        document = backends.configuration(STANDS_FOR.get(name, name))
        return JSONResponse(document if name not in STANDS_FOR else _named(document, name))

    async def _properties(self, request: Request) -> Response:
        name = self._backend(request)
        document = backends.properties(STANDS_FOR.get(name, name))
        return JSONResponse(document if name not in STANDS_FOR else _named(document, name))

    async def _lanes(self, request: Request) -> Response:
        self._backend(request)
        lanes = self._state.settings.lanes
        return JSONResponse(
            {"hpc_workload_manager": {"lanes": lanes}, "ibm_quantum_compute": {"lanes": 0}}
        )

    def _backend(self, request: Request) -> str:
        name: str = request.path_params["backend"]
        if name not in self.resources:
            raise no_backend(name, "parameter")
        return name

    def _backend_document(self, name: str) -> dict[str, Any]:
        condition = self._state.condition(name)
        known: dict[str, Any] = {
            "name": name,
            "status": _NAMES[condition.status],
            "message": condition.reason or condition.status,
            "version": "1.0.0",
        }
        if condition.status == ONLINE:
            known["locked"] = self.is_reserved(name)
        return known

    def is_reserved(self, backend: str) -> bool:
        """Return True if a backend is reserved for others."""
        reserved = self._state.settings.reserved
        return reserved is not None and fnmatch.fnmatchcase(backend, reserved)


def _named(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {**document, "backend_name": name}
