"""The one table of failures: which error each becomes, and whether the request is repeated.

`HttpClient` walks it, a test walks it row by row against a real server, and
``docs/retries-and-polling.md`` shows it.
"""

from __future__ import annotations

import copy
import enum
import http.client
import re
import socket
import ssl
from collections.abc import Callable, Collection

import requests
from urllib3.exceptions import HTTPError

from qrmi_core.errors import (
    AuthenticationFailedError,
    CallTimeoutError,
    ConfigError,
    InvalidInputError,
    InvalidResponseError,
    PermissionDeniedError,
    QrmiError,
    ResourceNotFoundError,
    ServiceError,
    TransportError,
)
from qrmi_core.http.connections import Exchange


class Repeat(enum.Enum):
    """Which requests are repeated after a failure."""

    NEVER = enum.auto()
    RENEWED = enum.auto()
    """Every request, once, with a new token."""
    IDEMPOTENT = enum.auto()
    NO_SUBMISSION = enum.auto()
    """Every request but a submission."""
    ALWAYS = enum.auto()

    def applies(self, *, idempotent: bool, submission: bool) -> bool:
        """Return True if another attempt of such a request is made."""
        return (
            self is Repeat.ALWAYS
            or (self is Repeat.NO_SUBMISSION and not submission)
            or (self is not Repeat.NEVER and self is not Repeat.RENEWED and idempotent)
        )


class Failure:
    """One row of the table.

    Args:
        what: The event.
        error: The error raised when no further attempt is made.
        repeat: Which requests are repeated.
        maybe_done: Whether the request may have been carried out, once it was sent.
        why: The reason for the last two.
        statuses: The HTTP statuses of the row; empty for a failure without a response.
        advice: The next step for the user, put after the message.
        retryable: True if the same call may succeed later although it is not repeated.
    """

    def __init__(
        self,
        what: str,
        error: type[QrmiError],
        repeat: Repeat,
        maybe_done: bool,
        why: str,
        statuses: Collection[int] = (),
        advice: str = "",
        retryable: bool = False,
    ) -> None:
        self.what = what
        self.error = error
        self.repeat = repeat
        self.maybe_done = maybe_done
        self.why = why
        self.statuses = statuses
        self.advice = advice
        self.retryable = retryable or repeat not in (Repeat.NEVER, Repeat.RENEWED)

    def leaves_doubt(self, *, idempotent: bool, submission: bool) -> bool:
        """Return True if it matters to the caller that the request may have been carried out."""
        said_no = self.repeat is Repeat.NO_SUBMISSION and not submission
        return self.maybe_done and (submission or not idempotent) and not said_no


_DONE, _NOT_DONE = True, False
_NEVER, _ALWAYS, _IDEMPOTENT = Repeat.NEVER, Repeat.ALWAYS, Repeat.IDEMPOTENT
_ENDPOINT = (
    "check the endpoint setting and the network, and whether it needs a proxy (QRMI_HTTP_PROXY)"
)
_IN_PLACE = "check that the endpoint setting names the API and that no proxy answers in its place"
_LATER = "allow more, or try again later"

NOT_MADE = Failure(
    "The request cannot be made",
    ConfigError,
    _NEVER,
    _NOT_DONE,
    "The URL, a header, a certificate file or the proxy is malformed",
    advice="check the endpoint setting, the proxy (QRMI_HTTP_PROXY), and the credential for line "
    "breaks and the like",
)
REFUSED = Failure(
    "Connection refused",
    TransportError,
    _ALWAYS,
    _NOT_DONE,
    "Nothing was sent, and services restart",
    advice=_ENDPOINT,
)
NOT_ACCEPTED = Failure(
    "Connection not accepted in time",
    CallTimeoutError,
    _ALWAYS,
    _NOT_DONE,
    "Nothing was sent",
    advice=_ENDPOINT,
)
NO_HOST = Failure(
    "Host name not found",
    TransportError,
    _ALWAYS,
    _NOT_DONE,
    "Nothing was sent, and name servers have short outages",
    advice=_ENDPOINT,
)
PROXY_REFUSED = Failure(
    "The proxy refuses the request or the tunnel",
    TransportError,
    _NEVER,
    _NOT_DONE,
    "The service has not seen the request, and the proxy would refuse it again",
)
_TLS = (
    "check QRMI_HTTP_CA_BUNDLE (or REQUESTS_CA_BUNDLE), QRMI_HTTP_CLIENT_CERT if the vendor wants "
    "a certificate, and that the endpoint speaks https"
)
TLS_FAILED = Failure(
    "TLS failed",
    TransportError,
    _NEVER,
    _NOT_DONE,
    "A certificate does not become valid by asking again",
    advice=_TLS,
)
TLS_ENDED = Failure(
    "TLS failed after the request was sent",
    TransportError,
    _NEVER,
    _DONE,
    "Likewise; the vendor may have received the request",
    advice=_TLS,
)
LOST = Failure(
    "Connection reset or closed before the response is complete",
    TransportError,
    _IDEMPOTENT,
    _DONE,
    "The vendor may have received the request",
)
STALLED = Failure(
    "Nothing received for 30 s (submissions and results: no first byte for 60 s, plus 1 s per MB "
    "sent)",
    CallTimeoutError,
    _IDEMPOTENT,
    _DONE,
    "The vendor may be at work on it",
    advice=_LATER,
)
TOO_SLOW = Failure(
    "A submission or result slower than 1 kB/s for 60 s",
    CallTimeoutError,
    _IDEMPOTENT,
    _DONE,
    "Likewise",
    advice=_LATER,
)
TOO_LATE = Failure(
    "The response as a whole is too slow",
    CallTimeoutError,
    _NEVER,
    _DONE,
    "No time is left",
    advice=_LATER,
    retryable=True,
)
NOT_HTTP = Failure(
    "The response is not HTTP",
    InvalidResponseError,
    _NEVER,
    _DONE,
    "The request was received, but by something else than the API",
    advice=_IN_PLACE,
)
UNREADABLE = Failure(
    "Malformed JSON, or HTML in place of JSON",
    InvalidResponseError,
    _NEVER,
    _DONE,
    "The request succeeded, but its response cannot be read; a login page or a proxy may be in "
    "the way",
)
TOO_LARGE = Failure(
    "The response is too large",
    InvalidResponseError,
    _NEVER,
    _DONE,
    "It may not be the API's (results that are streamed have no limit)",
    advice="or check that the endpoint setting names the API",
)
_REDIRECT = (
    "correct the endpoint setting, or look for a login page or proxy that answers in the API's "
    "place"
)
SEE_OTHER = Failure(
    "303",
    InvalidResponseError,
    _NEVER,
    _DONE,
    "The request was carried out, and the response is elsewhere",
    (303,),
    _REDIRECT,
)
REDIRECTED = Failure(
    "Any other redirect",
    InvalidResponseError,
    _NEVER,
    _NOT_DONE,
    "Not followed: credentials must not go elsewhere, and the endpoint setting is wrong",
    range(300, 400),
    _REDIRECT,
)
UNAUTHENTICATED = Failure(
    "401",
    AuthenticationFailedError,
    Repeat.RENEWED,
    _NOT_DONE,
    "Not carried out; the credential is renewed first, if it can be",
    (401,),
    "check the credential",
)
NOT_FOUND = Failure(
    "404",
    ResourceNotFoundError,
    _NEVER,
    _NOT_DONE,
    "Not carried out; where it means a task, the driver makes it `TaskNotFoundError`",
    (404,),
)
BUSY = Failure(
    "429, with or without `Retry-After`",
    ServiceError,
    _ALWAYS,
    _NOT_DONE,
    "The vendor rejects the request for now",
    (429,),
)
UNAVAILABLE = Failure(
    "503",
    ServiceError,
    Repeat.NO_SUBMISSION,
    _DONE,
    "May be a proxy's response while the vendor works on it",
    (503,),
)
UNAVAILABLE_UNTIL = Failure(
    "503 with `Retry-After`",
    ServiceError,
    _ALWAYS,
    _NOT_DONE,
    "The vendor rejects the request, and says for how long",
)
ANY_OTHER = Failure(
    "Any other 5xx",
    ServiceError,
    _NEVER,
    _DONE,
    "These do not pass by themselves",
    range(500, 600),
)

FAILURES = (
    NOT_MADE,
    REFUSED,
    NOT_ACCEPTED,
    NO_HOST,
    PROXY_REFUSED,
    TLS_FAILED,
    TLS_ENDED,
    LOST,
    STALLED,
    TOO_SLOW,
    TOO_LATE,
    NOT_HTTP,
    UNREADABLE,
    TOO_LARGE,
    SEE_OTHER,
    REDIRECTED,
    Failure(
        "400, 413, 422",
        InvalidInputError,
        _NEVER,
        _NOT_DONE,
        "Not carried out, and would not be the next time",
        (400, 413, 422),
    ),
    UNAUTHENTICATED,
    Failure(
        "403",
        PermissionDeniedError,
        _NEVER,
        _NOT_DONE,
        "Not carried out",
        (403,),
        "ask for the permission, or use another account",
    ),
    NOT_FOUND,
    Failure(
        "407",
        ServiceError,
        _NEVER,
        _NOT_DONE,
        "A proxy's response",
        (407,),
        "check the user and password of the proxy (QRMI_HTTP_PROXY)",
    ),
    BUSY,
    UNAVAILABLE,
    UNAVAILABLE_UNTIL,
    Failure(
        "408, 500, 502, 504, 520 to 524",
        ServiceError,
        _IDEMPOTENT,
        _DONE,
        "These pass, but say nothing about what was done before",
        (408, 500, 502, 504, *range(520, 525)),
    ),
    Failure("Any other 4xx", ServiceError, _NEVER, _NOT_DONE, "Not carried out", range(400, 500)),
    ANY_OTHER,
)
"""The table; of the rows with statuses, the first that has the status counts."""


def of_status(status: int, retry_after: float | None) -> Failure:
    """Return the row of an error response.

    Args:
        status: HTTP status.
        retry_after: Seconds of ``Retry-After``; None without it.
    """
    found = next((row for row in FAILURES if status in row.statuses), ANY_OTHER)
    return UNAVAILABLE_UNTIL if found is UNAVAILABLE and retry_after is not None else found


def of_exception(
    error: Exception, exchange: Exchange, proxy_advice: Callable[[int | None], str] | None
) -> tuple[Failure, str, BaseException | None]:
    """Return the row of an exception of requests or urllib3, what happened, and the cause to show.

    The cause is the system's own error: the texts of theirs show URLs with the query string.

    Args:
        error: The exception.
        exchange: The exchange that it ended.
        proxy_advice: Returns advice for the status of a proxy's response; None without a proxy.
    """
    root = _root(error)
    reason = (getattr(root, "strerror", None) or str(root)) if root else "it ended early"
    name = type(error).__name__
    if isinstance(error, ValueError):
        own = None if isinstance(error, requests.RequestException) or not exchange.sent else error
        if exchange.sent:
            return NOT_HTTP, f"the response is not HTTP that can be read ({name})", own
        return NOT_MADE, f"the request cannot be made ({name})", own
    if not isinstance(error, requests.RequestException | HTTPError) and not exchange.sent:
        # A file of certificates that requests found in the environment.
        return NOT_MADE, f"the request cannot be made ({reason})", error
    if isinstance(root, ssl.SSLError) and (not exchange.sent or "alert" in reason.lower()):
        row = TLS_ENDED if exchange.sent else TLS_FAILED
        return row, f"TLS failed: {getattr(root, 'verify_message', '') or reason}", root
    if exchange.deadline.passed():
        return TOO_LATE, "no complete response in the time allowed", root
    if not exchange.sent:
        row = NOT_ACCEPTED if isinstance(root, TimeoutError) else REFUSED
        row = NO_HOST if isinstance(root, socket.gaierror) else row
        what = f"no connection ({reason})"
        if proxy_advice:
            to_proxy = isinstance(error, requests.exceptions.ProxyError)
            what = f"no connection {'to the proxy ' if to_proxy else ''}({reason})"
            tunnel = re.search(r"Tunnel connection failed: (\d{3})", reason)
            status = int(tunnel[1]) if tunnel else None
            if status is not None and not of_status(status, None).retryable:
                row = PROXY_REFUSED
            row = copy.copy(row)
            row.advice = proxy_advice(status)
        return row, what, root
    if exchange.too_slow:
        return TOO_SLOW, f"less than {exchange.settings.slow_bytes_per_second:g} bytes/s", root
    if isinstance(root, TimeoutError):
        return STALLED, f"nothing came for {exchange.waited_seconds:g} s", root
    return LOST, f"the connection was lost before the response was complete ({reason})", root


def _root(error: BaseException) -> BaseException | None:
    """Return the system's own error under the wrappers of requests and urllib3."""
    found = None
    link: BaseException | None = error
    while link is not None:
        own = not type(link).__module__.startswith(("requests", "urllib3"))
        if own and isinstance(link, OSError | http.client.HTTPException):
            found = link
        link = link.__cause__ or link.__context__
    return found
