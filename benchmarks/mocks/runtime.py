"""A mock of the part of IBM Quantum's Runtime API that small tasks and targets need."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

from mocks import Service, serve

PAGE = 200
"""Jobs in one page of the list, at most."""
RESOURCE = "ibm_fez"
CRN = "crn:v1:bluemix:public:quantum-computing:us-east:a/b:c::"
TARGET_BYTES = 247_000
"""The size of the configuration and the properties together."""
GATE = {
    "qubits": [0, 1],
    "gate": "cz",
    "name": "cz0_1",
    "parameters": [
        {"date": "2026-01-01T00:00:00Z", "name": "gate_error", "unit": "", "value": 0.00251},
        {"date": "2026-01-01T00:00:00Z", "name": "gate_length", "unit": "ns", "value": 84},
    ],
}
GATES = json.dumps(
    {"backend_name": RESOURCE, "gates": [GATE] * (TARGET_BYTES // 2 // len(json.dumps(GATE)))}
).encode()
DEVICE = {
    "name": RESOURCE,
    "status": {"name": "online", "reason": "available"},
    "queue_length": 0,
    "qubits": 156,
}


class Runtime(Service):
    """IBM Quantum's Runtime service."""

    kind = "ibm-quantum-compute-service"
    resource_id = RESOURCE

    @staticmethod
    def environment(url: str) -> dict[str, str]:
        """Return the environment of a client."""
        prefix = f"{RESOURCE}_QRMI_IBM_QCS"
        return {
            f"{prefix}_ENDPOINT": f"{url}/api/v1",
            f"{prefix}_IAM_ENDPOINT": url,
            f"{prefix}_IAM_APIKEY": "a-key-of-the-user",
            f"{prefix}_SERVICE_CRN": CRN,
            "RUST_LOG": "off",  # of the published library
        }

    def reset(self) -> None:
        """Forget the jobs and the counts."""
        super().reset()
        self.tags: dict[str, list[str]] = {}

    def respond(self, method: str, target: str, body: bytes) -> bytes:
        """Carry a request out, and return the body of the response."""
        url = urlsplit(target)
        query = {key: values[-1] for key, values in parse_qs(url.query).items()}
        match [method, *url.path.removeprefix("/api/v1").strip("/").split("/")]:
            case ["GET", "backends", _, "configuration" | "properties"]:
                return GATES
            case request:
                return json.dumps(self.document(request, query, body)).encode()

    def document(self, request: list[str], query: dict[str, str], body: bytes) -> Any:
        """Carry a request out, and return the document of the response."""
        match request:
            case ["POST", "identity", "token"]:
                return {"access_token": "a-token", "expires_in": 3600}
            case ["GET", "backends"]:
                return {"devices": [DEVICE]}
            case ["GET", "backends", _, "status"]:
                return {"state": True, "status": "active", "length_queue": 0}
            case ["POST", "jobs"]:
                job_id = f"job-{len(self.tags)}"
                self.tags[job_id] = json.loads(body).get("tags", [])
                self.start(job_id)
                return {"id": job_id, "backend": RESOURCE}
            case ["GET", "jobs"]:
                return self.page(query)
            case ["GET", "jobs", job_id]:
                return self.job(job_id)
        raise ValueError(f"unknown request: {request}")

    def page(self, query: dict[str, str]) -> dict[str, Any]:
        """Return a page of the list of jobs, newest first."""
        found = [
            job for job, tags in reversed(self.tags.items()) if query.get("tags") in (None, *tags)
        ]
        if pending := query.get("pending"):
            found = [job for job in found if self.ended(job) == (pending == "false")]
        start = int(query.get("offset", "0"))
        page = found[start : start + int(query.get("limit", str(PAGE)))]
        return {"jobs": [self.job(job_id) for job_id in page], "count": len(found)}

    def job(self, job_id: str) -> dict[str, Any]:
        """Return the document of a job."""
        status = "Completed" if self.ended(job_id) else "Running"
        return {
            "id": job_id,
            "backend": RESOURCE,
            "state": {"status": status, "reason": None},
            "status": status,
            "created": "2026-01-01T00:00:00Z",
            "program": {"id": "sampler"},
            "cost": 600,
            "tags": self.tags[job_id],
        }


if __name__ == "__main__":
    serve(Runtime())
