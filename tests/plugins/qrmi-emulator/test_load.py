"""Many clients and many jobs at the same time."""

from __future__ import annotations

import http.client
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from qrmi_emulator import Emulator
from support.runtime_client import TYPE, Client, job_body

pytestmark = pytest.mark.slow

CLIENTS = 200
JOBS = int(os.environ.get("QRMI_TEST_LOAD_JOBS", "2000"))
"""10,000 make it take minutes beside other tests."""


class LoadedClient(threading.Thread):
    """A client that submits its share over one connection and waits for all of it."""

    def __init__(self, emulator: Emulator, number: int) -> None:
        super().__init__()
        self.submitted: list[str] = []
        self.failure: Exception | None = None
        self._tag = f"client-{number}"
        known = emulator.settings_for(TYPE)
        host = emulator.url.removeprefix("http://")
        self._connection = http.client.HTTPConnection(host, timeout=100)
        self._headers = {
            "Authorization": f"apikey {known['QRMI_IBM_QCS_IAM_APIKEY']}",
            "Service-CRN": known["QRMI_IBM_QCS_SERVICE_CRN"],
            "IBM-API-Version": "2026-04-15",
            "Content-Type": "application/json",
        }

    def call(self, method: str, path: str, body: str | None = None) -> Any:
        self._connection.request(method, f"/api/v1/jobs{path}", body, self._headers)
        answer = self._connection.getresponse()
        content = answer.read()
        assert answer.status == 200, content
        return json.loads(content)

    def run(self) -> None:
        try:
            body = json.dumps(job_body(tags=[self._tag]))
            self.submitted = [self.call("POST", "", body)["id"] for _ in range(JOBS // CLIENTS)]
            last = f"/{self.submitted[-1]}?exclude_params=true"
            while self.call("GET", last)["status"] in ("Queued", "Running"):
                time.sleep(3)
            # It was taken last, and another may be a little slower.
            while (page := self.call("GET", f"?tags={self._tag}&pending=true"))["count"]:
                time.sleep(0.1)
            page = self.call("GET", f"?tags={self._tag}")
            assert {job["id"] for job in page["jobs"]} == set(self.submitted)
            assert {job["status"] for job in page["jobs"]} == {"Completed"}
            samples = self.call("GET", f"/{self.submitted[0]}/results")["results"][0]["data"]["c"]
            assert set(samples["samples"]) == {"0x0", "0x3"}
        except Exception as error:
            self.failure = error
        finally:
            self._connection.close()


@pytest.mark.timeout(240)
def test_jobs_of_200_clients_are_neither_lost_nor_doubled(tmp_path: Path) -> None:
    state = tmp_path / "state"
    everything = {"Queued": 0, "Running": 0, "Completed": JOBS, "Failed": 0, "Cancelled": 0}
    with Emulator(state=state) as emulator:
        workers = [LoadedClient(emulator, number) for number in range(CLIENTS)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert [worker.failure for worker in workers if worker.failure] == []
        submitted = [job for worker in workers for job in worker.submitted]
        assert len(set(submitted)) == JOBS
        requests = emulator.requests()
        assert len({request["connection"] for request in requests}) == CLIENTS
        assert emulator.info()["jobs"] == everything
    with Emulator(state=state) as emulator:
        client = Client(emulator)
        listed: list[str] = []
        while page := client("GET", f"/jobs?offset={len(listed)}").json()["jobs"]:
            listed += [job["id"] for job in page]
        assert len(listed) == JOBS
        assert set(listed) == set(submitted)
        assert client("GET", f"/jobs/{submitted[0]}/results").status_code == 200
        assert emulator.info()["jobs"] == everything
        client.http.close()
