"""Pasqal's devices, sequences and results, by Pulser.

Pulser is imported when first used: call these functions in a thread.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import warnings
from collections.abc import Mapping, Sequence as Ordered
from typing import Any, Final

from qrmi_local.engines import EngineError, one_line, pulser as engine

# Device type -> simulator. Devices have limits and need layouts of traps, emulators have none.
QPUS: Final = {"FRESNEL": "EMU_FREE", "FRESNEL_CAN1": "EMU_FREE"}
EMULATORS: Final = {
    **{"EMU_FREE": "EMU_FREE", "EMU_SV": "EMU_FREE", "EMU_FRESNEL": "EMU_FREE"},
    "EMU_MPS": "EMU_MPS",
}
DEFAULT_RUNS: Final = 1000
"""Runs of a job on an emulator without a number; Pulser's own default."""
_CHANNEL: Final = "rydberg_global"
_SERIES: Final = ("amplitude", "phase", "detuning")
_END_TOLERANCE_SECONDS: Final = 1e-12


def device_types() -> dict[str, str]:
    """Return the device types and their simulators, of those that are installed."""
    installed = {resource.resource_id for resource in engine.resources()}
    known = {**QPUS, **EMULATORS}
    # QuTiP simulates the same as emu-mps, with fewer atoms.
    found = {name: wanted if wanted in installed else "EMU_FREE" for name, wanted in known.items()}
    return {name: simulator for name, simulator in found.items() if simulator in installed}


@functools.cache
def specs(device_type: str) -> str:
    """Return a QPU, like Pulser's example of an analog device, in the abstract representation."""
    text: str = _device(device_type).to_abstract_repr()
    return text


def most_runs(device_type: str) -> int:
    """Return the most runs of a job on a device type."""
    if device_type in QPUS:
        runs: int = json.loads(specs(device_type))["max_runs"]
        return runs
    return engine.MAX_RUNS


def device_of(sequence: str) -> str | None:
    """Return the name of the device that a sequence is written for, None without a name."""
    try:
        name = json.loads(sequence)["device"]["name"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return None
    return name if isinstance(name, str) else None


def built(sequence: str, variables: Mapping[str, Any]) -> str:
    """Return a sequence with values for its variables.

    Raises:
        EngineError: The values do not fit the variables.
    """
    from pulser import Sequence

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            text: str = Sequence.from_abstract_repr(sequence).build(**variables).to_abstract_repr()
    except Exception as error:
        raise EngineError(one_line(error)) from error
    return text


def results(sequence: str, counter: Mapping[str, int]) -> str:
    """Return Pulser's results object in its abstract representation.

    Args:
        sequence: The sequence that was run, in its abstract representation.
        counter: Bit strings and how often each was measured.
    """
    from pulser import Sequence
    from pulser.backend import Results

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run = Sequence.from_abstract_repr(sequence)
        found = Results.from_final_bitstrings(
            atom_order=run.register.qubit_ids,
            total_duration=run.get_duration(),
            final_bitstrings=counter,
        )
    text: str = found.to_abstract_repr()
    return text


def from_ahs(program: Any, device_type: str) -> tuple[str, list[int]]:
    """Convert a program of CUDA-Q, an analog Hamiltonian simulation in SI units, to a sequence.

    Args:
        program: With `setup` and `hamiltonian`.
        device_type: The device that it is for.

    Returns:
        The sequence in its abstract representation, and the numbers of the sites without atoms.

    Raises:
        EngineError: It is not such a program, or more than one uniform driving field.
    """
    from pulser import Pulse, Register, Sequence

    sites, filling = _register(program)
    times, values = _drive(program)
    occupied = [place for place, is_filled in zip(sites, filling, strict=True) if is_filled]
    vacant = [number for number, is_filled in enumerate(filling) if not is_filled]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            device = _device(device_type)
            register = Register.from_coordinates(occupied, center=False, prefix="q")
            if device.requires_layout:
                register = register.with_automatic_layout(device)
            sequence = Sequence(register, device)
            sequence.declare_channel("global", _CHANNEL)
            period = device.channels[_CHANNEL].clock_period
            end = times["amplitude"][-1]
            duration = max(1, round(end * 1e9 / period)) * period
            amplitude, detuning = (
                _waveform(times[name], [value / 1e6 for value in values[name]], duration)
                for name in ("amplitude", "detuning")
            )
            sequence.add(Pulse(amplitude, detuning, values["phase"][0]), "global")
            sequence.measure("ground-rydberg")
            return sequence.to_abstract_repr(), vacant
    except Exception as error:
        raise EngineError(f"the program cannot be converted: {one_line(error)}") from error


def with_vacant(bits: str, vacant: Ordered[int]) -> str:
    """Return bits with 0 at the sites that have no atoms, which `vacant` has in order."""
    empty, occupied = set(vacant), iter(bits)
    return "".join(
        "0" if site in empty else next(occupied) for site in range(len(bits) + len(empty))
    )


@functools.cache
def _device(device_type: str) -> Any:
    from pulser.devices import AnalogDevice, MockDevice

    if device_type in QPUS:
        return dataclasses.replace(AnalogDevice, name=device_type)
    # Atoms must interact as those of the QPUs do.
    return dataclasses.replace(MockDevice, rydberg_level=AnalogDevice.rydberg_level)


def _waveform(times: Ordered[float], values: Ordered[float], duration: int) -> Any:
    """Return the waveform that is linear between values at times, `duration` ns long."""
    from pulser.waveforms import CompositeWaveform, RampWaveform

    at = [round(time / times[-1] * duration) for time in times]
    ramps = [
        RampWaveform(end - start, values[number], values[number + 1])
        for number, (start, end) in enumerate(itertools.pairwise(at))
        if end > start
    ]
    return ramps[0] if len(ramps) == 1 else CompositeWaveform(*ramps)


def _register(program: Any) -> tuple[list[list[float]], list[bool]]:
    try:
        register = program["setup"]["ahs_register"]
        # As text too: CUDA-Q keeps the decimals of its numbers.
        sites = [[float(x) * 1e6, float(y) * 1e6] for x, y in register["sites"]]
        filling = [
            {0: False, 1: True}[value] for value in register.get("filling", [1] * len(sites))
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EngineError(
            "setup.ahs_register has not two coordinates, and a filling of 0 or 1, for each site"
        ) from error
    if len(filling) != len(sites) or not any(filling):
        raise EngineError("setup.ahs_register has no atoms, or not one filling for each site")
    return sites, filling


def _drive(program: Any) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    try:
        hamiltonian = program["hamiltonian"]
        fields = hamiltonian["drivingFields"]
        others = [hamiltonian.get(name) for name in ("localDetuning", "shiftingFields")]
    except (KeyError, TypeError, AttributeError) as error:
        raise EngineError("hamiltonian.drivingFields is missing") from error
    if not isinstance(fields, Ordered) or len(fields) != 1 or any(others):
        raise EngineError("only one driving field and no local detuning can be run")
    times: dict[str, list[float]] = {}
    values: dict[str, list[float]] = {}
    for name in _SERIES:
        try:
            series = fields[0][name]["time_series"]
            pattern = fields[0][name].get("pattern", "uniform")
            times[name] = [float(time) for time in series["times"]]
            values[name] = [float(value) for value in series["values"]]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise EngineError(f"the driving field's {name} has no series of numbers") from error
        if pattern != "uniform":
            raise EngineError(f"the driving field's {name} is not uniform")
        if len(times[name]) != len(values[name]) or len(times[name]) < 2 or times[name][0] != 0:
            raise EngineError(f"the driving field's {name} has not one value a time, from 0 on")
    ends = [series[-1] for series in times.values()]
    if max(ends) - min(ends) > _END_TOLERANCE_SECONDS or min(ends) <= 0:
        raise EngineError("the driving field's series do not end at the same time")
    if len(set(values["phase"])) != 1:
        raise EngineError("the driving field's phase changes, which cannot be run")
    return times, values
