"""One call and its attempts: an immutable request, and a record of its progress."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import attrs
import requests

from qrmi_core.deadline import Deadline
from qrmi_core.errors import (
    InvalidInputError,
    QrmiError,
    ResourceBusyError,
    ResourceNotFoundError,
)
from qrmi_core.http.connections import Exchange
from qrmi_core.http.credentials import Auth
from qrmi_core.http.failures import Failure, of_exception
from qrmi_core.http.proxies import Proxy, proxy_for
from qrmi_core.http.response import Response
from qrmi_core.redaction import Redactor, is_secret
from qrmi_core.urls import origin, without_query

_LEAST_SECRET_CHARACTERS = 8


@attrs.frozen(eq=False, repr=False)
class Call:
    """A caller's request; see `HttpClient.request`."""

    method: str
    path: str | Callable[[], str]
    params: Any = None
    headers: Any = None
    data: Any = None
    json: Any = None
    idempotent: bool = True
    submission: bool = False
    transfer: bool = False
    ok: Collection[int] = ()
    not_found: type[QrmiError] = ResourceNotFoundError
    start_of_data: int | None = attrs.Factory(
        lambda call: call.data.tell() if hasattr(call.data, "seek") else None, takes_self=True
    )


@attrs.define(eq=False, repr=False)
class Progress:
    """The state of a call between its attempts.

    Args:
        call: The call.
        bound: Deadline of each attempt.
        budget: Deadline of the last pause.
        redact: Redacts the secrets of all attempts.
        attempts: Attempts made.
        failure: How the last attempt failed; None if no request was made.
        authorization: The credential that the last attempt used; None without one.
        renewed: Whether the credential was renewed for this call.
        uncertain: Whether any attempt may have been carried out, where that matters.
    """

    call: Call
    bound: Deadline
    budget: Deadline
    redact: Redactor
    attempts: int = 0
    failure: Failure | None = None
    authorization: str | None = None
    renewed: bool = False
    uncertain: bool = False

    def may_help(self, error: Exception) -> bool:
        """Return True if another attempt is safe, and may help after this error of the last."""
        return (
            self.failure is not None
            # How long to wait for a busy resource is the caller's decision.
            and not isinstance(error, ResourceBusyError)
            and self.failure.repeat.applies(
                idempotent=self.call.idempotent, submission=self.call.submission
            )
        )


@attrs.frozen(eq=False, repr=False)
class Attempt:
    """One request as it is sent.

    Args:
        progress: The state of the call.
        url: The complete URL.
        proxy: The proxy, if one is used.
        exchange: Its time limits.
        parts: Query, headers and body.
    """

    progress: Progress
    url: str
    proxy: Proxy | None
    exchange: Exchange
    parts: dict[str, Any] = attrs.field(factory=dict, repr=False)

    @property
    def name(self) -> str:
        """The method and the URL without its query, for messages."""
        via = f" (via proxy {self.proxy.address})" if self.proxy else ""
        return self.progress.redact(f"{self.progress.call.method} {without_query(self.url)}{via}")

    def note(self, failure: Failure) -> bool:
        """Note how the attempt failed; return True if it may have been carried out."""
        call = self.progress.call
        doubt = self.exchange.sent and failure.leaves_doubt(
            idempotent=call.idempotent, submission=call.submission
        )
        self.progress.failure = failure
        self.progress.uncertain |= doubt
        return doubt

    def failed(
        self, failure: Failure, what: str, cause: BaseException | None = None, **context: Any
    ) -> QrmiError:
        """Note a failure, and return its error."""
        parts = [what, failure.advice] if failure.advice else [what]
        if self.note(failure):
            parts.append("the call may have been carried out all the same")
        error = failure.error(f"{self.name}: {'; '.join(parts)}", **context)
        error.retryable = failure.retryable
        error.__cause__ = cause
        return error

    def lost(self, error: Exception) -> QrmiError:
        """Note an exception of requests or urllib3, and return its error."""
        advice = partial(self.proxy.advice, url=self.url) if self.proxy else None
        return self.failed(*of_exception(error, self.exchange, advice))

    def response(self, live: requests.Response, content: bytes) -> Response:
        """Return a response that was read."""
        call, redact = self.progress.call, self.progress.redact
        once = call.submission or not call.idempotent
        return Response(self.name, live.status_code, live.headers, content, once, redact)


def prepare(
    progress: Progress,
    exchange: Exchange,
    *,
    base_url: str,
    headers: Any,
    auth: Auth | None,
    proxy: str | None,
) -> Attempt:
    """Return the next attempt of a call: call the factories, and note the secrets that it carries.

    Args:
        progress: The state of the call.
        exchange: The time limits of the attempt.
        base_url: Put in front of the path.
        headers: Sent to the host of `base_url` only; a mapping or a function that returns one.
        auth: Provides the credential for that host.
        proxy: URL of the proxy; None takes that of the environment.
    """
    call = progress.call
    path = _fresh(call.path)
    absolute = re.match(r"https?://", path, re.I)
    url = path if absolute else f"{base_url}/{path.lstrip('/')}"
    params, data, value = _fresh(call.params) or {}, _fresh(call.data), _fresh(call.json)
    if call.start_of_data is not None:
        data.seek(call.start_of_data)
    sent: dict[str, str] = {}
    if value is not None and not data:
        sent["Content-Type"] = "application/json"
    if origin(url) == origin(base_url):
        sent |= _fresh(headers) or {}
        if auth:
            progress.authorization = sent["Authorization"] = auth.authorization()
            progress.redact.add(_long(progress.authorization.split()))
    sent |= _fresh(call.headers) or {}
    fields = [*sent.items(), *parse_qsl(urlsplit(url).query), *params.items()]
    for body in (data, value):
        if isinstance(body, Mapping):
            fields += body.items()
    named = (text for name, text in fields if isinstance(text, str) and is_secret(name))
    chosen = proxy_for(url, proxy)
    progress.redact.add((*_long(named), *(chosen.secrets if chosen else ())))
    attempt = Attempt(progress, url, chosen, exchange)
    if value is not None and not data:
        data = _encoded(attempt, value)
    attempt.parts.update(params=params, headers=sent, data=data)
    return attempt


def _fresh(value: Any) -> Any:
    return value() if callable(value) else value


def _long(texts: Iterable[str]) -> Iterator[str]:
    """Yield the texts that are too long to be ordinary words of a response."""
    return (text for text in texts if len(text) >= _LEAST_SECRET_CHARACTERS)


def _encoded(attempt: Attempt, value: Any) -> bytes:
    try:
        return json.dumps(value, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInputError(
            f"{attempt.name}: the body cannot be sent as JSON: {error}"
        ) from error
