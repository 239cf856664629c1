"""The coin as a Qiskit backend, where the extra ``qiskit`` is installed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from qrmi_core import InvalidInputError, QuantumResource, UnsupportedPayloadError

qrmi_qiskit = pytest.importorskip("qrmi_qiskit")
qiskit = pytest.importorskip("qiskit")

MakeCoin = Callable[..., QuantumResource]


def flips(number: int) -> object:
    circuit = qiskit.QuantumCircuit(number)
    circuit.h(range(number))
    circuit.measure_all()
    return circuit


def test_a_circuit_of_flips_runs(coin: MakeCoin) -> None:
    backend = qrmi_qiskit.get_backend(coin("tails"))
    assert backend.num_qubits == 5
    job = backend.run(qiskit.transpile(flips(2), backend), shots=100)
    counts = job.result(10)[0].data.meas.get_counts()
    assert sum(counts.values()) == 100
    assert {*counts} <= {"00", "01", "10", "11"}


def test_the_backend_has_options_of_its_own(coin: MakeCoin) -> None:
    job = qrmi_qiskit.get_backend(coin(), shots=7).run(flips(1))
    assert job.result(10)[0].data.meas.num_shots == 7


def test_other_circuits_are_refused(coin: MakeCoin) -> None:
    circuit = flips(2)
    circuit.cx(0, 1)  # type: ignore[attr-defined]
    with pytest.raises(InvalidInputError, match="one h for each qubit"):
        qrmi_qiskit.get_backend(coin()).run(circuit)


def test_primitives_say_what_a_coin_takes(coin: MakeCoin) -> None:
    with pytest.raises(UnsupportedPayloadError, match="it takes Coin"):
        qrmi_qiskit.SamplerV2(coin())
