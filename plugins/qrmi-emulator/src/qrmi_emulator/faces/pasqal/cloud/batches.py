"""The batches."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from qrmi_emulator.faces.pasqal import programs
from qrmi_emulator.faces.pasqal.cloud.envelope import invalid, refused, success
from qrmi_emulator.faces.pasqal.cloud.jobs import job_filter, read_jobs
from qrmi_emulator.faces.pasqal.cloud.project import CloudProject
from qrmi_emulator.faces.pasqal.cloud.records import JobInput, PasqalBatch
from qrmi_emulator.faces.pasqal.cloud.requests import (
    date_of,
    json_of,
    object_of,
    page,
    tags_of,
    values_of,
)

_OPTIONS: Final = ("backend_configuration", "configuration", "webhook")


class CloudBatchRoutes:
    """The routes of the batches."""

    def __init__(self, project: CloudProject) -> None:
        self._project = project
        self._state = project.state

    def routes(self) -> list[Route]:
        """Return the routes of the API."""
        route = self._project.face.route
        return [
            route("/v1/batches", self._create_batch, "POST"),
            route("/v1/batches", self._list_batches),
            route("/v1/batches/cancel", self._cancel_batches, "PATCH"),
            route("/v1/batches/{batch}/status", self._batch_status),
            route("/v1/batches/{batch}/full_results", self._full_results),
            route("/v1/batches/{batch}/tags", self._set_tags, "PATCH"),
            route("/v1/batches/{batch}/rebatch", self._rebatch, "POST"),
            route("/v2/batches/{batch}", self._show_batch),
            route("/v2/batches/{batch}/cancel", self._cancel_batch, "PATCH"),
            route("/v2/batches/{batch}/cancel/jobs", self._cancel_jobs, "PATCH"),
            route("/v2/batches/{batch}/complete", self._complete_batch, "PATCH"),
            route("/v2/batches/{batch}/jobs", self._add_jobs, "POST"),
        ]

    async def _create_batch(self, request: Request) -> Response:
        body = await object_of(request)
        self._project.check(body.get("project_id"))
        sequence, tags = body.get("sequence_builder"), body.get("tags") or []
        is_open = body.get("open", not body.get("complete", True))
        if sequence is not None and not isinstance(sequence, str):
            raise invalid("sequence_builder is not text")
        if not isinstance(is_open, bool):
            raise invalid("open is neither true nor false")
        device = self._project.device(body.get("device_type") or programs.device_of(sequence or ""))
        jobs = body.get("jobs")
        if jobs == [] and not is_open:
            raise invalid("a batch that is not open needs jobs")
        batch = self._project.new_batch(device, tags=tags_of(tags), accepting=is_open)
        batch.options = {name: body.get(name) for name in _OPTIONS}
        inputs = await read_jobs(batch, sequence, jobs or [])
        self._project.start(request, batch, sequence, inputs)
        return success(self._project.batch_document(batch, sequence=sequence, with_jobs=True))

    async def _add_jobs(self, request: Request) -> Response:
        batch = self._project.batch(request)
        jobs = await json_of(request)
        _check_open(batch)
        sequence = self._project.sequence(batch)
        inputs = await read_jobs(batch, sequence, jobs)
        # It may have been closed meanwhile.
        _check_open(batch)
        self._project.submit(request, batch, inputs)
        return success(self._project.batch_document(batch, with_jobs=True))

    async def _rebatch(self, request: Request) -> Response:
        former = self._project.batch(request)
        wanted = job_filter(self._project, request)
        jobs = [job for job in self._project.jobs_of(former) if wanted(job)]
        if not jobs:
            raise refused(400, "Bad request", "No job of the batch matches the filters")
        batch = self._project.new_batch(former.resource, tags=former.tags)
        batch.parent_id, batch.options = former.id, former.options
        inputs = [
            JobInput(
                self._state.input(job).read_bytes(),
                job.argument,
                {
                    "variables": job.variables,
                    "own": job.own,
                    "vacant": job.vacant,
                    "parent_id": job.id,
                },
            )
            for job in jobs
        ]
        self._project.start(request, batch, self._project.sequence(former), inputs)
        return success(self._project.batch_document(batch, with_jobs=True))

    async def _show_batch(self, request: Request) -> Response:
        batch = self._project.batch(request)
        return success(self._project.batch_document(batch, sequence=self._project.sequence(batch)))

    async def _batch_status(self, request: Request) -> Response:
        batch = self._project.batch(request)
        known = {"id": batch.id, "status": self._project.status_of(batch)}
        return success({**known, "jobs_count_per_status": self._project.counts(batch)})

    async def _list_batches(self, request: Request) -> Response:
        query = request.query_params
        states, devices = values_of(request, "status"), values_of(request, "device_type")
        ids, tags, is_open = values_of(request, "id"), values_of(request, "tag"), query.get("open")
        owns = self._project.is_asked(request)
        since, until = date_of(query.get("start_date")), date_of(query.get("end_date"))
        found = [
            batch
            for batch in reversed(list(self._project.batches.values()))
            if owns
            and (not ids or batch.id in ids)
            and (not tags or not tags.isdisjoint(batch.tags))
            and (not devices or batch.resource in devices)
            and (is_open is None or batch.accepting == (is_open.lower() in ("true", "1")))
            and (since is None or batch.created >= since)
            and (until is None or batch.created <= until)
            and (not states or self._project.status_of(batch) in states)
        ]
        return page(request, found, self._project.batch_document)

    async def _cancel_batch(self, request: Request) -> Response:
        batch = self._project.batch(request)
        self._project.cancel(batch)
        return success(self._project.batch_document(batch))

    async def _cancel_batches(self, request: Request) -> Response:
        ids = (await object_of(request)).get("batch_ids")
        if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
            raise invalid("batch_ids is not a list of ids")
        canceled, errors = [], {}
        for batch_id in dict.fromkeys(ids):
            batch = self._project.batches.get(batch_id)
            if batch is None:
                errors[batch_id] = "Batch not found"
            elif batch.closed is not None:
                errors[batch_id] = f"Batch is {self._project.status_of(batch)}"
            else:
                self._project.cancel(batch)
                canceled.append(self._project.batch_document(batch))
        return success({"batches": canceled, "errors": errors})

    async def _cancel_jobs(self, request: Request) -> Response:
        batch = self._project.batch(request)
        wanted = job_filter(self._project, request)
        canceled, errors = [], {}
        for job in self._project.jobs_of(batch):
            if not wanted(job):
                continue
            if job.has_ended:
                errors[job.id] = f"Job is {self._project.status_name(job)}"
            else:
                self._project.cancel_job(job)
                canceled.append(self._project.job_document(job))
        return success({"jobs": canceled, "errors": errors})

    async def _complete_batch(self, request: Request) -> Response:
        batch = self._project.batch(request)
        self._state.refuse_jobs(batch)
        return success(self._project.batch_document(batch))

    async def _set_tags(self, request: Request) -> Response:
        batch = self._project.batch(request)
        batch.tags = tags_of(await json_of(request))
        self._state.save(batch)
        return success(self._project.batch_document(batch))

    async def _full_results(self, request: Request) -> Response:
        return success(self._project.results(self._project.batch(request)))


def _check_open(batch: PasqalBatch) -> None:
    if not batch.accepting:
        raise refused(400, "Bad request", "The batch is closed and takes no more jobs")
