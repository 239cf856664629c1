"""A mock of Pasqal Cloud with results of any size."""

from __future__ import annotations

import functools
import json
import random
import uuid
from urllib.parse import parse_qs, urlsplit

from mocks import Service, serve

CORE = "/core-fast/api"
RESOURCE = "EMU_FREE"


def ended_batch(megabytes: int) -> str:
    """Return the id of a batch that has ended with a result of so many megabytes."""
    return f"{megabytes:08}-0000-4000-8000-000000000000"


@functools.cache
def result(megabytes: int) -> bytes:
    """Return a result of so many megabytes, counts of bit strings of 100 atoms."""
    choose = random.Random(megabytes)
    entries = (
        f'"{choose.getrandbits(100):0100b}":{choose.randrange(1, 9)}'
        for _ in range(megabytes * 10**6 // 105)
    )
    return b'{"job-1":{"counter":{%s}}}' % ",".join(entries).encode()


class Pasqal(Service):
    """Pasqal Cloud."""

    kind = "pasqal-cloud"
    resource_id = RESOURCE

    @staticmethod
    def environment(url: str) -> dict[str, str]:
        """Return the environment of a client."""
        prefix = f"{RESOURCE}_QRMI_PASQAL_CLOUD"
        return {
            f"{prefix}_BASE_URL": url,
            f"{prefix}_AUTH_ENDPOINT": f"{url}/oauth/token",
            f"{prefix}_PROJECT_ID": "00000000-0000-4000-8000-000000000001",
            "PASQAL_USERNAME": "me@example.org",
            "PASQAL_PASSWORD": "a-password",
        }

    def batch(self, batch_id: str) -> dict[str, object]:
        """Return the document of a batch."""
        return {
            "id": batch_id,
            "status": "DONE" if self.ended(batch_id) else "RUNNING",
            "job_ids": [f"job-{batch_id}"],
        }

    def respond(self, method: str, target: str, body: bytes) -> bytes:  # noqa: ARG002
        """Carry a request out, and return the body of the response."""
        url = urlsplit(target)
        match [method, *url.path.removeprefix(CORE).strip("/").split("/")]:
            case ["POST", "oauth", "token"]:
                return b'{"access_token": "a-token", "expires_in": 3600}'
            case ["POST", "v1", "batches"]:
                batch_id = str(uuid.uuid4())
                self.start(batch_id)
                return enveloped(self.batch(batch_id))
            case ["GET", "v1", "batches"]:
                found = [self.batch(each) for each in parse_qs(url.query)["id"]]
                pagination = {"total": len(found), "start": 0, "end": len(found)}
                return enveloped(found, pagination=pagination)
            case ["GET", "v2", "batches", batch_id]:
                return enveloped(self.batch(batch_id))
            case ["GET", "v2", "jobs", job_id]:
                return enveloped({**self.batch(job_id.removeprefix("job-")), "id": job_id})
            case ["GET", "v1", "batches", batch_id, "full_results"]:
                return b'{"status":"success","data":%s}' % result(int(batch_id[:8]))
        raise ValueError(f"unknown request: {method} {target}")


def enveloped(data: object, **more: object) -> bytes:
    """Return the body of a response with some data."""
    return json.dumps({"status": "success", "data": data, **more}).encode()


if __name__ == "__main__":
    serve(Pasqal())
