"""A plain HTTP client of IBM's Runtime API, for emulator tests."""

from __future__ import annotations

import time
from typing import Any

import requests

from qrmi_emulator import Emulator

BELL = """OPENQASM 3.0;
include "stdgates.inc";
bit[2] c;
qubit[2] q;
h q[0];
cx q[0], q[1];
c[0] = measure q[0];
c[1] = measure q[1];
"""
TYPE = "ibm-quantum-compute-service"


class Client:
    """A client that sends one request per method."""

    def __init__(self, emulator: Emulator) -> None:
        known = emulator.settings_for(TYPE)
        self.url = known["QRMI_IBM_QCS_ENDPOINT"]
        self.key = known["QRMI_IBM_QCS_IAM_APIKEY"]
        self.http = requests.Session()
        self.http.trust_env = False
        headers = {
            "Service-CRN": known["QRMI_IBM_QCS_SERVICE_CRN"],
            "IBM-API-Version": "2026-04-15",
            "Authorization": f"apikey {self.key}",
        }
        self.http.headers.update(headers)
        self.root = emulator.url

    def __call__(self, method: str, path: str, body: Any = None, **more: Any) -> requests.Response:
        return self.http.request(method, self.url + path, json=body, timeout=30, **more)

    def token(self) -> dict[str, Any]:
        answer = self.http.post(
            f"{self.root}/identity/token",
            data={"grant_type": "urn:ibm:params:oauth:grant-type:apikey", "apikey": self.key},
            timeout=30,
        )
        assert answer.status_code == 200
        document: dict[str, Any] = answer.json()
        return document

    def submit(self, *, shots: int = 100, seed: int = 1, **fields: Any) -> str:
        answer = self("POST", "/jobs", job_body(shots=shots, seed=seed, **fields))
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    def job(self, job_id: str) -> dict[str, Any]:
        answer = self("GET", f"/jobs/{job_id}?exclude_params=true")
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document

    def wait(self, job_id: str, *wanted: str, seconds: float = 60.0) -> dict[str, Any]:
        """Poll the job until it is in one of the states, by default a final one, and return it."""
        wanted = wanted or ("Completed", "Failed", "Cancelled")
        deadline = time.monotonic() + seconds
        while (job := self.job(job_id))["state"]["status"] not in wanted:
            assert time.monotonic() < deadline, job
            time.sleep(0.02)
        return job


def job_body(*, shots: int = 100, seed: int = 1, **fields: Any) -> dict[str, Any]:
    params = {
        "pubs": [[BELL, None, shots]],
        "options": {"simulator": {"seed_simulator": seed}},
        "support_qiskit": False,
        "version": 2,
    }
    return {"program_id": "sampler", "backend": "aer", "params": params, **fields}
