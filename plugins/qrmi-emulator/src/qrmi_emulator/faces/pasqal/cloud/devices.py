"""The devices and their specifications."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from qrmi_emulator.faces.pasqal import programs
from qrmi_emulator.faces.pasqal.cloud.envelope import refused, success
from qrmi_emulator.faces.pasqal.cloud.project import CloudProject
from qrmi_emulator.faces.pasqal.cloud.requests import values_of


class CloudDeviceRoutes:
    """The routes of the devices."""

    def __init__(self, project: CloudProject) -> None:
        self._project = project

    def routes(self) -> list[Route]:
        """Return the routes of the API."""
        route = self._project.face.route
        return [
            Route("/v1/devices", self._list_devices),
            Route("/v1/devices/public-specs", self._public_specs),
            route("/v1/devices/specs", self._all_specs),
            route("/v1/devices/specs/{device}", self._show_specs),
        ]

    async def _list_devices(self, request: Request) -> Response:
        types = {name.upper() for name in values_of(request, "device_type")}
        wanted = {name.upper() for name in values_of(request, "availability")}
        found = [
            self._project.device_document(name)
            for name in self._project.devices
            if not types or name in types
        ]
        return success([each for each in found if not wanted or each["availability"] in wanted])

    async def _public_specs(self, _request: Request) -> Response:
        known = await asyncio.to_thread(_known_specs)
        return success([{"device_type": name, "specs": text} for name, text in known.items()])

    async def _all_specs(self, _request: Request) -> Response:
        return success(await asyncio.to_thread(_known_specs))

    async def _show_specs(self, request: Request) -> Response:
        name = request.path_params["device"].upper()
        if name not in programs.QPUS:
            raise refused(404, "Device not found", f"There are no specs of {name!s:.60}")
        text = await asyncio.to_thread(programs.specs, name)
        return success({"device_type": name, "specs": text})


def _known_specs() -> dict[str, str]:
    return {name: programs.specs(name) for name in programs.QPUS}
