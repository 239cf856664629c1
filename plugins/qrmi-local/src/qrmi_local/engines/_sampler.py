"""The sampler on qiskit-aer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from qiskit.primitives import DataBin
from qiskit.primitives.containers import BitArray, SamplerPubResult
from qiskit.primitives.containers.sampler_pub import SamplerPub

from qrmi_local.engines import EngineError
from qrmi_local.engines._circuits import CircuitProgram, compact, pieces
from qrmi_local.engines._devices import WHOLE, Device
from qrmi_local.engines._pubs import bind, bind_wide, bindings, first_set, limit_shots
from qrmi_local.engines._runs import bits_of as memory_of, execute

DEFAULT_SHOTS = 4096
# Qubits of the pieces of a circuit that is taken apart.
PIECE = 4


def sample(
    device: Device,
    load: Callable[..., CircuitProgram],
    parts: list[Any],
    document: Mapping[str, Any],
    options: Mapping[str, Any],
    seeds: np.random.SeedSequence,
) -> SamplerPubResult:
    values, shots = (*parts, None, None)[:2]
    program = load()
    default = first_set(document.get("shots"), options.get("default_shots"), DEFAULT_SHOTS)
    pub = SamplerPub.coerce((program.circuit, bindings(program, values), shots), default)
    limit_shots(pub.shots, device)
    return SamplerPubResult(
        DataBin(**bits_of(device, program, pub, seeds), shape=pub.shape),
        metadata={"shots": pub.shots, "circuit_metadata": program.circuit.metadata},
    )


def bits_of(
    device: Device, program: CircuitProgram, pub: SamplerPub, seeds: np.random.SeedSequence
) -> dict[str, BitArray]:
    """Execute a circuit with its values, and return the bits by the names of its registers."""
    if not program.fields:
        raise EngineError("the circuit has no classical bits, so there is nothing to return")
    for field in program.fields:
        try:
            DataBin(**{field: 0}, shape=())
        except (TypeError, ValueError) as error:
            raise EngineError(
                f"register {field} cannot be a field of the result: rename it"
            ) from error
    bits = _all_bits(device, program, pub, seeds)
    bits = bits.reshape((*pub.shape, pub.shots))
    return {field: bits.slice_bits(indices) for field, indices in program.fields.items()}


def _all_bits(
    device: Device, program: CircuitProgram, pub: SamplerPub, seeds: np.random.SeedSequence
) -> BitArray:
    """Return the bits of the circuit by their indices, and perhaps more."""
    if program.circuit.num_qubits > WHOLE:
        small, qubits = compact(program.circuit)
        parts = pieces(small, PIECE) if small.num_qubits > WHOLE else []
        # One state of all is too large for any memory, but qubits may not be entangled at all.
        if max((part.num_qubits for part, _, _ in parts), default=WHOLE) < WHOLE:
            return _bits_of_parts(device, program, pub, seeds, parts, qubits)
        if device.is_wide(program.circuit):
            return _bits_of_wide(device, pub, seeds)
    circuit, _, simulator = device.prepare(program)
    return _samples_of(simulator, circuit, pub, seeds)


def _samples_of(
    simulator: Any, circuit: Any, pub: SamplerPub, seeds: np.random.SeedSequence
) -> BitArray:
    """Return the bits of a flat circuit for all values of a pub."""
    bound = bind(pub, circuit)
    shots = pub.shots * pub.size // len(bound)
    result = execute(simulator, bound, seeds, shots=shots, memory=True)
    return memory_of(result, circuit.num_clbits)


def _bits_of_parts(
    device: Device,
    program: CircuitProgram,
    pub: SamplerPub,
    seeds: np.random.SeedSequence,
    parts: list[tuple[Any, list[int], list[int]]],
    qubits: list[int],
) -> BitArray:
    """Return the bits of a circuit that was taken apart.

    Args:
        device: Where to run.
        program: The whole.
        pub: With its values.
        seeds: The source of the parts' seeds.
        parts: See `pieces`; qubits are by their place in the next argument.
        qubits: Those of the device.
    """
    columns = np.zeros((pub.size * pub.shots, program.circuit.num_clbits), dtype=bool)
    for part, places, bits in parts:
        if not bits:
            continue
        circuit, simulator = device.flatten(part, [qubits[place] for place in places])
        found = _samples_of(simulator, circuit, pub, seeds).to_bool_array(order="little")
        columns[:, bits] = found.reshape(len(columns), -1)[:, : len(bits)]
    return BitArray.from_bool_array(columns, order="little")


def _bits_of_wide(device: Device, pub: SamplerPub, seeds: np.random.SeedSequence) -> BitArray:
    found = []
    for bound in bind_wide(pub):
        circuit, _, simulator = device.prepare_wide(bound)
        result = execute(simulator, [circuit], seeds, shots=pub.shots, memory=True)
        found.append(memory_of(result, circuit.num_clbits))
    return BitArray.concatenate(found)
