"""Write the sample payloads beside this file, in the format that `qrmi run` reads.

Requires the `qiskit` and `pulser` extras of qrmi-local. Each function describes the expected result
of its payload.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from pulser import Pulse, Register, Sequence
from pulser.devices import AnalogDevice
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, qasm3
from qiskit.circuit import Parameter


def ghz_sampler() -> dict[str, Any]:
    """Return a GHZ state of five qubits: `00000` and `11111`, each about half of the time."""
    circuit = QuantumCircuit(5)
    circuit.h(0)
    for qubit in range(4):
        circuit.cx(qubit, qubit + 1)
    circuit.measure_all()
    return _primitive("sampler", [[qasm3.dumps(circuit)]], default_shots=1000)


def ising_estimator() -> dict[str, Any]:
    """Return one layer of QAOA on a ring of four spins; the last set of angles is the best.

    Exact values: [[0, 0, -2], [4, 2, 2]]. Rows: the sum of ZZ over the ring, the sum of X; columns:
    the sets of angles. -2 means that on average three of four bonds are satisfied.
    """
    gamma, beta = Parameter("gamma"), Parameter("beta")
    ring = [(0, 1), (1, 2), (2, 3), (3, 0)]
    circuit = QuantumCircuit(4)
    circuit.h(range(4))
    for bond in ring:
        circuit.rzz(gamma, *bond)
    circuit.rx(beta, range(4))
    observables = [
        [{_pauli("Z", bond): 1.0 for bond in ring}],
        [{_pauli("X", (spin,)): 1.0 for spin in range(4)}],
    ]
    # The text declares the circuit's parameters in alphabetical order: beta, gamma.
    values = [[0.0, 0.0], [0.0, math.pi / 4], [-math.pi / 4, math.pi / 4]]
    pub = [qasm3.dumps(circuit), observables, values]
    return _primitive("estimator", [pub], default_precision=0.01)


def mid_circuit() -> dict[str, Any]:
    """Return a teleportation of `1`: `out` is always `1`, and `bell` takes all four values."""
    qubits = QuantumRegister(3, "q")
    bell, out = ClassicalRegister(2, "bell"), ClassicalRegister(1, "out")
    circuit = QuantumCircuit(qubits, bell, out)
    circuit.x(0)
    circuit.h(1)
    circuit.cx(1, 2)
    circuit.cx(0, 1)
    circuit.h(0)
    circuit.measure([0, 1], bell)
    with circuit.if_test((bell[1], 1)):
        circuit.x(2)
    with circuit.if_test((bell[0], 1)):
        circuit.z(2)
    circuit.measure(2, out)
    return _primitive("sampler", [[qasm3.dumps(circuit)]], default_shots=1000)


def several_registers() -> dict[str, Any]:
    """Return a GHZ state read into two equal registers, and a `1` read into a third register."""
    left, right = ClassicalRegister(2, "left"), ClassicalRegister(1, "right")
    flag = ClassicalRegister(1, "flag")
    circuit = QuantumCircuit(QuantumRegister(4, "q"), left, right, flag)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.cx(0, 2)
    circuit.x(3)
    circuit.measure([0, 1], left)
    circuit.measure(2, right)
    circuit.measure(3, flag)
    return _primitive("sampler", [[qasm3.dumps(circuit)]], default_shots=1000)


def rydberg_blockade() -> dict[str, Any]:
    """Return two atoms that block each other, driven until they share one excitation.

    The results are `01` and `10`, each about half of the time, and hardly ever `11`. Without the
    blockade the pulse would excite each atom with a probability of 0.8.
    """
    register = Register.rectangle(1, 2, spacing=5.0, prefix="q")
    sequence = Sequence(register.with_automatic_layout(AnalogDevice), AnalogDevice)
    sequence.declare_channel("rydberg", "rydberg_global")
    amplitude = 2 * math.pi  # rad/us
    duration = 4 * round(1000 * math.pi / (math.sqrt(2) * amplitude) / 4)  # ns, multiples of 4
    sequence.add(Pulse.ConstantPulse(duration, amplitude, 0.0, 0.0), "rydberg")
    sequence.measure("ground-rydberg")
    return {"sequence": sequence.to_abstract_repr(), "job_runs": 1000}


def _primitive(program_id: str, pubs: list[Any], **options: Any) -> dict[str, Any]:
    parameters = {"pubs": pubs, "options": options, "version": 2, "support_qiskit": True}
    return {"program_id": program_id, "parameters": parameters}


def _pauli(letter: str, qubits: tuple[int, ...]) -> str:
    return "".join(letter if qubit in qubits else "I" for qubit in reversed(range(4)))


if __name__ == "__main__":
    for make in (ghz_sampler, ising_estimator, mid_circuit, several_registers, rydberg_blockade):
        path = Path(__file__).with_name(f"{make.__name__}.json")
        path.write_text(json.dumps(make(), indent=1) + "\n")
        print(path.name)
