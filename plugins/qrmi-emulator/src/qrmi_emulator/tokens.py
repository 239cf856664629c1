"""Access tokens: JSON web tokens that a face issues and checks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from typing import Any

from qrmi_emulator.state import State


class Tokens:
    """Issues and checks tokens.

    Args:
        state: Gives the time, the life of a token, and the tokens that were revoked.
        signing_key: The key of the signatures.
    """

    def __init__(self, state: State, signing_key: str) -> None:
        self._state = state
        self._signing_key = signing_key.encode()

    def issue(self, **claims: Any) -> tuple[str, dict[str, Any]]:
        """Return a token and all its claims.

        Args:
            claims: The claims besides its number and its times.
        """
        now = int(self._state.clock())
        claims |= {
            "jti": secrets.token_hex(8),
            "iat": now,
            "exp": now + int(self._state.settings.token_seconds),
        }
        signed = f"{_encode({'alg': 'HS256', 'typ': 'JWT'})}.{_encode(claims)}"
        return f"{signed}.{self._sign(signed)}", claims

    def accepts(self, authorization: str) -> bool:
        """Return True if the value of a header is a valid token of ours."""
        scheme, _, value = authorization.partition(" ")
        if scheme.lower() != "bearer" or self._state.is_revoked(authorization):
            return False
        signed, _, signature = value.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(signed).encode()):
            return False
        expires: float = json.loads(_decode(signed.partition(".")[2]))["exp"]
        return self._state.clock() < expires

    def _sign(self, text: str) -> str:
        digest = hmac.new(self._signing_key, text.encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _encode(document: object) -> str:
    text = json.dumps(document, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
