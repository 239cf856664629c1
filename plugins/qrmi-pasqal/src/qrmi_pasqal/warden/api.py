"""Requests to Warden, and the errors of its error responses."""

from __future__ import annotations

import functools
import importlib.metadata
import json
import os
from typing import Any

from qrmi_core.plugin import (
    AuthenticationFailedError,
    HttpClient,
    NotAcquiredError,
    PermissionDeniedError,
    QrmiError,
    ResourceBusyError,
    ResourceNotFoundError,
    Response,
    ServiceError,
    TaskNotFoundError,
    UnsupportedFunctionError,
    path_segment,
    recast,
)
from qrmi_pasqal.documents import body
from qrmi_pasqal.responses import describe
from qrmi_pasqal.warden.munge import Munge
from qrmi_pasqal.warden.settings import PasqalLocalSettings

_PRODUCT = f"qrmi-pasqal/{importlib.metadata.version('qrmi-pasqal')}"
_NO_ROUTE = (404, 405)

_UNDECODED = "MUNGE decode failed"
_NO_SESSION = "Session not found"
_ACQUIRE_ANEW = (
    "a task needs a session that is alive: let the scheduler acquire the resource anew, in "
    "another job"
)

# Status, part of the response, error, and advice. The first that fits counts.
_KINDS: tuple[tuple[int, str, type[QrmiError], str], ...] = (
    (
        401,
        "",
        AuthenticationFailedError,
        "the clocks of this host and of Warden's must agree, and a proxy between them must let the "
        "header X-Munge-Cred pass",
    ),
    (
        500,
        _UNDECODED,
        AuthenticationFailedError,
        "munged must run on Warden's host, with the same key as on this one (/etc/munge/munge.key)",
    ),
    (
        403,
        "restricted to",
        PermissionDeniedError,
        "sessions are opened and revoked by root or an administrator of Warden, as a rule the "
        "scheduler; a job uses what the scheduler has acquired for it, "
        "<resource>_QRMI_JOB_ACQUISITION_TOKEN",
    ),
    (
        403,
        "not authorized",
        PermissionDeniedError,
        "ask Warden's administrator to add the user to authorized_users",
    ),
    (
        403,
        "belongs to another user",
        PermissionDeniedError,
        "submit as the user for whom it was acquired (QRMI_JOB_UID)",
    ),
    (
        403,
        "session",
        NotAcquiredError,
        _ACQUIRE_ANEW,
    ),
    (404, "Job not found", TaskNotFoundError, ""),
    (
        404,
        "",
        ResourceNotFoundError,
        "check that QRMI_WARDEN_URL is the address of Warden, without a further path",
    ),
    (409, "Not enough", ResourceBusyError, ""),
)


class WardenApi:
    """The requests, one method each. The client handles retries and time-outs.

    Every attempt has a new MUNGE credential, except on the routes that need none.

    Args:
        settings: Address, network settings, and how to make credentials.
    """

    def __init__(self, settings: PasqalLocalSettings) -> None:
        self._munge = Munge(settings.munge_socket)
        self._http = HttpClient(
            settings.warden_url,
            settings=settings,
            error=_explain,
            product=_PRODUCT,
        )

    def close(self) -> None:
        """Close the connections of this thread."""
        self._http.close()

    # The QPU

    def accessible(self) -> dict[str, Any]:
        """Return ``is_accessible``, set by the administrators, and their ``message``."""
        return self._http.request("GET", "/accessible").object()

    def slots(self) -> dict[str, Any] | None:
        """Return the slots of the QPU; None if this Warden does not count slots."""
        response = self._http.request("GET", "/qpu-slots", ok=_NO_ROUTE)
        return None if response.status_code in _NO_ROUTE else response.object()

    def specs(self) -> str:
        """Return the device in Pulser's abstract representation."""
        return self._http.request("GET", "/qpu/specs").text("specs")

    # Sessions

    def open_session(self, uid: int, job_id: str, slots: int | None) -> dict[str, Any]:
        """Open a session for a user's job."""
        body: dict[str, str | int] = {"user_id": str(uid), "slurm_job_id": job_id}
        if slots is not None:
            body["qpu_slots"] = slots
        # A second session for the job does no harm: it is used by none, or is the same one.
        response = self._http.request(
            "POST", "/sessions", json=body, headers=self._headers, idempotent=True
        )
        # Not Response.json(): its error would show the session's id.
        try:
            session: Any = json.loads(response.content)
        except (ValueError, RecursionError):
            session = None
        if not (isinstance(session, dict) and isinstance(session.get("id"), str) and session["id"]):
            raise response.invalid(
                "the response has no session; check that QRMI_WARDEN_URL is the address of Warden "
                "and that no proxy answers in its place"
            )
        return session

    def revoke_session(self, session: str) -> None:
        """End a session; one that has ended or is unknown is not an error."""
        path = f"/sessions/{path_segment(session, NotAcquiredError)}"
        headers = functools.partial(self._headers, session)
        try:
            response = self._http.request("DELETE", path, headers=headers, ok=_NO_ROUTE)
            if response.status_code in _NO_ROUTE and _NO_SESSION not in response.excerpt():
                # Later Wardens take the id from the header alone.
                self._http.request("DELETE", "/sessions", headers=headers)
        except NotAcquiredError:
            pass
        except ServiceError as error:
            if _NO_SESSION not in error.message:
                raise

    # Jobs

    def start(self, session: str, sequence: str, shots: int) -> str:
        """Create a job, and return its id."""
        try:
            response = self._http.request(
                "POST",
                "/jobs",
                json=body({"sequence": sequence, "shots": shots}, len(sequence)),
                headers=functools.partial(self._headers, session),
                submission=True,
            )
        except QrmiError as error:
            # Found before there was a job, although Warden responds as if it had broken down.
            early = (_UNDECODED, "Failed to fetch QPU specs")
            error.uncertain &= not any(text in error.message for text in early)
            # Not in the hook: for a release this is an error, since the true session stays open.
            if error.status_code == 422 and "header.x-warden-session" in error.message.lower():
                raise recast(error, NotAcquiredError, _ACQUIRE_ANEW) from error
            raise
        return response.created_id(kind=int)

    def job(self, job_id: str) -> dict[str, Any]:
        """Return a job: its state, and its result once it has one."""
        return self._http.request("GET", _job(job_id), headers=self._headers).object()

    def jobs(self, *, transfer: bool) -> Response:
        """Return all jobs of this user with their results, in no certain order.

        Args:
            transfer: Whether the list may be as large, and take as long, as a result.
        """
        return self._http.request("GET", "/jobs", headers=self._headers, transfer=transfer)

    def cancel(self, job_id: str) -> None:
        """Cancel a job; one that has ended, or is being cancelled, is not an error.

        Raises:
            UnsupportedFunctionError: This Warden cannot cancel jobs.
        """
        self._later("POST", f"{_job(job_id)}/cancel", "cancel jobs", ok=(409,))

    def logs(self, job_id: str) -> str:
        """Return a job's logs.

        Raises:
            UnsupportedFunctionError: This Warden keeps no logs.
        """
        return self._later("GET", f"{_job(job_id)}/logs", "give the logs of jobs").text("logs")

    def _later(self, method: str, path: str, what: str, ok: tuple[int, ...] = ()) -> Response:
        """Call a route that early Wardens do not have."""
        try:
            return self._http.request(method, path, headers=self._headers, idempotent=True, ok=ok)
        except TaskNotFoundError:
            raise
        except ServiceError as error:
            if error.status_code not in _NO_ROUTE:
                raise
            raise UnsupportedFunctionError(
                f"this Warden cannot {what}: it has no {method} {path} ({error.status_code}); ask "
                "its administrator to update it, or check that QRMI_WARDEN_URL is its address",
                status_code=error.status_code,
            ) from error

    def _headers(self, session: str | None = None) -> dict[str, str]:
        headers = {"X-Munge-Cred": self._munge.credential()}
        if session is not None:
            headers["X-Warden-Session"] = session
        return headers


def _job(job_id: str) -> str:
    if not (job_id.isascii() and job_id.isdigit() and len(job_id) < 19):
        raise TaskNotFoundError(f"{job_id!r} is not the id of a task: Warden's are numbers")
    return f"/jobs/{job_id}"


def _explain(response: Response, error: QrmiError) -> None:
    """Map an error response of Warden to an error."""
    describe(response, error)
    message = error.message.lower()
    for status, part, kind, advice in _KINDS:
        if status == response.status_code and part.lower() in message:
            user = f"; this process has the user id {os.geteuid()}"
            of_the_user = kind in (PermissionDeniedError, NotAcquiredError)
            raise recast(error, kind, advice + user if of_the_user else advice)
