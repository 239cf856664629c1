"""One call and its attempts."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests

from qrmi_core.deadline import Deadline, current
from qrmi_core.errors import (
    InvalidInputError,
    QrmiError,
    ResourceNotFoundError,
)
from qrmi_core.http.connections import Exchange
from qrmi_core.http.credentials import Auth
from qrmi_core.http.failures import Failure, of_exception
from qrmi_core.http.proxies import Proxy, proxy_for
from qrmi_core.http.response import Response
from qrmi_core.http.settings import HttpSettings
from qrmi_core.redaction import Redactor, is_secret
from qrmi_core.urls import origin, without_query

_LEAST_SECRET_CHARACTERS = 8


class Call:
    """A caller's request (see `HttpClient.request`), and its state between the attempts.

    Args:
        budget: Deadline of the last pause, and of each attempt unless it is a transfer.
        redact: Redacts the secrets of all attempts.

    Attributes:
        deadline: The deadline in force.
        start_of_data: Where the data begins in its file.
        attempts: Attempts made.
        failure: How the last attempt failed; None if no request was made.
        authorization: The credential that the last attempt used; None without one.
        renewed: Whether the credential was renewed for this call.
        uncertain: Whether any attempt may have been carried out, where that matters.
    """

    def __init__(
        self,
        budget: Deadline,
        redact: Redactor,
        *,
        method: str,
        path: str | Callable[[], str],
        params: Any = None,
        headers: Any = None,
        data: Any = None,
        json: Any = None,
        idempotent: bool = True,
        submission: bool = False,
        transfer: bool = False,
        ok: Collection[int] = (),
        not_found: type[QrmiError] = ResourceNotFoundError,
    ) -> None:
        self.budget = budget
        self.redact = redact
        self.method = method
        self.path = path
        self.params = params
        self.headers = headers
        self.data = data
        self.json = json
        self.idempotent = idempotent
        self.submission = submission
        self.transfer = transfer
        self.ok = ok
        self.not_found = not_found
        self.deadline = current()
        self.start_of_data: int | None = data.tell() if hasattr(data, "seek") else None
        self.attempts = 0
        self.failure: Failure | None = None
        self.authorization: str | None = None
        self.renewed = False
        self.uncertain = False

    @property
    def bound(self) -> Deadline:
        """The deadline of each attempt."""
        return self.deadline if self.transfer else self.budget


class Attempt:
    """One request as it is sent.

    Args:
        call: The call.
        url: The complete URL.
        proxy: The proxy, if one is used.
        exchange: Its time limits.

    Attributes:
        parts: The further arguments of `requests.Session.request`.
    """

    def __init__(self, call: Call, url: str, proxy: Proxy | None, exchange: Exchange) -> None:
        self.call = call
        self.url = url
        self.proxy = proxy
        self.exchange = exchange
        self.parts: dict[str, Any] = {}

    @property
    def name(self) -> str:
        """The method and the URL without its query, for messages."""
        via = f" (via proxy {self.proxy.address})" if self.proxy else ""
        return self.call.redact(f"{self.call.method} {without_query(self.url)}{via}")

    def note(self, failure: Failure) -> bool:
        """Note how the attempt failed; return True if it may have been carried out."""
        call = self.call
        doubt = self.exchange.sent and failure.leaves_doubt(
            idempotent=call.idempotent, submission=call.submission
        )
        call.failure = failure
        call.uncertain |= doubt
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
        error.__cause__ = cause and self.call.redact.cause(cause)
        return error

    def lost(self, error: Exception) -> QrmiError:
        """Note an exception of requests or urllib3, and return its error."""
        advice = partial(self.proxy.advice, url=self.url) if self.proxy else None
        return self.failed(*of_exception(error, self.exchange, advice))

    def response(self, live: requests.Response, content: bytes) -> Response:
        """Return a response that was read."""
        once = self.call.submission or not self.call.idempotent
        return Response(self.name, live.status_code, live.headers, content, once, self.call.redact)


def prepare(
    call: Call, settings: HttpSettings, base_url: str, headers: Any, auth: Auth | None
) -> Attempt:
    """Return the next attempt of a call: call the factories, and note the secrets that it carries.

    Args:
        call: The call.
        settings: Time limits, certificates and the proxy.
        base_url: Put in front of the path.
        headers: Sent to the host of `base_url` only; a mapping or a function that returns one.
        auth: Provides the credential for that host.
    """
    path = _fresh(call.path)
    absolute = path.lower().startswith(("https://", "http://"))
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
            call.authorization = sent["Authorization"] = auth.authorization()
            call.redact.add(_long(call.authorization.split()))
    sent |= _fresh(call.headers) or {}
    fields = [*sent.items(), *parse_qsl(urlsplit(url).query), *params.items()]
    for body in (data, value):
        if isinstance(body, Mapping):
            fields += body.items()
    named = [text for name, text in fields if isinstance(text, str) and is_secret(name)]
    words = (word for text in named for word in text.split())  # of "Basic ..." the second
    proxy = proxy_for(url, settings.proxy)
    call.redact.add((*_long(named), *_long(words), *(proxy.secrets if proxy else ())))
    exchange = Exchange(call.bound, settings, call.transfer, call.submission, call.redact)
    attempt = Attempt(call, url, proxy, exchange)
    if value is not None and not data:
        data = _encoded(attempt, value)
    connect_seconds = max(call.bound.clip(settings.connect_timeout_seconds), 0.001)
    cert, key = settings.client_cert, settings.client_key
    attempt.parts.update(
        params=params,
        headers=sent,
        data=data,
        proxies=dict.fromkeys(("http", "https"), proxy.url if proxy else ""),
        verify=settings.ca_bundle
        or os.environ.get("REQUESTS_CA_BUNDLE")
        or os.environ.get("CURL_CA_BUNDLE")
        or True,
        cert=(cert, key) if cert and key else cert,
        timeout=(connect_seconds, exchange.first_byte_seconds),
        stream=True,
        allow_redirects=False,
    )
    return attempt


def _fresh(value: Any) -> Any:
    return value() if callable(value) else value


def _long(texts: Iterable[str]) -> Iterator[str]:
    """Yield the texts that are too long to be ordinary words of a response."""
    return (text for text in texts if len(text) >= _LEAST_SECRET_CHARACTERS)


def _encoded(attempt: Attempt, value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    try:
        return json.dumps(value, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInputError(
            f"{attempt.name}: the body cannot be sent as JSON: {error}"
        ) from error
