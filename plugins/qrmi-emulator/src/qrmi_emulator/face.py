"""The interface between an emulator and the faces: all that a face of a further vendor needs.

A face is one vendor's API: a subclass of `Face` with routes, documents and authentication, on the
jobs and sessions that all faces share. The emulator executes the jobs and lets faults happen. A
distribution offers a face by an entry point of the group `qrmi.emulator.faces`, with its name.
"""

from __future__ import annotations

import abc
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, ClassVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from qrmi_emulator.bodies import allow_body as allow_body
from qrmi_emulator.records import (
    FINAL as FINAL,
    MAINTENANCE as MAINTENANCE,
    OFFLINE as OFFLINE,
    ONLINE as ONLINE,
    PAUSED as PAUSED,
    Condition as Condition,
    FaceJob as FaceJob,
    FaceSession as FaceSession,
)
from qrmi_emulator.state import State as State

Endpoint = Callable[[Request], Awaitable[Response]]


class Refused(Exception):
    """Raised by an endpoint to end a request with an error response."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status_code)
        self.response = response


class Face(abc.ABC):
    """A vendor's API.

    Args:
        state: The state of the emulator.

    Raises:
        qrmi_local.engines.MissingExtra: The face's simulator is not installed.
    """

    name: ClassVar[str]
    """The name of its entry point, for `--vendor` and `FaceJob.face`."""
    types: ClassVar[tuple[str, ...]]
    """Published resource types that are reached by it, the usual one first."""
    default_resource: ClassVar[str]
    """The resource that a configuration file has where none is named."""
    matches_any_path: ClassVar[bool] = False
    """True if it recognizes requests by more than their paths, so that it is asked last."""

    def __init__(self, state: State) -> None:
        self.state = state

    @abc.abstractmethod
    def routes(self) -> Sequence[BaseRoute]:
        """Return the routes of the API."""

    @abc.abstractmethod
    def owns(self, path: str) -> bool:
        """Return True if a path belongs to the API, so that its errors have the vendor's form."""

    @abc.abstractmethod
    def refusal(self, path: str, status: int) -> Mapping[str, Any]:
        """Return the JSON body of an error response, for a path of the API and an HTTP status."""

    def error(self, path: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
        """Return an error response for a path of the API; JSON by default."""
        return JSONResponse(self.refusal(path, status), status, headers)

    def resources(self) -> Sequence[str]:
        """Return the ids of the resources; the default one alone by default."""
        return [self.default_resource]

    @abc.abstractmethod
    def environment(self, resource_type: str, url: str) -> dict[str, str]:
        """Return the settings of the vendor's published client, without the resource's prefix.

        Args:
            resource_type: One of `types`.
            url: The emulator's address.
        """

    def vendor_status(self, job: FaceJob) -> str:
        """Return the vendor's name of a job's status."""
        return job.status.name

    def authenticate(self, request: Request) -> None:  # noqa: B027
        """Check the credentials of a request for a `route`; all are valid by default.

        Raises:
            Refused: They are missing or not valid.
        """

    def route(
        self,
        path: str,
        endpoint: Endpoint,
        method: str = "GET",
        *,
        authenticate: Callable[[Request], None] | None = None,
    ) -> Route:
        """Return a route whose requests need valid credentials.

        Args:
            path: The path.
            endpoint: The endpoint.
            method: The method.
            authenticate: Checks the credentials instead of `authenticate`.
        """

        async def check(request: Request) -> Response:
            (authenticate or self.authenticate)(request)
            allow_body(request)
            return await endpoint(request)

        return Route(path, check, methods=[method])

    async def run(self) -> None:
        """Work besides serving requests, until cancelled; nothing by default."""
        return

    def submit(self, request: Request, job: FaceJob, content: bytes) -> None:
        """Add a job to the queue, with the fate that a fault has for it.

        Args:
            request: The request that submits it.
            job: The job; its face, time and seed are set here.
            content: Its input, which the job's simulator executes.

        Raises:
            StorageError: It cannot be written; the request ends with 507.
        """
        self.submit_all(request, [(job, content)])

    def submit_all(
        self,
        request: Request,
        jobs: Sequence[tuple[FaceJob, bytes]],
        session: FaceSession | None = None,
        shared: bytes | None = None,
    ) -> None:
        """Add jobs of a session to the queue, as `submit` does: all or none.

        Args:
            request: The request that submits them.
            jobs: Each with its input.
            session: Their session, if it is new or changes with them.
            shared: The input that the jobs of a new session share, if they do.

        Raises:
            StorageError: They cannot be written; the request ends with 507.
        """
        for job, _ in jobs:
            job.face, job.created = self.name, self.state.clock()
            job.seed = self.state.settings.seed
            self.state.faults.take_for_job(job, request.method, request.url.path)
        self.state.submit(jobs, session, shared)
