"""Runs of circuits on Aer: a random stream for each circuit, and an error where Aer failed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
from qiskit.primitives import BitArray
from qiskit.providers import BackendV2, Options
from qiskit.transpiler import Target

from qrmi_local.engines import EngineError, one_line, qiskit as engine
from qrmi_local.engines._flat import JUMPS, native, translate

# Aer executes shot n with the seed of its circuit plus n where it executes shot by shot, and adds
# this number for each further circuit of a run.
_SEED_STEP: Final = 2113


def seed_of(sequence: np.random.SeedSequence) -> int:
    """Return the next seed of a sequence, which Aer may add numbers of shots to."""
    [child] = sequence.spawn(1)
    return int(child.generate_state(1, np.uint64)[0] >> np.uint64(2))


def execute(
    simulator: Any,
    circuits: Sequence[Any],
    seeds: np.random.SeedSequence,
    **options: Any,
) -> Any:
    """Execute circuits without parameters, and return Aer's result.

    Args:
        simulator: An `AerSimulator`.
        circuits: Flat circuits.
        seeds: The source of the runs' seeds.
        options: Options of Aer's `run`, such as `shots`.

    Raises:
        EngineError: Aer could not execute one of them.
    """
    # A run has a price, so circuits share one where their streams do not overlap.
    apart = options.get("shots", 1) > _SEED_STEP and not _sampled(simulator, circuits)
    groups = [[circuit] for circuit in circuits] if apart else [list(circuits)]
    results = [_run(simulator, group, seeds, options) for group in groups]
    whole = results[0]
    whole.results = [experiment for result in results for experiment in result.results]
    return whole


def bits_of(result: Any, num_bits: int) -> BitArray:
    """Return the bits of all shots of all circuits of a result, which are of one width."""
    num_bytes = -(-num_bits // 8)
    samples = b"".join(
        int(sample, 16).to_bytes(num_bytes, "big")
        for experiment in result.results
        for sample in getattr(experiment.data, "memory", None) or ["0x0"] * experiment.shots
    )
    array = np.frombuffer(samples, dtype=np.uint8).reshape(len(result.results), -1, num_bytes)
    return BitArray(array, num_bits)


class Backend(BackendV2):  # type: ignore[misc]
    """A simulator as a backend for Qiskit's estimator, run by `execute`."""

    def __init__(self, simulator: Any, seeds: np.random.SeedSequence) -> None:
        super().__init__(name=simulator.name)
        self._simulator = simulator
        self._seeds = seeds

    @property
    def target(self) -> Target:
        return self._simulator.target

    @property
    def max_circuits(self) -> None:
        return None

    @classmethod
    def _default_options(cls) -> Options:
        return Options()

    def run(self, run_input: Any, *, shots: int, **options: Any) -> Any:
        del options  # the seed of the estimator, which would be that of all of its circuits
        return _Ended(execute(self._simulator, run_input, self._seeds, shots=shots))


class _Ended:
    """A job that has ended."""

    def __init__(self, result: Any) -> None:
        self._result = result

    def result(self) -> Any:
        return self._result


def memory_mb() -> int:
    """Return half of the machine's memory, in MB: there may be other tasks."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**21


def _run(
    simulator: Any, circuits: list[Any], seeds: np.random.SeedSequence, options: dict[str, Any]
) -> Any:
    if any(not JUMPS.keys().isdisjoint(circuit.count_ops()) for circuit in circuits):
        # Aer would leave out marks that no measurement follows.
        options = {"enable_truncation": False, **options}
    kept = [_translated(_without_overwritten(circuit)) for circuit in circuits]
    result = _run_checked(simulator, kept, seeds, options)
    methods = [experiment.metadata["method"] for experiment in result.results]
    if getattr(simulator.options, "noise_model", None) is not None and len(set(methods)) > 1:
        # Where methods change within a run, Aer takes the noise of one for another.
        for method in sorted(set(methods)):
            places = [place for place, each in enumerate(methods) if each == method]
            alike = [kept[place] for place in places]
            again = _run_checked(simulator, alike, seeds, {**options, "method": method})
            for place, experiment in zip(places, again.results, strict=True):
                result.results[place] = experiment
    return result


def _run_checked(
    simulator: Any, circuits: list[Any], seeds: np.random.SeedSequence, options: dict[str, Any]
) -> Any:
    result = simulator.run(circuits, seed_simulator=seed_of(seeds), **options).result()
    failed = [
        str(experiment.status)
        for experiment in result.results
        if not experiment.success or str(experiment.status).upper().startswith("ERROR")
    ]
    if not result.success or failed:
        reason = one_line(ValueError((failed or [result.status])[0].removeprefix("ERROR:")))
        if "memory" in reason:
            width = max(circuit.num_qubits for circuit in circuits)
            raise EngineError(
                f"a state of {width} qubits needs more than the {memory_mb()} MB of "
                "memory that a task may take here: use fewer qubits, or only Clifford gates on aer"
            )
        raise EngineError(f"the simulator failed: {reason}")
    return result


def _translated(circuit: Any) -> Any:
    """Translate gates that had no definition before their parameters had values."""
    names = circuit.count_ops().keys()
    if names <= native():
        return circuit
    return translate(circuit, engine.AER_GATES, names & native())


def _without_overwritten(circuit: Any) -> Any:
    """Leave out measurements whose bit a later one writes, where their qubits do nothing more.

    Aer leaves out gates that no measurement follows, draws the outcomes of last measurements
    together, and adds the errors of all of them to the bit.
    """
    kept: list[Any] = []
    written: set[Any] = set()
    needed: set[Any] = set()  # by later measurements
    busy: set[Any] = set()  # with what these need
    for instruction in reversed(circuit.data):
        name = instruction.operation.name
        if name in JUMPS:
            return circuit
        if name == "measure":
            if written.issuperset(instruction.clbits) and busy.isdisjoint(instruction.qubits):
                continue
            written.update(instruction.clbits)
            needed.update(instruction.qubits)
        elif name.startswith("save_") or (
            name != "barrier" and not needed.isdisjoint(instruction.qubits)
        ):
            needed.update(instruction.qubits)
            busy.update(instruction.qubits)
        kept.append(instruction)
    if len(kept) == len(circuit.data):
        return circuit
    found = circuit.copy_empty_like()
    for instruction in reversed(kept):
        found.append(instruction)
    return found


def _sampled(simulator: Any, circuits: Iterable[Any]) -> bool:
    """Return True if Aer draws all shots of a circuit from one state, with one stream."""
    return getattr(simulator.options, "noise_model", None) is None and all(
        _measures_last(circuit) for circuit in circuits
    )


def _measures_last(circuit: Any) -> bool:
    measured: set[Any] = set()
    for instruction in circuit.data:
        name = instruction.operation.name
        if name == "barrier":
            continue
        if name in ("reset", "initialize", *JUMPS) or not measured.isdisjoint(instruction.qubits):
            return False
        if name == "measure":
            measured.update(instruction.qubits)
    return True
