"""The cost of importing, creating a resource and its first request, against a bare session.

Both send the same requests, one for a token of IAM and one for the backends, to a server in this
process. The wheels are used, as in import_time.py, and the processor seconds are compared, which
what else the machine does disturbs least.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

RUNS = 15
"""How often each program is run."""
AIM_RATIO = 1.4
"""How many times the cost of the bare session the library is to cost at most."""
NOT_NEEDED = ("msgspec", "tenacity", "typing_extensions")
"""Modules that a first request must not load."""

BARE = """
import os, requests
session, url = requests.Session(), os.environ["URL"]
response = session.post(f"{url}/identity/token", data={"apikey": "a-key-of-the-user"}, timeout=5)
headers = {"Authorization": "Bearer " + response.json()["access_token"], "Service-CRN": "crn:v1"}
response = session.get(f"{url}/api/v1/backends", headers=headers, timeout=5)
print(response.json()["devices"][0]["name"])
"""
OURS = """
import os, sys
from qrmi_core import QuantumResource
url = os.environ["URL"]
qpu = QuantumResource("ibm_fez", "ibm-quantum-compute-service", {
    "QRMI_IBM_QCS_ENDPOINT": url,
    "QRMI_IBM_QCS_IAM_ENDPOINT": url,
    "QRMI_IBM_QCS_IAM_APIKEY": "a-key-of-the-user",
    "QRMI_IBM_QCS_SERVICE_CRN": "crn:v1",
})
assert qpu.is_accessible()
print(*sys.modules)
"""


class Handler(BaseHTTPRequestHandler):
    """The two responses."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Return a token."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self._respond({"access_token": "a-token", "expires_in": 3600})

    def do_GET(self) -> None:
        """Return the backends."""
        self._respond({"devices": [{"name": "ibm_fez", "status": {"name": "online"}}]})

    def _respond(self, body: Mapping[str, object]) -> None:
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_args: object) -> None:
        """Log nothing."""


def processor_seconds(python: str, program: str, folder: str, url: str) -> tuple[float, str]:
    """Run a program, and return the processor seconds that it took, and its output."""
    command = [python, "-c", program]
    env = {**os.environ, "URL": url}
    with subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        output = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command)
    return usage.ru_utime + usage.ru_stime, output


def main() -> int:
    """Run both in turns and print the medians."""
    prepared = os.environ.get("QRMI_TEST_PREPARED")
    if not prepared:
        print("QRMI_TEST_PREPARED is not set; use `make bench`", file=sys.stderr)
        return 2
    python = str(Path(prepared, "smoke", "bin", "python"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    seconds: dict[str, list[float]] = {BARE: [], OURS: []}
    modules = ""
    with tempfile.TemporaryDirectory() as folder:
        for program in seconds:
            processor_seconds(python, program, folder, url)
        for _ in range(RUNS):
            for program, found in seconds.items():
                spent, modules = processor_seconds(python, program, folder, url)
                found.append(spent)
    server.shutdown()
    bare, ours = (statistics.median(found) * 1000 for found in seconds.values())
    print(f"medians of {RUNS} runs, processor time")
    print(f"requests.Session, 2 requests   {bare:7.1f} ms")
    print(f"QuantumResource, 2 requests    {ours:7.1f} ms")
    print(f"ratio {ours / bare:.2f} (aim {AIM_RATIO})")
    loaded = [name for name in NOT_NEEDED if name in modules.split()]
    print(f"loaded without need: {', '.join(loaded) or 'nothing'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
