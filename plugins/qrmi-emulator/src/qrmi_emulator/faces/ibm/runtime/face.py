"""The face of the runtime API, under `/api/v1`.

Also under `/experimental/api/v1`, a path that IBM's own client uses as it is given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from starlette.requests import Request
from starlette.routing import BaseRoute, Mount

from qrmi_emulator.face import Face, State
from qrmi_emulator.faces.ibm.iam import TOKEN_PATH, refusal as iam_refusal
from qrmi_emulator.faces.ibm.runtime import errors
from qrmi_emulator.faces.ibm.runtime.account import RuntimeAccountRoutes
from qrmi_emulator.faces.ibm.runtime.devices import RuntimeBackendRoutes
from qrmi_emulator.faces.ibm.runtime.jobs import RuntimeJobRoutes
from qrmi_emulator.faces.ibm.runtime.service import RuntimeService
from qrmi_emulator.faces.ibm.runtime.sessions import RuntimeSessionRoutes

PREFIXES: Final = ("/api/v1", "/experimental/api/v1")
_TEMPORARY: Final = (9707, "The service has a temporary problem.")


class RuntimeFace(Face):
    """IBM Qiskit Runtime, for one account with one instance."""

    name: ClassVar[str] = "ibm-runtime"
    types: ClassVar[tuple[str, ...]] = ("ibm-quantum-compute-service", "qiskit-runtime-service")
    default_resource: ClassVar[str] = "fake_fez"

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self._service = RuntimeService(self)

    def owns(self, path: str) -> bool:
        return path == TOKEN_PATH or path.startswith(PREFIXES)

    def refusal(self, path: str, status: int) -> Mapping[str, Any]:
        if path == TOKEN_PATH:
            return iam_refusal("BXNIM0500E", f"The service responds with {status}.")
        known: dict[int, tuple[int | str, str]] = {
            401: (1201, "Invalid credentials."),
            403: (1200, "You are not authorized."),
            404: ("not_found", "Not found."),
            405: ("method_not_allowed", "The method is not allowed."),
            408: _TEMPORARY,
            425: _TEMPORARY,
            429: (1202, "Too many requests."),
        }
        other = _TEMPORARY if status >= 500 else ("bad_request", "The request was refused.")
        code, message = known.get(status, other)
        return errors.body(code, message, "Try again later." if status >= 429 else None)

    def resources(self) -> Sequence[str]:
        return self._service.resources

    def environment(self, resource_type: str, url: str) -> dict[str, str]:
        prefix = "QRMI_IBM_QCS_" if resource_type == self.types[0] else "QRMI_IBM_QRS_"
        values = {
            "ENDPOINT": f"{url}/api/v1",
            "IAM_ENDPOINT": url,
            "IAM_APIKEY": self._service.iam.api_key,
            "SERVICE_CRN": self._service.crn,
            "SESSION_MODE": "batch" if self.state.settings.plan == "open" else "dedicated",
        }
        return {prefix + key: value for key, value in values.items()}

    def authenticate(self, request: Request) -> None:
        self._service.authenticate(request)

    def routes(self) -> list[BaseRoute]:
        account = RuntimeAccountRoutes(self._service)
        api = [
            *account.routes(),
            *RuntimeBackendRoutes(self._service).routes(),
            *RuntimeSessionRoutes(self._service).routes(),
            *RuntimeJobRoutes(self._service).routes(),
        ]
        return [
            *self._service.iam.routes(),
            *account.outside(),
            *(Mount(prefix, routes=api) for prefix in PREFIXES),
        ]
