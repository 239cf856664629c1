"""The face of Pasqal Cloud, under `/core-fast/api`, and what its clients need of `/account`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount

from qrmi_emulator import s3
from qrmi_emulator.face import Face, FaceJob, State
from qrmi_emulator.faces.pasqal.cloud.auth import TOKEN_PATH, refusal as auth_refusal
from qrmi_emulator.faces.pasqal.cloud.batches import CloudBatchRoutes
from qrmi_emulator.faces.pasqal.cloud.cudaq import CudaqRoutes
from qrmi_emulator.faces.pasqal.cloud.devices import CloudDeviceRoutes
from qrmi_emulator.faces.pasqal.cloud.envelope import failure, success
from qrmi_emulator.faces.pasqal.cloud.jobs import CloudJobRoutes
from qrmi_emulator.faces.pasqal.cloud.project import CloudProject
from qrmi_emulator.faces.pasqal.cloud.results import RESULTS, CloudResultRoutes

API: Final = "/core-fast/api"
ACCOUNT: Final = "/account/api"


class PasqalCloudFace(Face):
    """Pasqal Cloud, for one user with one project."""

    name: ClassVar[str] = "pasqal-cloud"
    types: ClassVar[tuple[str, ...]] = ("pasqal-cloud",)
    default_resource: ClassVar[str] = "EMU_FREE"

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self._project = CloudProject(self)

    def owns(self, path: str) -> bool:
        return path == TOKEN_PATH or path.startswith((f"{API}/", f"{ACCOUNT}/", f"{RESULTS}/"))

    def refusal(self, path: str, status: int) -> Mapping[str, Any]:  # noqa: ARG002
        known = {
            401: "Unauthorized",
            403: "Forbidden",
            404: "Not found",
            405: "Method not allowed",
            429: "Too many requests",
        }
        other = "Internal server error" if status >= 500 else "Bad request"
        return failure(status, known.get(status, other))

    def error(self, path: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
        if path.startswith(f"{RESULTS}/"):
            return s3.error(path, status, headers)
        if path == TOKEN_PATH:
            code = "too_many_attempts" if status == 429 else "access_denied"
            response = auth_refusal(status, code, f"The service responds with {status}.")
            response.headers.update(headers or {})
            return response
        return super().error(path, status, headers)

    def resources(self) -> Sequence[str]:
        return list(self._project.devices)

    def environment(self, resource_type: str, url: str) -> dict[str, str]:  # noqa: ARG002
        auth = self._project.auth
        return {
            "QRMI_PASQAL_CLOUD_BASE_URL": url,
            "QRMI_PASQAL_CLOUD_AUTH_ENDPOINT": url + TOKEN_PATH,
            "QRMI_PASQAL_CLOUD_PROJECT_ID": auth.project_id,
            "QRMI_PASQAL_CLOUD_CLIENT_ID": auth.client_id,
            "QRMI_PASQAL_CLOUD_CLIENT_SECRET": auth.client_secret,
            "PASQAL_USERNAME": auth.username,
            "PASQAL_PASSWORD": auth.password,
        }

    def vendor_status(self, job: FaceJob) -> str:
        return self._project.status_name(job)

    def authenticate(self, request: Request) -> None:
        self._project.authenticate(request)

    def routes(self) -> list[BaseRoute]:
        project = self._project
        results = CloudResultRoutes(project)
        api = [
            *CloudDeviceRoutes(project).routes(),
            *CloudBatchRoutes(project).routes(),
            *CloudJobRoutes(project).routes(),
            *results.routes(),
            *CudaqRoutes(project).routes(),
        ]
        return [
            *project.auth.routes(),
            Mount(API, routes=api),
            self.route(f"{ACCOUNT}/v1/projects", self._projects),
            *results.outside(),
        ]

    async def _projects(self, _request: Request) -> Response:
        project = {"id": self._project.auth.project_id, "name": "emulator", "status": "ACTIVE"}
        return success([project])
