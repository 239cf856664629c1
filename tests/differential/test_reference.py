"""The computed expectations and bounds, compared with Qiskit and with values found by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Parameter
from qiskit.circuit.classical import expr, types
from qiskit.quantum_info import DensityMatrix, Statevector

from support.differential import bounds, generated
from support.differential.circuits import Features, circuits, measured
from support.differential.machines import snapshot
from support.differential.reference import Noise, Simulation

UNITARY = Features(dynamic=False, control=(), delays=())
MANILA = snapshot("fake_manila")


pytestmark = pytest.mark.timeout(7200)


def bound(circuit: QuantumCircuit) -> QuantumCircuit:
    return circuit.assign_parameters(dict.fromkeys(circuit.parameters, 0.3))


@generated(30, 300)
@given(circuit=circuits(UNITARY))
def test_states_are_those_of_qiskit(circuit: QuantumCircuit) -> None:
    circuit = bound(circuit)
    expected = DensityMatrix(Statevector(circuit)).data
    assert Simulation(circuit).state == pytest.approx(expected, abs=1e-12)


@generated(20, 200)
@given(circuit=measured(Features()))
def test_probabilities_add_up_to_one(circuit: QuantumCircuit) -> None:
    distribution = Simulation(bound(circuit)).distribution()
    assert min(distribution) >= -1e-14
    assert sum(distribution) == pytest.approx(1, abs=1e-12)


def test_a_loop_until_a_coin_shows_heads() -> None:
    circuit = QuantumCircuit(QuantumRegister(1), ClassicalRegister(1), ClassicalRegister(1))
    coin, tossed_twice = circuit.clbits
    circuit.h(0)
    circuit.measure(0, coin)
    with circuit.while_loop((coin, 0)):
        with circuit.if_test((tossed_twice, 1)):
            circuit.break_loop()
        circuit.reset(0)
        circuit.x(0)
        circuit.measure(0, tossed_twice)
        circuit.h(0)
        circuit.measure(0, coin)
    # Heads at the first toss leaves the loop; otherwise the second toss decides and the loop ends.
    assert Simulation(circuit).distribution() == pytest.approx([0, 0.5, 0.25, 0.25])


def test_breaks_continues_and_the_parameter_of_a_loop() -> None:
    circuit = QuantumCircuit(2, 2)
    angle = Parameter("angle")
    with circuit.for_loop((1, 2, 3, 4), angle):
        circuit.rx(angle * np.pi / 2, 0)  # a quarter, then three quarters of a turn, and so on
        circuit.measure(0, 0)
        circuit.reset(0)
        with circuit.if_test((0, 0)):
            circuit.continue_loop()
        circuit.x(1)
        circuit.break_loop()
    circuit.measure(1, 1)
    # 1/2 at 90 degrees, 1 at 180 degrees: the loop ends after two rounds, with both bits set.
    assert Simulation(circuit).distribution() == pytest.approx([0, 0, 0, 1])


@pytest.mark.parametrize(("outcome", "expected"), [(0, 0b01), (1, 0b10), (2, 0b11), (3, 0b11)])
def test_cases_of_a_switch(outcome: int, expected: int) -> None:
    number, found = ClassicalRegister(2, "number"), ClassicalRegister(2, "found")
    circuit = QuantumCircuit(QuantumRegister(2), number, found)
    for bit in range(2):
        if outcome >> bit & 1:
            circuit.x(bit)
    circuit.measure([0, 1], number)
    circuit.reset([0, 1])
    with circuit.switch(number) as case:
        with case(0):
            circuit.x(0)
        with case(1):
            circuit.x(1)
        with case(case.DEFAULT):
            circuit.x([0, 1])
    circuit.measure([0, 1], found)
    distribution = Simulation(circuit).distribution()
    assert distribution[outcome | expected << 2] == pytest.approx(1)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda register: expr.less(register, 6), True),
        (lambda register: expr.equal(expr.bit_not(register), 2), True),
        (lambda register: expr.logic_not(register[1]), True),
        (lambda register: expr.logic_and(register[0], register[1]), False),
        (lambda register: expr.equal(expr.bit_xor(register, 7), 2), True),
        (lambda register: expr.not_equal(expr.bit_and(register, 4), 4), False),
        (lambda register: expr.equal(expr.shift_left(register, 1), 2), True),
        (lambda register: expr.index(register, 1), False),
        (lambda register: expr.cast(register, types.Bool()), True),
    ],
)
def test_expressions_of_a_register_that_is_five(make: Any, expected: bool) -> None:
    register, found = ClassicalRegister(3), ClassicalRegister(1)
    circuit = QuantumCircuit(QuantumRegister(1), register, found)
    circuit.x(0)
    circuit.measure([0, 0], [register[0], register[2]])
    circuit.reset(0)
    with circuit.if_test(make(register)):
        circuit.x(0)
    circuit.measure(0, found)
    assert Simulation(circuit).distribution()[5 | expected << 3] == pytest.approx(1)


def test_variables_keep_their_values() -> None:
    circuit = QuantumCircuit(1, 1)
    count = circuit.add_var("count", expr.lift(0, types.Uint(3)))
    with circuit.for_loop(range(9)):
        circuit.store(count, expr.add(count, expr.lift(1, types.Uint(3))))
    with circuit.if_test(expr.equal(count, 1)):  # the number nine, in three bits
        circuit.x(0)
    circuit.measure(0, 0)
    assert Simulation(circuit).distribution() == pytest.approx([0, 1])


def test_readout_errors_and_relaxation() -> None:
    circuit = QuantumCircuit(5, 1)
    circuit.x(1)
    circuit.delay(50_000, 1, "ns")
    circuit.measure(1, 0)
    one = np.exp(-50e-6 / MANILA.target.qubit_properties[1].t1)
    wrong = MANILA.target["measure"][(1,)].error
    expected = one * (1 - wrong) + (1 - one) * wrong
    # The gate has its own error, below 0.001.
    found = Simulation(circuit, Noise(MANILA)).distribution()[1]
    assert found == pytest.approx(expected, abs=1e-3)


def test_dephasing_leaves_the_coherence_that_t2_says() -> None:
    plus = np.full((2, 2), 0.5)
    channel = Noise(MANILA).after(QuantumCircuit(1).delay(10, 0, "us")[0].operation, (0,))
    found = (channel @ plus.ravel(order="F")).reshape(2, 2, order="F")
    t2 = MANILA.target.qubit_properties[0].t2
    assert found[0, 1] == pytest.approx(0.5 * np.exp(-10e-6 / t2))
    assert np.trace(found) == pytest.approx(1)


class TestBounds:
    @given(chance=st.floats(0.01, 0.99), seed=st.integers(0, 2**32))
    def test_samples_of_the_distribution_pass(self, chance: float, seed: int) -> None:
        chances = np.array([chance / 2, chance / 2, (1 - chance) / 3, (1 - chance) / 1.5])
        found = np.random.default_rng(seed).multinomial(2000, chances)
        assert bounds.improbable(chances, found) is None

    @pytest.mark.parametrize(
        "found",
        [
            [620, 380, 0, 0],  # one outcome
            [499, 500, 0, 1],  # an impossible outcome
            [1000, 0, 0, 0],
        ],
    )
    def test_other_samples_do_not(self, found: list[int]) -> None:
        assert bounds.improbable([0.5, 0.5, 0, 0], found)

    def test_errors_that_are_small_for_each_outcome_show_in_a_parity(self) -> None:
        expected = np.full(64, 1 / 64)
        odd = np.bitwise_count(np.arange(64)) % 2
        found = np.where(odd, 45, 25)
        assert "parity of bits 111111" in str(bounds.improbable(expected, found))

    def test_a_mean_that_is_certain_allows_nothing_else(self) -> None:
        low, high = bounds.interval({"ZZ": (2.0, 1.0), "II": (-0.5, 1.0)}, 1000)
        assert (low, high) == pytest.approx((1.5, 1.5), abs=1e-9)
        low, high = bounds.interval({"XX": (1.0, 0.0)}, 10_000)
        assert -0.07 < low < -0.05 < 0.05 < high < 0.07
        assert bounds.gaussian(1.0, 0.1) == pytest.approx((0.389, 1.611), abs=1e-3)
