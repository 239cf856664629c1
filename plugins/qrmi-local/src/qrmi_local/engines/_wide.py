"""Circuits of more qubits than a state vector holds, as matrix product states.

The cost of such a state depends on the entanglement across each cut through a row of qubits. A
circuit that was compiled for a device is far from a row: swaps bring its qubits together. So they
are undone here, and the qubits are put in the order in which those that meet are close.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import Qubit
from qiskit.transpiler import PassManager
from qiskit.transpiler.passes import (
    Collect2qBlocks,
    ConsolidateBlocks,
    RemoveBarriers,
    Split2QUnitaries,
)
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel

# Values kept across each cut: up to so many the state is exact. Twice as many take several times as
# long: with 127 qubits of a device in two layers of gates between all neighbours, minutes.
MAX_BOND: Final = 32
_SWAP = np.eye(4)[[0, 2, 1, 3]]


def in_a_row(circuit: Any) -> tuple[Any, list[int]]:
    """Return the circuit with its qubits in another order, without swaps.

    Args:
        circuit: One without parameters and control flow, of gates on one or two qubits.

    Returns:
        The circuit, and the index in the other one at which each of its qubits ends, which is also
        where it is measured.
    """
    merge = [RemoveBarriers(), Collect2qBlocks(), ConsolidateBlocks(force_consolidate=True)]
    merged = PassManager(merge).run(circuit)
    count = merged.num_qubits
    places = {qubit: index for index, qubit in enumerate(merged.qubits)}
    held = list(range(count))  # which qubit of the row is at each place
    steps: list[tuple[Any, list[int], list[Any]]] = []
    meetings: set[tuple[int, int]] = set()
    settled: set[int] = set()
    for instruction in merged.data:
        operation, clbits = instruction.operation, instruction.clbits
        where = [places[qubit] for qubit in instruction.qubits]
        row = [held[place] for place in where]
        if operation.name == "unitary" and len(where) == 2:
            matrix = operation.to_matrix()
            rank, swapped = _rank(matrix), _rank(_SWAP @ matrix)
            # What was measured stays, so that the error of its measurement is that of its place.
            if swapped < rank and settled.isdisjoint(where):
                operation, rank = type(operation)(_SWAP @ matrix), swapped
                held[where[0]], held[where[1]] = reversed(row)
            if rank > 1:
                meetings.add((min(row), max(row)))
        elif operation.name == "measure":
            settled.update(where)
        steps.append((operation, row, clbits))
    order = _order(count, meetings)
    new = {old: index for index, old in enumerate(order)}
    made = QuantumCircuit([Qubit() for _ in range(count)], merged.clbits)
    for register in merged.cregs:
        made.add_register(register)
    for operation, row, clbits in steps:
        made.append(operation, [new[qubit] for qubit in row], clbits)
    ends = {qubit: place for place, qubit in enumerate(held)}
    # Gates that do not entangle need not be next to one another.
    return PassManager([Split2QUnitaries()]).run(made), [ends[qubit] for qubit in order]


def simulator(part: Any) -> Any:
    """Return a simulator of such circuits, with the errors of a device's measurements."""
    return AerSimulator(
        method="matrix_product_state",
        matrix_product_state_max_bond_dimension=MAX_BOND,
        max_memory_mb=-1,  # Aer's estimate is of a state without that limit
        noise_model=NoiseModel.from_backend(part, gate_error=False, thermal_relaxation=False),
    )


def _rank(matrix: Any) -> int:
    """Return the number of products of two gates, one on each qubit, that sum up to a gate."""
    products = matrix.reshape(2, 2, 2, 2).transpose(0, 2, 1, 3).reshape(4, 4)
    return int(np.linalg.matrix_rank(products, tol=1e-6))


def _order(count: int, meetings: Iterable[tuple[int, int]]) -> list[int]:
    # Takes a while to import, and few circuits need it.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import reverse_cuthill_mckee

    pairs = np.array([*meetings, *((b, a) for a, b in meetings)], dtype=int).reshape(-1, 2)
    graph = coo_array((np.ones(len(pairs)), pairs.T), shape=(count, count)).tocsr()
    return [int(qubit) for qubit in reverse_cuthill_mckee(graph, symmetric_mode=True)]
