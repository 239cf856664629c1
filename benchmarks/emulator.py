"""Measure the jobs that the emulator accepts and runs, and its responses while it holds many."""

from __future__ import annotations

import http.client
import json
import multiprocessing
import statistics
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from common import Goal, Row, main, peak_megabytes

from qrmi_emulator import Emulator

TYPE = "ibm-quantum-compute-service"
BELL = (
    'OPENQASM 3.0;\ninclude "stdgates.inc";\nbit[2] c;\nqubit[2] q;\n'
    "h q[0];\ncx q[0], q[1];\nc[0] = measure q[0];\nc[1] = measure q[1];\n"
)
JOB = json.dumps(
    {
        "program_id": "sampler",
        "backend": "aer",
        "params": {"pubs": [[BELL, None, 100]], "support_qiskit": False, "version": 2},
        "tags": ["bench"],
    }
)
JOBS = 4000
CLIENTS = 200
RATE_GOAL = 250
P99_GOAL_SECONDS = 1.5
READS = {
    "a job's state": "/jobs/{first}?exclude_params=true",
    "first page of all jobs": "/jobs?limit=200",
    "last page of all jobs": "/jobs?limit=200&offset={last}",
    "search by tag": "/jobs?tags=nothing",
    "workloads": "/workloads?limit=50",
    "all backends": "/backends",
}


class Client:
    """One connection.

    Args:
        url: The emulator's address.
        known: The settings for its client.
    """

    def __init__(self, url: str, known: dict[str, str]) -> None:
        self._http = http.client.HTTPConnection(url.removeprefix("http://"), timeout=120)
        self._headers = {
            "Authorization": f"apikey {known['QRMI_IBM_QCS_IAM_APIKEY']}",
            "Service-CRN": known["QRMI_IBM_QCS_SERVICE_CRN"],
            "IBM-API-Version": "2026-04-15",
        }

    def call(self, method: str, path: str, body: str | None = None) -> Any:
        """Send a request, and return the document of the response."""
        self._http.request(method, "/api/v1" + path, body, self._headers)
        response = self._http.getresponse()
        content = response.read()
        if response.status != 200:
            raise SystemExit(f"{method} {path}: {response.status} {content!r}")
        return json.loads(content)

    def milliseconds(self, path: str, repeats: int = 20) -> float:
        """Return the median time to a response."""
        times = []
        for _ in range(repeats):
            start = time.perf_counter()
            self.call("GET", path)
            times.append(1000 * (time.perf_counter() - start))
        return statistics.median(times)


def submit(
    url: str, known: dict[str, str], jobs: int, clients: int
) -> tuple[list[str], list[float], float]:
    """Submit jobs from many clients: their ids, the seconds that each took and those of all."""
    ids: list[str] = []
    seconds: list[float] = []

    def submit_some() -> None:
        client = Client(url, known)
        for _ in range(jobs // clients):
            start = time.perf_counter()
            ids.append(client.call("POST", "/jobs", JOB)["id"])
            seconds.append(time.perf_counter() - start)

    threads = [threading.Thread(target=submit_some) for _ in range(clients)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ids, seconds, time.perf_counter() - start


def rows(quick: bool) -> list[Row]:
    """Submit, wait for the results and read lists."""
    jobs, clients = (200, 20) if quick else (JOBS, CLIENTS)
    # A process of their own, so that the clients take no turns with the server.
    spawned = multiprocessing.get_context("spawn")
    with Emulator() as emulator, ProcessPoolExecutor(1, spawned) as pool:
        known = emulator.settings_for(TYPE)
        start, cpu = time.perf_counter(), time.process_time()
        ids, seconds, taken = pool.submit(submit, emulator.url, known, jobs, clients).result()
        cpu = time.process_time() - cpu
        while emulator.info()["jobs"]["Completed"] < len(ids):
            time.sleep(0.1)
        ended = time.perf_counter() - start
        client = Client(emulator.url, known)
        reads = [
            Row(
                f"emulator: {what}",
                "ms",
                client.milliseconds(path.format(first=ids[0], last=len(ids) - 200)),
            )
            for what, path in READS.items()
        ]
    slowest = statistics.quantiles(seconds, n=100)[-1]
    return [
        Row(
            f"emulator: {clients} clients submit",
            "/s",
            len(ids) / taken,
            goal=Goal(RATE_GOAL, least=True),
        ),
        Row("emulator: a submission, p99", "s", slowest, goal=Goal(P99_GOAL_SECONDS)),
        Row("emulator: CPU of each", "ms", 1000 * cpu / len(ids)),
        Row("emulator: submitted and run", "/s", len(ids) / ended),
        *reads,
        Row("emulator: memory at most", "MB", peak_megabytes()),
    ]


if __name__ == "__main__":
    main(rows, __doc__)
