"""IBM's documents on backends, from the snapshots of devices."""

from __future__ import annotations

import functools
import json
from typing import Any, Final

from qrmi_emulator.face import MAINTENANCE, OFFLINE, ONLINE, PAUSED, State
from qrmi_local.engines import qiskit as engine

# A condition -> its name in the backend's status, its name in the list, and the usual reason.
_NAMES: Final = {
    ONLINE: ("active", "online", "available"),
    PAUSED: ("paused", "paused", "paused"),
    OFFLINE: ("offline", "offline", "unavailable"),
    MAINTENANCE: ("maintenance", "offline", "maintenance"),
}


def configuration(name: str) -> dict[str, Any]:
    """Return a backend's configuration."""
    found: dict[str, Any] = _target(name)["configuration"]
    return found


def properties(name: str) -> dict[str, Any]:
    """Return a backend's properties."""
    found: dict[str, Any] = _target(name)["properties"]
    return found


def device(name: str, state: State) -> dict[str, Any]:
    """Return a backend's entry in the list of backends."""
    condition = state.condition(name)
    _, status, usual = _NAMES[condition.status]
    return {
        **_device(name),
        "status": {"name": status, "reason": condition.reason or usual},
        "queue_length": state.queue_length(name),
    }


def status(name: str, state: State) -> dict[str, Any]:
    """Return a backend's status."""
    condition = state.condition(name)
    status, _, usual = _NAMES[condition.status]
    return {
        "state": condition.accepts_jobs,
        "status": status,
        "message": condition.reason or usual,
        "length_queue": state.queue_length(name),
        "backend_version": configuration(name)["backend_version"],
    }


@functools.cache
def _device(name: str) -> dict[str, Any]:
    known = engine.known(name)
    is_simulator = name == engine.AER.resource_id
    processor = {} if is_simulator else engine.configuration(name)
    found: dict[str, Any] = {
        "name": name,
        # To clients, a snapshot is the device that it was taken of.
        "is_simulator": is_simulator,
        "qubits": known.num_qubits,
        "physical_qubits": known.num_qubits,
    }
    if kind := processor.get("processor_type"):
        # The published package accepts the revision as a text only.
        found["processor_type"] = {key: str(value) for key, value in kind.items()}
    return found


@functools.lru_cache(maxsize=8)
def _target(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(engine.target(name))
    return found
