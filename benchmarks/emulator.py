"""How many jobs the emulator takes and runs, and what its answers cost while it holds many."""

from __future__ import annotations

import argparse
import http.client
import json
import resource
import statistics
import threading
import time
from typing import Any

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


class Client:
    """One connection."""

    def __init__(self, emulator: Emulator) -> None:
        known = emulator.settings_for(TYPE)
        self._http = http.client.HTTPConnection(emulator.url.removeprefix("http://"), timeout=120)
        self._headers = {
            "Authorization": f"apikey {known['QRMI_IBM_QCS_IAM_APIKEY']}",
            "Service-CRN": known["QRMI_IBM_QCS_SERVICE_CRN"],
            "IBM-API-Version": "2026-04-15",
        }

    def call(self, method: str, path: str, body: str | None = None) -> Any:
        """One exchange."""
        self._http.request(method, "/api/v1" + path, body, self._headers)
        answer = self._http.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{method} {path}: {answer.status} {content!r}")
        return json.loads(content)

    def milliseconds(self, path: str, repeats: int = 20) -> float:
        """The median of how long an answer takes."""
        times = []
        for _ in range(repeats):
            start = time.perf_counter()
            self.call("GET", path)
            times.append(1000 * (time.perf_counter() - start))
        return statistics.median(times)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=200)
    arguments = parser.parse_args()
    with Emulator() as emulator:
        known: list[str] = []

        def submit() -> None:
            client = Client(emulator)
            for _ in range(arguments.jobs // arguments.clients):
                known.append(client.call("POST", "/jobs", JOB)["id"])

        threads = [threading.Thread(target=submit) for _ in range(arguments.clients)]
        start = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        taken = time.perf_counter() - start
        print(f"{len(known) / taken:8.0f} jobs/s taken from {arguments.clients} clients")
        while emulator.info()["jobs"]["Completed"] < len(known):
            time.sleep(0.1)
        print(f"{len(known) / (time.perf_counter() - start):8.0f} jobs/s from submission to result")
        client = Client(emulator)
        for what, path in (
            ("a job's state", f"/jobs/{known[0]}?exclude_params=true"),
            ("the first page of all jobs", "/jobs?limit=200"),
            ("the last page of all jobs", f"/jobs?limit=200&offset={len(known) - 200}"),
            ("a search by tag", "/jobs?tags=nothing"),
            ("the workloads", "/workloads?limit=50"),
            ("all backends", "/backends"),
        ):
            print(f"{client.milliseconds(path):8.1f} ms for {what}")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{peak:8.0f} MB of memory at most, the clients' included")


if __name__ == "__main__":
    main()
