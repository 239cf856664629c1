"""Pulse sequences solved with QuTiP, from the samples of the channels and the atoms' positions.

Each basis has a lower and an upper level. In angular frequencies, a channel adds

    amplitude / 2 * (exp(-i phase) |lower><upper| + h.c.) - detuning |upper><upper|

to the Hamiltonian of its atoms, with new values each nanosecond. Two atoms in the Rydberg state
have the energy C6 / distance^6, and two in the levels of XY also exchange them with the energy C3
(1 - 3 cos(angle)^2) / distance^3.
"""

from __future__ import annotations

import itertools
from typing import Any, Final

import numpy as np
import qutip
from pulser.sampler import sample

LEVELS: Final = {"ground-rydberg": ("g", "r"), "digital": ("h", "g"), "XY": ("u", "d")}
ONE: Final = {"ground-rydberg": "r", "digital": "h", "XY": "d"}
"""The level that a measurement of the basis reports as 1."""

_NANOSECOND: Final = 1e-3  # in microseconds


def distribution(sequence: Any) -> Any:
    """Return the probabilities of bit strings; the first atom is the most significant bit."""
    basis = sequence.get_measurement_basis()
    samples = sample(sequence).to_nested_dict(all_local=True, samples_type="array")["Local"]
    names = list(sequence.register.qubits)
    used = [name for name in samples if samples[name]]
    levels = sorted({level for name in [*used, basis] for level in LEVELS[name]})
    atoms = _Atoms(levels, len(names))
    terms: list[Any] = [atoms.interaction(sequence, "XY" in used)]
    duration = sequence.get_duration()
    times = np.arange(duration + 1) * _NANOSECOND
    for name in used:
        lower, upper = LEVELS[name]
        for atom, channel in samples[name].items():
            place = names.index(atom)
            drive = channel["amp"] / 2 * np.exp(-1j * channel["phase"])
            lowering, excited = atoms.at(place, lower, upper), atoms.at(place, upper, upper)
            for operator, values in [
                (lowering, drive),
                (lowering.dag(), drive.conj()),
                (excited, -channel["det"]),
            ]:
                if np.any(values):
                    terms.append([operator, np.append(values, values[-1])])
    start = atoms.product("u" if basis == "XY" else "g")
    hamiltonian = qutip.QobjEvo(terms, tlist=times, order=0)
    options = {"nsteps": 1_000_000, "max_step": _NANOSECOND, "progress_bar": ""}
    final = qutip.sesolve(hamiltonian, start, [0, times[-1]], options=options).states[-1]
    return atoms.outcomes(final, ONE[basis])


class _Atoms:
    """Operators and states of several atoms."""

    def __init__(self, levels: list[str], count: int) -> None:
        self._levels = levels
        self._count = count

    def at(self, place: int, lower: str, upper: str) -> Any:
        """Return |lower><upper| of one atom."""
        factors = [qutip.qeye(len(self._levels))] * self._count
        factors[place] = self._level(lower) * self._level(upper).dag()
        return qutip.tensor(factors)

    def product(self, level: str) -> Any:
        """Return the state with all atoms in one level."""
        return qutip.tensor([self._level(level)] * self._count)

    def interaction(self, sequence: Any, exchange: bool) -> Any:
        """Return the interaction energy of all pairs."""
        places = [np.asarray(place, dtype=float) for place in sequence.register.qubits.values()]
        device = sequence.device
        rydberg = "u" if exchange else "r"
        total = 0 * self.at(0, self._levels[0], self._levels[0])
        for one, other in itertools.combinations(range(self._count), 2):
            offset = places[one] - places[other]
            distance = np.linalg.norm(offset)
            if rydberg in self._levels:
                both = self.at(one, rydberg, rydberg) * self.at(other, rydberg, rydberg)
                total += device.interaction_coeff / distance**6 * both
            if exchange:
                field = np.asarray(sequence.magnetic_field, dtype=float)
                cosine = np.resize(np.append(offset, 0), 3) @ field
                cosine /= distance * np.linalg.norm(field)
                hop = self.at(one, "u", "d") * self.at(other, "d", "u")
                strength = device.interaction_coeff_xy * (1 - 3 * cosine**2) / distance**3
                total += strength * (hop + hop.dag())
        return total

    def outcomes(self, state: Any, one: str) -> Any:
        """Return the probabilities of bit strings, with 1 for one level and 0 for the others."""
        size = len(self._levels)
        chances = np.abs(state.full().reshape((size,) * self._count)) ** 2
        ones = self._levels.index(one)
        for axis in range(self._count):
            is_one = np.take(chances, [ones], axis)
            chances = np.concatenate([chances.sum(axis, keepdims=True) - is_one, is_one], axis)
        return chances.ravel()

    def _level(self, name: str) -> Any:
        return qutip.basis(len(self._levels), self._levels.index(name))
