"""IBM's documents on backends, made of the snapshots of devices."""

from __future__ import annotations

import functools
import json
from typing import Any, Final

from qrmi_emulator.state import MAINTENANCE, OFFLINE, ONLINE, PAUSED, Condition
from qrmi_local.engines import qiskit as engine

# A condition -> what the backend's status says, what the list says, and the usual reason.
_WORDS: Final = {
    ONLINE: ("active", "online", "available"),
    PAUSED: ("paused", "paused", "paused"),
    OFFLINE: ("offline", "offline", "unavailable"),
    MAINTENANCE: ("maintenance", "offline", "maintenance"),
}


def configuration(name: str) -> dict[str, Any]:
    """A backend's configuration."""
    found: dict[str, Any] = _target(name)["configuration"]
    return found


def properties(name: str) -> dict[str, Any]:
    """A backend's properties."""
    found: dict[str, Any] = _target(name)["properties"]
    return found


def device(name: str, condition: Condition, waiting: int) -> dict[str, Any]:
    """A backend's entry in the list of backends.

    Args:
        name: Its name.
        condition: What an operator said about it.
        waiting: Its jobs that have not ended.
    """
    _, word, usual = _WORDS[condition.status]
    return {
        **_device(name),
        "status": {"name": word, "reason": condition.reason or usual},
        "queue_length": waiting + condition.queue_length,
    }


def status(name: str, condition: Condition, waiting: int) -> dict[str, Any]:
    """A backend's status; the arguments are those of `device`."""
    word, _, usual = _WORDS[condition.status]
    return {
        "state": condition.takes_jobs,
        "status": word,
        "message": condition.reason or usual,
        "length_queue": waiting + condition.queue_length,
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
        # The published package takes the revision as a text only.
        found["processor_type"] = {key: str(value) for key, value in kind.items()}
    return found


@functools.lru_cache(maxsize=8)
def _target(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(engine.target(name))
    return found
