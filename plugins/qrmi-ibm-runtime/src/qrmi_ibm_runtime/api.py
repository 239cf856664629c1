"""Requests to the Runtime API, and the errors of its error codes."""

from __future__ import annotations

import importlib.metadata
import json
import logging
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from qrmi_core.plugin import (
    ConfigError,
    InvalidInputError,
    InvalidResponseError,
    NotAcquiredError,
    PermissionDeniedError,
    QrmiError,
    ResourceBusyError,
    ResourceNotFoundError,
    Response,
    TaskNotFoundError,
    path_segment,
    recast,
)
from qrmi_ibm_common import KINDS, describe, ibm_client
from qrmi_ibm_runtime.settings import RuntimeSettings

_log = logging.getLogger(__name__)

PAGE = 200
"""Jobs in one page of a list, at most."""
_PRODUCT = f"qrmi-ibm-runtime/{importlib.metadata.version('qrmi-ibm-runtime')}"
_RATE_LIMIT_PAUSE_SECONDS = 5.0

NO_SESSIONS = "1352"
"""The code of a plan without this kind of session."""
_PASSING = frozenset({"1999", "9707"})
_KINDS: dict[str, tuple[type[QrmiError], str]] = {
    **KINDS,
    "1216": (ResourceNotFoundError, ""),
    "1217": (NotAcquiredError, ""),
    "4001": (NotAcquiredError, ""),
    "1232": (ResourceBusyError, ""),
    "1233": (ResourceBusyError, ""),
    "1279": (ConfigError, "the CRN's region must be that of the endpoint"),
    NO_SESSIONS: (PermissionDeniedError, ""),
    "5302": (InvalidInputError, ""),
}
_USAGE_LIMIT = "usage limit"
"""Part of the message of a spent limit, whose code is that of a closed session."""

_BLANKS = b" \t\r\n"
_ENDS = {
    b"{": b"}",
    b"[": b"]",
    b'"': b'"',
    b"t": b"e",
    b"f": b"e",
    b"n": b"l",
    **dict.fromkeys((b"%d" % digit for digit in range(10)), b"0123456789"),
    b"-": b"0123456789",
}
"""The bytes with which a JSON value can end, by its first byte."""


class Body:
    """The body of a submission in pieces, so that a large input need not be copied."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = pieces

    def __len__(self) -> int:
        return sum(map(len, self._pieces))

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)


def body_of(fields: Mapping[str, Any], params: bytes) -> Body:
    """Return the body of a submission: its fields, and the input, which is passed on unchanged."""
    head = json.dumps(fields, separators=(",", ":")).encode()
    return Body(head[:-1] + b',"params":', params, b"}")


class RuntimeApi:
    """The requests, one method each. The client handles retries, time-outs and tokens.

    Args:
        settings: Addresses, credentials, network settings.
    """

    def __init__(self, settings: RuntimeSettings) -> None:
        self._calibration_id = settings.calibration_id
        self._http = ibm_client(
            settings.endpoint,
            iam_endpoint=settings.iam_endpoint,
            api_key=settings.api_key,
            settings=settings,
            headers={
                "Service-CRN": settings.service_crn,
                "IBM-API-Version": settings.api_version,
            },
            error=_explain,
            product=_PRODUCT,
        )

    def close(self) -> None:
        """Close the connections of this thread."""
        self._http.close()

    # Backends

    def backends(self) -> list[dict[str, Any]]:
        """Return the description of each backend of the instance."""
        return self._get("/backends").items("devices")

    def configuration(self, backend: str) -> Response:
        """Return a backend's configuration."""
        return self._description(backend, "configuration")

    def properties(self, backend: str) -> Response | None:
        """Return a backend's calibration data, None if it has none.

        Raises:
            InvalidResponseError: The 404 is not the service's response.
        """
        response = self._description(backend, "properties", ok=(404,))
        if response.status_code != 404:
            return response
        response.json()  # raises if it is a gateway's response
        return None

    def _description(self, backend: str, what: str, ok: Collection[int] = ()) -> Response:
        return self._http.request(
            "GET",
            f"/backends/{path_segment(backend, ResourceNotFoundError)}/{what}",
            params={"calibration_id": self._calibration_id},
            ok=ok,
        )

    # Sessions

    def open_session(self, backend: str, mode: str, max_ttl_seconds: int) -> str:
        """Open a session, and return its id."""
        body = {
            "mode": mode,
            "max_ttl": max_ttl_seconds,
            "backend": backend,
            "backend_name": backend,
        }
        try:
            return self._http.request("POST", "/sessions", json=body).created_id()
        except QrmiError as error:
            if not error.uncertain:
                raise
            # Sessions have no tag to be found by, and the service's list of workloads does not
            # distinguish ours from another process's; one that nobody uses closes by itself.
            _log.warning("a session may have been opened that nobody will use: %s", error)
        return self._http.request("POST", "/sessions", json=body).created_id()

    def session(self, session_id: str) -> dict[str, Any] | None:
        """Return the session document, or None if the session does not exist."""
        response = self._http.request("GET", _session(session_id), ok=(404,))
        return None if response.status_code == 404 else response.object()

    def close_session(self, session_id: str, *, cancel: bool) -> None:
        """End a session: at once, or when its jobs have ended. One that is gone is not an error."""
        path = _session(session_id)
        if cancel:
            self._http.request("DELETE", f"{path}/close", ok=(404,))
        else:
            body = {"accepting_jobs": False}
            self._http.request("PATCH", path, json=body, idempotent=True, ok=(404,))

    # Jobs

    def start(self, fields: Mapping[str, Any], params: bytes) -> str:
        """Create a job, and return its id.

        Args:
            fields: The fields of the body but `params`.
            params: The input of the program, in JSON.
        """
        response = self._http.request(
            "POST",
            "/jobs",
            data=body_of(fields, params),
            headers={"Content-Type": "application/json"},
            submission=True,
        )
        return response.created_id()

    def job(self, job_id: str) -> dict[str, Any]:
        """Return the state of a job."""
        return self._get(_job(job_id), TaskNotFoundError, exclude_params="true").object()

    def jobs(
        self,
        backend: str,
        tag: str | None = None,
        *,
        session: str | None = None,
        pending: bool = False,
    ) -> Iterator[dict[str, Any]]:
        """Yield the account's jobs on a backend, newest first; a request for each page."""
        offset = 0
        while True:
            jobs, count = self.page(backend, tag, offset, session=session, pending=pending)
            yield from jobs
            offset += len(jobs)
            if len(jobs) < PAGE or count == offset:
                return

    def page(
        self,
        backend: str,
        tag: str | None,
        offset: int,
        *,
        session: str | None = None,
        pending: bool = False,
    ) -> tuple[list[dict[str, Any]], object]:
        """Return one page of that list from an offset on, and the length of the list if known."""
        page = self._get(
            "/jobs",
            backend=backend,
            tags=tag,
            session_id=session,
            limit=PAGE,
            offset=offset,
            pending="true" if pending else None,
            sort="DESC",
            exclude_params="true",
        )
        return page.items("jobs"), page.object().get("count")

    def result(self, job_id: str) -> Iterator[bytes]:
        """Yield the result in pieces; nothing if it does not exist.

        Raises:
            InvalidResponseError: The first or the last byte cannot be one of a JSON value; the
                others are not checked. If the first is wrong, no piece was yielded.
        """
        path = f"{_job(job_id)}/results"
        return _whole(f"GET {path}", self._http.stream(path, not_found=TaskNotFoundError))

    def logs(self, job_id: str) -> str:
        """Return the job's logs."""
        response = self._get(f"{_job(job_id)}/logs", TaskNotFoundError)
        return response.content.decode("utf-8", "replace")

    def metrics(self, job_id: str) -> dict[str, Any]:
        """Return the job's consumption and times."""
        return self._get(f"{_job(job_id)}/metrics", TaskNotFoundError).object()

    def cancel(self, job_id: str) -> None:
        """Cancel a job; one that has ended is not an error."""
        self._http.request(
            "POST",
            f"{_job(job_id)}/cancel",
            idempotent=True,
            ok=(409,),
            not_found=TaskNotFoundError,
        )

    def _get(
        self,
        path: str,
        not_found: type[QrmiError] = ResourceNotFoundError,
        **params: str | int | None,
    ) -> Response:
        return self._http.request("GET", path, params=params, not_found=not_found)


def _job(job_id: str) -> str:
    return f"/jobs/{path_segment(job_id)}"


def _session(session_id: str) -> str:
    return f"/sessions/{path_segment(session_id, NotAcquiredError)}"


def _whole(call: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the same pieces, checked to begin and to end as one JSON value does."""
    begin = b""
    for piece in pieces:
        begin += piece
        if begin.strip(_BLANKS):
            break
    text = begin.strip(_BLANKS)
    if not text:
        return
    ends = _ENDS.get(text[:1])
    if ends is None:
        raise InvalidResponseError(
            f"{call}: the response is not a result, which is JSON; a proxy or a login page may "
            "have answered in the service's place",
            retryable=True,
        )
    # A value of one byte is a digit; any other needs a byte for its end.
    last = text[-1:] if len(text) > 1 or text.isdigit() else b""
    yield begin
    for piece in pieces:
        last = piece.rstrip(_BLANKS)[-1:] or last
        yield piece
    if not last or last not in ends:
        raise InvalidResponseError(f"{call}: the result ends in the middle", retryable=True)


def _explain(response: Response, error: QrmiError) -> None:
    """Map an error response of the service to an error."""
    describe(response, error)
    creates = response.method == "POST" and response.path.endswith(("/jobs", "/sessions"))
    if creates and response.status_code == 429:
        if error.retry_after is None:
            error.retry_after = _RATE_LIMIT_PAUSE_SECONDS
        raise recast(error, ResourceBusyError, "the service limits submissions per minute")
    if creates and _USAGE_LIMIT in error.message.lower():
        advice = "ask the administrator of the instance for more usage"
        raise recast(error, PermissionDeniedError, advice)
    code = error.vendor_code or ""
    if code in _PASSING:
        error.retryable = True
    if code in _KINDS:
        raise recast(error, *_KINDS[code])
