"""A plain HTTP client of IBM's Direct Access API and its S3 store, for emulator tests."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any
from urllib.parse import quote

import boto3
import requests
from botocore.config import Config

from qrmi_emulator import Emulator
from support.runtime_client import BELL

TYPE = "ibm-quantum-system"


class DirectAccessClient:
    """A client that makes a plugin's requests one by one."""

    def __init__(self, emulator: Emulator) -> None:
        known = emulator.settings_for(TYPE)
        self.settings = {key.removeprefix("QRMI_IBM_QS_"): text for key, text in known.items()}
        self.url = self.settings["ENDPOINT"]
        self.bucket = self.settings["S3_BUCKET"]
        self.s3 = boto3.client(
            "s3",
            endpoint_url=self.settings["S3_ENDPOINT"],
            aws_access_key_id=self.settings["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.settings["AWS_SECRET_ACCESS_KEY"],
            region_name=self.settings["S3_REGION"],
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": "path"},
                retries={"total_max_attempts": 1},
            ),
        )
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.headers["Service-CRN"] = self.settings["SERVICE_CRN"]
        self.authorize()

    def __call__(self, method: str, path: str, body: Any = None, **more: Any) -> requests.Response:
        return self.http.request(method, self.url + path, json=body, timeout=30, **more)

    def authorize(self) -> str:
        """Get a new token and use it from now on."""
        form = {
            "grant_type": "urn:ibm:params:oauth:grant-type:apikey",
            "apikey": self.settings["IAM_APIKEY"],
        }
        answer = self.http.post(f"{self.url}/identity/token", data=form, timeout=30)
        assert answer.status_code == 200, answer.text
        token = str(answer.json()["access_token"])
        self.http.headers["Authorization"] = f"Bearer {token}"
        return token

    def put(self, name: str, content: bytes | str) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=name, Body=content)

    def get(self, name: str) -> bytes:
        content: bytes = self.s3.get_object(Bucket=self.bucket, Key=name)["Body"].read()
        return content

    def presigned(self, what: str, name: str, *, seconds: int = 900, bucket: str = "") -> str:
        """Return a presigned URL for reading or writing an object."""
        place = {"Bucket": bucket or self.bucket, "Key": name}
        url: str = self.s3.generate_presigned_url(f"{what}_object", Params=place, ExpiresIn=seconds)
        return url

    def job(self, job_id: str, **fields: Any) -> dict[str, Any]:
        """Return the body of a submission."""
        places = {"input": "get", "results": "put", "logs": "put"}
        storage = {
            member: {
                "type": "s3_compatible",
                "presigned_url": self.presigned(what, f"{member}_{job_id}.json"),
            }
            for member, what in places.items()
        }
        return {
            "id": job_id,
            "backend": "aer",
            "program_id": "sampler",
            "timeout_secs": 900,
            "storage": storage,
            **fields,
        }

    def upload(self, *, shots: int = 100, seed: int = 1) -> str:
        """Upload an input, and return the job id chosen for it."""
        job_id = str(uuid.uuid4())
        document = {
            "pubs": [[BELL, None, shots]],
            "options": {"simulator": {"seed_simulator": seed}},
            "support_qiskit": False,
            "version": 2,
        }
        self.put(f"input_{job_id}.json", json.dumps(document))
        return job_id

    def submit(self, *, shots: int = 100, seed: int = 1, **fields: Any) -> str:
        """Submit a job, which must be accepted, and return its id."""
        job_id = self.upload(shots=shots, seed=seed)
        answer = self("POST", "/v1/jobs", self.job(job_id, **fields))
        assert (answer.status_code, answer.content) == (204, b""), answer.text
        return job_id

    def show(self, job_id: str) -> dict[str, Any]:
        answer = self("GET", f"/v1/jobs/{job_id}")
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document

    def wait(self, job_id: str, seconds: float = 60.0) -> dict[str, Any]:
        """Poll a job until it has ended, and return it."""
        deadline = time.monotonic() + seconds
        while (job := self.show(job_id))["status"] == "Running":
            assert time.monotonic() < deadline, job
            time.sleep(0.02)
        return job

    def clear(self, *, but: str = "") -> None:
        """Cancel and delete all jobs except one."""
        self.http.headers["Service-CRN"] = self.settings["SERVICE_CRN"]
        self.authorize()
        for job in self("GET", "/v1/jobs").json()["jobs"]:
            if job["id"] != but:
                path = f"/v1/jobs/{quote(job['id'], safe='')}"
                self("POST", f"{path}/cancel")
                self("DELETE", path)

    def close(self) -> None:
        self.http.close()
        self.s3.close()
