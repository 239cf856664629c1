"""A response that was read completely, and readers of its body."""

from __future__ import annotations

import datetime
import email.utils
import json
import re
import time
from collections.abc import Callable, Mapping
from http.client import responses
from typing import Any, TypeVar
from urllib.parse import urlsplit

import attrs

from qrmi_core.errors import InvalidResponseError
from qrmi_core.redaction import Redactor
from qrmi_core.values import Value

_T = TypeVar("_T")

MAX_ERROR_BYTES = 1 << 16
_EXCERPT_CHARACTERS = 300
_LONGEST_SECONDS = 1e9
"""About 30 years, which every clock and lock accepts."""


@attrs.frozen(eq=False, repr=False)
class Response(Value):
    """A response, read completely.

    The readers of the body take the keys that lead to a value: ``response.items("data", "jobs")``
    reads a list of objects within the object ``data`` of the body.

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
    _redact: Redactor = attrs.field(factory=Redactor, repr=False, eq=False)

    @property
    def method(self) -> str:
        """The method of the request."""
        return self.call.partition(" ")[0]

    @property
    def path(self) -> str:
        """The path of the request's URL."""
        return urlsplit(self.call.split(" ")[1]).path

    @property
    def retry_after(self) -> float | None:
        """Seconds of ``Retry-After``; None without it."""
        return retry_after_seconds(self.headers)

    def json(self) -> Any:
        """Parse the body.

        Raises:
            InvalidResponseError: It is not JSON.
        """
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError) as error:
            problem = str(error) if isinstance(error, json.JSONDecodeError) else "not text"
        raise self.invalid(
            f"the response is not JSON ({problem}; its type is "
            f"{self.headers.get('Content-Type', 'not given')}): {self.excerpt()!r}; check that the "
            "endpoint setting names the API and that no login page or proxy answers in its place"
        )

    def object(self, *keys: str) -> dict[str, Any]:
        """Read a JSON object.

        Raises:
            InvalidResponseError: The value is something else, or missing.
        """
        return self._value(keys, "an object", dict)

    def items(self, *keys: str) -> list[dict[str, Any]]:
        """Read a list of JSON objects.

        Raises:
            InvalidResponseError: The value is something else, or missing.
        """
        return self._value(
            keys, "a list of objects", list, lambda found: all(type(item) is dict for item in found)
        )

    def text(self, *keys: str) -> str:
        """Read a text that is not empty.

        Raises:
            InvalidResponseError: The value is something else, or missing.
        """
        return self._value(keys, "a text", str, bool)

    def created_id(self, *keys: str, kind: type[str] | type[int] = str) -> str:
        """Read the id of the object that the request created.

        Args:
            keys: The keys that lead to the id; ``id`` by default.
            kind: `int` for a service whose ids are numbers.

        Raises:
            InvalidResponseError: The id is missing; `uncertain` is set, since the object exists.
        """
        try:
            return str(self._value(keys or ("id",), "an id", kind, lambda found: found != ""))
        except InvalidResponseError as error:
            error.uncertain = True
            raise

    def excerpt(self) -> str:
        """Return the beginning of the body on one line, for messages, without known secrets.

        Of an HTML page only the title is shown, since the rest may hold anything.
        """
        text = self.content[:MAX_ERROR_BYTES].decode("utf-8", "replace").strip()
        if re.match(r"<(!doctype\s+html|html|head|body)\b", text, re.I):
            title = re.search(r"<title[^<>]*>([^<]+)</title>", text, re.I)
            text = f"an HTML page, {title[1].strip()}" if title else "an HTML page"
        return self._redact.excerpt(text, _EXCERPT_CHARACTERS)

    def invalid(self, problem: str) -> InvalidResponseError:
        """Return the error for a response that breaks the API's contract.

        Args:
            problem: The problem, such as ``the response has no ETag``.
        """
        return InvalidResponseError(
            self._redact.excerpt(f"{self.call}: {problem}"),
            status_code=self.status_code,
            uncertain=self._uncertain,
        )

    def _value(
        self,
        keys: tuple[str, ...],
        what: str,
        kind: Callable[..., _T],
        fits: Callable[[_T], bool] = lambda _value: True,
    ) -> _T:
        value: Any = self.json()
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        if type(value) is not kind or not fits(value):
            where = f"`{'.'.join(keys)}` of the response" if keys else "the response"
            raise self.invalid(
                f"{where} is not {what}; check the endpoint setting and the version of the API"
            )
        found: _T = value
        return found


def join_documents(**documents: Response | None) -> bytes:
    """Join JSON documents into one object, each passed on byte by byte; None becomes null.

    Raises:
        InvalidResponseError: One of them is not JSON. Only the ends of objects and lists are
            checked, since parsing a large one takes longer than fetching it.
    """
    parts = []
    for name, document in documents.items():
        text = b"null"
        if document is not None:
            text = document.content.strip(b" \t\r\n\xef\xbb\xbf")  # and a byte order mark
            if text[:1] + text[-1:] not in (b"{}", b"[]"):
                document.json()
        parts.append(b'"%s":%s' % (name.encode(), text))
    return b"{" + b",".join(parts) + b"}"


def retry_after_seconds(
    headers: Mapping[str, str], now: Callable[[], float] = time.time
) -> float | None:
    """Return the seconds of ``Retry-After``, in either of its forms; None without a valid one.

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
    return min(max(0.0, until - (now() if since is None else since)), _LONGEST_SECONDS)


def status_phrase(code: int) -> str:
    """Return a status with its phrase, such as ``404 Not Found``."""
    return f"{code} {responses.get(code, '')}".strip()


def _timestamp(text: str) -> float | None:
    try:
        moment = email.utils.parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=datetime.UTC)
        return moment.timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
