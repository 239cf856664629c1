"""The service's exchanges, and what its error codes mean."""

from __future__ import annotations

import importlib.metadata
import logging
from collections.abc import Collection, Iterator
from typing import Any

from qrmi_core.errors import (
    AuthenticationFailedError,
    ConfigError,
    InvalidInputError,
    InvalidResponseError,
    NotAcquiredError,
    PermissionDeniedError,
    QrmiError,
    ResourceBusyError,
    ResourceNotFoundError,
    TaskNotFoundError,
)
from qrmi_core.http import Response, retry_after_seconds
from qrmi_ibm_common import describe, ibm_client, job_path, recast, segment, to_object
from qrmi_ibm_runtime.primitives import Body
from qrmi_ibm_runtime.settings import RuntimeSettings

_log = logging.getLogger(__name__)

PAGE = 200
"""Jobs in one page of a list, at most."""
_PRODUCT = f"qrmi-ibm-runtime/{importlib.metadata.version('qrmi-ibm-runtime')}"
_RATE_LIMIT_PAUSE_SECONDS = 5.0

NO_SESSIONS = "1352"
"""The code of a plan that may not open the session asked for."""
_PASSING = frozenset({"1999", "9707"})
_KINDS: dict[str, tuple[type[QrmiError], str]] = {
    "1200": (AuthenticationFailedError, "check the API key's access to the instance"),
    "1201": (AuthenticationFailedError, "check the API key"),
    "1219": (AuthenticationFailedError, "check the API key"),
    "1216": (ResourceNotFoundError, ""),
    "1217": (NotAcquiredError, ""),
    "4001": (NotAcquiredError, ""),
    "1232": (ResourceBusyError, ""),
    "1233": (ResourceBusyError, ""),
    "1279": (ConfigError, "the CRN's region must be that of the endpoint"),
    "1291": (TaskNotFoundError, ""),
    NO_SESSIONS: (PermissionDeniedError, ""),
    "5302": (InvalidInputError, ""),
}
_USAGE_LIMIT = "usage limit"
"""What the message of a spent limit says; its code is that of a closed session."""

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
"""With which bytes a JSON value can end, by the byte that it begins with."""


class RuntimeApi:
    """The requests, one method each. Retries, time-outs and tokens are the client's business.

    Args:
        settings: Addresses, credentials, network settings.
    """

    def __init__(self, settings: RuntimeSettings) -> None:
        self._calibration_id = settings.calibration_id
        self._http = ibm_client(
            settings.endpoint,
            iam_endpoint=settings.iam_endpoint,
            api_key=settings.api_key,
            policy=settings.http_policy(),
            headers={
                "Service-CRN": settings.service_crn,
                "IBM-API-Version": settings.api_version,
            },
            error=_explained,
            product=_PRODUCT,
        )

    def close(self) -> None:
        """Close the connections of this thread."""
        self._http.close()

    # Backends

    def backends(self) -> list[dict[str, Any]]:
        """What the service tells about each backend of the instance."""
        found = self._object("/backends").get("devices")
        if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
            raise InvalidResponseError(
                "GET /backends: no list of backends as objects; check the endpoint and the version "
                "of the API in the settings"
            )
        return found

    def configuration(self, backend: str) -> Response:
        """A backend's configuration."""
        return self._description(backend, "configuration")

    def properties(self, backend: str) -> Response | None:
        """A backend's calibration data, None if it has none.

        Raises:
            InvalidResponseError: That it has none is not in the service's words.
        """
        answer = self._description(backend, "properties", ok=(404,))
        if answer.status_code != 404:
            return answer
        answer.json()  # the service says so, not a gateway
        return None

    def _description(self, backend: str, what: str, ok: Collection[int] = ()) -> Response:
        return self._http.request(
            "GET",
            f"/backends/{segment(backend)}/{what}",
            params={"calibration_id": self._calibration_id},
            ok=ok,
        )

    # Sessions

    def open_session(self, backend: str, mode: str, max_ttl_seconds: int) -> str:
        """Open a session and give its id."""
        body = {
            "mode": mode,
            "max_ttl": max_ttl_seconds,
            "backend": backend,
            "backend_name": backend,
        }
        try:
            return self._created("/sessions", json=body)
        except QrmiError as error:
            if not error.uncertain:
                raise
            # Sessions have no tag to be found by, and the service's list of workloads does not
            # tell ours from that of another process; one that nobody uses closes by itself.
            _log.warning("a session may have been opened that nobody will use: %s", error)
        return self._created("/sessions", json=body)

    def session(self, session_id: str) -> dict[str, Any] | None:
        """What the service tells about a session, None if it does not know it."""
        answer = self._http.request("GET", f"/sessions/{segment(session_id)}", ok=(404,))
        return None if answer.status_code == 404 else to_object(answer)

    def close_session(self, session_id: str, *, cancel: bool) -> None:
        """End a session: at once, or when its jobs have ended. One that is gone is not an error."""
        path = f"/sessions/{segment(session_id)}"
        if cancel:
            self._http.request("DELETE", f"{path}/close", ok=(404,))
        else:
            body = {"accepting_jobs": False}
            self._http.request("PATCH", path, json=body, idempotent=True, ok=(404,))

    # Jobs

    def start(self, body: Body) -> str:
        """Create a job and give its id."""
        headers = {"Content-Type": "application/json"}
        return self._created("/jobs", data=body, headers=headers, submission=True)

    def job(self, job_id: str) -> dict[str, Any]:
        """The state of a job."""
        return self._object(job_path(job_id), exclude_params="true", not_found=TaskNotFoundError)

    def jobs(
        self,
        backend: str,
        tag: str | None = None,
        *,
        session: str | None = None,
        pending: bool = False,
    ) -> Iterator[dict[str, Any]]:
        """The account's jobs on a backend, newest first; a request for each page that is read."""
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
        """One page of that list, from an offset on, and how many jobs the whole has, if told."""
        page = self._object(
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
        jobs = page.get("jobs")
        if not isinstance(jobs, list) or not all(isinstance(job, dict) for job in jobs):
            raise InvalidResponseError("GET /jobs: the answer has no list of jobs")
        return jobs, page.get("count")

    def result(self, job_id: str) -> Iterator[bytes]:
        """The result in pieces; none at all where there is no result.

        Raises:
            InvalidResponseError: It is no JSON value from its first byte to its last. Only these
                are looked at. Where the first is wrong no piece was given out.
        """
        path = f"{job_path(job_id)}/results"
        return _whole(f"GET {path}", self._http.stream(path, not_found=TaskNotFoundError))

    def logs(self, job_id: str) -> str:
        """The job's logs."""
        answer = self._http.request("GET", f"{job_path(job_id)}/logs", not_found=TaskNotFoundError)
        return answer.content.decode("utf-8", "replace")

    def metrics(self, job_id: str) -> dict[str, Any]:
        """What the job consumed, and when."""
        return self._object(f"{job_path(job_id)}/metrics", not_found=TaskNotFoundError)

    def cancel(self, job_id: str) -> None:
        """Cancel a job; one that has ended is not an error."""
        self._http.request(
            "POST",
            f"{job_path(job_id)}/cancel",
            idempotent=True,
            ok=(409,),
            not_found=TaskNotFoundError,
        )

    def _object(
        self,
        path: str,
        *,
        not_found: type[QrmiError] = ResourceNotFoundError,
        **params: str | int | None,
    ) -> dict[str, Any]:
        return to_object(self._http.request("GET", path, params=params, not_found=not_found))

    def _created(self, path: str, **how: Any) -> str:
        answer = self._http.request("POST", path, **how)
        made = answer.json()
        made_id = made.get("id") if isinstance(made, dict) else None
        if not isinstance(made_id, str) or not made_id:
            # It exists, but its id is lost.
            raise InvalidResponseError(f"{answer.call}: the answer has no id", uncertain=True)
        return made_id


def _whole(call: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same pieces, checked to begin and to end as one JSON value does."""
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
            f"{call}: the answer is not a result, which is JSON; a proxy or a login page may have "
            "answered in the service's place",
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


def _explained(response: Response, error: QrmiError) -> QrmiError:
    """The error that an error answer is."""
    describe(response, error)
    creates = response.call.startswith("POST ") and response.call.endswith(("/jobs", "/sessions"))
    if creates and response.status_code == 429:
        busy = recast(error, ResourceBusyError, "the service limits submissions per minute")
        told = retry_after_seconds(response.headers)
        busy.retry_after = _RATE_LIMIT_PAUSE_SECONDS if told is None else told
        return busy
    if creates and _USAGE_LIMIT in error.message.lower():
        advice = "ask the administrator of the instance for more usage"
        return recast(error, PermissionDeniedError, advice)
    code = error.vendor_code or ""
    if code in _PASSING:
        error.retryable = True
    if code not in _KINDS:
        return error
    kind, advice = _KINDS[code]
    return recast(error, kind, advice)
