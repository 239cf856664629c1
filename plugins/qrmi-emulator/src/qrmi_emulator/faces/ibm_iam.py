"""IBM Cloud's token exchange, for the IBM APIs."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from typing import Any, Final
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from qrmi_emulator.config import MARK
from qrmi_emulator.state import State

TOKEN_PATH: Final = "/identity/token"
_GRANT: Final = "urn:ibm:params:oauth:grant-type:apikey"


class Iam:
    """Issues and checks tokens for the one API key of the emulator.

    Args:
        state: Gives the credentials, the time, and which tokens were revoked.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        known = state.credentials(
            "ibm-iam",
            lambda: {
                "api_key": MARK + secrets.token_urlsafe(32),
                "signing_key": secrets.token_hex(32),
                "account": secrets.token_hex(16),
            },
        )
        self.api_key = known["api_key"]
        self.account = known["account"]
        self._signing_key = known["signing_key"].encode()

    def routes(self) -> list[Route]:
        """The token exchange."""
        return [Route(TOKEN_PATH, self._exchange, methods=["POST"])]

    def accepts(self, authorization: str) -> bool:
        """Whether a header's value is a valid token of ours, or the API key itself."""
        scheme, _, value = authorization.partition(" ")
        if scheme.lower() == "apikey":
            return hmac.compare_digest(value.encode(), self.api_key.encode())
        if scheme.lower() != "bearer" or self._state.is_revoked(authorization):
            return False
        signed, _, signature = value.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(signed).encode()):
            return False
        expires: float = json.loads(_decode(signed.partition(".")[2]))["exp"]
        return self._state.clock() < expires

    async def _exchange(self, request: Request) -> Response:
        form = parse_qs((await request.body()).decode("utf-8", "replace"))
        grant, key = (form.get(name, [""])[0] for name in ("grant_type", "apikey"))
        if grant != _GRANT or not key:
            return JSONResponse(refusal("BXNIM0109E", "Property missing or empty."), 400)
        if not hmac.compare_digest(key.encode(), self.api_key.encode()):
            return JSONResponse(refusal("BXNIM0415E", "Provided API key could not be found."), 400)
        now = int(self._state.clock())
        seconds = int(self._state.settings.token_seconds)
        claims = {
            "iss": "https://iam.cloud.ibm.com/identity",
            "sub": self.account,
            "account": {"bss": self.account},
            "jti": secrets.token_hex(8),
            "iat": now,
            "exp": now + seconds,
        }
        signed = f"{_encode({'alg': 'HS256', 'typ': 'JWT'})}.{_encode(claims)}"
        return JSONResponse(
            {
                "access_token": f"{signed}.{self._sign(signed)}",
                "refresh_token": "not_supported",
                "token_type": "Bearer",
                "expires_in": seconds,
                "expiration": now + seconds,
                "scope": "ibm openid",
            }
        )

    def _sign(self, text: str) -> str:
        digest = hmac.new(self._signing_key, text.encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def refusal(code: str, message: str) -> dict[str, Any]:
    """An error of IAM's."""
    return {
        "errorCode": code,
        "errorMessage": message,
        "context": {"requestId": secrets.token_hex(8)},
    }


def _encode(document: object) -> str:
    text = json.dumps(document, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
