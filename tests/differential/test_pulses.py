"""Generated pulse sequences on the Pulser simulator, compared with QuTiP's solutions."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from pulser import Pulse, Register, Sequence
from pulser.devices import MockDevice

from qrmi_core import Payload, QuantumResource
from qrmi_core.errors import QrmiError
from support.differential import generated
from support.differential.pulses import SECONDS, check_sequence, sequences
from support.differential.rydberg import distribution

MakeResource = Callable[[str], QuantumResource]

pytestmark = pytest.mark.timeout(7200)


@pytest.fixture(scope="session")
def simulator(local: MakeResource) -> QuantumResource:
    return local("EMU_FREE")


@generated(10, 200)
@given(sequence=sequences())
def test_samples_of_sequences(simulator: QuantumResource, sequence: Sequence) -> None:
    check_sequence(simulator, sequence)


def single(channel: str, amplitude: float, duration: int, distance: float = 100.0) -> Sequence:
    sequence = Sequence(Register({"a": (0, 0), "b": (distance, 0)}), MockDevice)
    sequence.declare_channel("it", channel)
    sequence.add(Pulse.ConstantPulse(duration, amplitude, 0, 0), "it")
    sequence.measure(*sequence.get_addressed_bases())
    return sequence


@pytest.mark.parametrize("channel", ["rydberg_global", "raman_global", "mw_global"])
def test_the_reference_turns_atoms_by_the_area_of_a_pulse(channel: str) -> None:
    one = math.sin(1.2 / 2) ** 2
    expected = [(1 - one) ** 2, one * (1 - one), one * (1 - one), one**2]
    assert distribution(single(channel, 4.0, 300)) == pytest.approx(expected, abs=0.02)


def test_the_reference_has_the_blockade() -> None:
    found = distribution(single("rydberg_global", math.pi, int(1000 / math.sqrt(2)), 5.0))
    assert found == pytest.approx([0, 0.5, 0.5, 0], abs=1e-3)


def unbuilt() -> Sequence:
    sequence = Sequence(Register({"a": (0, 0)}), MockDevice)
    sequence.declare_channel("it", "rydberg_global")
    sequence.add(Pulse.ConstantPulse(100, sequence.declare_variable("amplitude"), 0, 0), "it")
    return sequence


def unmeasured() -> Sequence:
    sequence = Sequence(Register({"a": (0, 0)}), MockDevice)
    for channel in ("rydberg_global", "raman_global"):
        sequence.declare_channel(channel, channel)
        sequence.add(Pulse.ConstantPulse(100, 1, 0, 0), channel)
    return sequence


def crowded() -> Sequence:
    sequence = Sequence(Register.square(4, spacing=6, prefix="q"), MockDevice)
    sequence.declare_channel("it", "rydberg_global")
    sequence.add(Pulse.ConstantPulse(100, 1, 0, 0), "it")
    return sequence


@pytest.mark.parametrize(
    ("sequence", "reason"),
    [(unbuilt(), "variables"), (unmeasured(), "measure"), (crowded(), "16 atoms")],
)
def test_a_sequence_that_cannot_be_simulated_is_refused(
    simulator: QuantumResource, sequence: Sequence, reason: str
) -> None:
    payload = Payload.PasqalCloud(sequence=sequence.to_abstract_repr(), job_runs=10)
    with pytest.raises(QrmiError, match=reason):
        simulator.run(payload).result(SECONDS)
