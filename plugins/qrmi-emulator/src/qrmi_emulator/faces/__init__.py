"""Vendors' APIs: each a module with a `Face`, all on the same jobs, sessions and faults."""

from __future__ import annotations

import abc
import importlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final

from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

if TYPE_CHECKING:
    from qrmi_emulator.faults import Faults
    from qrmi_emulator.state import Job, State

FACES: Final = {
    "ibm-runtime": "qrmi_emulator.faces.ibm_runtime:IbmRuntime",
    "pasqal-cloud": "qrmi_emulator.faces.pasqal_cloud:PasqalCloud",
    "pasqal-local": "qrmi_emulator.faces.pasqal_local:PasqalLocal",
    # The last, since its store takes for its own what has the signature of a presigned URL.
    "ibm-da": "qrmi_emulator.faces.ibm_direct_access:IbmDirectAccess",
}
"""Name on the command line -> class."""


class Refused(Exception):
    """Ends a request with an answer that says why it is refused."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status_code)
        self.response = response


class Face(abc.ABC):
    """A vendor's API.

    Args:
        state: The emulator's memory.
        faults: The faults that wait.

    Raises:
        qrmi_local.engines.MissingExtra: Its simulator is not installed.
    """

    name: ClassVar[str]
    """Name on the command line, and of its jobs."""
    types: ClassVar[tuple[str, ...]]
    """Published resource types that are reached by it, the usual one first."""
    default_resource: ClassVar[str]
    """The resource that a configuration file has where none is named."""

    def __init__(self, state: State, faults: Faults) -> None:
        self.state = state
        self.faults = faults

    @abc.abstractmethod
    def routes(self) -> Sequence[BaseRoute]:
        """What it serves."""

    @abc.abstractmethod
    def owns(self, path: str) -> bool:
        """Whether a path is one of its own, so that its errors are in its form."""

    @abc.abstractmethod
    def refusal(self, path: str, status: int) -> Mapping[str, Any]:
        """The body of an error, as JSON, for a path of its own and an HTTP status."""

    def error(self, path: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
        """The answer with an error, for a path of its own; JSON by default."""
        return JSONResponse(self.refusal(path, status), status, headers)

    @abc.abstractmethod
    def resources(self) -> Sequence[str]:
        """The ids of its resources."""

    @abc.abstractmethod
    def environment(self, resource_type: str, url: str) -> dict[str, str]:
        """What the vendor's published client needs to reach it, without the resource's prefix.

        Args:
            resource_type: One of `types`.
            url: Where the emulator listens.
        """

    def word(self, job: Job) -> str:
        """What it calls a job's status."""
        return job.status.name

    async def run(self) -> None:
        """What it does besides answering, until cancelled; nothing by default."""
        return


def face_class(name: str) -> type[Face]:
    """The class of a face.

    Raises:
        ValueError: There is none of this name.
    """
    if name not in FACES:
        raise ValueError(f"there is no vendor {name!r}; there are: {', '.join(FACES)}")
    module, _, attribute = FACES[name].partition(":")
    found: type[Face] = getattr(importlib.import_module(module), attribute)
    return found
