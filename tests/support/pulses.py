"""Programs for neutral atoms, a register and a pulse, in Pulser's and CUDA-Q's formats."""

from __future__ import annotations

import functools
import json
from typing import Any

PULSE_NANOSECONDS = 400
AMPLITUDE = 6.28
"""rad/us"""


@functools.cache
def sequence(device: str | None = None) -> str:
    """Return two atoms that block each other, and one pulse, in the abstract representation.

    The device is Pulser's example of an analog device by default.
    """
    from pulser import Pulse, Register, Sequence
    from pulser.devices import AnalogDevice, Device

    on = AnalogDevice if device is None else Device.from_abstract_repr(device)
    register = Register.rectangle(1, 2, spacing=6.0, prefix="q").with_automatic_layout(on)
    made = Sequence(register, on)
    made.declare_channel("ryd", "rydberg_global")
    made.add(Pulse.ConstantPulse(PULSE_NANOSECONDS, AMPLITUDE, 0.0, 0.0), "ryd")
    made.measure("ground-rydberg")
    text: str = made.to_abstract_repr()
    return text


def program(**driving: Any) -> dict[str, Any]:
    """Return the program as CUDA-Q sends it; keywords replace series of the driving field."""
    end = PULSE_NANOSECONDS * 1e-9
    series = {"amplitude": AMPLITUDE * 1e6, "phase": 0.0, "detuning": 0.0}
    field = {
        name: {"pattern": "uniform", "time_series": {"times": [0.0, end], "values": [value] * 2}}
        for name, value in series.items()
    }
    return {
        "setup": {"ahs_register": {"sites": [[0.0, 0.0], [6e-6, 0.0]], "filling": [1, 1]}},
        "hamiltonian": {"drivingFields": [field | driving], "localDetuning": []},
    }


def cudaq(**driving: Any) -> str:
    """Return the CUDA-Q program as text."""
    return json.dumps(program(**driving))


def is_blockaded(counts: dict[str, int]) -> bool:
    """Return True if one atom was excited and hardly ever both."""
    total = sum(counts.values())
    return counts.get("11", 0) < 0.15 * total and counts["01"] + counts["10"] > 0.7 * total
