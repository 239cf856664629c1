"""IBM's documents on backends, made of the snapshots of devices."""

from __future__ import annotations

import functools
import json
from typing import Any

from qrmi_local.engines import qiskit as engine


def configuration(name: str) -> dict[str, Any]:
    """A backend's configuration."""
    found: dict[str, Any] = _target(name)["configuration"]
    return found


def properties(name: str) -> dict[str, Any]:
    """A backend's properties."""
    found: dict[str, Any] = _target(name)["properties"]
    return found


def device(name: str, queue_length: int) -> dict[str, Any]:
    """A backend's entry in the list of backends.

    Args:
        name: Its name.
        queue_length: Jobs that have not ended.
    """
    return {
        **_device(name),
        "status": {"name": "online", "reason": "available"},
        "queue_length": queue_length,
    }


@functools.cache
def _device(name: str) -> dict[str, Any]:
    known = engine.known(name)
    processor = {} if name == engine.AER.resource_id else engine.configuration(name)
    found: dict[str, Any] = {
        "name": name,
        "is_simulator": known.is_simulator,
        "qubits": known.num_qubits,
        "physical_qubits": known.num_qubits,
    }
    if kind := processor.get("processor_type"):
        # The published package takes the revision as a text only.
        found["processor_type"] = {key: str(value) for key, value in kind.items()}
    return found


@functools.lru_cache(maxsize=8)
def _target(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(engine.target(name))
    return found
