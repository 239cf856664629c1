"""Bounds of request bodies, so that no request fills the memory."""

from __future__ import annotations

from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive, Scope

UNCHECKED_BYTES: Final = 2**16
"""The most bytes of a body that comes without valid credentials."""
MOST_BYTES: Final = 2**26
"""The most bytes of a body that comes with them."""
_KEY: Final = "qrmi_emulator.body"


class BoundedBody:
    """The body of a request, of at most `UNCHECKED_BYTES` until `allow_body` allows more.

    Nothing is read of a body that is announced as larger, and no more than the bound of others.

    Args:
        scope: The request's scope, in which `allow_body` finds the body.
        receive: Returns the messages of the server.
    """

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.most_bytes = UNCHECKED_BYTES
        self._receive = receive
        self._announced = int(dict(scope["headers"]).get(b"content-length", 0))
        self._size = 0
        scope[_KEY] = self

    async def receive(self) -> Message:
        """Return the next message.

        Raises:
            HTTPException: The body is too large.
        """
        if self._announced > self.most_bytes:
            raise HTTPException(413)
        message = await self._receive()
        self._size += len(message.get("body", b""))
        if self._size > self.most_bytes:
            raise HTTPException(413)
        return message


def allow_body(request: Request, most_bytes: int = MOST_BYTES) -> None:
    """Allow a larger body to a request whose credentials are valid.

    Args:
        request: The request.
        most_bytes: The most bytes of its body.
    """
    request.scope[_KEY].most_bytes = most_bytes
