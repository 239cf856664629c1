"""Keeping secrets out of messages, logs and reprs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote

from qrmi_core.errors import QrmiError

REDACTED = "***"
MAX_MESSAGE_CHARACTERS = 2000
"""The longest message or detail of an error response."""

_LEAST_CHARACTERS = 8
"""A shorter secret is redacted only where it stands alone, since others words may contain it."""
_SECRET_NAME = re.compile(
    r"secret|token|passw|passphrase|credential|cookie|assertion|signature|(?<!http_client_)key|"
    r"(auth|authorization|cred|pass|pwd|sig|session|session[-_]id)$",
    re.IGNORECASE,
)


def is_secret(name: str) -> bool:
    """Return True if a setting, header, parameter or field of this name holds a secret.

    The name of a setting that holds the path of a file (``..._FILE``) is not one of a secret.
    """
    return bool(_SECRET_NAME.search(name)) and not name.upper().endswith("_FILE")


def without_queries(text: str) -> str:
    """Return a text with the query of each URL redacted, which may be a credential."""
    return re.sub(r"(https?://[^\s\"'<>?]*)\?(?!\*\*\*)[^\s\"'<>]*", rf"\1?{REDACTED}", text)


def one_line(text: str, instead: str = " ") -> str:
    """Return a text without line breaks, and with another character for control characters."""
    return "".join(char if char.isprintable() else instead for char in " ".join(text.split()))


class Redactor:
    """A function that redacts known secrets, and the queries of URLs, in a text.

    Args:
        secrets: The secrets, of any length.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: set[str] = set()
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Redact these secrets too, also where they are percent-encoded."""
        for secret in filter(None, secrets):
            self._secrets |= {secret, quote(secret, safe="", errors="replace")}

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
        # Cut last: part of a secret would not be recognised.
        shown = self(one_line(text, "\N{REPLACEMENT CHARACTER}"))
        return shown if len(shown) <= characters else f"{shown[:characters]}..."

    def clean(self, error: QrmiError) -> None:
        """Redact secrets in the texts of an error."""
        error.message = self(error.message)
        error.details = {name: self(text) for name, text in error.details.items()}
        error.args = (error.message,)
