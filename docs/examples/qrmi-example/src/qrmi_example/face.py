"""The face of Coin: its service on the emulator, where a simulator flips the coins."""

from __future__ import annotations

import json
import secrets
from collections import Counter
from collections.abc import Mapping
from typing import Any

import attrs
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount

from qrmi_core.plugin import TaskStatus
from qrmi_emulator.face import Face, FaceJob, Refused, State
from qrmi_example.api import STATES

NAMES = {status: name for name, status in STATES.items()}
CIRCUIT = 'OPENQASM 3.0; include "stdgates.inc"; bit[{0}] c; qubit[{0}] q; h q; c = measure q;'


@attrs.define(kw_only=True)
class CoinFaceJob(FaceJob):
    """A task of the service, with the tag by which drivers find it."""

    tag: str


class CoinFace(Face):
    """The service, with one coin."""

    name = "coin"
    types = ("coin",)
    default_resource = "heads"

    def __init__(self, state: State) -> None:
        super().__init__(state)
        state.require_simulator("aer")
        self._jobs = state.jobs_of(self.name, CoinFaceJob)
        known = state.credentials(self.name, lambda: {"token": secrets.token_urlsafe(32)})
        self._token = known["token"]

    def owns(self, path: str) -> bool:
        return path.startswith("/coin/")

    def refusal(self, path: str, status: int) -> Mapping[str, Any]:
        return {"error": {"code": str(status), "message": f"{path} is refused"}}

    def environment(self, resource_type: str, url: str) -> dict[str, str]:  # noqa: ARG002
        return {"QRMI_COIN_ENDPOINT": f"{url}/coin", "QRMI_COIN_TOKEN": self._token}

    def vendor_status(self, job: FaceJob) -> str:
        return NAMES[job.status]

    def authenticate(self, request: Request) -> None:
        if request.headers.get("authorization") != f"Bearer {self._token}":
            raise Refused(self.error(request.url.path, 401))

    def routes(self) -> list[BaseRoute]:
        routes = [
            self.route("/v1/coins", self._coins),
            self.route("/v1/coins/heads", self._coin),
            self.route("/v1/coins/heads/reservations", self._reserve, "POST"),
            self.route("/v1/reservations/{id}", self._unreserve, "DELETE"),
            self.route("/v1/tasks", self._start, "POST"),
            self.route("/v1/tasks", self._find),
            self.route("/v1/tasks/{id}", self._show),
            self.route("/v1/tasks/{id}", self._stop, "DELETE"),
            self.route("/v1/tasks/{id}/result", self._result),
        ]
        return [Mount("/coin", routes=routes)]

    async def _coins(self, _request: Request) -> Response:
        return JSONResponse({"coins": [self._facts()]})

    async def _coin(self, _request: Request) -> Response:
        return JSONResponse(self._facts())

    def _facts(self) -> dict[str, Any]:
        online = self.state.condition("heads").accepts_jobs
        waiting = self.state.queue_length("heads")
        return {"name": "heads", "online": online, "waiting": waiting, "simulator": True}

    async def _reserve(self, _request: Request) -> Response:
        return JSONResponse(
            {"id": f"hand-{secrets.token_hex(4)}"}
        )  # a coin serves everyone at once

    async def _unreserve(self, _request: Request) -> Response:
        return JSONResponse({})

    async def _start(self, request: Request) -> Response:
        body = await request.json()
        circuit = CIRCUIT.format(body["program"].removeprefix("flip "))
        pubs = [[circuit, None, body["shots"]]]
        document = {"pubs": pubs, "version": 2, "support_qiskit": False}
        job = CoinFaceJob(resource="heads", simulator="aer", argument="sampler", tag=body["tag"])
        self.submit(request, job, json.dumps(document).encode())
        return JSONResponse({"id": job.id}, 201)

    async def _find(self, request: Request) -> Response:
        jobs = self._jobs.values()
        found = [{"id": job.id} for job in jobs if job.tag == request.query_params["tag"]]
        return JSONResponse({"tasks": found})

    async def _show(self, request: Request) -> Response:
        job = self._job(request)
        return JSONResponse({"state": self.vendor_status(job), "reason": job.reason})

    async def _stop(self, request: Request) -> Response:
        self.state.end(self._job(request), TaskStatus.Cancelled)
        return JSONResponse({})

    async def _result(self, request: Request) -> Response:
        job = self._job(request)
        if job.status is not TaskStatus.Completed:
            task = {"id": job.id, "state": self.vendor_status(job), "reason": job.reason}
            error = {"code": "no_result", "message": "the task has no result", "task": task}
            return JSONResponse({"error": error}, 409)
        data = json.loads(self.state.result(job).read_bytes())["results"][0]["data"]["c"]
        flips = (f"{int(sample, 16):0{data['num_bits']}b}" for sample in data["samples"])
        return JSONResponse({"counts": Counter(flips)})

    def _job(self, request: Request) -> CoinFaceJob:
        job = self._jobs.get(request.path_params["id"])
        if job is None:
            raise Refused(self.error(request.url.path, 404))
        return job
