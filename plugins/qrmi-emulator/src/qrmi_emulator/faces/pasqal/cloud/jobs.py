"""The jobs of batches."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from qrmi_emulator.faces.pasqal import programs
from qrmi_emulator.faces.pasqal.cloud.envelope import invalid, success
from qrmi_emulator.faces.pasqal.cloud.project import CloudProject
from qrmi_emulator.faces.pasqal.cloud.records import JobInput, PasqalBatch, PasqalJob
from qrmi_emulator.faces.pasqal.cloud.requests import date_of, number_of, page, values_of
from qrmi_local.engines import EngineError, pulser as engine

_MOST_JOBS: Final = 2000


class CloudJobRoutes:
    """The routes of the jobs."""

    def __init__(self, project: CloudProject) -> None:
        self._project = project

    def routes(self) -> list[Route]:
        """Return the routes of the API."""
        route = self._project.face.route
        return [
            route("/v2/jobs", self._list_jobs),
            route("/v2/jobs/{job}", self._show_job),
            route("/v2/jobs/{job}/cancel", self._cancel_job, "PATCH"),
            route("/v1/jobs/{job}/status", self._job_status),
        ]

    async def _list_jobs(self, request: Request) -> Response:
        wanted = job_filter(self._project, request)
        batches = values_of(request, "batch_id")
        if batches:
            known = (self._project.batches.get(batch) for batch in batches)
            jobs = [
                job for batch in known if batch is not None for job in self._project.jobs_of(batch)
            ]
        else:
            jobs = list(self._project.jobs.values())
        found = [job for job in jobs if wanted(job)]
        if request.query_params.get("order_by_direction", "DESC").upper() != "ASC":
            found.reverse()
        return page(request, found, self._project.job_document)

    async def _show_job(self, request: Request) -> Response:
        job = self._project.job(request)
        own = self._project.state.input(job).read_text() if job.own else None
        return success({**self._project.job_document(job), "sequence": own})

    async def _job_status(self, request: Request) -> Response:
        job = self._project.job(request)
        return success({"id": job.id, "status": self._project.status_name(job)})

    async def _cancel_job(self, request: Request) -> Response:
        job = self._project.job(request)
        if not job.has_ended:
            self._project.cancel_job(job)
        return success(self._project.job_document(job))


def job_filter(project: CloudProject, request: Request) -> Callable[[PasqalJob], bool]:
    """Return the predicate of the filters of a request.

    Raises:
        Refused: A filter has a value that the service does not accept.
    """
    query = request.query_params
    ids, states = values_of(request, "id"), values_of(request, "status")
    owns = project.is_asked(request)
    since, until = date_of(query.get("start_date")), date_of(query.get("end_date"))
    least, most = number_of(query.get("min_runs")), number_of(query.get("max_runs"))
    errors = query.get("errors")

    def wanted(job: PasqalJob) -> bool:
        return (
            owns
            and (not ids or job.id in ids)
            and (not states or project.status_name(job) in states)
            and (since is None or job.created >= since)
            and (until is None or job.created <= until)
            and (least is None or int(job.argument) >= least)
            and (most is None or int(job.argument) <= most)
            and (errors is None or bool(job.reason) == (errors.lower() in ("true", "1")))
        )

    return wanted


async def read_jobs(batch: PasqalBatch, sequence: str | None, jobs: Any) -> list[JobInput]:
    """Return the inputs of jobs of a body.

    Args:
        batch: Their batch.
        sequence: The batch's sequence.
        jobs: The jobs, as the client sent them.

    Raises:
        Refused: One of them cannot be run.
    """
    if not isinstance(jobs, list) or len(jobs) > _MOST_JOBS:
        raise invalid(f"jobs is not a list of at most {_MOST_JOBS}")
    inputs = []
    for number, job in enumerate(jobs):
        where = f"jobs[{number}]"
        if not isinstance(job, dict):
            raise invalid(f"{where} is not an object")
        runs, variables = job.get("runs"), job.get("variables") or {}
        text = job.get("sequence") or sequence
        if runs is None and batch.resource in programs.EMULATORS:
            runs = _default_runs(batch.options.get("backend_configuration"))
        most = await asyncio.to_thread(programs.most_runs, batch.resource)
        if type(runs) is not int or not 1 <= runs <= most:
            raise invalid(f"{where}: runs is not a whole number from 1 to {most}")
        if not isinstance(text, str) or not isinstance(variables, dict):
            raise invalid(f"{where} has no sequence, or variables that are not an object")
        try:
            if variables:
                content = (await asyncio.to_thread(programs.built, text, variables)).encode()
            else:
                content = text.encode()
            await asyncio.to_thread(engine.check, str(runs), content)
        except (EngineError, UnicodeError) as error:
            raise invalid(f"{where}: {error}") from error
        own = job.get("sequence") is not None
        fields = {"variables": variables or None, "own": own}
        inputs.append(JobInput(content, str(runs), fields))
    return inputs


def _default_runs(configuration: object) -> object:
    """Return the runs of a job on an emulator without a number, from the configuration."""
    try:
        return json.loads(str(configuration)).get("default_num_shots") or programs.DEFAULT_RUNS
    except (ValueError, RecursionError, AttributeError):
        return programs.DEFAULT_RUNS
