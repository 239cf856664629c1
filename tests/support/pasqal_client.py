"""Plain HTTP clients of Pasqal's APIs, for emulator tests."""

from __future__ import annotations

import os
import subprocess
import time
from typing import Any

import requests

from qrmi_emulator import Emulator
from support import pulses

FINAL = ("DONE", "ERROR", "CANCELED", "TIMED_OUT")


class CloudClient:
    """A client of Pasqal Cloud's API."""

    def __init__(self, emulator: Emulator) -> None:
        self.root = emulator.url
        self.known = emulator.settings_for("pasqal-cloud")
        self.project = self.known["QRMI_PASQAL_CLOUD_PROJECT_ID"]
        self.url = self.known["QRMI_PASQAL_CLOUD_BASE_URL"] + "/core-fast/api"
        self.http = requests.Session()
        self.http.trust_env = False
        token = self.token().json()["access_token"]
        self.http.headers["Authorization"] = f"Bearer {token}"

    def __call__(self, method: str, path: str, body: Any = None, **more: Any) -> requests.Response:
        return self.http.request(method, self.url + path, json=body, timeout=30, **more)

    def token(self, **form: str) -> requests.Response:
        """Return the token endpoint's response, to the service account or another form."""
        given = form or {
            "grant_type": "client_credentials",
            "client_id": self.known["QRMI_PASQAL_CLOUD_CLIENT_ID"],
            "client_secret": self.known["QRMI_PASQAL_CLOUD_CLIENT_SECRET"],
            "audience": "https://apis.pasqal.cloud/account/api/v1",
        }
        endpoint = self.known["QRMI_PASQAL_CLOUD_AUTH_ENDPOINT"]
        return self.http.post(endpoint, data=given, timeout=30)

    def data(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """Return the data of a call that must succeed."""
        answer = self(method, path, body, **more)
        assert answer.status_code == 200, answer.text
        envelope = answer.json()
        assert envelope["status"] == "success"
        return envelope["data"]

    def submit(self, *runs: int, device: str = "EMU_FREE", **fields: Any) -> dict[str, Any]:
        """Submit a batch with one job for each number of runs, and return it."""
        batch: dict[str, Any] = self.data(
            "POST", "/v1/batches", self.body(*runs, device=device) | fields
        )
        return batch

    def body(self, *runs: int, device: str | None = "EMU_FREE") -> dict[str, Any]:
        return {
            "sequence_builder": pulses.sequence(),
            "jobs": [{"runs": each} for each in runs or (10,)],
            "device_type": device,
            "project_id": self.project,
        }

    def batch(self, batch_id: str) -> dict[str, Any]:
        batch: dict[str, Any] = self.data("GET", f"/v2/batches/{batch_id}")
        return batch

    def wait(self, batch_id: str, *wanted: str) -> dict[str, Any]:
        """Poll the batch until it is in one of the states, by default a final one."""
        deadline = time.monotonic() + 60
        while (batch := self.batch(batch_id))["status"] not in (wanted or FINAL):
            assert time.monotonic() < deadline, batch
            time.sleep(0.02)
        return batch


class WardenClient:
    """A client of Warden's API, for the user of this process or another one."""

    def __init__(self, emulator: Emulator, user: str | None = None) -> None:
        self.known = emulator.settings_for("pasqal-local")
        self.url = self.known["QRMI_WARDEN_URL"]
        self.uid = str(os.geteuid())
        self._user = user
        self.http = requests.Session()
        self.http.trust_env = False

    def credential(self, *options: str) -> str:
        command = ["munge", "--no-input", f"--socket={self.known['QRMI_MUNGE_SOCKET']}", *options]
        done = subprocess.run(command, capture_output=True, check=True, text=True, user=self._user)
        return done.stdout.strip()

    def __call__(
        self, method: str, path: str, body: Any = None, session: str | None = None, **more: Any
    ) -> requests.Response:
        headers = {"X-Munge-Cred": self.credential()}
        if session is not None:
            headers["X-Warden-Session"] = session
        return self.http.request(
            method, self.url + path, json=body, headers=headers, timeout=30, **more
        )

    def session(self, uid: str | None = None, job: str = "777") -> str:
        body = {"user_id": uid or self.uid, "slurm_job_id": job}
        answer = self("POST", "/sessions", body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    def submit(self, session: str, sequence: str | None = None, shots: int = 10) -> int:
        body = {"sequence": pulses.sequence() if sequence is None else sequence, "shots": shots}
        answer = self("POST", "/jobs", body, session)
        assert answer.status_code == 200, answer.text
        return int(answer.json()["id"])

    def wait(self, job: int, *wanted: str) -> dict[str, Any]:
        deadline = time.monotonic() + 60
        while True:
            answer = self("GET", f"/jobs/{job}")
            assert answer.status_code == 200, answer.text
            document: dict[str, Any] = answer.json()
            if document["status"] in (wanted or FINAL):
                return document
            assert time.monotonic() < deadline, document
            time.sleep(0.02)
