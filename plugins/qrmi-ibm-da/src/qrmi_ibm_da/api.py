"""Requests to the system's API, and errors by its error codes."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from typing import Any

from qrmi_core.plugin import (
    HttpClient,
    InvalidInputError,
    InvalidResponseError,
    QrmiError,
    ResourceBusyError,
    ResourceNotFoundError,
    Response,
    ServiceError,
    TaskNotFoundError,
    path_segment,
    recast,
)
from qrmi_ibm_common import KINDS, describe, ibm_client
from qrmi_ibm_da.settings import SystemSettings

DUPLICATE = "1231"
"""The code of a submission with the id of a job that there is."""
_ENDED = "1306"
"""The code of a cancel of a job that has ended."""
_PRODUCT = f"qrmi-ibm-da/{importlib.metadata.version('qrmi-ibm-da')}"
_BUSY_PAUSE_SECONDS = 1.0

_KINDS: dict[str, tuple[type[QrmiError], str]] = {
    **KINDS,
    "1216": (ResourceNotFoundError, "the resource's id must be the name of a backend"),
}
_BUSY = {
    423: "the backend is reserved; waiting until the reservation is over can help",
    429: "every lane holds a task until that is stopped, also one that has ended: stop what has "
    "ended, or wait for others to",
}


class SystemApi:
    """The API's requests, one per method. The client handles retries, time-outs and tokens.

    Args:
        settings: Addresses, credentials, network settings.

    Attributes:
        http: The client.
    """

    def __init__(self, settings: SystemSettings) -> None:
        self.http: HttpClient = ibm_client(
            settings.endpoint,
            iam_endpoint=settings.iam_endpoint,
            api_key=settings.api_key,
            settings=settings,
            headers={
                "Service-CRN": settings.service_crn,
                "IBM-API-Version": settings.api_version,
                "Accept": "application/json",
            },
            error=_explain,
            product=_PRODUCT,
        )

    def close(self) -> None:
        """Close the connections of this thread."""
        self.http.close()

    # Backends

    def backends(self) -> list[dict[str, Any]]:
        """Return the description of each backend."""
        return self._list("/v1/backends", "backends")

    def backend(self, name: str) -> dict[str, Any]:
        """Return the description of one backend."""
        return self.http.request("GET", _backend(name)).object()

    def lanes(self, name: str) -> dict[str, Any] | None:
        """Return a backend's lanes, or None if the service lacks that route."""
        response = self.http.request("GET", f"{_backend(name)}/lanes", ok=(404,))
        return None if response.status_code == 404 else response.object()

    def configuration(self, name: str) -> Response:
        """Return a backend's configuration."""
        return self.http.request("GET", f"{_backend(name)}/configuration")

    def properties(self, name: str) -> Response:
        """Return a backend's calibration data."""
        return self.http.request("GET", f"{_backend(name)}/properties")

    # Jobs

    def start(self, document: Callable[[], dict[str, Any]]) -> None:
        """Create a job.

        Args:
            document: Creates the job's description; called for each attempt.
        """
        _done(self.http.request("POST", "/v1/jobs", json=document, submission=True))

    def job(self, job_id: str) -> dict[str, Any]:
        """Return the description of a job."""
        return self.http.request("GET", _job(job_id), not_found=TaskNotFoundError).object()

    def jobs(self) -> list[dict[str, Any]]:
        """Return all undeleted jobs of this client, oldest first."""
        return self._list("/v1/jobs", "jobs")

    def cancel(self, job_id: str) -> bool | None:
        """Cancel a job; return True if it was still running.

        Returns:
            None if it had ended already, perhaps through an attempt whose response was lost.
        """
        path = f"{_job(job_id)}/cancel"
        attempts = 0

        def address() -> str:
            nonlocal attempts
            attempts += 1
            return path

        try:
            response = self.http.request(
                "POST", address, idempotent=True, not_found=TaskNotFoundError
            )
        except ServiceError as error:
            if error.status_code != 409 or error.vendor_code != _ENDED:
                raise
            return None if attempts > 1 else False
        _done(response)
        return True

    def delete(self, job_id: str) -> bool:
        """Delete a job; return True if it had ended and has been deleted."""
        response = self.http.request("DELETE", _job(job_id), ok=(409,), not_found=TaskNotFoundError)
        if response.status_code == 409:
            return False
        _done(response)
        return True

    def _list(self, path: str, name: str) -> list[dict[str, Any]]:
        response = self.http.request("GET", path)
        # The service writes null for an empty list.
        return response.items(name) if response.object().get(name) is not None else []


def _backend(name: str) -> str:
    return f"/v1/backends/{path_segment(name, ResourceNotFoundError)}"


def _job(job_id: str) -> str:
    return f"/v1/jobs/{path_segment(job_id)}"


def _done(response: Response) -> None:
    """Raise if a response has a body, which these requests' responses never have."""
    if response.content.strip():
        raise response.invalid(
            f"{response.status_code} with a body, which is not the service's response: "
            f"{response.excerpt()!r}; check the endpoint, and that no login page or proxy answers "
            "in its place"
        )


def _explain(response: Response, error: QrmiError) -> QrmiError:
    """Map an error response of the service to an error."""
    describe(response, error)
    status = response.status_code
    if status == 404 and response.content.lstrip()[:1] == b"<":
        advice = "this is the page of a proxy or of another server; check the endpoint"
        return recast(error, InvalidResponseError, advice)
    if response.method == "POST" and response.path.endswith("/v1/jobs"):
        if status in _BUSY:
            if error.retry_after is None:
                error.retry_after = _BUSY_PAUSE_SECONDS
            return recast(error, ResourceBusyError, _BUSY[status])
        if status == 409 and error.vendor_code != DUPLICATE:
            return recast(error, InvalidInputError)
    code = error.vendor_code or ""
    if code in _KINDS and status < 500:
        return recast(error, *_KINDS[code])
    return error
