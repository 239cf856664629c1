"""Keeping secrets out of messages, logs and reprs."""

from __future__ import annotations

import functools
import itertools
import json
import re
import traceback
from collections.abc import Iterable, Mapping
from urllib.parse import quote, quote_plus

from qrmi_core.errors import QrmiError
from qrmi_core.readers import read_number, read_text

REDACTED = "***"
MAX_MESSAGE_CHARACTERS = 2000
"""The longest message or detail of an error."""
_MAX_ID_CHARACTERS = 200

_LEAST_CHARACTERS = 8
"""A shorter secret is redacted only where it stands alone, since other words may contain it."""
_SECRET_PARTS = (
    *("secret", "token", "passw", "passphrase", "credential"),
    *("cookie", "assertion", "signature", "key"),
)
_SECRET_ENDS = (
    *("auth", "authorization", "cred", "pass", "pwd", "sig"),
    *("session", "session_id", "session-id"),
)
_PATHS = ("http_client_key", "_file")

_MARKUP = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_QUOTES = ('"', "&quot;", "&#34;")
_APOSTROPHES = ("'", "&#x27;", "&#39;", "&#039;", "&apos;")
_JSON_ESCAPES = tuple(
    str.maketrans({char: f"\\u{ord(char):04{digits}}" for char in chars})
    for chars, digits in (("", "x"), ("<>&", "x"), ("<>&='", "x"), ("<>&'+`", "X"))
)
"""The characters that JSON writers escape beside those that need it: none, Go, Gson, .NET."""


def is_secret(name: str) -> bool:
    """Return True if a setting, header, parameter or field of this name holds a secret.

    The name of a setting that holds the path of a file is not one of a secret.
    """
    lower = name.lower()
    if lower.endswith(_PATHS):
        return False
    return lower.endswith(_SECRET_ENDS) or any(part in lower for part in _SECRET_PARTS)


def without_queries(text: str) -> str:
    """Return a text with the query of each URL redacted, which may be a credential."""
    # A URL ends where another begins, so that no text is read again from each of them.
    before = r"https?://(?:(?!https?://)[^\s\"'<>?])*+"
    query = rf"({before})\?[^\s\"'<>]*"
    # Most texts have none, and compiling the expression takes longer than a request.
    return re.sub(query, rf"\1?{REDACTED}", text) if "?" in text else text


def one_line(text: str) -> str:
    """Return a text in one line, and without control characters."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


@functools.lru_cache(maxsize=64)
def _forms(secret: str) -> frozenset[str]:
    """Return a secret as it may be echoed."""
    if quote(secret, safe="", errors="replace") == secret:  # nor is it escaped elsewhere
        return frozenset({secret})
    forms = {secret, one_line(secret), repr(secret)[1:-1]}
    markup = secret.translate(_MARKUP)
    for double, single in itertools.product(_QUOTES, _APOSTROPHES):
        forms.add(markup.replace('"', double).replace("'", single))
    for ascii_only, escapes in itertools.product((True, False), _JSON_ESCAPES):
        encoded = json.dumps(secret, ensure_ascii=ascii_only)[1:-1].translate(escapes)
        forms |= {encoded, encoded.replace("/", r"\/")}
    for quoting in (quote, quote_plus):
        for safe in ("", "/"):
            quoted = quoting(secret, safe=safe, errors="replace")
            forms |= {quoted, re.sub(r"%..", lambda found: found[0].lower(), quoted)}
    return frozenset(forms)


class Redactor:
    """A function that redacts known secrets, and the queries of URLs, in a text.

    Args:
        secrets: The secrets, of any length.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: set[str] = set()
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Redact these secrets too, also in the forms that URLs, JSON and HTML give them."""
        for secret in filter(None, secrets):
            self._secrets.update(_forms(secret))
        self._secrets.discard("")

    def __call__(self, text: str) -> str:
        # Longest first: a shorter secret may be part of a longer one.
        for secret in sorted(self._secrets, key=len, reverse=True):
            if len(secret) >= _LEAST_CHARACTERS:
                text = text.replace(secret, REDACTED)
            else:
                text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", REDACTED, text)
        return without_queries(text)

    def excerpt(self, text: str, characters: int = MAX_MESSAGE_CHARACTERS) -> str:
        """Return the beginning of a text on one line, redacted."""
        # Cut last: part of a secret would not be recognised. Folded between, as others may have.
        shown = self(one_line(self(text)))
        return shown if len(shown) <= characters else f"{shown[:characters]}..."

    def cause(self, error: BaseException) -> BaseException | None:
        """Return an exception as the cause of another; None if its traceback is not clean.

        The traceback of a cause is shown with that of its effect.
        """
        trace = "".join(traceback.format_exception(error))
        printable = all(char.isprintable() or char in "\n\t" for char in trace)
        return error if printable and self(trace) == trace else None

    def clean(self, error: QrmiError) -> None:
        """Clean the texts of an error: redact them, fold them into one line and cut them.

        A cause whose traceback is not clean is dropped.
        """
        error.message = self._text(error.message) or ""
        for name in ("resource_id", "task_id", "vendor_code", "request_id"):
            setattr(error, name, self._text(getattr(error, name), _MAX_ID_CHARACTERS))
        details = error.details if isinstance(error.details, Mapping) else {}
        error.details = {
            key: text
            for name, value in details.items()
            if (key := self._text(name)) and (text := self._text(value))
        }
        if isinstance(notes := vars(error).pop("__notes__", None), list):
            error.__notes__ = [text for note in notes if (text := self._text(note))]
        error.__context__ = error.__context__ and self.cause(error.__context__)
        if error.__cause__:
            error.__cause__ = self.cause(error.__cause__)
        error.retry_after = read_number(error.retry_after)
        error.retryable = bool(error.retryable)

    def _text(self, value: object, characters: int = MAX_MESSAGE_CHARACTERS) -> str | None:
        text = read_text(value)
        return self.excerpt(text, characters) if text else None
