"""A fake of IBM's Quantum System API, its IAM and the site's S3 store, after their documentation.

It executes nothing: a job ends after some status requests, and the text in its input selects its
final state. Like the real system, it reads the input and writes results and logs through the URLs
of the job. The store computes and checks every signature itself.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import uuid
from typing import Any, Self
from urllib.parse import quote, unquote, urlsplit

from qrmi_core.testing import Fault, LoopbackVendor, VendorRequest, VendorResponse
from support.faulty_server import Handler, status
from support.ibm_service import CRN, KEY, IbmHandler

ACCESS_KEY = "AKIA-an-access-key"
SECRET_KEY = "a-secret-access-key/+="
BUCKET = "tasks"
REGION = "us-east"
RESULT = b'{"results": [{"data": {"c": {"samples": ["0x0", "0x3"], "num_bits": 2}}}]}'
LOG = b"a line of the log\n"
BACKENDS: list[dict[str, Any]] = [
    {"name": "ibm_rensselaer", "status": "online", "version": "1.0.0", "locked": False},
    {"name": "ibm_paused", "status": "paused", "message": "calibration"},
    {"name": "ibm_sim", "status": "online"},
]
CONFIGURATION = {"n_qubits": 127, "max_shots": 100000, "basis_gates": ["cx"]}


def vendor_error(code: int, vendor_code: str, message: str, **more: str) -> Fault:
    """Return an error response in the API's format."""
    problem = {"code": vendor_code, "message": message, "more_info": "https://ibm.example", **more}
    return status(code, {"status_code": code, "trace": "trace-1", "errors": [problem]})


def s3_error(code: int, name: str, message: str = "the message") -> Fault:
    """Return an error response in S3's format, which repeats parts of the request."""
    return status(
        code,
        f"<Error><Code>{name}</Code><Message>{message}</Message><RequestId>s3-1</RequestId>"
        f"<AWSAccessKeyId>{ACCESS_KEY}</AWSAccessKeyId><SignatureProvided>feed</SignatureProvided>"
        "</Error>".encode(),
        Content_Type="application/xml",
    )


NO_LANE = vendor_error(429, "1232", "all lanes are taken", solution="delete finished jobs")
RESERVED = vendor_error(423, "1233", "the backend is reserved")


class SystemService(LoopbackVendor):
    """The API and the store; a context manager.

    Attributes:
        requests: Every request of the client, ``POST jobs`` or ``S3 PUT input``, ids as ``*``.
        bodies: The body of every submission.
        headers: The headers of every request to the API.
        connections: Number of connections, including those from the service to the store.
        jobs: The jobs by id, oldest first.
        objects: The objects in the bucket by key.
        uploads: The parts of unfinished multipart uploads.
        faults: Faults for the next requests of a kind.
        lanes: Maximum number of jobs that are not deleted.
        looks: Number of status requests during which a job runs.
        result: The result of a job.
        settle: Number of deletions that are refused because a cancelled job still runs.
    """

    secrets = (KEY, SECRET_KEY, ACCESS_KEY, "token-", "X-Amz-", "Signature=")

    def __init__(self) -> None:
        super().__init__(tokens=())
        self.store = _Store(self)
        self.store_url = self.store.url
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.jobs: dict[str, dict[str, Any]] = {}
        self.objects: dict[str, bytes] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.lanes = 5
        self.looks = 1
        self.settle = 0
        self.result = RESULT
        self.token_seconds = 3600
        self.key = f"{KEY}-{uuid.uuid4().hex}"

    def settings(self, **more: str) -> dict[str, str]:
        """Return the settings of a resource of this service; keywords add or replace some."""
        return {
            "QRMI_IBM_QS_ENDPOINT": self.url,
            "QRMI_IBM_QS_IAM_ENDPOINT": self.url,
            "QRMI_IBM_QS_IAM_APIKEY": self.key,
            "QRMI_IBM_QS_SERVICE_CRN": CRN,
            "QRMI_IBM_QS_AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "QRMI_IBM_QS_AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "QRMI_IBM_QS_S3_ENDPOINT": self.store_url,
            "QRMI_IBM_QS_S3_BUCKET": BUCKET,
            "QRMI_IBM_QS_S3_REGION": REGION,
            **{
                name if name.startswith("QRMI_") else f"QRMI_IBM_QS_{name}": text
                for name, text in more.items()
            },
        }

    def finish_all(self) -> None:
        """End every job."""
        for job in list(self.jobs.values()):
            if job["end"] != "Running":
                self.finish(job)

    # Actions of the service

    def finish(self, job: dict[str, Any]) -> None:
        """End a job; its objects are written before the new state becomes visible."""
        if job["told"]["status"] != "Running":
            return
        storage = job["told"]["storage"]
        end = job["end"]
        if end == "Completed" and self._transfer("PUT", storage["results"], self.result) is None:
            end = "Failed"
        self._transfer("PUT", storage["logs"], LOG)
        if end == "Failed":
            job["told"] |= {
                "reason_code": 1517,
                "reason_message": "the instruction is not in the target",
                "reason_solution": "transpile the circuit",
            }
        job["told"] |= {
            "status": end,
            "end_time": "2026-01-01T12:00:03.000000Z",
            "usage": {"quantum_nanoseconds": 2_500_000_000},
        }

    def start(self, wanted: dict[str, Any]) -> None:
        content = self._transfer("GET", wanted["storage"]["input"])
        end = "Completed"
        if content is None or b"fail" in content[:10000]:
            end = "Failed"
        elif b"endless" in content[:10000]:
            end = "Running"
        told = {**wanted, "status": "Running", "created_time": "2026-01-01T12:00:00.000000Z"}
        self.jobs[wanted["id"]] = {"told": told, "end": end, "looks": self.looks}

    def look(self, job: dict[str, Any]) -> dict[str, Any]:
        """Return the status for a status request, then advance the job."""
        seen: dict[str, Any] = dict(job["told"])
        job["looks"] -= 1
        if job["looks"] <= 0 and job["end"] != "Running":
            self.finish(job)
        return seen

    def _transfer(
        self, method: str, where: dict[str, str], content: bytes | None = None
    ) -> bytes | None:
        """Use one of the job's URLs, and return its response, or None if that fails."""
        url = urlsplit(where["presigned_url"])
        request = VendorRequest(method, url.path, url.query, {"Host": url.netloc}, content or b"")
        with self.store.lock:
            answer = self.store.respond(request)
        return answer.content if answer.status == 200 else None

    # Handling of requests

    def path(self, request: VendorRequest) -> list[str]:
        return request.path.strip("/").removeprefix("v1/").split("/")

    def log_entry(self, request: VendorRequest) -> str:
        (line,) = self.kinds(request)
        if line != "token":
            self.headers.append({k.lower(): v for k, v in request.headers.items()})
        if line == "POST jobs":
            self.bodies.append(request.body)
        return line

    def kinds(self, request: VendorRequest) -> tuple[str]:
        path = self.path(request)
        if path[0] == "identity":
            return ("token",)
        return (f"{request.method} {'/'.join([path[0], *('*' for _ in path[1:2]), *path[2:]])}",)

    def needs_token(self, request: VendorRequest) -> bool:
        return self.path(request)[0] != "identity"

    def unauthorized(self, request: VendorRequest) -> VendorResponse:
        return _Api(self, request).refuse(401, "1201", "invalid credentials")

    def respond(self, request: VendorRequest) -> VendorResponse:
        handler, path = _Api(self, request), self.path(request)
        if path[0] == "identity":
            return handler.identity(request.body)
        return handler.route([request.method, *path], request.body)

    def __enter__(self) -> Self:
        self.store.__enter__()
        return super().__enter__()

    def __exit__(self, *reason: Any) -> None:
        super().__exit__(*reason)
        self.store.__exit__(*reason)


class _Api(IbmHandler):
    service: SystemService  # type: ignore[assignment]

    def refuse(self, code: int, vendor_code: object, message: str, **more: str) -> VendorResponse:
        return self.as_by(vendor_error(code, str(vendor_code), message, **more))

    def route(self, path: list[str], body: bytes) -> VendorResponse:  # type: ignore[override]
        service = self.service
        match path:
            case ["GET", "backends"]:
                return self.answer(200, {"backends": BACKENDS})
            case ["GET", "backends", name, *what]:
                found = next((it for it in BACKENDS if it["name"] == unquote(name)), None)
                if found is None:
                    return self.refuse(404, "1216", "backend not found")
                elif not what:
                    return self.answer(200, found)
                elif what == ["lanes"]:
                    lanes = {"lanes": service.lanes}
                    return self.answer(
                        200, {"hpc_workload_manager": lanes, "ibm_quantum_compute": {"lanes": 0}}
                    )
                else:
                    simulator = {"backend_name": name, "simulator": name == "ibm_sim"}
                    return self.answer(200, CONFIGURATION | simulator)
            case ["POST", "jobs"]:
                wanted = json.loads(body)
                if wanted["backend"] not in {backend["name"] for backend in BACKENDS}:
                    return self.refuse(404, "1216", "backend not found")
                elif len(service.jobs) >= service.lanes:
                    return self.as_by(NO_LANE)
                elif wanted["id"] in service.jobs:
                    return self.refuse(409, "1231", "a job with this id exists")
                else:
                    service.start(wanted)
                    return self.answer(204)
            case ["GET", "jobs"]:
                jobs = [service.look(job) for job in service.jobs.values()]
                return self.answer(200, {"jobs": jobs or None})
            case [method, "jobs", job_id, *rest]:
                job = service.jobs.get(unquote(job_id))
                if job is None:
                    return self.refuse(404, "1291", "job not found")
                else:
                    return self.job(job, "/".join([method, *rest]))
            case _:
                return self.answer(404, b"<html>no such page</html>")

    def job(self, job: dict[str, Any], what: str) -> VendorResponse:
        service = self.service
        running = job["told"]["status"] == "Running"
        match what:
            case "GET":
                return self.answer(200, service.look(job))
            case "POST/cancel" if running:
                job["end"] = "Cancelled"
                service.finish(job)
                return self.answer(204)
            case "POST/cancel":
                return self.refuse(409, "1306", "the job has ended")
            case "DELETE" if running or service.settle:
                service.settle = max(service.settle - 1, 0)
                return self.refuse(409, "1337", "the job has not ended")
            case "DELETE":
                del service.jobs[job["told"]["id"]]
                return self.answer(204)
            case _:
                return self.answer(404)


class _Store(LoopbackVendor):
    """The store, whose requests and faults are recorded with the service's."""

    def __init__(self, system: SystemService) -> None:
        super().__init__()
        self.system = system
        self.requests, self.faults = system.requests, system.faults

    def log_entry(self, request: VendorRequest) -> str:
        key = unquote(request.path).split("/", 2)[2]
        return f"S3 {request.method} {key.partition('_')[0]}"

    def kinds(self, request: VendorRequest) -> tuple[str]:
        return (self.log_entry(request),)

    def respond(self, request: VendorRequest) -> VendorResponse:
        _, bucket, key = unquote(request.path).split("/", 2)
        return _Objects(self.system, request).route(bucket, key, request.query, request.body)


class _Objects(Handler):
    service: SystemService

    def refuse(self, code: int, vendor_code: object, message: str, **_more: str) -> VendorResponse:
        return self.as_by(s3_error(code, str(vendor_code), message))

    def route(self, bucket: str, key: str, query: dict[str, str], body: bytes) -> VendorResponse:
        service = self.service
        seconds = int(query["X-Amz-Expires"])
        signed = time.mktime(time.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ")) - time.timezone
        if self._signature(query) != query.pop("X-Amz-Signature"):
            return self.refuse(403, "SignatureDoesNotMatch", "the signature is another one")
        elif not 1 <= seconds <= 604800 or time.time() > signed + seconds:
            return self.refuse(403, "AccessDenied", "Request has expired")
        elif bucket != BUCKET:
            return self.refuse(404, "NoSuchBucket", "no such bucket")
        else:
            upload = query.get("uploadId")
            if upload is not None and upload not in service.uploads:
                return self.refuse(404, "NoSuchUpload", "no such upload")
            else:
                return self.object(key, upload, query, body)

    def object(
        self, key: str, upload: str | None, query: dict[str, str], body: bytes
    ) -> VendorResponse:
        service = self.service
        match self.command:
            case "PUT" if upload is not None:
                service.uploads[upload][int(query["partNumber"])] = body
                return self.answer(200, b"", {"ETag": f'"{hashlib.md5(body).hexdigest()}"'})
            case "PUT":
                service.objects[key] = body
                return self.answer(200)
            case "POST" if upload is not None:
                parts = service.uploads.pop(upload)
                assert body.count(b"<Part>") == len(parts)
                service.objects[key] = b"".join(parts[number] for number in sorted(parts))
                return self.answer(
                    200,
                    b"<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>",
                )
            case "POST":
                made = uuid.uuid4().hex
                service.uploads[made] = {}
                return self.answer(
                    200,
                    f'<?xml version="1.0"?><InitiateMultipartUploadResult xmlns="http://s3">'
                    f"<UploadId>{made}</UploadId></InitiateMultipartUploadResult>".encode(),
                )
            case "DELETE" if upload is not None:
                del service.uploads[upload]
                return self.answer(204)
            case "DELETE":
                service.objects.pop(key, None)
                return self.answer(204)
            case _ if key not in service.objects:
                return self.refuse(404, "NoSuchKey", "The specified key does not exist.")
            case _:
                return self.answer(200, service.objects[key])

    def _signature(self, query: dict[str, str]) -> str:
        """Return the expected signature, by the specification of AWS Signature Version 4."""
        fields = {name: text for name, text in query.items() if name != "X-Amz-Signature"}
        canonical = "&".join(
            f"{quote(name, safe='-_.~')}={quote(text, safe='-_.~')}"
            for name, text in sorted(fields.items())
        )
        day = query["X-Amz-Date"][:8]
        path = self.request.path
        host = self.headers["Host"]
        request = f"{self.command}\n{path}\n{canonical}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD"
        scope = f"{day}/{REGION}/s3/aws4_request"
        digest = hashlib.sha256(request.encode()).hexdigest()
        text = "\n".join(["AWS4-HMAC-SHA256", query["X-Amz-Date"], scope, digest])
        key = f"AWS4{SECRET_KEY}".encode()
        for part in (day, REGION, "s3", "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        return hmac.digest(key, text.encode(), "sha256").hex()
