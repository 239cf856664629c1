"""A driver's exchange with its vendor: sessions, credentials, retries and limits.

::

    client = HttpClient("https://api.example.com", auth=CachedToken(fetch_token))
    job = client.request("POST", "/v1/jobs", json=body, submission=True).json()
    for piece in client.stream(f"/v1/jobs/{job['id']}/result"):
        ...

What is repeated, and why that is safe, is one table in ``docs/retries-and-polling.md``. Whatever
happens, the outcome is an answer or a `QrmiError`, within the time that `HttpPolicy` and
`qrmi_core.deadline.current()` leave. No credential, query string (presigned URLs carry their
signature there) or request body is logged or put into an error.
"""

from __future__ import annotations

import datetime
import email.utils
import http
import http.client
import json
import logging
import os
import random
import re
import ssl
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import IO, Any
from urllib.parse import parse_qsl, urljoin, urlsplit

import attrs
import requests
import tenacity
from urllib3.exceptions import HTTPError

from qrmi_core._connections import ClosedAtEnd, Exchange, Session, underway
from qrmi_core._version import __version__
from qrmi_core.credentials import Auth, CachedToken, Token
from qrmi_core.deadline import Clock, Deadline, Sleep, current, within
from qrmi_core.errors import (
    AuthenticationFailedError,
    CallTimeoutError,
    ConfigError,
    InvalidInputError,
    InvalidResponseError,
    PermissionDeniedError,
    QrmiError,
    ResourceBusyError,
    ResourceNotFoundError,
    ServiceError,
    TransportError,
)
from qrmi_core.proxies import Proxy, proxy_for

__all__ = [
    "USER_AGENT",
    "Auth",
    "CachedToken",
    "ErrorHook",
    "HttpClient",
    "HttpPolicy",
    "Response",
    "Token",
    "retry_after_seconds",
    "without_queries",
]

_log = logging.getLogger(__name__)
_Value = str | int | float | bool | None
_Body = bytes | memoryview | IO[bytes] | Iterable[bytes] | Mapping[str, str] | None

USER_AGENT = f"qrmi-core/{__version__}"

_IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})
_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504, *range(520, 525)})
_PIECE_BYTES = 1 << 16
_MAX_ERROR_BYTES = 1 << 16
_EXCERPT_CHARACTERS = 300
_LONG_PAUSE_SECONDS = 5.0
_REQUEST_ID_HEADERS = ("X-Request-ID", "X-Correlation-ID")
_SECRET_NAME = re.compile(r"auth|token|secret|pass|key|cred|cookie|session|sig|assertion", re.I)
_PAGE = re.compile(r"<(!doctype\s+html|html|head|body)\b", re.I)
_TITLE = re.compile(r"<title[^>]*>([^<]+)</title>", re.I)
_ENDPOINT_HINT = (
    "check the endpoint setting and the network, and whether it needs a proxy (QRMI_HTTP_PROXY)"
)


def _positive(_instance: object, attribute: attrs.Attribute[Any], value: float) -> None:
    if not value > 0:
        raise ConfigError(f"{_key(attribute.name)} must be more than 0, not {value}")


def _key(name: str) -> str:
    """The key of the setting; see `qrmi_core.settings.HttpSettings`."""
    return f"QRMI_HTTP_{name.upper()}"


@attrs.frozen
class HttpPolicy:
    """Time-outs, retries and network settings of one resource.

    Args:
        connect_timeout_seconds: For a connection to be accepted, per address of the host.
        read_timeout_seconds: For the vendor to take or send some bytes.
        stream_timeout_seconds: The same for submissions, results and other transfers.
        call_timeout_seconds: For one call with all its attempts and pauses. A transfer may take
            longer as long as it moves, but is not started again after that time.
        attempts: How often a call is tried at most; 1 switches retries off.
        first_pause_seconds: Before the second attempt; doubled for each further one, with jitter.
        max_answer_bytes: The largest answer taken, decoded; streams have no limit.
        proxy: URL of the proxy; None takes it from the environment (``HTTPS_PROXY``, ...).
            Requests to loopback addresses use none.
        ca_bundle: File or folder of trusted certificates; None takes ``REQUESTS_CA_BUNDLE`` or the
            public ones.
        client_cert: File with the certificate to present.
        client_key: File with its key, if that is not in the same file.

    Raises:
        ConfigError: A number is not positive, or a file does not exist.
    """

    connect_timeout_seconds: float = attrs.field(default=5.0, validator=_positive)
    read_timeout_seconds: float = attrs.field(default=30.0, validator=_positive)
    stream_timeout_seconds: float = attrs.field(default=300.0, validator=_positive)
    call_timeout_seconds: float = attrs.field(default=60.0, validator=_positive)
    attempts: int = attrs.field(default=4, validator=_positive)
    first_pause_seconds: float = attrs.field(default=0.5, validator=_positive)
    max_answer_bytes: int = attrs.field(default=64 << 20, validator=_positive)
    proxy: str | None = attrs.field(default=None, repr=False)  # may carry a password
    ca_bundle: str | None = None
    client_cert: str | None = None
    client_key: str | None = None

    def __attrs_post_init__(self) -> None:
        for name in ("ca_bundle", "client_cert", "client_key"):
            path = getattr(self, name)
            if path is not None and not os.path.exists(path):
                raise ConfigError(f"{_key(name)}: there is no file {path}")
        if self.client_key and not self.client_cert:
            raise ConfigError(
                "QRMI_HTTP_CLIENT_KEY needs QRMI_HTTP_CLIENT_CERT, the certificate that it "
                "belongs to"
            )

    def pause(self, attempt: int, retry_after: float | None = None) -> float:
        """Seconds to wait after the given attempt, counted from 1."""
        pause = self.first_pause_seconds * 2.0 ** (attempt - 1)
        return max(pause * random.uniform(1.0, 1.25), retry_after or 0.0)


# --- the client ---------------------------------------------------------------------------------


@attrs.frozen
class Response:
    """An answer, read completely.

    Args:
        call: The method and the URL without its query, for messages.
        status_code: HTTP status code.
        headers: Header fields, found in any spelling of their case.
        content: The body, decoded.
    """

    call: str
    status_code: int
    headers: Mapping[str, str] = attrs.field(repr=False)
    content: bytes = attrs.field(repr=False)
    _uncertain: bool = attrs.field(default=False, repr=False)
    _scrub: Callable[[str], str] = attrs.field(default=str, repr=False, eq=False)

    def json(self) -> Any:
        """The body, parsed.

        Raises:
            InvalidResponseError: It is not JSON.
        """
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError) as error:
            problem = str(error) if isinstance(error, json.JSONDecodeError) else "not text"
        raise InvalidResponseError(
            f"{self.call}: the answer is not JSON ({problem}; its type is "
            f"{self.headers.get('Content-Type', 'not given')}): {self.excerpt()!r}; check that the "
            "endpoint setting names the API and that no login page or proxy answers in its place",
            status_code=self.status_code,
            uncertain=self._uncertain,
        )

    def excerpt(self) -> str:
        """The beginning of the body on one line, for messages, without known secrets.

        Of a page its title: the rest is of no help, and nobody knows what is in it.
        """
        text = " ".join(self.content[:_MAX_ERROR_BYTES].decode("utf-8", "replace").split())
        if _PAGE.match(text):
            title = _TITLE.search(text)
            text = f"an HTML page, {title[1].strip()}" if title else "an HTML page"
        # Cut last, since half a secret would not be recognised.
        text = self._scrub(
            "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
        )
        return text if len(text) <= _EXCERPT_CHARACTERS else f"{text[:_EXCERPT_CHARACTERS]}..."


ErrorHook = Callable[[Response, QrmiError], QrmiError | None]
"""Called with an answer that is an error, and the error it would become. Amends that one (its
`message`, `vendor_code`, `request_id`, `details`), or gives another in its place. A
`ResourceBusyError` is raised at once; otherwise it makes no difference to whether the call is
repeated."""


@attrs.define(eq=False)
class _Call:
    """What a caller asked for, and what is known of it so far."""

    method: str
    path: str | Callable[[], str]
    params: Any = None
    headers: Any = None
    data: Any = None
    json: Any = None
    idempotent: bool = True
    submission: bool = False
    transfer: bool = False
    streamed: bool = False
    ok: Collection[int] = ()
    not_found: type[QrmiError] = ResourceNotFoundError

    deadline: Deadline = attrs.field(factory=lambda: Deadline(None))
    exchange: Exchange = attrs.field(factory=lambda: Exchange(Deadline(None), 0.0))
    start_of_data: int | None = None
    authorization: str | None = None
    renewed: bool = False
    uncertain: bool = False
    secrets: set[str] = attrs.field(factory=set, repr=False)
    url: str = ""
    proxy: Proxy | None = None

    @property
    def name(self) -> str:
        via = f" (via proxy {self.proxy.address})" if self.proxy else ""
        return self.scrub(f"{self.method} {_without_query(self.url)}{via}")

    @property
    def once(self) -> bool:
        """Whether a failure that may be a success matters to the caller."""
        return self.submission or not self.idempotent

    def answered_by_proxy(self, response: Response) -> bool:
        """Return True if a response is probably a proxy's, so that no driver should explain it."""
        return self.proxy is not None and self.proxy.answered(
            response.status_code, self.url, response.content
        )

    def scrub(self, text: str) -> str:
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return without_queries(text)

    def clean(self, error: QrmiError) -> None:
        """Take what is secret out of an error."""
        error.message = self.scrub(error.message)
        error.details = {key: self.scrub(text) for key, text in error.details.items()}
        error.args = (error.message,)


@attrs.frozen
class _Failure:
    """An attempt that failed, and whether another may be made."""

    error: QrmiError
    again: bool = False
    cause: BaseException | None = None


class HttpClient:
    """Calls one vendor's API. Used from many threads at once; each has connections of its own.

    Values of `params`, `headers`, `data`, `json` and the path may be functions without arguments:
    they are called for every attempt, so that each has a fresh credential or a fresh presigned URL.

    Args:
        base_url: Put in front of the paths.
        policy: Time-outs, retries and network settings.
        auth: Gives the credential.
        headers: Sent with every call to the host of `base_url`; like the credential, never to
            another host.
        error: Makes the vendor's own errors of its error answers.
        product: Appended to ``User-Agent``, such as ``qrmi-example/1.0``.
        secrets: What no message may show beside the credentials of the call itself, such as the
            key that its token was had for: an answer could echo it.
        clock: Monotonic clock in seconds.
        sleep: Sleeps for a number of seconds.

    Raises:
        ConfigError: `base_url` is not a URL, or carries a user or password.
    """

    def __init__(
        self,
        base_url: str,
        *,
        policy: HttpPolicy | None = None,
        auth: Auth | None = None,
        headers: Mapping[str, str] | Callable[[], Mapping[str, str]] | None = None,
        error: ErrorHook | None = None,
        product: str | None = None,
        secrets: Collection[str] = (),
        clock: Clock = time.monotonic,
        sleep: Sleep = time.sleep,
    ) -> None:
        self._origin = _origin(base_url)
        self._base_url = base_url.rstrip("/")
        self.policy = policy or HttpPolicy()
        self._auth = auth
        self._headers = headers
        self._error = error
        self._secrets = frozenset(secrets)
        self._user_agent = f"{USER_AGENT} {product}" if product else USER_AGENT
        self._clock = clock
        self._sleep = sleep
        self._local = threading.local()

    def __repr__(self) -> str:
        return f"HttpClient({_without_query(self._base_url)!r})"

    def sibling(
        self,
        base_url: str,
        *,
        auth: Auth | None = None,
        headers: Mapping[str, str] | Callable[[], Mapping[str, str]] | None = None,
        error: ErrorHook | None = None,
        secrets: Collection[str] = (),
    ) -> HttpClient:
        """Make a client for another API of the vendor, such as the one that gives tokens.

        It has this one's policy and connections, so that two APIs of one host need one connection;
        `close` closes those of both. Nothing else is shared.

        Args:
            base_url: Put in front of the paths.
            auth: Gives the credential.
            headers: Sent with every call to the host of `base_url`.
            error: Makes the vendor's own errors of its error answers.
            secrets: What no message may show.

        Raises:
            ConfigError: As for `HttpClient`.
        """
        other = HttpClient(
            base_url,
            policy=self.policy,
            auth=auth,
            headers=headers,
            error=error,
            secrets=secrets,
            clock=self._clock,
            sleep=self._sleep,
        )
        other._user_agent = self._user_agent
        other._local = self._local
        return other

    def request(
        self,
        method: str,
        path: str | Callable[[], str],
        *,
        params: Mapping[str, _Value] | Callable[[], Mapping[str, _Value]] | None = None,
        headers: Mapping[str, str] | Callable[[], Mapping[str, str]] | None = None,
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
            params: Query parameters; None as a value leaves one out.
            headers: Further headers; these go to any host.
            data: The body: bytes, a seekable binary file, the fields of a form, or an iterable of
                bytes, which is sent in chunks unless it has a length (`len`) in bytes; an iterator
                must come from a function.
            json: The body as a value to encode.
            idempotent: Whether doing it twice is as good as once; None decides by the method.
            submission: Whether the call creates a task: a 503 without ``Retry-After`` and all
                else that leaves the outcome open is then `uncertain` and for the caller to resolve.
            transfer: Whether it may take as long as bytes move; None for submissions only.
            ok: Statuses beside 2xx that are answers and not errors.
            not_found: The error for a 404.

        Raises:
            TransportError: No connection, or the answer was lost.
            CallTimeoutError: No answer in time.
            AuthenticationFailedError: 401, also with a renewed credential.
            InvalidInputError: 400, 413 or 422.
            PermissionDeniedError: 403.
            ServiceError: Any other error answer.
            InvalidResponseError: A redirect, or an answer that is too large.
            ConfigError: The URL, a header, a certificate file or the proxy cannot be used.
        """
        method = method.upper()
        answer = self._repeat(
            _Call(
                method,
                path,
                params,
                headers,
                data,
                json,
                idempotent=method in _IDEMPOTENT if idempotent is None else idempotent,
                submission=submission,
                transfer=submission if transfer is None else transfer,
                ok=ok,
                not_found=not_found,
            )
        )
        assert isinstance(answer, Response)
        return answer

    def stream(
        self,
        path: str | Callable[[], str],
        *,
        params: Mapping[str, _Value] | Callable[[], Mapping[str, _Value]] | None = None,
        headers: Mapping[str, str] | Callable[[], Mapping[str, str]] | None = None,
        not_found: type[QrmiError] = ResourceNotFoundError,
    ) -> Iterator[bytes]:
        """GET an answer of any size in pieces; it is requested at the first step.

        Repeated like `request` until the answer begins. After that a failure is raised, since the
        pieces given out cannot be taken back.

        Args:
            path: Path below the base URL, or a complete URL.
            params: Query parameters.
            headers: Further headers; these go to any host.
            not_found: The error for a 404.

        Raises:
            QrmiError: As for `request`, by the first step; later on `TransportError` or
                `CallTimeoutError`.
        """
        call = _Call(
            "GET", path, params, headers, transfer=True, streamed=True, not_found=not_found
        )
        return self._pieces(call, current())

    def close(self) -> None:
        """Close this thread's connections; those of other threads are closed when these end.

        The client can be used again afterwards.
        """
        session = self._local.__dict__.pop("session", None)
        if session is not None:
            session.close()

    # --- one call: attempts and pauses ---

    def _pieces(self, call: _Call, deadline: Deadline) -> Iterator[bytes]:
        with within(deadline):
            live = self._repeat(call)
        assert isinstance(live, requests.Response)
        try:
            while True:
                try:
                    piece = live.raw.read1(_PIECE_BYTES, decode_content=True)
                except (HTTPError, OSError) as error:
                    failure = self._lost(call, error)
                    break
                if not piece:
                    return
                yield piece
        finally:
            live.close()
        raise failure.error from failure.cause

    def _repeat(self, call: _Call) -> Response | requests.Response:
        budget = Deadline(current().clip(self.policy.call_timeout_seconds), self._clock)
        call.deadline = current() if call.transfer else budget
        if hasattr(call.data, "seek"):
            call.start_of_data = call.data.tell()

        def pause(state: tenacity.RetryCallState) -> float:
            return self.policy.pause(state.attempt_number, _outcome(state).error.retry_after)

        def give_up(state: tenacity.RetryCallState) -> bool:
            if state.attempt_number >= self.policy.attempts:
                return True
            left = budget.remaining()
            return left is not None and state.upcoming_sleep >= left

        def tell(state: tenacity.RetryCallState) -> None:
            seconds = state.upcoming_sleep
            level = logging.WARNING if seconds >= _LONG_PAUSE_SECONDS else logging.INFO
            _log.log(level, "%s; trying again in %.1f s", _outcome(state).error, seconds)

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_result(lambda it: isinstance(it, _Failure) and it.again),
            wait=pause,
            stop=give_up,
            sleep=self._sleep,
            before_sleep=tell,
            retry_error_callback=_outcome,
        )
        try:
            answer = retrying(self._attempt, call)
            if not isinstance(answer, _Failure):
                return answer
            attempts = retrying.statistics["attempt_number"]
            if attempts > 1:
                answer.error.message += f" ({attempts} attempts)"
            raise answer.error from answer.cause
        except QrmiError as error:
            # Also those of factories and of the token's renewal: what counts is this call.
            error.uncertain = call.uncertain
            call.clean(error)
            raise

    # --- one attempt ---

    def _attempt(self, call: _Call) -> Response | requests.Response | _Failure:
        answer = self._exchanged(call)
        if (
            isinstance(answer, _Failure)
            and answer.error.status_code == 401
            and call.authorization is not None
            and not call.renewed
        ):
            assert self._auth
            call.renewed = True
            refused = call.authorization
            self._auth.refused(refused)
            with within(call.deadline):
                if self._auth.authorization() != refused:
                    answer = self._exchanged(call)
        return answer

    def _exchanged(self, call: _Call) -> Response | requests.Response | _Failure:
        with within(call.deadline):
            parts = self._parts(call)
        policy = self.policy
        if call.deadline.passed():
            return _Failure(CallTimeoutError(f"{call.name}: no time was left for the call"))
        exchange = call.exchange = Exchange(
            call.deadline,
            policy.stream_timeout_seconds if call.transfer else policy.read_timeout_seconds,
            scrub=call.scrub,
        )
        start = self._clock()
        token = underway.set(exchange)
        try:
            live = self._session().request(
                call.method,
                call.url,
                **parts,
                # Else requests would take a credential from ~/.netrc.
                auth=_leave_alone,
                # An empty one keeps requests from taking that of the environment.
                proxies=dict.fromkeys(("http", "https"), call.proxy.url if call.proxy else ""),
                verify=policy.ca_bundle,
                cert=(policy.client_cert, policy.client_key)
                if policy.client_cert and policy.client_key
                else policy.client_cert,
                timeout=(
                    max(call.deadline.clip(policy.connect_timeout_seconds), 0.001),
                    exchange.stall_seconds,
                ),
                stream=True,
                allow_redirects=False,
            )
        except ValueError as error:
            if exchange.sent:
                call.uncertain |= call.once
                return _Failure(
                    InvalidResponseError(
                        f"{call.name}: the answer is not HTTP that can be read "
                        f"({type(error).__name__}); check that the endpoint setting names the API "
                        "and that no proxy answers in its place"
                    ),
                    cause=None if isinstance(error, requests.RequestException) else error,
                )
            # Without the cause: the text of some of these shows the header or the URL.
            return _Failure(
                ConfigError(
                    f"{call.name}: the request cannot be made ({type(error).__name__}); check the "
                    "endpoint setting, the proxy (QRMI_HTTP_PROXY), and the credential for line "
                    "breaks and the like"
                )
            )
        except (requests.RequestException, HTTPError) as error:
            return self._lost(call, error)
        except OSError as error:
            # A file of certificates that requests found in the environment.
            return _Failure(ConfigError(f"{call.name}: {error}"), cause=error)
        finally:
            underway.reset(token)
        _log.debug(
            "%s: %s after %.3f s", call.name, _status(live.status_code), self._clock() - start
        )
        fine = 200 <= live.status_code < 300 or live.status_code in call.ok
        if fine and call.streamed:
            return live
        if call.transfer:
            # The answer to a submission is small: once there, it is bounded as any other.
            exchange.deadline = Deadline(
                call.deadline.clip(policy.call_timeout_seconds), self._clock
            )
        return self._read(call, live, fine)

    def _parts(self, call: _Call) -> dict[str, Any]:
        """Call the factories, and note which secrets the request carries."""
        path = _fresh(call.path)
        absolute = re.match(r"https?://", path, re.I)
        call.url = path if absolute else f"{self._base_url}/{path.lstrip('/')}"
        parts = {
            "params": _fresh(call.params),
            "data": _fresh(call.data),
            "json": _fresh(call.json),
        }
        if call.start_of_data is not None:
            call.data.seek(call.start_of_data)
        headers: dict[str, str] = {}
        bodies = (parts["data"], value := parts.pop("json"))
        if value is not None and not parts["data"]:
            parts["data"] = _encoded(call, value)
            headers["Content-Type"] = "application/json"
        call.authorization = None
        if _origin(call.url) == self._origin:
            headers.update(_fresh(self._headers) or {})
            if self._auth:
                call.authorization = self._auth.authorization()
                headers["Authorization"] = call.authorization
                call.secrets |= set(call.authorization.split())
        parts["headers"] = headers | dict(_fresh(call.headers) or {})
        query = parse_qsl(urlsplit(call.url).query) + list((parts["params"] or {}).items())
        fields = [*parts["headers"].items(), *query]
        for body in bodies:
            if isinstance(body, Mapping):
                fields += body.items()
        call.proxy = proxy_for(call.url, self.policy.proxy)
        call.secrets |= (
            (call.proxy.secrets if call.proxy else set())
            | self._secrets
            | {
                value
                for name, value in fields
                if isinstance(value, str) and _SECRET_NAME.search(name)
            }
        )
        call.secrets = {secret for secret in call.secrets if len(secret) >= 8}
        return parts

    def _session(self) -> requests.Session:
        """This thread's and process's session."""
        local = self._local.__dict__
        if local.get("process") != os.getpid():
            # A connection shared with the parent process would mix their answers.
            self.close()
        session: requests.Session | None = local.get("session")
        if session is None:
            session = Session()
            session.headers["User-Agent"] = self._user_agent
            local.update(session=session, process=os.getpid(), end=ClosedAtEnd(session))
        return session

    # --- what came of it ---

    def _read(self, call: _Call, live: requests.Response, fine: bool) -> Response | _Failure:
        limit = self.policy.max_answer_bytes if fine else _MAX_ERROR_BYTES
        content = bytearray()
        try:
            while len(content) <= limit and (
                piece := live.raw.read1(_PIECE_BYTES, decode_content=True)
            ):
                content += piece
        except (HTTPError, OSError) as error:
            # The status of an error is known, even if its explanation is lost.
            if fine:
                return self._lost(call, error)
        finally:
            live.close()
        if fine and len(content) > limit:
            call.uncertain |= call.once
            return _Failure(
                InvalidResponseError(
                    f"{call.name}: the answer is larger than {limit} bytes; check that the "
                    "endpoint setting names the API, or raise QRMI_HTTP_MAX_ANSWER_BYTES",
                    status_code=live.status_code,
                )
            )
        response = Response(
            call.name,
            live.status_code,
            live.headers,
            bytes(content),
            uncertain=call.once,
            scrub=call.scrub,
        )
        return response if fine else self._refused(call, response)

    def _refused(self, call: _Call, response: Response) -> _Failure:
        """The failure that an error answer is."""
        status = response.status_code
        retry_after = retry_after_seconds(response.headers)
        # The vendor says that it did not do it, not just that something went wrong.
        not_done = status == 429 or (
            status == 503 and (not call.submission or retry_after is not None)
        )
        if not not_done and (status in (303, 408) or status >= 500):
            call.uncertain |= call.once
        error = self._described(call, response)
        if self._error and not call.answered_by_proxy(response):
            try:
                error = self._error(response, error) or error
            except InvalidResponseError:
                pass  # an error page of some proxy
            except Exception:
                _log.exception("the driver could not read the error answer to %s", call.name)
        call.clean(error)  # before it is logged
        error.status_code = error.status_code or status
        error.retry_after = error.retry_after if error.retry_after is not None else retry_after
        error.retryable |= status in _TRANSIENT
        for header in _REQUEST_ID_HEADERS:
            error.request_id = error.request_id or response.headers.get(header)
        again = not_done or (status in _TRANSIENT and call.idempotent)
        # How long a busy resource is waited for is the caller's decision.
        return _Failure(error, again and not isinstance(error, ResourceBusyError))

    def _described(self, call: _Call, response: Response) -> QrmiError:
        status = response.status_code
        what = f"{call.name}: {_status(status)}"
        excerpt = response.excerpt()
        if excerpt:
            what += f": {excerpt}"
        kind: type[QrmiError] = ServiceError
        if call.proxy and call.answered_by_proxy(response):
            what += (
                "; this may be the proxy's response and not the service's: "
                f"{call.proxy.advice(status, call.url)}"
            )
            if status not in _TRANSIENT:
                return TransportError(what, retryable=False)
        elif 300 <= status < 400:
            target = _redirected(call.url, response.headers.get("Location"))
            kind = InvalidResponseError
            what = (
                f"{call.name}: {_status(status)}: redirects{target and f', here to {target},'} are "
                "not followed; correct the endpoint setting, or look for a login page or proxy "
                "that answers in the API's place"
            )
        elif status == 401:
            kind = AuthenticationFailedError
            what += "; check the credential"
        elif status == 403:
            kind = PermissionDeniedError
            what += "; ask for the permission, or use another account"
        elif status == 404:
            kind = call.not_found
        elif status == 407:
            what += "; check the user and password of the proxy (QRMI_HTTP_PROXY)"
        elif status in (400, 413, 422):
            kind = InvalidInputError
        elif status in _TRANSIENT:
            wait = retry_after_seconds(response.headers)
            what += f"; the vendor asks to wait {wait:.0f} s" if wait else "; try again later"
        return kind(what)

    def _lost(self, call: _Call, error: BaseException) -> _Failure:
        """The failure that an exception while sending or receiving is."""
        exchange = call.exchange
        root = _root(error)
        reason = (getattr(root, "strerror", None) or str(root)) if root else "it ended early"
        if isinstance(root, ssl.SSLError) and (not exchange.sent or "alert" in reason.lower()):
            call.uncertain |= exchange.sent and call.once
            return _Failure(
                TransportError(
                    f"{call.name}: TLS failed: {getattr(root, 'verify_message', '') or reason}; "
                    "check QRMI_HTTP_CA_BUNDLE (or REQUESTS_CA_BUNDLE), QRMI_HTTP_CLIENT_CERT if "
                    "the vendor wants a certificate, and that the endpoint speaks https",
                    retryable=False,
                ),
                cause=root,
            )
        timed_out = isinstance(root, TimeoutError)
        kind = CallTimeoutError if timed_out else TransportError
        again = may_pass = True
        if exchange.deadline.passed():
            what = "no complete answer in the time allowed; allow more, or try again later"
            kind, again = CallTimeoutError, False
        elif not exchange.sent:
            what, may_pass = _unconnected(call, error, reason)
            again = may_pass
        elif timed_out:
            what = f"nothing came for {exchange.stall_seconds:g} s; allow more, or try again later"
        else:
            what = f"the connection was lost before the answer was complete ({reason})"
        if exchange.sent:
            call.uncertain |= call.once
            again &= call.idempotent
            if call.once:
                what += "; the call may have been carried out all the same"
        return _Failure(kind(f"{call.name}: {what}", retryable=may_pass), again, root)


def _unconnected(call: _Call, error: BaseException, reason: str) -> tuple[str, bool]:
    """Return the words for a connection that was not made, and True if trying again may help."""
    if call.proxy is None:
        return f"no connection ({reason}); {_ENDPOINT_HINT}", True
    to_proxy = "to the proxy " if isinstance(error, requests.exceptions.ProxyError) else ""
    refused = re.search(r"Tunnel connection failed: (\d{3})", reason)
    status = int(refused[1]) if refused else None
    what = f"no connection {to_proxy}({reason}); {call.proxy.advice(status, call.url)}"
    return what, status is None or status in _TRANSIENT


# --- small things -------------------------------------------------------------------------------


def without_queries(text: str) -> str:
    """A vendor's text without the queries of the URLs in it: a presigned one is a credential."""
    return re.sub(r"(https?://[^\s\"'<>?]*)\?(?!\*\*\*)[^\s\"'<>]*", r"\1?***", text)


def retry_after_seconds(
    headers: Mapping[str, str], now: Callable[[], float] = time.time
) -> float | None:
    """What ``Retry-After`` says, in either of its forms; None if it is not there or is nonsense.

    Args:
        headers: Header fields. A date is compared with their ``Date``, if there is one, so that
            the vendor's clock need not agree with ours.
        now: Wall clock in seconds since 1970.
    """
    value = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]*)?", value):
        return float(value)
    until = _timestamp(value)
    if until is None:
        return None
    since = _timestamp(headers.get("Date", ""))
    return max(0.0, until - (now() if since is None else since))


def _timestamp(text: str) -> float | None:
    try:
        moment = email.utils.parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=datetime.UTC)
        return moment.timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _fresh(value: Any) -> Any:
    return value() if callable(value) else value


def _encoded(call: _Call, value: Any) -> bytes:
    try:
        return json.dumps(value, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInputError(f"{call.name}: the body cannot be sent as JSON: {error}") from error


def _leave_alone(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _outcome(state: tenacity.RetryCallState) -> Any:
    assert state.outcome
    return state.outcome.result()


def _status(code: int) -> str:
    try:
        return f"{code} {http.HTTPStatus(code).phrase}"
    except ValueError:
        return str(code)


def _host(netloc: str) -> str:
    return netloc.rpartition("@")[2]


def _without_query(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{_host(parts.netloc)}{parts.path}"


def _redirected(url: str, location: str | None) -> str:
    """Scheme and host of a redirect's target, as far as it names one."""
    try:
        parts = urlsplit(urljoin(url, location)) if location else None
    except ValueError:
        parts = None
    return f"{parts.scheme}://{_host(parts.netloc)}" if parts and parts.netloc else ""


def _origin(url: str) -> tuple[str, str, int]:
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme.lower(), parts.hostname, parts.port
    except ValueError:
        scheme, host, port = "", None, None
    if scheme not in ("http", "https") or not host:
        raise ConfigError(
            f"not a URL that begins with https:// or http:// and names a host: "
            f"{url.partition('?')[0].rpartition('@')[2]!r}"
        )
    if "@" in parts.netloc:
        raise ConfigError(
            f"the URL of {host} carries a user or password; put these into settings of their own"
        )
    return scheme, host, port or (443 if scheme == "https" else 80)


def _root(error: BaseException) -> BaseException | None:
    """The system's own error under the wrappers of requests and urllib3.

    Theirs show URLs with the query string, so they must not be in a traceback.
    """
    found = None
    link: BaseException | None = error
    while link is not None:
        own = not type(link).__module__.startswith(("requests", "urllib3"))
        if own and isinstance(link, OSError | http.client.HTTPException):
            found = link
        link = link.__cause__ or link.__context__
    return found
