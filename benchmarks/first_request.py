"""Measure importing, making a resource and its first request, beside a bare session.

All send the same requests, one for a token of IAM and one for the backends. The processor seconds
are compared, which what else the machine does disturbs least.
"""

from __future__ import annotations

from common import CLIENT, Goal, Row, in_turns, main, pythons, run_client
from mocks import running
from mocks.runtime import Runtime

RUNS = 15
GOAL_RATIO = 1.4
NOT_NEEDED = {"msgspec", "tenacity", "typing_extensions"}
"""Modules that a first request must not load."""
BARE = f"""
import os, requests
session, url = requests.Session(), os.environ["{Runtime.resource_id}_QRMI_IBM_QCS_IAM_ENDPOINT"]
response = session.post(f"{{url}}/identity/token", data={{"apikey": "a-key"}}, timeout=5)
headers = {{"Authorization": "Bearer " + response.json()["access_token"], "Service-CRN": "crn:v1"}}
response = session.get(f"{{url}}/api/v1/backends", headers=headers, timeout=5)
print(response.json()["devices"][0]["name"])
"""
PROGRAM = f"""{CLIENT}
assert resource().is_accessible()
print(*sys.modules)
"""


def rows(quick: bool) -> list[Row]:
    """Run the programs in turns."""

    def measure(side: str) -> dict[str, float]:
        ended = run_client(side, BARE if side == "bare" else PROGRAM, account)
        loaded = NOT_NEEDED.intersection(ended.output.split())
        return {"ms": 1000 * ended.processor_seconds, "modules": len(loaded)}

    with running(Runtime, 0.0) as account:
        medians = in_turns([*pythons(), "bare"], measure, 1 if quick else RUNS)
    ours = {"ours": medians["ours"]}
    return [
        Row.of("CPU until the first response", "ms", medians, goal=Goal(GOAL_RATIO, "bare")),
        Row.of("modules loaded without need", "", ours, "modules", goal=Goal(0)),
    ]


if __name__ == "__main__":
    main(rows, __doc__)
