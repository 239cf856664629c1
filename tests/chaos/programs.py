"""The clients' programs, each of which contains the numbers of its client and its task."""

from __future__ import annotations

import json
import re
from typing import Any

from chaos.plan import MOST_TASKS
from qrmi_core import Payload
from qrmi_example.payload import Coin
from support.pulses import sequence

_MARK = re.compile(r"\bm(\d+)x(\d+)\b")


def document(resource_type: str, client: int, task: int) -> dict[str, Any]:
    """Return the INPUT of a task, as the command `qrmi` reads it."""
    mark = f"m{client}x{task}"
    if resource_type == "coin":
        return {"program": "flip 2", "shots": client * MOST_TASKS + task + 1}
    if resource_type.startswith("pasqal"):
        return {"sequence": json.loads(sequence()) | {"name": mark}, "job_runs": 10}
    circuit = f"OPENQASM 3.0; bit[2] {mark}; qubit[2] q; {mark} = measure q;"
    parameters = {"pubs": [[circuit, None, 10]], "version": 2, "support_qiskit": False}
    return {"program_id": "sampler", "parameters": parameters}


def payload(resource_type: str, given: dict[str, Any]) -> Payload:
    """Return the payload of an INPUT."""
    if resource_type == "coin":
        return Coin(**given)
    if resource_type.startswith("pasqal"):
        return Payload.PasqalCloud(**given)
    return Payload.QiskitPrimitive(input=given["parameters"], program_id=given["program_id"])


def mark_of(text: str) -> tuple[int, int] | None:
    """Return the numbers of client and task in a program or result, or None."""
    found = _MARK.search(text)
    if found:
        return int(found[1]), int(found[2])
    try:
        shots = int(json.loads(text)["pubs"][0][2])
    except (ValueError, LookupError, TypeError):
        return None
    return divmod(shots - 1, MOST_TASKS)
