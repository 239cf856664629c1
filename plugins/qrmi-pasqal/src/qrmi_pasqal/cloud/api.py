"""Requests to the API of Pasqal Cloud."""

from __future__ import annotations

import importlib.metadata
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from qrmi_core.plugin import (
    HttpClient,
    InvalidResponseError,
    QrmiError,
    ResourceNotFoundError,
    Response,
    TaskNotFoundError,
    path_segment,
)
from qrmi_pasqal.cloud.auth import PasqalAuth
from qrmi_pasqal.cloud.settings import PasqalCloudSettings
from qrmi_pasqal.documents import body
from qrmi_pasqal.responses import describe
from qrmi_pasqal.sequence import Sequence as Program

PAGE = 100
"""Entries in one page of a list, at most."""
_CORE = "/core-fast/api"
_PRODUCT = f"qrmi-pasqal/{importlib.metadata.version('qrmi-pasqal')}"


class CloudApi:
    """The requests, one method each. The client handles retries, time-outs and tokens.

    Args:
        settings: Addresses, credentials, network settings.
    """

    def __init__(self, settings: PasqalCloudSettings) -> None:
        # No credential is sent where none is needed.
        self._public = HttpClient(
            settings.base_url + _CORE,
            settings=settings,
            error=_explain,
            product=_PRODUCT,
        )
        self._http = self._public.sibling(
            settings.base_url + _CORE, auth=PasqalAuth(settings, self._public), error=_explain
        )
        self._files = self._public.sibling(settings.base_url + _CORE, error=_explain_store)

    def close(self) -> None:
        """Close the connections of this thread."""
        self._public.close()

    # Devices

    def devices(self, device_type: str | None = None) -> Iterator[dict[str, Any]]:
        """Yield the description of each device, or of those of one type."""
        return _entries(self._public, "/v1/devices", device_type=device_type)

    def public_specs(self) -> list[dict[str, Any]]:
        """Return ``device_type`` and ``specs``, a Pulser device as text, of each public device."""
        return list(_entries(self._public, "/v1/devices/public-specs"))

    def specs(self, device_type: str) -> dict[str, Any]:
        """Return ``device_type`` and ``specs`` of one device."""
        segment = path_segment(device_type, ResourceNotFoundError)
        response = self._http.request("GET", f"/v1/devices/specs/{segment}")
        response.text("data", "specs")
        return response.object("data")

    # Batches

    def create_batch(
        self, sequence: Program, device_type: str, project_id: str, tags: list[str]
    ) -> str:
        """Create a batch of one job, and return its id."""
        value = {
            "sequence_builder": sequence.text,
            "jobs": [{"runs": sequence.runs}],
            "device_type": device_type,
            "project_id": project_id,
            "tags": tags,
        }
        return self._created("/v1/batches", body(value, len(sequence.text)))

    def open_batch(self, device_type: str, project_id: str, tag: str) -> str:
        """Create a batch without jobs, left open, and return its id."""
        return self._created(
            "/v1/batches",
            {
                "sequence_builder": None,
                "jobs": [],
                "open": True,
                "device_type": device_type,
                "project_id": project_id,
                "tags": [tag],
            },
        )

    def add_jobs(self, batch_id: str, jobs: Iterable[Program]) -> None:
        """Add jobs to an open batch."""
        self._http.request(
            "POST",
            f"/v2/batches/{path_segment(batch_id)}/jobs",
            json=[{"runs": sequence.runs, "sequence": sequence.text} for sequence in jobs],
            submission=True,
            not_found=TaskNotFoundError,
        )

    def close_batch(self, batch_id: str) -> None:
        """Let an open batch take no more jobs."""
        self._patch(f"/v2/batches/{path_segment(batch_id)}/complete")

    def batch(self, batch_id: str) -> dict[str, Any]:
        """Return a batch, with its ``status`` and ``job_ids``."""
        return self._described("/v2/batches", batch_id)

    def batches(
        self, project_id: str, *, device_type: str | None = None, tag: str | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield the batches of a project; a request for each page."""
        return _entries(
            self._http,
            "/v1/batches",
            project_id=project_id,
            device_type=device_type,
            tag=tag,
            limit=PAGE,
        )

    def found(self, path: str, ids: list[str]) -> Iterator[dict[str, Any]]:
        """Yield the batches (``/v1/batches``) or jobs (``/v2/jobs``) that have one of these ids.

        A request for each page; those that do not exist are left out.
        """
        for start in range(0, len(ids), PAGE):
            page = ids[start : start + PAGE]
            entries = _entries(self._http, path, id=page, limit=PAGE)
            # Where the service does not filter by ids, the list may be without end.
            yield from itertools.islice(entries, len(page))

    def cancel_batch(self, batch_id: str) -> None:
        """Cancel a batch and its jobs."""
        self._patch(f"/v2/batches/{path_segment(batch_id)}/cancel")

    def job(self, job_id: str) -> dict[str, Any]:
        """Return a job, with its ``errors`` and times."""
        return self._described("/v2/jobs", job_id)

    def job_ids(self, batch_id: str) -> list[str]:
        """Return the ids of a batch's jobs, oldest first; a request for each page."""
        order = {"order_by": "creation_order", "order_by_direction": "ASC"}
        jobs = list(_entries(self._http, "/v2/jobs", batch_id=batch_id, limit=PAGE, **order))
        if not all(isinstance(job.get("id"), str) and job["id"] for job in jobs):
            raise InvalidResponseError("GET /v2/jobs: a job in the response has no `id`")
        return [job["id"] for job in jobs]

    def cancel_job(self, job_id: str) -> None:
        """Cancel a job."""
        self._patch(f"/v2/jobs/{path_segment(job_id)}/cancel")

    # Results

    def full_results(self, batch_id: str) -> Response:
        """Return ``data``, the results of a batch by the ids of its jobs, empty without any."""
        path = f"/v1/batches/{path_segment(batch_id)}/full_results"
        return self._http.request("GET", path, transfer=True, not_found=TaskNotFoundError)

    def result_file(self, job_id: str) -> Response | None:
        """Return a job's file of results; None while it is missing."""
        link = self._results_link(job_id)
        if link is None:
            return None
        links = iter([link])

        def content() -> Response:
            # Another attempt gets another link, since links expire.
            return self._files.request(
                "GET",
                lambda: next(links, None) or self._results_link(job_id) or link,
                transfer=True,
            )

        try:
            return content()
        except QrmiError as error:
            if error.status_code != 403:  # that is how a store refuses an expired one
                raise
        return content()

    def _results_link(self, job_id: str) -> str | None:
        path = f"/v1/jobs/{path_segment(job_id)}/results_link"
        response = self._http.request("GET", path, not_found=TaskNotFoundError)
        found = response.object("data").get("results_link")
        if found is None:
            return None
        if not isinstance(found, str) or not found.lower().startswith(("https://", "http://")):
            raise response.invalid("the link to the result is not a URL")
        return found

    # CUDA-Q jobs

    def create_cudaq(self, program: Program, device_type: str, project_id: str) -> str:
        """Create a job of CUDA-Q, and return its id."""
        value = {
            "machine": device_type,
            "project_id": project_id,
            "sequence": program.content,
            "shots": program.runs,
        }
        return self._created("/v1/cudaq/job", body(value, len(program.text)))

    def cudaq_job(self, job_id: str) -> dict[str, Any]:
        """Return a job of CUDA-Q, with its ``status`` and, at its end, its ``result``."""
        return self._described("/v1/cudaq/job", job_id)

    def _described(self, path: str, task_id: str) -> dict[str, Any]:
        path = f"{path}/{path_segment(task_id)}"
        response = self._http.request("GET", path, not_found=TaskNotFoundError)
        response.text("data", "status")
        return response.object("data")

    def _created(self, path: str, value: Any) -> str:
        response = self._http.request("POST", path, json=value, submission=True)
        return response.created_id("data", "id")

    def _patch(self, path: str) -> None:
        response = self._http.request("PATCH", path, idempotent=True, not_found=TaskNotFoundError)
        response.object("data")


def _entries(
    client: HttpClient, path: str, **params: str | int | Sequence[str] | None
) -> Iterator[dict[str, Any]]:
    offset: int | None = None
    while True:
        response = client.request("GET", path, params={**params, "offset": offset})
        entries = response.items("data")
        yield from entries
        match response.object().get("pagination"):
            case {"end": int(end), "total": int(total)} if (offset or 0) < end < total and entries:
                offset = end
            case _:
                return


def _explain(response: Response, error: QrmiError) -> None:
    describe(response, error)
    if response.status_code == 401:
        error.message += "; check the credentials, and that they are for this address"


def _explain_store(response: Response, error: QrmiError) -> None:
    # Stores repeat parts of a signed link in their errors.
    error.message = f"{response.call}: {response.status_code} from the store of results"
    if response.status_code == 403:
        error.message += "; it refused a new link too: try again, and check this host's clock"
        error.retryable = True
