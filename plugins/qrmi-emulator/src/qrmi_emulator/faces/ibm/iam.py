"""IBM Cloud's token exchange, for the IBM APIs."""

from __future__ import annotations

import hmac
import secrets
from typing import Any, Final
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from qrmi_emulator.config import MARK
from qrmi_emulator.face import State
from qrmi_emulator.tokens import Tokens

TOKEN_PATH: Final = "/identity/token"
_GRANT: Final = "urn:ibm:params:oauth:grant-type:apikey"


class Iam:
    """Issues and checks tokens for the one API key of the emulator.

    Args:
        state: Has the credentials, the time, and the tokens that were revoked.
    """

    def __init__(self, state: State) -> None:
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
        self._tokens = Tokens(state, known["signing_key"])

    def routes(self) -> list[Route]:
        """Return the route of the token exchange."""
        return [Route(TOKEN_PATH, self._exchange, methods=["POST"])]

    def accepts(self, authorization: str) -> bool:
        """Return True if the value of a header is a valid token of ours, or the API key."""
        scheme, _, value = authorization.partition(" ")
        if scheme.lower() == "apikey":
            return hmac.compare_digest(value.encode(), self.api_key.encode())
        return self._tokens.accepts(authorization)

    async def _exchange(self, request: Request) -> Response:
        form = parse_qs((await request.body()).decode("utf-8", "replace"))
        grant, key = (form.get(name, [""])[0] for name in ("grant_type", "apikey"))
        if grant != _GRANT or not key:
            return JSONResponse(refusal("BXNIM0109E", "Property missing or empty."), 400)
        if not hmac.compare_digest(key.encode(), self.api_key.encode()):
            return JSONResponse(refusal("BXNIM0415E", "Provided API key could not be found."), 400)
        token, claims = self._tokens.issue(
            iss="https://iam.cloud.ibm.com/identity",
            sub=self.account,
            account={"bss": self.account},
        )
        return JSONResponse(
            {
                "access_token": token,
                "refresh_token": "not_supported",
                "token_type": "Bearer",
                "expires_in": claims["exp"] - claims["iat"],
                "expiration": claims["exp"],
                "scope": "ibm openid",
            }
        )


def refusal(code: str, message: str) -> dict[str, Any]:
    """Return the body of an error response."""
    return {
        "errorCode": code,
        "errorMessage": message,
        "context": {"requestId": secrets.token_hex(8)},
    }
