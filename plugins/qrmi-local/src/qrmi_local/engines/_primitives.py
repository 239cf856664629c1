"""Primitives on qiskit-aer. Imports Qiskit: `engines.qiskit` imports it only to run."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np
from qiskit import QuantumCircuit
from qiskit.primitives import DataBin, PrimitiveResult
from qiskit.primitives.containers import BitArray

from qrmi_local.engines import EngineError, qiskit as engine
from qrmi_local.engines._devices import device_of
from qrmi_local.engines._encoding import decode, encode, errors_of
from qrmi_local.engines._estimator import estimate
from qrmi_local.engines._pubs import compiled_program, first_set
from qrmi_local.engines._sampler import sample
from qrmi_local.engines._simulator_options import compiled_of, noise_of


def run(resource_id: str, program_id: str, document: dict[str, Any], *, seed: int | None) -> bytes:
    """Execute a primitive's checked input; see `engines.qiskit.run`."""
    options = document.get("options") or {}
    sequences = np.random.SeedSequence(_seed(options, seed)).spawn(len(document["pubs"]))
    run_pub = sample if program_id == "sampler" else estimate
    simulator = options.get("simulator") or {}
    device = attrs.evolve(
        device_of(resource_id),
        noise=noise_of(simulator, decode),
        compiled=compiled_of(simulator),
    )
    results = []
    for index, pub in enumerate(document["pubs"]):
        with errors_of(f"pub {index}"):
            form, *rest = [pub] if isinstance(pub, str) else pub
            names = engine.PARTS[program_id][1:]
            parts = [decode(name, part) for name, part in zip(names, rest, strict=False)]
            program = functools.partial(compiled_program, device, form)
            results.append(run_pub(device, program, parts, document, options, sequences[index]))
    if not document.get("support_qiskit", True):
        return encode(
            {
                "results": [
                    {"data": _plain(result.data), "metadata": result.metadata} for result in results
                ],
                "metadata": {"version": 2},
            }
        )
    return encode(PrimitiveResult(results, metadata={"version": 2}))


def warm_up(resource_id: str) -> None:
    """Load the modules and the device that every task on a resource needs."""
    circuit = QuantumCircuit(1)
    circuit.x(0)
    # The first translation loads the plugins of Qiskit's synthesis.
    device_of(resource_id).flatten(circuit, [0])


def _seed(options: Mapping[str, Any], seed: int | None) -> int | None:
    simulator = options.get("simulator") or {}
    if not isinstance(simulator, Mapping):
        raise EngineError("options.simulator is not an object")
    found = first_set(simulator.get("seed_simulator"), options.get("seed_estimator"), seed)
    if found is None:
        return None
    if type(found) is not int or not 0 <= found < 2**63:
        raise EngineError(f"the seed is not a whole number from 0 to 2**63 - 1: {found!r:.40}")
    return found


def _plain(data: DataBin) -> dict[str, Any]:
    """Return the data without Qiskit's types."""
    return {
        name: {"samples": _samples(value), "num_bits": value.num_bits}
        if isinstance(value, BitArray)
        else np.asarray(value).tolist()
        for name, value in data.items()
    }


def _samples(bits: BitArray) -> Any:
    samples = [
        [hex(int(sample or "0", 2)) for sample in bits.get_bitstrings(index)]
        for index in np.ndindex(bits.shape)
    ]
    return np.array(samples, dtype=object).reshape(*bits.shape, -1).tolist()
