"""The client of a vendor's API: sessions, credentials, retries and limits.

::

    client = HttpClient("https://api.example.com", settings=settings, auth=StaticToken(key))
    task_id = client.request("POST", "/v1/jobs", json=body, submission=True).created_id()
    for piece in client.stream(f"/v1/jobs/{path_segment(task_id)}/result"):
        ...

Each call ends in a response or a `QrmiError`, within the time that `HttpSettings` and
`qrmi_core.deadline.current()` leave. `qrmi_core.http.failures` has the table of what is repeated.
No credential, query string (presigned URLs carry their signature there) or request body is logged
or put into an error.
"""

from __future__ import annotations

import io
import logging
import math
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from functools import partial
from typing import IO, Any, TypeVar

import requests
from urllib3.exceptions import HTTPError

from qrmi_core._version import __version__
from qrmi_core.deadline import Clock, Deadline, Sleep, current, within
from qrmi_core.errors import (
    CallTimeoutError,
    QrmiError,
    ResourceBusyError,
    ResourceNotFoundError,
)
from qrmi_core.http import failures
from qrmi_core.http.call import Attempt, Call, prepare
from qrmi_core.http.connections import Sessions, underway
from qrmi_core.http.credentials import Auth
from qrmi_core.http.refusals import ErrorHook, describe, explain
from qrmi_core.http.response import MAX_ERROR_BYTES, Response, status_phrase
from qrmi_core.http.settings import HttpSettings
from qrmi_core.redaction import Redactor
from qrmi_core.retry import RetryPolicy, repeat
from qrmi_core.urls import origin, without_query

_log = logging.getLogger("qrmi_core.http")
_Value = str | int | float | bool | Sequence[str] | None
_Params = Mapping[str, _Value] | Callable[[], Mapping[str, _Value]] | None
_Headers = Mapping[str, str] | Callable[[], Mapping[str, str]] | None
_Body = bytes | memoryview | IO[bytes] | Iterable[bytes] | Mapping[str, str] | None

_T = TypeVar("_T")

USER_AGENT = f"qrmi-core/{__version__}"

_IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})
_PIECE_BYTES = 1 << 16
_LONG_PAUSE_SECONDS = 5.0


class HttpClient:
    """Client of one vendor's API. Used from many threads at once; each has its own connections.

    Values of `params`, `headers`, `data`, `json` and the path may be functions without arguments:
    they are called for every attempt, so that each has a fresh credential or a fresh presigned URL.

    Args:
        base_url: Put in front of the paths; slashes at its end make no difference.
        settings: Time-outs, retries and network settings.
        auth: Provides the credential.
        headers: Sent with every call to the host of `base_url`; like the credential, never to
            another host.
        error: Makes the vendor's own errors of its error responses; see `ErrorHook`.
        product: Appended to ``User-Agent``, such as ``qrmi-example/1.0``.
        secrets: Further secrets to redact, beside those of the settings and the credentials of the
            call itself: a response could echo them.
        clock: Monotonic clock in seconds.
        sleep: Sleeps for a number of seconds.

    Raises:
        ConfigError: `base_url` is not a URL, or carries a user or password.
    """

    def __init__(
        self,
        base_url: str,
        *,
        settings: HttpSettings | None = None,
        auth: Auth | None = None,
        headers: _Headers = None,
        error: ErrorHook | None = None,
        product: str | None = None,
        secrets: Collection[str] = (),
        clock: Clock = time.monotonic,
        sleep: Sleep = time.sleep,
    ) -> None:
        origin(base_url)  # refuses what is not a URL
        self._base_url = base_url.rstrip("/")
        self._settings = settings = settings or HttpSettings()
        self._retry = RetryPolicy(settings.attempts, settings.first_pause_seconds)
        self._auth = auth
        self._headers = headers
        self._error = error
        self._secrets = {*secrets, *settings.secrets()}
        self._clock = clock
        self._sleep = sleep
        self._sessions = Sessions(f"{USER_AGENT} {product}" if product else USER_AGENT)

    def __repr__(self) -> str:
        return f"HttpClient({without_query(self._base_url)!r})"

    def sibling(
        self,
        base_url: str,
        *,
        auth: Auth | None = None,
        headers: _Headers = None,
        error: ErrorHook | None = None,
        secrets: Collection[str] = (),
    ) -> HttpClient:
        """Return a client of another API of the vendor, such as the one that issues tokens.

        It shares this one's settings and connections, so that two APIs of one host need one
        connection; `close` closes those of both. It shares nothing else.

        Args and errors are those of `HttpClient`.
        """
        other = HttpClient(
            base_url,
            settings=self._settings,
            auth=auth,
            headers=headers,
            error=error,
            secrets=secrets,
            clock=self._clock,
            sleep=self._sleep,
        )
        other._sessions = self._sessions
        return other

    def request(
        self,
        method: str,
        path: str | Callable[[], str],
        *,
        params: _Params = None,
        headers: _Headers = None,
        data: _Body | Callable[[], _Body] = None,
        json: Any = None,
        idempotent: bool | None = None,
        submission: bool = False,
        transfer: bool | None = None,
        ok: Collection[int] = (),
        not_found: type[QrmiError] = ResourceNotFoundError,
    ) -> Response:
        """Make one call, repeated where that is safe and can help.

        Args:
            method: HTTP method.
            path: Path below the base URL, or a complete URL.
            params: Query parameters; None as a value leaves one out, a list repeats the key.
            headers: Further headers; these go to any host.
            data: The body: bytes, a seekable binary file, the fields of a form, or an iterable of
                bytes, which is sent in chunks unless it has a length (`len`) in bytes; an iterator
                must come from a function.
            json: The body as a value to encode, or as bytes that are JSON already.
            idempotent: Whether making the call twice does no more than making it once; None
                decides by the method.
            submission: Whether the call creates a task: a 503 without ``Retry-After`` and every
                other failure that leaves the outcome open is then `uncertain`, and for the caller
                to resolve.
            transfer: Whether it may take as long as bytes move; None for submissions only. Unless
                it is a submission, its response may be as large as a result.
            ok: Statuses beside 2xx that are not errors.
            not_found: The error for a 404.

        Raises:
            TransportError: No connection, or the response was lost.
            CallTimeoutError: No response in time.
            AuthenticationFailedError: 401, also with a renewed credential.
            InvalidInputError: 400, 413 or 422.
            PermissionDeniedError: 403.
            ServiceError: Any other error response.
            InvalidResponseError: A redirect, or a response that is too large.
            ConfigError: The URL, a header, a certificate file or the proxy cannot be used.
        """
        method = method.upper()
        call = Call(
            self._budget(),
            Redactor(self._secrets),
            method=method,
            path=path,
            params=params,
            headers=headers,
            data=data,
            json=json,
            idempotent=method in _IDEMPOTENT if idempotent is None else idempotent,
            submission=submission,
            transfer=submission if transfer is None else transfer,
            ok=ok,
            not_found=not_found,
        )
        with _concluding(call):
            return repeat(
                partial(self._attempt, call, self._read), partial(self._pause, call), self._sleep
            )

    def stream(
        self,
        path: str | Callable[[], str],
        *,
        params: _Params = None,
        headers: _Headers = None,
        not_found: type[QrmiError] = ResourceNotFoundError,
    ) -> Iterator[bytes]:
        """GET a response of any size in pieces; it is requested at the first step.

        Repeated like `request` until the response begins. After that a failure is raised, since
        the pieces given out cannot be taken back.

        Args:
            path: Path below the base URL, or a complete URL.
            params: Query parameters.
            headers: Further headers; these go to any host.
            not_found: The error for a 404.

        Raises:
            QrmiError: As for `request`, by the first step; later on `TransportError` or
                `CallTimeoutError`.
        """
        deadline = current()

        def pieces() -> Iterator[bytes]:
            with within(deadline):
                call = Call(
                    self._budget(),
                    Redactor(self._secrets),
                    method="GET",
                    path=path,
                    params=params,
                    headers=headers,
                    transfer=True,
                    not_found=not_found,
                )
            with _concluding(call):
                attempt, live = repeat(
                    partial(self._attempt, call, lambda *begun: begun),
                    partial(self._pause, call),
                    self._sleep,
                )
                with closing(live):
                    while piece := self._piece(attempt, live):
                        yield piece

        return pieces()

    def close(self) -> None:
        """Close this thread's connections; those of other threads are closed when these end.

        The client can be used again afterwards.
        """
        self._sessions.close()

    # --- one call: attempts and pauses ---

    def _budget(self) -> Deadline:
        return Deadline(current().clip(self._settings.call_timeout_seconds), self._clock)

    def _pause(self, call: Call, number: int, error: BaseException) -> float:
        """Return the seconds until the next attempt, infinity if none is safe and may help."""
        failure = call.failure
        if (
            failure is None
            # How long to wait for a busy resource is the caller's decision.
            or isinstance(error, ResourceBusyError)
            or not failure.repeat.applies(idempotent=call.idempotent, submission=call.submission)
        ):
            return math.inf
        seconds = self._retry.pause(number, error, call.budget)
        if seconds < math.inf:
            level = logging.WARNING if seconds >= _LONG_PAUSE_SECONDS else logging.INFO
            _log.log(level, "%s; trying again in %.1f s", call.redact(str(error)), seconds)
        return seconds

    def _renewed(self, call: Call) -> bool:
        """Return True if there is a new credential after a 401, once in a call."""
        used = call.authorization
        if (
            call.failure is not failures.UNAUTHENTICATED
            or call.renewed
            or used is None
            or call.budget.passed()
        ):
            return False
        assert self._auth
        call.renewed = True
        self._auth.refused(used)
        with within(call.bound):
            return self._auth.authorization() != used

    # --- one attempt ---

    def _attempt(self, call: Call, read: Callable[[Attempt, requests.Response], _T]) -> _T:
        """Send a request, a second time with a new credential if that may help."""
        call.attempts += 1
        while True:
            call.failure = call.authorization = None
            with within(call.bound):
                attempt = prepare(call, self._settings, self._base_url, self._headers, self._auth)
            if call.bound.passed():
                raise CallTimeoutError(f"{attempt.name}: no time was left for the call")
            lost: Exception | None = None
            start = self._clock()
            token = underway.set(attempt.exchange)
            try:
                live = self._sessions.current().request(call.method, attempt.url, **attempt.parts)
            except (ValueError, HTTPError, OSError) as error:  # RequestException is an OSError
                lost = error
            finally:
                underway.reset(token)
            if lost:
                raise attempt.lost(lost)
            status = status_phrase(live.status_code)
            _log.debug("%s: %s after %.3f s", attempt.name, status, self._clock() - start)
            if 200 <= live.status_code < 300 or live.status_code in call.ok:
                return read(attempt, live)
            refusal = self._refused(attempt, live)
            if not self._renewed(call):
                raise refusal

    # --- its response ---

    def _read(self, attempt: Attempt, live: requests.Response) -> Response:
        """Read a successful response."""
        content = io.BytesIO()  # gives its buffer away without a copy, unlike a bytearray
        limit, key = self._settings.max_response_bytes, "QRMI_HTTP_MAX_RESPONSE_BYTES"
        if attempt.call.transfer and not attempt.call.submission:
            limit, key = self._settings.max_result_bytes, "QRMI_HTTP_MAX_RESULT_BYTES"
        with closing(live):
            while content.tell() <= limit and (piece := self._piece(attempt, live)):
                content.write(piece)
        if content.tell() > limit:
            what = f"the response is larger than {limit} bytes; raise {key} to receive it"
            raise attempt.failed(failures.TOO_LARGE, what, status_code=live.status_code)
        return attempt.response(live, content.getvalue())

    def _piece(self, attempt: Attempt, live: requests.Response) -> bytes:
        try:
            piece: bytes = live.raw.read1(_PIECE_BYTES, decode_content=True)
        except (HTTPError, OSError) as error:
            lost = error
        else:
            return piece
        raise attempt.lost(lost)

    def _refused(self, attempt: Attempt, live: requests.Response) -> QrmiError:
        """Read an error response, and return its error."""
        content = bytearray()
        # The status is known, even if its explanation is lost.
        with closing(live), suppress(HTTPError, OSError):
            while len(content) <= MAX_ERROR_BYTES and (
                piece := live.raw.read1(_PIECE_BYTES, decode_content=True)
            ):
                content += piece
        proxy, hook = attempt.proxy, self._error
        response = attempt.response(live, bytes(content))
        failure = failures.of_status(response.status_code, response.retry_after)
        advice = ""
        if proxy and proxy.answered(response.status_code, attempt.url, response.content):
            # No driver should explain it.
            advice, hook = proxy.advice(response.status_code, attempt.url), None
            failure = failure if failure.retryable else failures.PROXY_REFUSED
        attempt.note(failure)
        not_found = failure is failures.NOT_FOUND
        kind = attempt.call.not_found if not_found else failure.error
        error = explain(
            hook,
            response,
            describe(response, failure, kind, attempt.url, advice),
            attempt.call.redact,
        )
        error.retryable = error.retryable or failure.retryable
        return error


@contextmanager
def _concluding(call: Call) -> Iterator[None]:
    """Complete the error of a call: also those of factories and of the token's renewal."""
    try:
        yield
    except QrmiError as error:
        call.redact.clean(error)
        if call.failure is not None and call.attempts > 1:
            error.message += f" ({call.attempts} attempts)"
        error.uncertain = call.uncertain
        raise
