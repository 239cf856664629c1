"""Taking URLs apart, and putting ids into their paths."""

from __future__ import annotations

from urllib.parse import quote, urljoin, urlsplit

from qrmi_core.errors import ConfigError, QrmiError, TaskNotFoundError

_MARKS = dict.fromkeys(map(ord, ".:%_-"))
"""The characters of hosts that are neither letters nor digits, for `str.translate`."""


def origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of a URL.

    Raises:
        ConfigError: It is not a URL of http or https, or carries a user or password. The message
            shows neither these nor the query.
    """
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme.lower(), parts.hostname or "", parts.port
    except ValueError:
        scheme, host, port = "", "", None
    if scheme not in ("http", "https") or not host.translate(_MARKS).isalnum():
        shown = url.partition("?")[0].rpartition("@")[2]
        raise ConfigError(
            f"not a URL that begins with https:// or http:// and names a host: {shown!r}"
        )
    if "@" in parts.netloc:
        raise ConfigError(
            f"the URL of {host} carries a user or password; use separate settings for these"
        )
    return scheme, host, port or (443 if scheme == "https" else 80)


def without_query(url: str) -> str:
    """Return a URL without its query, fragment, user and password, for messages."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def redirect_target(url: str, location: str | None) -> str:
    """Return scheme and host of a redirect's target; empty if it names none."""
    try:
        parts = urlsplit(urljoin(url, location) if location else "")
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else ""


def path_segment(identifier: str, not_found: type[QrmiError] = TaskNotFoundError) -> str:
    """Return an id as one segment of a path, percent-encoded.

    Args:
        identifier: The id of a task, a device and the like.
        not_found: The error for an id that cannot be one.

    Raises:
        QrmiError: It is empty, dots alone (which would mean another path), or not Unicode.
    """
    if identifier.strip("."):
        try:
            return quote(identifier, safe="")
        except UnicodeEncodeError:
            pass
    what = "task" if not_found is TaskNotFoundError else "resource"
    raise not_found(f"{identifier!r} is not the id of a {what}")
