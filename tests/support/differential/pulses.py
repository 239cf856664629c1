"""Hypothesis strategies for pulse sequences, and the comparison of samples with a solution."""

from __future__ import annotations

import json
import math
from typing import Any, Final

import numpy as np
from hypothesis import note, strategies as st
from pulser import Pulse, Register, Sequence
from pulser.devices import AnalogDevice, DigitalAnalogDevice, MockDevice
from pulser.waveforms import (
    BlackmanWaveform,
    CompositeWaveform,
    ConstantWaveform,
    CustomWaveform,
    InterpolatedWaveform,
    KaiserWaveform,
    RampWaveform,
)

from qrmi_core import Payload, QuantumResource
from support.differential import COMPARED, bounds
from support.differential.rydberg import distribution

SECONDS: Final = 100.0
RUNS: Final = 1000
MAX_AMPLITUDE: Final = 4 * math.pi
"""In rad/us; all devices allow this."""

EDGES: Final = 0.01
"""Error of a probability caused by the position of a sample within its nanosecond.

The strongest drive turns an atom by 0.013 rad in a nanosecond.
"""

_CHANNELS: Final = {
    "AnalogDevice": ["rydberg_global"],
    "DigitalAnalogDevice": ["rydberg_global", "rydberg_local", "raman_local"],
    "MockDevice": ["rydberg_global", "rydberg_local", "raman_global", "raman_local"],
}
_angles = st.sampled_from([0.0, math.pi / 2, math.pi, 0.3, -1.2])


@st.composite
def registers(draw: st.DrawFn, device: Any, most: int) -> Register:
    """Generate a register of at least two atoms, with names in any order."""
    count = draw(st.integers(2, most))
    spacing = draw(st.sampled_from([5.0, 6.5, 9.0, 15.0]))
    if device is AnalogDevice:
        register = Register.triangular_lattice(1, count, spacing=min(spacing, 9.0), prefix="q")
        return register.with_automatic_layout(device)
    grid = [(x * spacing, y * spacing) for x in range(3) for y in range(3)]
    places = draw(st.permutations(grid))[:count]
    names = draw(st.permutations(["b", "a", "q0", "c", "10"]))
    return Register(dict(zip(names, places, strict=False)))


@st.composite
def sequences(draw: st.DrawFn) -> Sequence:
    """Generate a measured sequence without variables on two to five atoms."""
    device = draw(st.sampled_from([MockDevice, DigitalAnalogDevice, AnalogDevice]))
    xy = device is MockDevice and not draw(st.integers(0, 3))
    possible = ["mw_global"] if xy else _CHANNELS[device.name]
    channels = draw(st.lists(st.sampled_from(possible), min_size=1, max_size=3, unique=True))
    several = len({name.partition("_")[0] for name in channels}) > 1
    register = draw(registers(device, 3 if several else 5))
    return _Writer(draw, Sequence(register, device), channels).written()


class _Writer:
    """A writer that adds drawn operations to a sequence."""

    def __init__(self, draw: st.DrawFn, sequence: Sequence, channels: list[str]) -> None:
        self._draw = draw
        self._sequence = sequence
        self._atoms = list(sequence.register.qubit_ids)
        self._values: dict[str, float] = {}
        self._channels = list(channels)

    def written(self) -> Sequence:
        """Return the sequence, with its measurement and the values of its variables."""
        for name in self._channels:
            self._sequence.declare_channel(name, name, self._target(name))
        device = self._sequence.device
        if "dmm_0" in device.dmm_channels and "mw_global" not in self._channels:
            self._detuning_map()
        if "mw_global" in self._channels and self._draw(st.booleans()):
            self._sequence.set_magnetic_field(1.0, 2.0, 0.5)
        for _ in range(self._draw(st.integers(1, 5))):
            self._draw(st.sampled_from([self._pulse] * 4 + [self._delay, self._other]))()
        bases = sorted(self._sequence.get_addressed_bases())
        self._sequence.measure(self._draw(st.sampled_from(bases)))
        return self._sequence.build(**self._values) if self._values else self._sequence

    def _target(self, channel: str) -> str | None:
        if not channel.endswith("_local"):
            return None
        return str(self._draw(st.sampled_from(self._atoms)))

    def _detuning_map(self) -> None:
        weight = st.sampled_from([0.0, 0.5, 1.0])
        count = len(self._atoms)
        weights = self._draw(st.lists(weight, min_size=count, max_size=count))
        if any(weights):
            given = dict(zip(self._atoms, weights, strict=True))
            map_ = self._sequence.register.define_detuning_map(given)
            self._sequence.config_detuning_map(map_, "dmm_0")
            self._channels.append("dmm_0")

    def _duration(self) -> int:
        return 4 * int(self._draw(st.integers(4, 60)))

    def _pulse(self) -> None:
        channel = self._draw(st.sampled_from(self._channels))
        if channel == "dmm_0":
            bottom = -self._draw(st.sampled_from([0.0, 3.0, 20.0]))
            waveform = RampWaveform(self._duration(), bottom, bottom / 2)
            self._sequence.add_dmm_detuning(waveform, channel)
            return
        if channel.endswith("_local") and self._draw(st.booleans()):
            self._sequence.target(self._target(channel), channel)
        phase, shift = self._draw(_angles), self._draw(_angles)
        if channel.endswith("_local") and self._together():
            shift = 0.0
        if self._draw(st.booleans()):
            pulse = Pulse.ConstantPulse(
                self._duration(), self._variable(0, MAX_AMPLITUDE), self._variable(-20, 20), phase
            )
        else:
            amplitude = self._draw(self._waveforms())
            detuning = self._draw(
                st.sampled_from(
                    [
                        ConstantWaveform(amplitude.duration, 0),
                        ConstantWaveform(amplitude.duration, -7.5),
                        RampWaveform(amplitude.duration, -15, 20),
                    ]
                )
            )
            pulse = Pulse(amplitude, detuning, phase, post_phase_shift=shift)
        protocol = self._draw(st.sampled_from(["min-delay", "wait-for-all", "no-delay"]))
        self._sequence.add(pulse, channel, protocol)

    def _variable(self, low: float, high: float) -> Any:
        """Return a number, or a variable of the sequence with that value."""
        value = round(self._draw(st.floats(low, high)), 3)
        if self._draw(st.booleans()):
            return value
        name = f"v{len(self._values)}"
        self._values[name] = value
        return self._sequence.declare_variable(name)

    def _waveforms(self) -> st.SearchStrategy[Any]:
        peak = self._draw(st.sampled_from([1.0, 6.0, MAX_AMPLITUDE]))
        duration = self._duration()
        wave = np.round(peak * np.sin(np.linspace(0, 3, duration)) ** 2, 6)
        half = duration // 2
        return st.sampled_from(
            [
                ConstantWaveform(duration, peak),
                RampWaveform(duration, 0, peak),
                CustomWaveform(wave),
                InterpolatedWaveform(duration, [0, peak, peak / 3, 0]),
                # These areas keep the amplitudes below the channel's maximum.
                BlackmanWaveform(duration, 0.4 * peak * duration / 1000),
                KaiserWaveform(duration, 0.2 * peak * duration / 1000),
                CompositeWaveform(
                    ConstantWaveform(half, peak / 2), RampWaveform(half, peak, peak / 4)
                ),
            ]
        )

    def _delay(self) -> None:
        channel = self._draw(st.sampled_from(self._channels))
        self._sequence.delay(self._duration(), channel)

    def _other(self) -> None:
        bases = [basis for basis in self._sequence.get_addressed_bases() if basis != "XY"]
        if len(self._channels) > 1 and self._draw(st.booleans()):
            self._sequence.align(*self._channels)
        elif bases:
            basis = self._draw(st.sampled_from(sorted(bases)))
            atoms = (
                self._atoms if self._together() else self._draw(st.permutations(self._atoms))[:1]
            )
            self._sequence.phase_shift(self._draw(_angles), *atoms, basis=basis)

    def _together(self) -> bool:
        """Return True if all atoms need the same phase reference."""
        return any(name.endswith("_global") for name in self._channels)


def check_sequence(resource: QuantumResource, sequence: Sequence) -> None:
    """Run a sequence and compare the distribution of its bit strings."""
    text = sequence.to_abstract_repr()
    note(f"{sequence}\n{text}")
    expected = distribution(sequence)
    task = resource.run(Payload.PasqalCloud(sequence=text, job_runs=RUNS))
    counter = json.loads(task.result(SECONDS).value)["counter"]
    found = np.zeros(len(expected), dtype=int)
    for bits, count in counter.items():
        assert 2 ** len(bits) == len(expected), bits
        found[int(bits, 2)] += count
    assert found.sum() == RUNS
    problem = bounds.improbable(expected, found, EDGES)
    assert not problem, f"{problem}\nexpected {np.round(expected * RUNS, 2)}\nfound {found}\n{text}"
    COMPARED["sequences"] += 1
