"""Many clients and many jobs at the same time."""

from __future__ import annotations

import http.client
import json
import threading
from pathlib import Path

from runtime_client import TYPE, Client, job_body

from qrmi_emulator import Emulator

CLIENTS = 200
JOBS = 10_000
EXECUTED = 40


def test_200_clients_submit_10000_jobs_and_none_is_lost_or_doubled(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with Emulator(state=state) as emulator:
        emulator.fault("job-queued", count=JOBS - EXECUTED)
        known = emulator.settings_for(TYPE)
        host = emulator.url.removeprefix("http://")
        headers = {
            "Authorization": f"apikey {known['QRMI_IBM_QCS_IAM_APIKEY']}",
            "Service-CRN": known["QRMI_IBM_QCS_SERVICE_CRN"],
            "IBM-API-Version": "2026-04-15",
            "Content-Type": "application/json",
        }
        body = json.dumps(job_body(tags=["load"]))
        submitted: list[str] = []
        failures: list[object] = []

        def work() -> None:
            connection = http.client.HTTPConnection(host, timeout=60)
            try:
                for _ in range(JOBS // CLIENTS):
                    connection.request("POST", "/api/v1/jobs", body, headers)
                    answer = connection.getresponse()
                    document = json.loads(answer.read())
                    submitted.append(document["id"])
                    path = f"/api/v1/jobs/{document['id']}?exclude_params=true"
                    connection.request("GET", path, headers=headers)
                    answer = connection.getresponse()
                    assert json.loads(answer.read())["id"] == document["id"]
            except Exception as error:
                failures.append(error)
            finally:
                connection.close()

        threads = [threading.Thread(target=work) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert len(set(submitted)) == JOBS
        requests = emulator.requests()
        assert len(requests) == 2 * JOBS
        assert len({request["connection"] for request in requests}) == CLIENTS
        client = Client(emulator)
        last = client("GET", "/jobs?tags=load&sort=DESC&limit=1").json()["jobs"][0]["id"]
        client.wait(last)
        client.http.close()
    with Emulator(state=state) as emulator:
        client = Client(emulator)
        listed: list[str] = []
        while page := client("GET", f"/jobs?offset={len(listed)}").json()["jobs"]:
            listed += [job["id"] for job in page]
        assert set(listed) == set(submitted)
        assert len(listed) == JOBS
        assert emulator.info()["jobs"] == {
            "Queued": JOBS - EXECUTED,
            "Running": 0,
            "Completed": EXECUTED,
            "Failed": 0,
            "Cancelled": 0,
        }
        client.http.close()
