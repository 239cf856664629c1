"""The control endpoint: faults, settings, conditions, and the actions of an operator."""

from __future__ import annotations

import hmac
import json
from collections import Counter, deque
from collections.abc import Callable, Collection
from typing import Any

import attrs
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from qrmi_core import TaskStatus
from qrmi_emulator.bodies import allow_body
from qrmi_emulator.face import Condition, Endpoint, State
from qrmi_emulator.faults import FAILED, HELD, LONG, QUEUED, Fault


def control_routes(
    state: State,
    recorded: deque[Any],
    key: str,
    resources: Callable[[], Collection[str]],
) -> list[BaseRoute]:
    """Return the routes under `/control`.

    Args:
        state: The emulator's state.
        recorded: The requests so far.
        key: The bearer token that a request needs.
        resources: Returns the ids of the resources that are served.
    """

    def guarded(endpoint: Endpoint) -> Endpoint:
        async def check(request: Request) -> Response:
            given = request.headers.get("authorization", "")
            if not hmac.compare_digest(given.encode(), f"Bearer {key}".encode()):
                return JSONResponse({"error": "not the control key"}, 401)
            allow_body(request)
            try:
                return await endpoint(request)
            except ValueError as error:
                return JSONResponse({"error": str(error)}, 400)

        return check

    async def info(_request: Request) -> Response:
        counts = Counter(job.status for job in state.jobs.values())
        return JSONResponse(
            {
                "jobs": {status.name: counts[status] for status in TaskStatus},
                "sessions": {"open": len(state.open_sessions), "all": len(state.sessions)},
                "resources": {
                    name: attrs.asdict(condition) for name, condition in state.conditions.items()
                },
                "faults": [attrs.asdict(fault) for fault in state.faults.pending()],
                "settings": attrs.asdict(state.settings),
            }
        )

    async def add_fault(request: Request) -> Response:
        state.faults.add(Fault.from_mapping(await _document(request)))
        return JSONResponse({}, 201)

    async def clear_faults(_request: Request) -> Response:
        state.faults.waiting.clear()
        return JSONResponse({})

    async def change(request: Request) -> Response:
        state.settings.change(await _document(request))
        return JSONResponse(attrs.asdict(state.settings))

    async def set_condition(request: Request) -> Response:
        resource = request.path_params["resource"]
        if resource not in resources():
            raise ValueError(f"no vendor that is served has a resource {resource!r:.60}")
        state.set_condition(resource, Condition.from_mapping(await _document(request)))
        return JSONResponse({})

    async def list_requests(_request: Request) -> Response:
        return JSONResponse([attrs.asdict(request) for request in recorded])

    async def clear_requests(_request: Request) -> Response:
        recorded.clear()
        return JSONResponse({})

    async def act(request: Request) -> Response:
        job = state.named(request.path_params["job"])
        if job is None:
            return JSONResponse({"error": "there is no such job"}, 404)
        match request.path_params["action"]:
            case "cancel":
                state.end(job, TaskStatus.Cancelled, "cancelled by the operator")
            case "fail":
                values = await _document(request) if await request.body() else {}
                fault = Fault.from_mapping({**values, "kind": FAILED})
                reason = fault.reason or "failed on demand"
                state.end(job, TaskStatus.Failed, reason, code=fault.code)
            case "too-long":
                job.ran_too_long = True
                state.end(job, TaskStatus.Cancelled, LONG)
            case "release":
                if job.fate in (QUEUED, HELD):
                    state.release(job)
            case action:
                raise ValueError(f"{action} is none of: cancel, fail, too-long, release")
        return JSONResponse({"status": job.status.name})

    return [
        Route("/control", guarded(info)),
        Route("/control/faults", guarded(add_fault), methods=["POST"]),
        Route("/control/faults", guarded(clear_faults), methods=["DELETE"]),
        Route("/control/settings", guarded(change), methods=["PATCH"]),
        Route("/control/resources/{resource}", guarded(set_condition), methods=["PUT"]),
        Route("/control/requests", guarded(list_requests), methods=["GET"]),
        Route("/control/requests", guarded(clear_requests), methods=["DELETE"]),
        Route("/control/jobs/{job:path}/{action}", guarded(act), methods=["POST"]),
    ]


async def _document(request: Request) -> dict[str, Any]:
    try:
        document = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise ValueError("the body is not JSON") from error
    if not isinstance(document, dict):
        raise ValueError("not a JSON object")
    return document
