"""The token endpoint of Pasqal Cloud, with Auth0's forms and errors."""

from __future__ import annotations

import hmac
import secrets
import uuid
from typing import Any, Final
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from qrmi_emulator.config import MARK
from qrmi_emulator.face import Refused, State
from qrmi_emulator.tokens import Tokens

TOKEN_PATH: Final = "/oauth/token"
_PASSWORD: Final = ("http://auth0.com/oauth/grant-type/password-realm", "password")
_SERVICE: Final = "client_credentials"


class PasqalLogin:
    """Issues and checks tokens for the one user and the one service account of the emulator.

    Args:
        state: Has the credentials, the time, and the tokens that were revoked.
    """

    def __init__(self, state: State) -> None:
        known = state.credentials(
            "pasqal-cloud",
            lambda: {
                "username": f"user-{secrets.token_hex(4)}@emulator.invalid",
                "password": MARK + secrets.token_urlsafe(32),
                "client_id": secrets.token_urlsafe(24),
                "client_secret": MARK + secrets.token_urlsafe(32),
                "project_id": str(uuid.uuid4()),
                "user_id": f"auth0|{secrets.token_hex(12)}",
                "signing_key": secrets.token_hex(32),
            },
        )
        self.username = known["username"]
        self.password = known["password"]
        self.client_id = known["client_id"]
        self.client_secret = known["client_secret"]
        self.project_id = known["project_id"]
        self.user_id = known["user_id"]
        self.signing_key = known["signing_key"]
        self._tokens = Tokens(state, known["signing_key"])

    def routes(self) -> list[Route]:
        """Return the route of the token endpoint."""
        return [Route(TOKEN_PATH, self._exchange, methods=["POST"])]

    def accepts(self, authorization: str) -> bool:
        """Return True if the value of a header is a valid token of ours."""
        return self._tokens.accepts(authorization)

    async def _exchange(self, request: Request) -> Response:
        form = parse_qs((await request.body()).decode("utf-8", "replace"))
        given = {name: values[0] for name, values in form.items()}
        grant = given.get("grant_type")
        if grant in _PASSWORD:
            _check_present(given, "client_id", "username", "password")
            wanted = {"username": self.username, "password": self.password}
            code, text = "invalid_grant", "Wrong email or password."
        elif grant == _SERVICE:
            _check_present(given, "client_id", "client_secret")
            wanted = {"client_id": self.client_id, "client_secret": self.client_secret}
            code, text = "access_denied", "Unauthorized"
        else:
            return refusal(403, "unauthorized_client", f"Grant type '{grant!s:.60}' not allowed.")
        for name, value in wanted.items():
            if not hmac.compare_digest(given[name].encode(), value.encode()):
                return refusal(403 if grant in _PASSWORD else 401, code, text)
        token, claims = self._tokens.issue(
            iss="https://authenticate.pasqal.cloud/",
            sub=self.user_id,
            aud=given.get("audience"),
        )
        return JSONResponse(
            {
                "access_token": token,
                "expires_in": claims["exp"] - claims["iat"],
                "token_type": "Bearer",
                "scope": "openid profile email",
            }
        )


def refusal(status: int, code: str, text: str) -> Response:
    """Return an error response in Auth0's form."""
    return JSONResponse({"error": code, "error_description": text}, status)


def _check_present(given: dict[str, Any], *names: str) -> None:
    for name in names:
        if not given.get(name):
            raise Refused(refusal(400, "invalid_request", f"Missing required parameter: {name}"))
