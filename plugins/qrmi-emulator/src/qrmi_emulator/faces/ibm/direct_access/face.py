"""The face of Direct Access, under `/v1`, with an S3 store.

The service has no queue: a job has a lane at once, or is refused. It reads the input from S3 and
writes results and logs there, by presigned URLs that come with the job.
"""

from __future__ import annotations

import importlib.util
import secrets
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from qrmi_core import TaskStatus
from qrmi_emulator import s3
from qrmi_emulator.config import MARK
from qrmi_emulator.face import Face, FaceJob, State
from qrmi_emulator.faces.ibm.direct_access import errors
from qrmi_emulator.faces.ibm.direct_access.jobs import DirectAccessJobs
from qrmi_emulator.faces.ibm.direct_access.records import DirectAccessJob
from qrmi_emulator.faces.ibm.direct_access.system import RENSSELAER, QuantumSystem
from qrmi_emulator.faces.ibm.iam import TOKEN_PATH, refusal as iam_refusal
from qrmi_local.engines import MissingExtra, qiskit as engine

_NEEDED: Final = ("flask", "flask_cors", "moto")
_CODES: Final = {400: "1337", 401: "1201", 404: "", 423: "1233", 429: "1232"}


class DirectAccessFace(Face):
    """IBM Direct Access, for one client, and the bucket of its site."""

    name: ClassVar[str] = "ibm-da"
    types: ClassVar[tuple[str, ...]] = ("ibm-quantum-system", "direct-access")
    default_resource: ClassVar[str] = RENSSELAER
    # Its store recognizes requests by the signature of a presigned URL.
    matches_any_path: ClassVar[bool] = True

    def __init__(self, state: State) -> None:
        super().__init__(state)
        missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
        if missing or not engine.resources():
            raise MissingExtra(f"{self.name} needs more: pip install 'qrmi-emulator[ibm-da]'")
        known = state.credentials(
            self.name,
            lambda: {
                "instance": str(uuid.uuid4()),
                "bucket": MARK + secrets.token_hex(8),
                "access_key": f"QRMIEMULATOR{secrets.token_hex(4).upper()}",
                "secret_key": MARK + secrets.token_urlsafe(32),
            },
        )
        self._system = QuantumSystem(self, known["instance"])
        self._jobs = DirectAccessJobs(self, self._system)
        self._store = s3.ObjectStore(
            state.home,
            bucket=known["bucket"],
            access_key=known["access_key"],
            secret_key=known["secret_key"],
            clock=state.clock,
        )

    def owns(self, path: str) -> bool:
        return (
            path in (TOKEN_PATH, "/version", "/versions", "/v1")
            or path.startswith("/v1/")
            or self._store.owns(path)
        )

    def refusal(self, path: str, status: int) -> Mapping[str, Any]:
        if path == TOKEN_PATH:
            return iam_refusal("BXNIM0500E", f"The service responds with {status}.")
        message = "The service is inactive." if status >= 500 else "The request was refused."
        return errors.body(status, _CODES.get(status, ""), message)

    def error(self, path: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
        if self._store.owns(path):
            return s3.error(path, status, headers)
        return super().error(path, status, headers)

    def resources(self) -> Sequence[str]:
        return self._system.resources

    def environment(self, resource_type: str, url: str) -> dict[str, str]:
        is_latest = resource_type == self.types[0]
        prefix, suffix = ("QRMI_IBM_QS_", "QSAPI") if is_latest else ("QRMI_IBM_DA_", "DAAPI")
        values = {
            "ENDPOINT": url,
            "IAM_ENDPOINT": url,
            "IAM_APIKEY": self._system.iam.api_key,
            "SERVICE_CRN": self._system.crn,
            "AWS_ACCESS_KEY_ID": self._store.access_key,
            "AWS_SECRET_ACCESS_KEY": self._store.secret_key,
            "S3_ENDPOINT": url,
            f"S3_ENDPOINT_FOR_{suffix}": url,
            "S3_BUCKET": self._store.bucket,
            "S3_REGION": "us-east-1",
        }
        prefixed = {prefix + key: value for key, value in values.items()}
        return {**prefixed, "QRMI_JOB_TIMEOUT_SECONDS": "86400"}

    def authenticate(self, request: Request) -> None:
        self._system.authenticate(request)

    def routes(self) -> list[BaseRoute]:
        return [*self._system.routes(), *self._jobs.routes(), _S3Route(self._store)]

    def vendor_status(self, job: FaceJob) -> str:
        # The service has no queue.
        is_final = isinstance(job, DirectAccessJob) and job.is_final
        return job.status.name if is_final else TaskStatus.Running.name

    async def run(self) -> None:
        try:
            await self._jobs.run()
        finally:
            await self._store.close()


class _S3Route(BaseRoute):
    """The route of the store's requests, whatever their paths look like."""

    def __init__(self, store: s3.ObjectStore) -> None:
        self._store = store

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        is_ours = scope["type"] == "http" and self._store.matches(scope)
        return (Match.FULL if is_ours else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._store.respond(Request(scope, receive))
        await response(scope, receive, send)
