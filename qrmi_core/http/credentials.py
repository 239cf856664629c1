"""Credentials: fixed, or kept in memory, shared, and renewed in time."""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import attrs

from qrmi_core.deadline import Clock, current
from qrmi_core.errors import CallTimeoutError, QrmiError
from qrmi_core.locks import Lock
from qrmi_core.readers import read_number
from qrmi_core.values import Value

if TYPE_CHECKING:
    from qrmi_core.http.response import Response

_log = logging.getLogger("qrmi_core.http")


class Auth(Protocol):
    """A provider of the credential of a call. Used from many threads at once."""

    def authorization(self) -> str:
        """Return the value of the ``Authorization`` header; called for every attempt."""

    def refused(self, authorization: str) -> None:
        """Note that the vendor responded with 401 to this value."""


class StaticToken:
    """A credential that does not change, such as an API key.

    Args:
        value: The credential.
        scheme: The word before it in the header; empty for none.
    """

    def __init__(self, value: str, scheme: str = "Bearer") -> None:
        self._authorization = f"{scheme} {value}".strip()

    def authorization(self) -> str:
        """Return the value of the ``Authorization`` header."""
        return self._authorization

    def refused(self, authorization: str) -> None:
        """Do nothing: the credential cannot be renewed."""


@attrs.frozen(eq=False, repr=False)
class Token(Value):
    """A credential that expires.

    Args:
        value: The credential.
        expires_in_seconds: Its lifetime from now; None if not known, then it is used until refused.
        scheme: The word before it in the header.
    """

    value: str = attrs.field(repr=False)
    expires_in_seconds: float | None = None
    scheme: str = "Bearer"


def read_token(response: Response, advice: str) -> Token:
    """Read the token in the response of an OAuth 2 server; errors never show any part of it.

    Args:
        response: The response, with `access_token` and perhaps `expires_in`.
        advice: Checks to suggest if the token is missing.

    Raises:
        InvalidResponseError: The token is missing.
    """
    # Not Response.json(): its error would show the beginning of the token.
    try:
        body = json.loads(response.content)
        value, lifetime = body["access_token"], body.get("expires_in")
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        value = lifetime = None
    if not isinstance(value, str) or not value:
        raise response.invalid(f"the response has no token; {advice}")
    return Token(value, expires_in_seconds=read_number(lifetime))


class _Held:
    """A token with its times on the monotonic clock."""

    def __init__(self, authorization: str, renew_at: float, expires_at: float) -> None:
        self.authorization = authorization
        self.renew_at = renew_at
        self.expires_at = expires_at


class _TokenStore:
    """The place of one token; `lock` is held by the one thread that renews it."""

    def __init__(self) -> None:
        self.held: _Held | None = None
        self.lock = Lock()


_sharing = Lock()


@functools.lru_cache(maxsize=256)
def _shared_store(_key: bytes) -> _TokenStore:
    """Return the place of a token that objects share; the one unused for longest is dropped."""
    return _TokenStore()


class CachedToken:
    """A token that is kept in memory, and renewed before it expires by one thread at a time.

    Args:
        fetch: Returns a new token from the vendor. Mark its request ``idempotent=True`` if another
            token does no harm.
        shared_as: The inputs of the token, such as the endpoint, the user and the secret; all
            objects with equal values share one token. Only a hash of it is kept.
        clock: Monotonic clock in seconds.
    """

    def __init__(
        self,
        fetch: Callable[[], Token],
        *,
        shared_as: tuple[str, ...] | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        if shared_as is None:
            self._store = _TokenStore()
        else:
            key = hashlib.sha256(repr(shared_as).encode()).digest()
            with _sharing:  # else two threads could each get a place of their own
                self._store = _shared_store(key)

    def authorization(self) -> str:
        """The header's value, of a token that is valid for some time yet.

        Raises:
            CallTimeoutError: The time was up while another thread fetched the token.
            QrmiError: The error of `fetch`, unless the old token can still be used.
        """
        store = self._store
        held = store.held
        now = self._clock()
        if held and now < held.renew_at:
            return held.authorization
        usable = held if held and now < held.expires_at else None
        if not store.lock.acquire(0.0 if usable else current().remaining()):
            if usable:
                return usable.authorization
            raise CallTimeoutError("the time was up while another thread fetched the access token")
        try:
            newest = store.held
            if newest is None or newest is held:
                newest = store.held = self._renewed(usable if newest else None)
            return newest.authorization
        finally:
            store.lock.release()

    def refused(self, authorization: str) -> None:
        """Forget the token, unless another thread has renewed it since."""
        held = self._store.held
        if held and held.authorization == authorization:
            self._store.held = None

    def _renewed(self, usable: _Held | None) -> _Held:
        try:
            token = self._fetch()
        except QrmiError as error:
            if usable is None:
                raise
            _log.info("the access token could not be renewed yet: %s", error)
            now = self._clock()
            half = (usable.expires_at - now) / 2
            return _Held(usable.authorization, now + half, usable.expires_at)
        now = self._clock()
        lifetime = math.inf if token.expires_in_seconds is None else token.expires_in_seconds
        return _Held(
            authorization=f"{token.scheme} {token.value}".strip(),
            renew_at=now + max(min(lifetime - 360.0, lifetime * 0.9), lifetime / 2),
            expires_at=now + lifetime,
        )
