"""Circuits of more qubits than a state vector holds, on devices."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, qasm3
from qiskit.circuit import IfElseOp, Parameter, SwitchCaseOp
from qiskit.circuit.classical import expr
from qiskit.circuit.library import efficient_su2
from qiskit.quantum_info import SparsePauliOp, Statevector
from qiskit.transpiler import CouplingMap, generate_preset_pass_manager
from qiskit_ibm_runtime import RuntimeEncoder
from qiskit_ibm_runtime.decoders.result_decoder import ResultDecoder

from qrmi_local.engines import EngineError, qiskit as engine
from qrmi_local.engines._devices import device_of
from qrmi_local.engines._wide import in_a_row

DEVICE = "fake_sherbrooke"
WIDTH = 40
TWO_QUBIT = ("cx", "ecr", "swap", "cz", "iswap")


def cascade() -> QuantumCircuit:
    """All qubits as the first is, which an angle turns."""
    circuit = QuantumCircuit(WIDTH)
    circuit.rx(Parameter("theta"), 0)
    for qubit in range(WIDTH - 1):
        circuit.cx(qubit, qubit + 1)
    return circuit


def compiled(circuit: QuantumCircuit) -> Any:
    target = device_of(DEVICE).backend.target
    passes = generate_preset_pass_manager(optimization_level=1, target=target, seed_transpiler=5)
    return passes.run(circuit)


def run(program_id: str, pub: list[Any], seed: int = 3, on: str = DEVICE) -> Any:
    document = {"pubs": [pub], "version": 2}
    input = json.dumps(document, cls=RuntimeEncoder).encode()
    [result] = ResultDecoder.decode(engine.run(on, program_id, input, seed=seed).decode())
    return result


@pytest.fixture(scope="module")
def measured() -> Any:
    circuit = cascade()
    circuit.measure_all()
    return compiled(circuit)


def scrambled(count: int, seed: int) -> QuantumCircuit:
    choose = random.Random(seed)
    circuit = QuantumCircuit(count)
    for qubit in range(count):
        circuit.u(choose.random(), choose.random(), choose.random(), qubit)
    for _ in range(6 * count):
        pair = choose.sample(range(count), 2)
        getattr(circuit, choose.choice(TWO_QUBIT))(*pair)
        circuit.rx(choose.random(), choose.choice(pair))
        if choose.random() < 0.1:
            circuit.barrier()
    return circuit


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 6), st.integers(0, 2**32))
def test_a_row_ends_in_the_state_of_the_circuit(count: int, seed: int) -> None:
    circuit = scrambled(count, seed)
    row, places = in_a_row(circuit)
    found = Statevector(row).data.reshape([2] * count)
    axes = [0] * count
    for qubit, place in enumerate(places):
        axes[count - 1 - place] = count - 1 - qubit
    overlap = np.vdot(found.transpose(axes).ravel(), Statevector(circuit).data)
    assert abs(overlap) == pytest.approx(1)


def test_what_routing_does_to_a_row_is_undone() -> None:
    circuit = efficient_su2(12, entanglement="linear")
    circuit = circuit.assign_parameters(np.linspace(0.1, 3, circuit.num_parameters))
    grid = CouplingMap.from_grid(3, 4)
    passes = generate_preset_pass_manager(
        optimization_level=1,
        coupling_map=grid,
        basis_gates=["cx", "rz", "sx", "x"],
        initial_layout=random.Random(1).sample(range(12), 12),
        seed_transpiler=1,
    )
    routed = passes.run(circuit)
    assert routed.count_ops()["cx"] > 33
    row, _ = in_a_row(routed)
    pairs = [each.qubits for each in row.data if len(each.qubits) == 2]
    assert {abs(row.find_bit(a).index - row.find_bit(b).index) for a, b in pairs} == {1}


def test_a_qubit_stays_where_it_was_measured() -> None:
    circuit = QuantumCircuit(3, 2)
    circuit.swap(0, 1)
    circuit.measure(1, 0)
    circuit.swap(1, 2)
    circuit.measure(2, 1)
    row, places = in_a_row(circuit)
    first, second = (each for each in row.data if each.operation.name == "measure")
    assert places[row.find_bit(first.qubits[0]).index] == 1
    assert places[row.find_bit(second.qubits[0]).index] == 2


def test_samples_are_those_of_one_state_with_errors_of_measurements(
    measured: Any, caplog: pytest.LogCaptureFixture
) -> None:
    result = run("sampler", [measured, [[0.0], [np.pi / 2], [np.pi]], 100])
    ones = result.data.meas.to_bool_array().mean(axis=-1)
    assert ones.shape == (3, 100)
    assert 0 < ones[0].mean() < 0.1
    assert 0.9 < ones[2].mean() < 1
    assert all((ones[1] < 0.3) | (ones[1] > 0.7))
    assert 20 < (ones[1] > 0.5).sum() < 80
    [record] = caplog.records
    assert record.getMessage().startswith(
        "more than 28 entangled qubits: as a matrix product state"
    )
    assert record.getMessage().endswith("without those of gates")


def test_every_qubit_has_the_error_of_its_own_measurement() -> None:
    circuit = cascade().assign_parameters([0.0])
    circuit.measure_all()
    isa = compiled(circuit)
    shots = 4000
    zeros = run("sampler", [isa, None, shots]).data.meas.to_bool_array(order="little")
    target = device_of(DEVICE).backend.target
    places = isa.layout.final_index_layout()
    expected = np.array([target["measure"][(place,)].error for place in places])
    assert expected.max() > 4 * expected.min()
    spread = np.sqrt(expected * (1 - expected) / shots)
    assert np.all(np.abs(zeros.mean(axis=0) - expected) < 5 * spread + 1 / shots)


def test_equal_seeds_give_equal_samples_in_either_form(measured: Any) -> None:
    bound = measured.assign_parameters([1.0])
    first = run("sampler", [bound, None, 50])
    again = run("sampler", [qasm3.dumps(bound), None, 50])
    other = run("sampler", [bound, None, 50], seed=4)
    assert first.data.meas == again.data.meas
    assert first.data.meas != other.data.meas


def test_expectation_values_are_those_of_each_set_of_values() -> None:
    isa = compiled(cascade())
    labels = [("Z", [0]), ("ZZ", [0, WIDTH - 1]), ("XX", [0, 1])]
    observables = [
        [SparsePauliOp.from_sparse_list([(*label, 1)], WIDTH).apply_layout(isa.layout)]
        for label in labels
    ]
    result = run("estimator", [isa, observables, [[0.0], [np.pi]], 0.05])
    assert result.data.evs.shape == result.data.stds.shape == (3, 2)
    (up, down), together, across = result.data.evs
    assert 0.8 < up <= 1
    assert -1 <= down < -0.8
    assert all(0.6 < value <= 1 for value in together)
    assert all(abs(value) < 0.3 for value in across)
    assert result.metadata["shots"] == 400


def test_qubits_that_are_observed_alone_count_too() -> None:
    observable = "Z" * device_of(DEVICE).resource.num_qubits
    result = run("estimator", [compiled(QuantumCircuit(1)), observable, None, 0.1])
    assert abs(float(result.data.evs)) <= 1


@pytest.mark.slow
def test_control_flow_still_needs_a_state_vector(measured: Any) -> None:
    circuit = measured.assign_parameters([1.0])
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(0)
    with pytest.raises(EngineError, match="a state of 4. qubits needs more than"):
        run("sampler", [circuit, None, 1])


def flip() -> QuantumCircuit:
    body = QuantumCircuit(1)
    body.x(0)
    return body


@pytest.mark.parametrize(
    "append",
    [
        lambda c: c.append(IfElseOp((c.clbits[0], 1), flip()), [1], []),
        lambda c: c.append(IfElseOp((c.cregs[0], 1), flip()), [1], []),
        lambda c: c.append(IfElseOp(expr.less(0, c.cregs[0]), flip()), [1], []),
        lambda c: c.append(SwitchCaseOp(c.cregs[0], [(1, flip())]), [1], []),
        lambda c: c.append(SwitchCaseOp(c.clbits[0], [(1, flip())]), [1], []),
        lambda c: c.store(c.clbits[2], expr.lift(c.clbits[0])),
        lambda c: c.if_test(c.add_var("v", expr.lift(c.clbits[0])), flip(), [1], []),
    ],
)
def test_pieces_of_qubits_share_their_bits_and_variables(
    append: Callable[[QuantumCircuit], Any],
) -> None:
    condition, found = ClassicalRegister(2, "condition"), ClassicalRegister(1, "found")
    circuit = QuantumCircuit(QuantumRegister(35), condition, found)
    circuit.h(range(2, 35))
    circuit.x(0)
    circuit.measure(0, 0)
    append(circuit)
    if "store" not in circuit.count_ops() or circuit.num_vars:
        circuit.measure(1, found)
    result = run("sampler", [circuit, None, 10], on="aer")
    assert result.data.found.get_counts() == {"1": 10}


def test_pieces_without_bits_are_left_out() -> None:
    circuit = QuantumCircuit(33, 1)
    circuit.h(range(32))
    circuit.x(32)
    circuit.measure(32, 0)
    result = run("sampler", [circuit, None, 10], on="aer")
    assert result.data.c.get_counts() == {"1": 10}
