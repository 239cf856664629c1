"""Results behind presigned links, as those of a store of objects."""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import hmac
import random
from collections.abc import Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from qrmi_emulator import s3
from qrmi_emulator.faces.pasqal import programs
from qrmi_emulator.faces.pasqal.cloud.envelope import success
from qrmi_emulator.faces.pasqal.cloud.project import CloudProject
from qrmi_emulator.times import utc

RESULTS: Final = "/pasqal-results"
_LINK_SECONDS: Final = 900


class CloudResultRoutes:
    """The routes of the links and of the files behind them."""

    def __init__(self, project: CloudProject) -> None:
        self._project = project

    def routes(self) -> list[Route]:
        """Return the routes of the API."""
        return [self._project.face.route("/v1/jobs/{job}/results_link", self._results_link)]

    def outside(self) -> list[Route]:
        """Return the routes of the store, outside of the API."""
        return [Route(f"{RESULTS}/{{job}}.json", self._results_file)]

    async def _results_link(self, request: Request) -> Response:
        job = self._project.job(request)
        link = None
        if self._project.counter(job) is not None:
            date = f"{utc(self._project.state.clock()):%Y%m%dT%H%M%SZ}"
            query = f"X-Amz-Date={date}&X-Amz-Expires={_LINK_SECONDS}&X-Amz-SignedHeaders=host"
            signature = self._signature(job.id, query)
            host = f"{request.url.scheme}://{request.headers['host']}"
            link = f"{host}{RESULTS}/{job.id}.json?{query}&X-Amz-Signature={signature}"
        return success({"results_link": link})

    async def _results_file(self, request: Request) -> Response:
        query, _, signature = request.url.query.rpartition("&X-Amz-Signature=")
        job = self._project.jobs.get(request.path_params["job"])
        wanted = self._signature(request.path_params["job"], query)
        if "authorization" in request.headers:
            # The store accepts one kind of credential with a request, not two.
            return s3.error(request.url.path, 400)
        counter = None if job is None else self._project.counter(job)
        if not hmac.compare_digest(signature.encode(), wanted.encode()) or self._is_over(query):
            return s3.error(request.url.path, 403)
        if job is None or counter is None:
            return s3.error(request.url.path, 404)
        document = {"counter": counter, "raw": _shots(counter, job.id)}
        if not job.vacant:
            sequence = self._project.state.input(job).read_text()
            text = await asyncio.to_thread(programs.results, sequence, counter)
            document["serialised_results"] = text
        return JSONResponse(document)

    def _signature(self, job_id: str, query: str) -> str:
        text = f"{job_id}?{query}".encode()
        return hmac.new(self._project.auth.signing_key.encode(), text, hashlib.sha256).hexdigest()

    def _is_over(self, query: str) -> bool:
        date = query.partition("X-Amz-Date=")[2].partition("&")[0]
        at = datetime.datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.UTC)
        return self._project.state.clock() > at.timestamp() + _LINK_SECONDS


def _shots(counter: Mapping[str, int], seed: str) -> list[str]:
    """Return one bit string for each shot, in an order that is fixed for a seed."""
    shots = [bits for bits, count in counter.items() for _ in range(count)]
    random.Random(seed).shuffle(shots)
    return shots
