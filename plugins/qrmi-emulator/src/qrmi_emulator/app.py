"""The web application: the faces' routes, the faults before them, control, and a page."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any

import attrs
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qrmi_emulator import faults as kinds
from qrmi_emulator.bodies import BoundedBody
from qrmi_emulator.control import control_routes
from qrmi_emulator.face import Face, Refused, State
from qrmi_emulator.faults import Fault
from qrmi_emulator.files import StorageError
from qrmi_emulator.page import page
from qrmi_emulator.record_file import lost_change
from qrmi_emulator.runner import Runner
from qrmi_emulator.s3 import is_presigned

_REQUESTS_KEPT = 50_000
# Whoever counts requests must not get the signature that makes a presigned URL valid.
_SIGNATURE = re.compile("(X-Amz-Signature=)[^&]*")


@attrs.frozen(kw_only=True)
class RecordedRequest:
    """A request to a face, as the request log has it.

    Attributes:
        at: When it came, in seconds since the epoch.
        method: Its method.
        path: Its path.
        query: Its query, without the signature of a presigned URL.
        version: Value of its header `IBM-API-Version`, None without it.
        agent: Its `User-Agent`.
        size: Bytes of its body, as announced.
        connection: Address of the client's end, different for each connection.
        status: HTTP status of the response; None if there was no response.
        fault: Kind of the fault that hit it.
    """

    at: float
    method: str
    path: str
    query: str
    version: str | None
    agent: str | None
    size: int
    connection: str
    status: int | None
    fault: str | None


def application(
    state: State,
    faces: Sequence[Face],
    *,
    control_key: str,
    cut: Callable[[Scope, bool], None],
    fail: Callable[[Exception], None],
) -> Starlette:
    """Return the application.

    Args:
        state: The emulator's state.
        faces: The faces to serve.
        control_key: The bearer token of the control endpoint.
        cut: Closes a request's connection, at once (True) or after the bytes that were sent.
        fail: Called when the work besides the requests ends with an exception.
    """
    recorded: deque[RecordedRequest] = deque(maxlen=_REQUESTS_KEPT)
    routes: dict[str, list[BaseRoute]] = {"/": [Route("/", page(state, faces))]}
    routes["control"] = control_routes(
        *(state, recorded, control_key),
        lambda: {resource for face in faces for resource in face.resources()},
    )
    for face in faces:
        routes[face.name] = list(face.routes())

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async def attended(work: Coroutine[Any, Any, None]) -> None:
            try:
                await work
            except Exception as error:
                fail(error)

        works = [Runner(state).run(), *(face.run() for face in faces)]
        tasks = [asyncio.create_task(attended(work)) for work in works]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    return Starlette(
        routes=[route for group in routes.values() for route in group],
        lifespan=lifespan,
        middleware=[Middleware(_Gate, state=state, faces=faces, recorded=recorded, cut=cut)],
        exception_handlers={Refused: _refused, HTTPException: _unserved(faces)},
    )


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return error.response


def _unserved(faces: Sequence[Face]) -> Callable[[Request, Exception], Response]:
    def respond(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return _refusal(faces, request.url.path, error.status_code)

    return respond


def _refusal(
    faces: Sequence[Face], path: str, status: int, headers: dict[str, str] | None = None
) -> Response:
    face = next((face for face in faces if face.owns(path)), None)
    if face:
        return face.error(path, status, headers)
    return JSONResponse({"error": f"HTTP {status}"}, status, headers)


class _Gate:
    """Middleware that records every request to a face, and lets faults happen to it."""

    def __init__(
        self,
        app: ASGIApp,
        state: State,
        faces: Sequence[Face],
        recorded: deque[RecordedRequest],
        cut: Callable[[Scope, bool], None],
    ) -> None:
        self._app = app
        self._state = state
        self._faces = faces
        self._recorded = recorded
        self._cut = cut

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if path.startswith("//"):
            # A client adds its path to an address that ends with a slash.
            path = scope["path"] = f"/{path.lstrip('/')}"
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if path == "/" or path.startswith("/control"):
            await self._serve(scope, receive, send)
            return
        status: int | None = None

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        at = time.time()
        authorization = Request(scope).headers.get("authorization", "")
        has_token = authorization.partition(" ")[0].lower() == "bearer" or is_presigned(scope)
        taken = self._state.faults.take(scope["method"], path, has_token=has_token)
        try:
            for fault in taken:
                if fault.kind == kinds.LATENCY:
                    await asyncio.sleep(fault.delay)
            hit = next((fault for fault in taken if fault.kind != kinds.LATENCY), None)
            if hit:
                await self._hit(hit, scope, receive, noted)
            else:
                await self._serve(scope, receive, noted)
        except ClientDisconnect:
            pass  # it did not wait for the end of a latency
        finally:
            request = Request(scope)
            self._recorded.append(
                RecordedRequest(
                    at=at,
                    method=scope["method"],
                    path=path,
                    query=_SIGNATURE.sub(r"\1...", scope["query_string"].decode("latin-1")),
                    version=request.headers.get("ibm-api-version"),
                    agent=request.headers.get("user-agent"),
                    size=int(request.headers.get("content-length", 0)),
                    connection=":".join(map(str, scope.get("client") or ())),
                    status=status,
                    fault=taken[-1].kind if taken else None,
                )
            )

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the application respond, or respond with 507 if it cannot write the changes."""

        async def written(message: Message) -> None:
            if scope["method"] not in ("GET", "HEAD") and lost_change.get():
                self._state.flush()
                if lost_change.get():
                    raise StorageError
            await send(message)

        lost_change.set(False)
        try:
            await self._app(scope, BoundedBody(scope, receive).receive, written)
        except StorageError:
            await _refusal(self._faces, scope["path"], 507)(scope, receive, send)

    async def _hit(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        if fault.kind in (kinds.RESET, kinds.OUTAGE):
            await self._end(scope, receive, at_once=True)
        elif fault.kind == kinds.STATUS:
            headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
            response = _refusal(self._faces, scope["path"], fault.status, headers)
            await response(scope, receive, send)
        elif fault.kind == kinds.EXPIRED:
            self._state.revoke(Request(scope).headers.get("authorization", ""))
            await _refusal(self._faces, scope["path"], 401)(scope, receive, send)
        else:
            start, body = await self._response(scope, receive)
            if fault.kind == kinds.RESET_AFTER or (fault.kind == kinds.TRUNCATED and not body):
                await self._end(scope, receive, at_once=True)
            elif fault.kind == kinds.MALFORMED:
                status = start["status"] if body else 200
                response = Response(b'{"<html>: ' + body[: len(body) // 2], status)
                await response(scope, receive, send)
            else:
                await send(start)
                await send(
                    {
                        "type": "http.response.body",
                        "body": body[: len(body) // 2],
                        "more_body": True,
                    }
                )
                await self._end(scope, receive, at_once=False)

    async def _end(self, scope: Scope, receive: Receive, *, at_once: bool) -> None:
        self._cut(scope, at_once)
        # The server reports an end without a response as a defect, unless the client is gone.
        while (await receive())["type"] != "http.disconnect":
            pass

    async def _response(self, scope: Scope, receive: Receive) -> tuple[Message, bytes]:
        """Return the start and the body of the application's response, without sending it."""
        kept: list[Message] = []

        async def keep(message: Message) -> None:
            kept.append(message)

        await self._serve(scope, receive, keep)
        return kept[0], b"".join(message.get("body", b"") for message in kept[1:])
