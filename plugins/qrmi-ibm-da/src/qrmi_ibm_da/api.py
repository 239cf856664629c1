"""The system's exchanges, and what its error codes mean."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from typing import Any

from qrmi_core.errors import (
    AuthenticationFailedError,
    InvalidInputError,
    InvalidResponseError,
    QrmiError,
    ResourceBusyError,
    ResourceNotFoundError,
    ServiceError,
    TaskNotFoundError,
)
from qrmi_core.http import HttpClient, Response, retry_after_seconds
from qrmi_ibm_common import describe, ibm_client, job_path, recast, segment, to_object
from qrmi_ibm_da.settings import SystemSettings

DUPLICATE = "1231"
"""The code of a submission with the id of a job that there is."""
_ENDED = "1306"
"""The code of a cancel of a job that has ended."""
_PRODUCT = f"qrmi-ibm-da/{importlib.metadata.version('qrmi-ibm-da')}"
_BUSY_PAUSE_SECONDS = 1.0

_KINDS: dict[str, tuple[type[QrmiError], str]] = {
    "1200": (AuthenticationFailedError, "check the API key's access to the instance"),
    "1201": (AuthenticationFailedError, "check the API key"),
    "1219": (AuthenticationFailedError, "check the API key"),
    "1216": (ResourceNotFoundError, "the resource's id must be the name of a backend"),
    "1291": (TaskNotFoundError, ""),
}
_BUSY = {
    423: "the backend is reserved; waiting until the reservation is over can help",
    429: "every lane holds a task until that is stopped, also one that has ended: stop what has "
    "ended, or wait for others to",
}


class SystemApi:
    """The requests, one method each. Retries, time-outs and tokens are the client's business.

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
            policy=settings.http_policy(),
            headers={
                "Service-CRN": settings.service_crn,
                "IBM-API-Version": settings.api_version,
                "Accept": "application/json",
            },
            error=_explained,
            product=_PRODUCT,
        )

    def close(self) -> None:
        """Close the connections of this thread."""
        self.http.close()

    # Backends

    def backends(self) -> list[dict[str, Any]]:
        """What the service tells about each backend."""
        return self._list("/v1/backends", "backends")

    def backend(self, name: str) -> dict[str, Any]:
        """What it tells about one."""
        return to_object(self.http.request("GET", _backend(name)))

    def lanes(self, name: str) -> dict[str, Any] | None:
        """The lanes of a backend, None from a service that does not tell."""
        answer = self.http.request("GET", f"{_backend(name)}/lanes", ok=(404,))
        return None if answer.status_code == 404 else to_object(answer)

    def configuration(self, name: str) -> Response:
        """A backend's configuration."""
        return self.http.request("GET", f"{_backend(name)}/configuration")

    def properties(self, name: str) -> Response:
        """A backend's calibration data."""
        return self.http.request("GET", f"{_backend(name)}/properties")

    # Jobs

    def start(self, document: Callable[[], dict[str, Any]]) -> None:
        """Create a job.

        Args:
            document: Makes its description, anew for each attempt.
        """
        _done(self.http.request("POST", "/v1/jobs", json=document, submission=True), uncertain=True)

    def job(self, job_id: str) -> dict[str, Any]:
        """What the service tells about a job."""
        return to_object(self.http.request("GET", _job(job_id), not_found=TaskNotFoundError))

    def jobs(self) -> list[dict[str, Any]]:
        """All jobs of this client that were not deleted, oldest first."""
        return self._list("/v1/jobs", "jobs")

    def cancel(self, job_id: str) -> bool | None:
        """Cancel a job, and tell whether it was still running.

        Returns:
            None if it has ended, and an attempt without an answer may be why.
        """
        path = f"{_job(job_id)}/cancel"
        attempts = 0

        def address() -> str:
            nonlocal attempts
            attempts += 1
            return path

        try:
            answer = self.http.request(
                "POST", address, idempotent=True, not_found=TaskNotFoundError
            )
        except ServiceError as error:
            if error.status_code != 409 or error.vendor_code != _ENDED:
                raise
            return None if attempts > 1 else False
        _done(answer)
        return True

    def delete(self, job_id: str) -> bool:
        """Delete a job that has ended, and tell whether that was so."""
        answer = self.http.request("DELETE", _job(job_id), ok=(409,), not_found=TaskNotFoundError)
        if answer.status_code == 409:
            return False
        _done(answer)
        return True

    def _list(self, path: str, name: str) -> list[dict[str, Any]]:
        answer = self.http.request("GET", path)
        found = to_object(answer).get(name)
        if found is None:
            return []  # the service's notation of an empty list
        if not isinstance(found, list):
            raise InvalidResponseError(f"{answer.call}: the answer has no list of {name}")
        return [item for item in found if isinstance(item, dict)]


def _backend(name: str) -> str:
    return f"/v1/backends/{segment(name)}"


def _job(job_id: str) -> str:
    return f"/v1{job_path(job_id)}"


def _done(answer: Response, *, uncertain: bool = False) -> None:
    """Make sure that it was the service that said so, whose answer has no body."""
    if answer.content.strip():
        raise InvalidResponseError(
            f"{answer.call}: {answer.status_code} with a body, which is not the service's answer: "
            f"{answer.excerpt()!r}; check the endpoint, and that no login page or proxy answers "
            "in its place",
            status_code=answer.status_code,
            uncertain=uncertain,
        )


def _explained(response: Response, error: QrmiError) -> QrmiError:
    """The error that an error answer is."""
    describe(response, error)
    status = response.status_code
    if status == 404 and response.content.lstrip()[:1] == b"<":
        advice = "this is the page of a proxy or of another server; check the endpoint"
        return recast(error, InvalidResponseError, advice)
    if response.call.startswith("POST ") and response.call.endswith("/v1/jobs"):
        if status in _BUSY:
            busy = recast(error, ResourceBusyError, _BUSY[status])
            told = retry_after_seconds(response.headers)
            busy.retry_after = _BUSY_PAUSE_SECONDS if told is None else told
            return busy
        if status == 409 and error.vendor_code != DUPLICATE:
            return recast(error, InvalidInputError)
    code = error.vendor_code or ""
    if code not in _KINDS or status >= 500:
        return error
    kind, advice = _KINDS[code]
    return recast(error, kind, advice)
