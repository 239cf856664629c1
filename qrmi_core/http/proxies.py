"""Choosing the proxy of a request, and naming it in errors."""

from __future__ import annotations

import base64
import ipaddress
import re
from urllib.parse import unquote, urlsplit

_REFUSED = 403
_UNAUTHENTICATED = 407
_MADE_BY_PROXIES = frozenset({_REFUSED, 502, 503, 504})


def is_loopback(host: str) -> bool:
    """Return True if a host name or address is this machine's loopback interface."""
    name = host.strip("[]").partition("%")[0].lower().rstrip(".")
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def proxy_for(url: str, setting: str | None) -> Proxy | None:
    """Return the proxy for a request, or None for a direct connection.

    Args:
        url: URL of the request.
        setting: URL of the proxy for all requests; None to use the environment's. Neither is used
            for loopback addresses.
    """
    from requests.utils import get_environ_proxies, select_proxy

    if is_loopback(urlsplit(url).hostname or ""):
        return None
    found = setting or select_proxy(url, get_environ_proxies(url))
    return Proxy(found, explicit=setting is not None) if found else None


class Proxy:
    """A proxy for requests.

    Args:
        url: URL of the proxy, which may contain a user and password.
        explicit: True if a setting of the resource names the proxy, False if the environment does.
    """

    def __init__(self, url: str, *, explicit: bool = False) -> None:
        self.url = url
        self._explicit = explicit

    def __repr__(self) -> str:
        return f"Proxy({self.address!r})"

    @property
    def address(self) -> str:
        """Scheme, host and port, for messages."""
        scheme, _, rest = self._parts()
        return f"{scheme}://{re.split('[/?#]', rest, maxsplit=1)[0]}"

    @property
    def secrets(self) -> set[str]:
        """The password (or the user without one), in each form that a response could repeat."""
        _, credentials, _ = self._parts()
        user, _, password = credentials.partition(":")
        basic = f"{unquote(user)}:{unquote(password)}".encode()
        secret = password or user
        return {secret, unquote(secret), base64.b64encode(basic).decode()}

    def answered(self, status: int, url: str, content: bytes) -> bool:
        """Return True if a response is probably from the proxy and not from the service.

        Args:
            status: Status of the response.
            url: URL of the request. Through TLS, only the service can respond.
            content: The response body. All known services explain their errors in JSON.
        """
        if status == _UNAUTHENTICATED:
            return True
        return (
            status in _MADE_BY_PROXIES
            and url.lower().startswith("http://")
            and not content.lstrip().startswith((b"{", b"["))
        )

    def advice(self, status: int | None, url: str) -> str:
        """Return advice about a request that failed at the proxy.

        Args:
            status: Status of the proxy's response; None without a response.
            url: URL of the request.
        """
        host = urlsplit(url).hostname
        variable = "QRMI_HTTP_PROXY" if self._explicit else f"{urlsplit(url).scheme.lower()}_proxy"
        around = f"unset {variable}" if self._explicit else f"add {host} to no_proxy"
        if status == _UNAUTHENTICATED:
            return f"check the user and password of the proxy ({variable})"
        if status == _REFUSED:
            return f"ask the proxy's administrator to allow {host}, or {around}"
        return f"check the proxy ({variable}), or {around} to go without it"

    def _parts(self) -> tuple[str, str, str]:
        """Return scheme, credentials and address; a password may contain any character."""
        url = self.url.strip()
        scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", url)
        credentials, _, address = url[scheme.end() if scheme else 0 :].rpartition("@")
        return scheme[1] if scheme else "http", credentials, address
