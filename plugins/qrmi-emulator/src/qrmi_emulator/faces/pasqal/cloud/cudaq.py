"""Jobs of CUDA-Q, each of which is a batch with one job."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from qrmi_emulator.faces.pasqal import programs
from qrmi_emulator.faces.pasqal.cloud.envelope import invalid, refused, success
from qrmi_emulator.faces.pasqal.cloud.project import CloudProject
from qrmi_emulator.faces.pasqal.cloud.records import JobInput, PasqalBatch
from qrmi_emulator.faces.pasqal.cloud.requests import object_of
from qrmi_local.engines import EngineError


class CudaqRoutes:
    """The routes of CUDA-Q's jobs."""

    def __init__(self, project: CloudProject) -> None:
        self._project = project

    def routes(self) -> list[Route]:
        """Return the routes of the API."""
        route = self._project.face.route
        return [
            route("/v1/cudaq/job", self._create_cudaq_job, "POST"),
            route("/v1/cudaq/job/{job}", self._show_cudaq_job),
        ]

    async def _create_cudaq_job(self, request: Request) -> Response:
        body = await object_of(request)
        self._project.check(body.get("project_id"))
        device, shots = self._project.device(body.get("machine")), body.get("shots")
        program = body.get("sequence")
        most = await asyncio.to_thread(programs.most_runs, device)
        if type(shots) is not int or not 1 <= shots <= most:
            raise invalid(f"shots is not a whole number from 1 to {most}")
        try:
            # CUDA-Q used to send it as text.
            program = json.loads(program) if isinstance(program, str) else program
            sequence, vacant = await asyncio.to_thread(programs.from_ahs, program, device)
        except (EngineError, ValueError, RecursionError) as error:
            raise invalid(f"sequence: {error}") from error
        batch = self._project.new_batch(device, tags=[], is_cudaq=True)
        self._project.start(
            request, batch, sequence, [JobInput(sequence.encode(), str(shots), {"vacant": vacant})]
        )
        return success(self._cudaq_document(batch))

    async def _show_cudaq_job(self, request: Request) -> Response:
        self._project.state.expire()
        task_id = request.path_params["job"]
        job = self._project.jobs.get(task_id)
        batch = self._project.batches.get(task_id if job is None else job.session or "")
        if batch is None or not batch.is_cudaq:
            raise refused(404, "Job not found")
        return success(self._cudaq_document(batch))

    def _cudaq_document(self, batch: PasqalBatch) -> dict[str, Any]:
        (job,) = self._project.jobs_of(batch)
        return {
            "id": batch.id if self._project.state.settings.cudaq_ids == "batch" else job.id,
            "batch_id": batch.id,
            "status": self._project.status_of(batch),
            "created_at": self._project.batch_document(batch)["created_at"],
            "machine": batch.resource,
            "project_id": self._project.auth.project_id,
            "shots": int(job.argument),
            "errors": self._project.job_document(job)["errors"],
            "result": self._project.results(batch) or None,
        }
