"""The bearer token of Pasqal Cloud: given, or requested as a user or as a service account."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable

from qrmi_core.plugin import (
    AuthenticationFailedError,
    CachedToken,
    ConfigError,
    HttpClient,
    QrmiError,
    Response,
    Token,
    read_token,
    recast,
)
from qrmi_pasqal.cloud.settings import IN_THE_FILE, PasqalCloudSettings
from qrmi_pasqal.responses import describe

_MARGIN_SECONDS = 10.0
"""A token that expires within this time is not used any more."""
_USER = "PASQAL_USERNAME and PASQAL_PASSWORD"
_SERVICE = "QRMI_PASQAL_CLOUD_CLIENT_ID and QRMI_PASQAL_CLOUD_CLIENT_SECRET"


class PasqalAuth:
    """Provides the ``Authorization`` header of calls to Pasqal Cloud.

    The token of the settings comes first, until it expires or is refused; then one that is
    requested with user and password, or else as the service account. Such a token is kept in
    memory, renewed before it expires, and shared by all resources with the same credentials.

    Args:
        settings: The credentials.
        client: Its settings and connections are used to request tokens.
        clock: Wall clock in seconds since 1970.
    """

    def __init__(
        self,
        settings: PasqalCloudSettings,
        client: HttpClient,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._given = f"Bearer {settings.token}" if settings.token else None
        self._expires_at = expiry(settings.token or "")
        self._clock = clock
        form, self._lacking = _form(settings)
        self._form = form
        self._endpoint = settings.auth_endpoint
        secrets = [form[name] for name in ("password", "client_secret") if name in form]
        self._client = client.sibling(self._endpoint, error=_explain, secrets=secrets)
        shared_as = (self._endpoint, *form, *form.values())
        self._login = CachedToken(self._fetch, shared_as=shared_as) if form else None

    def authorization(self) -> str:
        """Return the value of the header.

        Raises:
            ConfigError: The credentials are missing or incomplete.
            AuthenticationFailedError: The token of the settings has expired and no others are set,
                or the credentials were refused.
        """
        given = self._given
        if given and (
            self._expires_at is None or self._expires_at > self._clock() + _MARGIN_SECONDS
        ):
            return given
        if self._login:
            return self._login.authorization()
        if given:
            raise AuthenticationFailedError(
                f"the token of the settings has expired; give a new one, or set {_USER}, or "
                f"{_SERVICE}"
            )
        if self._lacking:
            raise ConfigError(f"credentials are incomplete: {self._lacking}")
        raise ConfigError(
            f"no credentials are set: set {_USER}, or {_SERVICE}, or "
            f"QRMI_PASQAL_CLOUD_AUTH_TOKEN, or put them into {IN_THE_FILE}"
        )

    def refused(self, authorization: str) -> None:
        """Note that the service responded with 401; the token of the settings is not used again.

        Without other credentials it is kept: the error is then the service's own.
        """
        if self._login is None:
            return
        if authorization == self._given:
            self._given = None
        else:
            self._login.refused(authorization)

    def _fetch(self) -> Token:
        """Request a token."""
        response = self._client.request(
            "POST",
            self._endpoint,
            data=self._form,
            headers={"Accept": "application/json"},
            idempotent=True,  # another token does no harm
        )
        token = read_token(
            response,
            "check that QRMI_PASQAL_CLOUD_AUTH_ENDPOINT is the address of tokens, with its path, "
            "and that no login page or proxy answers in its place",
        )
        end = expiry(token.value)
        if token.expires_in_seconds is None and end is not None:
            return Token(token.value, expires_in_seconds=max(end - self._clock(), 0.0))
        return token


def expiry(token: str) -> float | None:
    """Return the expiry of a JSON web token in seconds since 1970; None for any other token."""
    try:
        _, body, _ = token.split(".")
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        return float(claims["exp"])
    except (ValueError, LookupError, TypeError, OverflowError, RecursionError):
        return None


def _explain(response: Response, error: QrmiError) -> None:
    describe(response, error)
    if response.status_code in (400, 401, 403, 404, 405):
        error.message = error.message.rstrip(".")
        raise recast(
            error,
            AuthenticationFailedError,
            "no token is given: check the credentials, QRMI_PASQAL_CLOUD_AUTH_ENDPOINT (with its "
            "path, such as /oauth/token), and the realm, the client and the audience",
        )


def _form(settings: PasqalCloudSettings) -> tuple[dict[str, str], str]:
    """Return the form that requests a token (empty without credentials), and incomplete pairs."""
    common = {"audience": settings.auth_audience}
    if settings.username and settings.password:
        return common | {
            "grant_type": settings.auth_grant_type,
            "realm": settings.auth_realm,
            "client_id": settings.auth_public_client_id,
            "username": settings.username,
            "password": settings.password,
        }, ""
    if settings.client_id and settings.client_secret:
        return common | {
            "grant_type": "client_credentials",
            "client_id": settings.client_id,
            "client_secret": settings.client_secret,
        }, ""
    halves = (
        ("PASQAL_USERNAME", settings.username, "PASQAL_PASSWORD"),
        ("PASQAL_PASSWORD", settings.password, "PASQAL_USERNAME"),
        ("QRMI_PASQAL_CLOUD_CLIENT_ID", settings.client_id, "QRMI_PASQAL_CLOUD_CLIENT_SECRET"),
        ("QRMI_PASQAL_CLOUD_CLIENT_SECRET", settings.client_secret, "QRMI_PASQAL_CLOUD_CLIENT_ID"),
    )
    return {}, " and ".join(f"{name} lacks {other}" for name, value, other in halves if value)
