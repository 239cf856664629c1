"""The exchanges with Pasqal Cloud."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

from qrmi_core.errors import (
    InvalidResponseError,
    QrmiError,
    TaskNotFoundError,
)
from qrmi_core.http import HttpClient, Response
from qrmi_pasqal.auth import PasqalAuth
from qrmi_pasqal.errors import describe
from qrmi_pasqal.settings import PasqalCloudSettings

PAGE = 100
"""Entries in one page of a list, at most."""
_CORE = "/core-fast/api"
_PRODUCT = f"qrmi-pasqal/{importlib.metadata.version('qrmi-pasqal')}"


class CloudApi:
    """The requests, one method each. Retries, time-outs and tokens are the client's business.

    Args:
        settings: Addresses, credentials, network settings.
    """

    def __init__(self, settings: PasqalCloudSettings) -> None:
        # What needs no credential gets none.
        self._public = HttpClient(
            settings.base_url + _CORE,
            policy=settings.http_policy(),
            error=_explained,
            product=_PRODUCT,
        )
        self._http = self._public.sibling(
            settings.base_url + _CORE, auth=PasqalAuth(settings, self._public), error=_explained
        )
        self._files = self._public.sibling(settings.base_url + _CORE, error=_of_the_store)

    def close(self) -> None:
        """Close the connections of this thread."""
        self._public.close()

    # Devices

    def devices(self, device_type: str | None = None) -> Iterator[dict[str, Any]]:
        """What the service tells about each device, or about those of one type."""
        return _entries(self._public, "/v1/devices", device_type=device_type)

    def public_specs(self) -> list[dict[str, Any]]:
        """``device_type`` and ``specs``, a Pulser device as text, of each public device."""
        return list(_entries(self._public, "/v1/devices/public-specs"))

    def specs(self, device_type: str) -> dict[str, Any]:
        """The same of one device."""
        path = f"/v1/devices/specs/{quote(device_type, safe='')}"
        found = _object(self._http.request("GET", path))
        if not isinstance(found.get("specs"), str):
            raise InvalidResponseError(f"GET {path}: the answer has no `specs`")
        return found

    # Batches

    def create_batch(
        self, sequence: str, runs: int, device_type: str, project_id: str, tag: str
    ) -> str:
        """Create a batch of one job and give its id."""
        return self._created(
            "/v1/batches",
            {
                "sequence_builder": sequence,
                "jobs": [{"runs": runs}],
                "device_type": device_type,
                "project_id": project_id,
                "tags": [tag],
            },
        )

    def open_batch(self, device_type: str, project_id: str, tag: str) -> str:
        """Create a batch without jobs, left open, and give its id."""
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

    def add_jobs(self, batch_id: str, jobs: Iterable[tuple[str, int]]) -> None:
        """Add jobs to an open batch, each with a sequence and runs of its own."""
        self._http.request(
            "POST",
            f"/v2/batches/{_segment(batch_id)}/jobs",
            json=[{"runs": runs, "sequence": sequence} for sequence, runs in jobs],
            submission=True,
            not_found=TaskNotFoundError,
        )

    def close_batch(self, batch_id: str) -> None:
        """Let an open batch take no more jobs."""
        path = f"/v2/batches/{_segment(batch_id)}/complete"
        _object(self._http.request("PATCH", path, idempotent=True, not_found=TaskNotFoundError))

    def batch(self, batch_id: str) -> dict[str, Any]:
        """A batch, with its ``status`` and ``job_ids``."""
        return self._described("/v2/batches", batch_id)

    def batches(
        self, project_id: str, *, device_type: str | None = None, tag: str | None = None
    ) -> Iterator[dict[str, Any]]:
        """The batches of a project; a request for each page that is read."""
        return _entries(
            self._http,
            "/v1/batches",
            project_id=project_id,
            device_type=device_type,
            tag=tag,
            limit=PAGE,
        )

    def cancel_batch(self, batch_id: str) -> None:
        """Cancel a batch and its jobs."""
        path = f"/v2/batches/{_segment(batch_id)}/cancel"
        _object(self._http.request("PATCH", path, idempotent=True, not_found=TaskNotFoundError))

    def job(self, job_id: str) -> dict[str, Any]:
        """A job, with its ``errors`` and times."""
        return self._described("/v2/jobs", job_id)

    def job_ids(self, batch_id: str) -> list[str]:
        """The ids of a batch's jobs, oldest first; a request for each page."""
        order = {"order_by": "creation_order", "order_by_direction": "ASC"}
        jobs = list(_entries(self._http, "/v2/jobs", batch_id=batch_id, limit=PAGE, **order))
        if not all(isinstance(job.get("id"), str) for job in jobs):
            raise InvalidResponseError("GET /v2/jobs: a job in the answer has no `id`")
        return [job["id"] for job in jobs]

    def cancel_job(self, job_id: str) -> None:
        """Cancel a job."""
        path = f"/v2/jobs/{_segment(job_id)}/cancel"
        _object(self._http.request("PATCH", path, idempotent=True, not_found=TaskNotFoundError))

    # Results

    def full_results(self, batch_id: str) -> Any:
        """The results of a batch by the ids of its jobs; empty while there are none."""
        path = f"/v1/batches/{_segment(batch_id)}/full_results"
        return _data(self._http.request("GET", path, transfer=True, not_found=TaskNotFoundError))

    def result_file(self, job_id: str) -> Any:
        """The content of a job's file of results; None while there is none."""
        link = self._results_link(job_id)
        if link is None:
            return None
        links = iter([link])

        def content() -> Any:
            # Another attempt gets another link, since links expire.
            return self._files.request(
                "GET",
                lambda: next(links, None) or self._results_link(job_id) or link,
                transfer=True,
            ).json()

        try:
            return content()
        except QrmiError as error:
            if error.status_code != 403:  # that is how a store refuses an expired one
                raise
        return content()

    def _results_link(self, job_id: str) -> str | None:
        path = f"/v1/jobs/{_segment(job_id)}/results_link"
        answer = self._http.request("GET", path, not_found=TaskNotFoundError)
        found = _object(answer).get("results_link")
        if found is None:
            return None
        if not isinstance(found, str) or not found.lower().startswith(("https://", "http://")):
            raise InvalidResponseError("the link to the result is no address")
        return found

    # CUDA-Q jobs

    def create_cudaq(self, program: Any, shots: int, device_type: str, project_id: str) -> str:
        """Create a job of CUDA-Q and give its id."""
        return self._created(
            "/v1/cudaq/job",
            {
                "machine": device_type,
                "project_id": project_id,
                "sequence": program,
                "shots": shots,
            },
        )

    def cudaq_job(self, job_id: str) -> dict[str, Any]:
        """A job of CUDA-Q, with its ``status`` and, at its end, its ``result``."""
        return self._described("/v1/cudaq/job", job_id)

    def _described(self, path: str, task_id: str) -> dict[str, Any]:
        path = f"{path}/{_segment(task_id)}"
        found = _object(self._http.request("GET", path, not_found=TaskNotFoundError))
        if not isinstance(found.get("status"), str):
            raise InvalidResponseError(f"GET {path}: the answer has no `status`")
        return found

    def _created(self, path: str, body: dict[str, Any]) -> str:
        answer = self._http.request("POST", path, json=body, submission=True)
        try:
            made = _object(answer).get("id")
        except InvalidResponseError as error:
            error.uncertain = True
            raise
        if not isinstance(made, str) or not made:
            # It exists, but its id is lost.
            raise InvalidResponseError(f"{answer.call}: the answer has no id", uncertain=True)
        return made


def _entries(client: HttpClient, path: str, **params: str | int | None) -> Iterator[dict[str, Any]]:
    offset: int | None = None
    while True:
        answer = client.request("GET", path, params={**params, "offset": offset})
        entries, pagination = _data(answer), answer.json().get("pagination")
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise InvalidResponseError(f"{answer.call}: the answer has no list of objects")
        yield from entries
        match pagination:
            case {"end": int(end), "total": int(total)} if (offset or 0) < end < total and entries:
                offset = end
            case _:
                return


def _data(answer: Response) -> Any:
    """What is in the envelope of an answer."""
    body = answer.json()
    if not isinstance(body, dict) or "data" not in body:
        raise InvalidResponseError(
            f"{answer.call}: the answer is not an object with `data`; check the base URL",
            status_code=answer.status_code,
        )
    return body["data"]


def _object(answer: Response) -> dict[str, Any]:
    data = _data(answer)
    if not isinstance(data, dict):
        raise InvalidResponseError(
            f"{answer.call}: the answer's `data` is not an object", status_code=answer.status_code
        )
    return data


def _segment(task_id: str) -> str:
    if not task_id.strip("."):
        # Such a segment means another address.
        raise TaskNotFoundError(f"{task_id!r} is not the id of a task")
    return quote(task_id, safe="")


def _explained(response: Response, error: QrmiError) -> QrmiError:
    describe(response, error)
    if response.status_code == 401:
        error.message += "; check the credentials, and that they are for this address"
    return error


def _of_the_store(response: Response, error: QrmiError) -> QrmiError:
    # Stores repeat parts of a signed link in their errors.
    error.message = f"{response.call}: {response.status_code} from the store of results"
    if response.status_code == 403:
        error.message += "; it refused a new link too: try again, and check this host's clock"
        error.retryable = True
    return error
