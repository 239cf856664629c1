"""Values of circuits on the Qiskit engine, compared with Qiskit's own."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, qasm3
from qiskit.circuit import (
    AnnotatedOperation,
    Clbit,
    ControlModifier,
    Gate,
    Parameter,
    PowerModifier,
)
from qiskit.circuit.library import AndGate, HamiltonianGate, RVGate, RXGate, RYGate, UGate, n_local
from qiskit.primitives import StatevectorSampler
from qiskit.quantum_info import SparsePauliOp, Statevector
from qiskit_ibm_runtime import fake_provider
from scipy.optimize import minimize

from qrmi_local.engines import EngineError
from qrmi_local.engines._runs import _SEED_STEP, execute
from support.qiskit_engine import HEADER, estimate, sample

A, B = Parameter("a"), Parameter("b")


def controlled(append: Callable[[QuantumCircuit], Any]) -> QuantumCircuit:
    circuit = QuantumCircuit(3)
    for qubit in range(3):
        circuit.ry(0.4 + qubit, qubit)
    append(circuit)
    circuit.rx(0.3, 1)
    return circuit


CONTROLLED = {
    "cp": lambda c: c.cp(A, 0, 1),
    "crx": lambda c: c.crx(2 * A, 0, 1),
    "cry": lambda c: c.cry(A, 0, 1),
    "crz": lambda c: c.crz(A + B, 0, 1),
    "cu": lambda c: c.cu(A, 0.2, B, 0.1, 0, 1),
    "mcp": lambda c: c.mcp(A, [0, 2], 1),
    "control": lambda c: c.append(RYGate(A).control(2, ctrl_state=1, annotated=False), [0, 2, 1]),
    "annotated": lambda c: c.append(AnnotatedOperation(RYGate(A), [ControlModifier(1)]), [0, 1]),
    "n_local": lambda c: c.compose(n_local(3, "ry", "cry", reps=1), inplace=True),
}


@pytest.mark.parametrize("name", CONTROLLED)
def test_parameters_of_controlled_gates(name: str) -> None:
    circuit = controlled(CONTROLLED[name])
    values = np.random.default_rng(5).uniform(0, 3, (3, circuit.num_parameters))
    labels = ["ZXY", "XIZ", "ZZZ"]
    [result] = estimate([circuit, [[label] for label in labels], values, 0])
    states = [Statevector(circuit.assign_parameters(row)) for row in values]
    expected = [
        [state.expectation_value(SparsePauliOp(each)) for state in states] for each in labels
    ]
    np.testing.assert_allclose(result.data.evs, np.real(expected), atol=1e-9)
    assert not result.data.stds.any()
    [sampled] = sample([circuit.measure_all(inplace=False), values, 4000])
    for index, state in enumerate(states):
        found = sampled.data.meas.get_counts(index)
        for key, probability in state.probabilities_dict().items():
            assert found.get(key, 0) / 4000 == pytest.approx(probability, abs=0.05)


def squared(gate: Gate) -> AnnotatedOperation:
    return AnnotatedOperation(gate, [PowerModifier(2.0), ControlModifier(1)])


@pytest.mark.parametrize("ending", ["gates", "reset"])
@pytest.mark.parametrize(
    "append",
    [
        lambda c, a: c.append(RVGate(a, 0.2, 0.4), [0]),
        lambda c, a: c.append(squared(RYGate(a)), [1, 0]),
        lambda c, a: c.append(HamiltonianGate(np.diag([1.0, -1.0]), a), [0]),
        lambda c, a: c.append(QuantumCircuit.to_gate(inner(squared(RXGate(a)))), [1, 0]),
    ],
)
def test_gates_that_have_no_definition_without_values(
    append: Callable[[QuantumCircuit, Any], Any], ending: str
) -> None:
    def made(angle: Any) -> QuantumCircuit:
        circuit = QuantumCircuit(2)
        circuit.ry(0.8, [0, 1])
        with circuit.for_loop(range(2)):
            append(circuit, angle)
        circuit.h(0)
        if ending == "reset":
            circuit.reset(1)
        return circuit

    def expected(angle: float) -> float:
        circuit = QuantumCircuit(2)
        circuit.ry(0.8, [0, 1])
        for _ in range(2):
            append(circuit, angle)
        circuit.h(0)
        return float(Statevector(circuit).expectation_value(SparsePauliOp("IZ")).real)

    values = [0.4, 1.1]
    precision = 0 if ending == "gates" else 0.01
    [result] = estimate([made(A), "IZ", values, precision])
    wanted = [expected(value) for value in values]
    assert result.data.evs == pytest.approx(wanted, abs=8 * precision + 1e-9)
    measured = made(A)
    measured.measure_all()
    [result] = sample([measured, values, 4000])
    means = [result.data.meas[n].slice_bits(0).expectation_values("Z") for n in range(2)]
    assert means == pytest.approx(wanted, abs=0.12)


def inner(gate: Any) -> QuantumCircuit:
    circuit = QuantumCircuit(gate.num_qubits)
    circuit.append(gate, circuit.qubits)
    return circuit


def test_parameters_of_controlled_gates_in_a_block() -> None:
    circuit = QuantumCircuit(2, 2)
    circuit.x(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.cry(A, 0, 1)
    circuit.measure(1, 1)
    [result] = sample([circuit, [[0.0], [np.pi]], 10])
    assert [result.data.c.get_counts(n) for n in range(2)] == [{"01": 10}, {"11": 10}]


def test_parameters_of_annotated_gates_in_a_block() -> None:
    circuit = QuantumCircuit(2, 2)
    circuit.x(0)
    with (
        circuit.for_loop(range(2)),
        circuit.if_test((circuit.clbits[0], 0)),
    ):
        circuit.append(AnnotatedOperation(UGate(A, 0, 0), [ControlModifier(1)]), [0, 1])
    circuit.measure([0, 1], [0, 1])
    [result] = sample([circuit, [[0.0], [np.pi / 2]], 10])
    assert [result.data.c.get_counts(n) for n in range(2)] == [{"01": 10}, {"11": 10}]


def test_parameters_of_annotated_gates_in_a_definition_in_a_block() -> None:
    inner = QuantumCircuit(2, name="mine")
    inner.append(AnnotatedOperation(UGate(A, 0, 0), [ControlModifier(1)]), [0, 1])
    circuit = QuantumCircuit(2, 2)
    circuit.x(0)
    with circuit.if_test((circuit.clbits[0], 0)):
        circuit.append(inner.to_gate(), [0, 1])
    circuit.measure([0, 1], [0, 1])
    [result] = sample([circuit, [[0.0], [np.pi]], 10])
    assert [result.data.c.get_counts(n) for n in range(2)] == [{"01": 10}, {"11": 10}]


@pytest.mark.parametrize("gate", ["ctrl @ rx(a) q[0], q[1];", "crx(a) q[0], q[1];"])
def test_parameters_of_controlled_gates_in_text(gate: str) -> None:
    text = HEADER + f"input float[64] a;\nqubit[2] q;\nbit[2] c;\nx q[0];\n{gate}\nc = measure q;\n"
    [result] = sample([text, [[0.0], [np.pi]], 10])
    assert [result.data.c.get_counts(n) for n in range(2)] == [{"01": 10}, {"11": 10}]


def test_a_variational_eigensolver_finds_the_ground_energy() -> None:
    hamiltonian = SparsePauliOp(["ZZ", "XI", "IX", "YY"], [1.0, 0.5, -0.3, 0.2])
    ansatz = n_local(2, "ry", "cry", reps=2)

    def energy(values: Any) -> float:
        [result] = estimate([ansatz, hamiltonian, values, 0])
        return float(result.data.evs)

    found = minimize(energy, np.full(ansatz.num_parameters, 0.4), method="BFGS")
    exact = np.linalg.eigvalsh(hamiltonian.to_matrix())[0]
    assert found.fun == pytest.approx(exact, abs=1e-3)


NAMES = ("h", "id", "z", "x", "p", "u", "cx", "reset", "measure", "delay", "barrier", "mine")


def flip(name: str) -> QuantumCircuit:
    circuit = QuantumCircuit(1, name=name)
    circuit.x(0)
    return circuit


@pytest.mark.parametrize("name", NAMES)
def test_a_gate_is_its_definition_whatever_its_name(name: str) -> None:
    circuit = QuantumCircuit(3, 3)
    circuit.append(flip(name).to_gate(), [0])
    outer = QuantumCircuit(1, name="outer")
    outer.append(flip(name).to_gate(), [0])
    with circuit.if_test((circuit.clbits[0], 0)):
        circuit.append(outer.to_instruction(), [1])
    circuit.append(AnnotatedOperation(flip(name).to_gate(), [ControlModifier(1)]), [0, 2])
    circuit.measure(range(3), range(3))
    [result] = sample([circuit, None, 10])
    assert result.data.c.get_counts() == {"111": 10}


@pytest.mark.parametrize("name", ["h", "p", "x", "mine"])
def test_controlled_gates_are_made_of_the_definition(name: str) -> None:
    turn = QuantumCircuit(1, name=name)
    turn.ry(A, 0)
    circuit = QuantumCircuit(2, 2)
    circuit.x(0)
    circuit.append(turn.to_gate().control(1), [0, 1])
    circuit.measure([0, 1], [0, 1])
    [result] = sample([circuit, [[0.0], [np.pi]], 10])
    assert [result.data.c.get_counts(n) for n in range(2)] == [{"01": 10}, {"11": 10}]


@pytest.mark.parametrize("name", ["h", "id", "mine"])
def test_the_same_in_text(name: str) -> None:
    circuit = QuantumCircuit(1, 1)
    circuit.append(flip(name).to_gate(), [0])
    circuit.measure(0, 0)
    [result] = sample([qasm3.dumps(circuit), None, 10])
    assert result.data.c.get_counts() == {"1": 10}


def test_an_instruction_without_a_definition_is_refused() -> None:
    circuit = QuantumCircuit(1, 1)
    circuit.append(Gate("opaque", 1, []), [0])
    circuit.measure(0, 0)
    with pytest.raises(EngineError, match="^pub 0: instruction opaque has no definition"):
        sample([circuit])


def test_a_device_refuses_other_gates_under_its_names() -> None:
    for definition, name in ((flip("sx"), "sx"), (flip("reset"), "reset")):
        circuit = QuantumCircuit(7, 1)
        circuit.append(definition.to_instruction(), [0])
        circuit.measure(0, 0)
        with pytest.raises(
            EngineError, match=rf"^pub 0: the circuit defines {name} on \$0 in anoth"
        ):
            sample([circuit], on="fake_lagos")
    turn = QuantumCircuit(2, name="cx")
    turn.cx(0, 1)
    turn.rx(A, 1)
    circuit = QuantumCircuit(7, 1)
    circuit.append(turn.to_gate(), [0, 1])
    circuit.measure(0, 0)
    with pytest.raises(EngineError, match=r"the circuit defines cx on \$0, \$1 in another way"):
        sample([circuit, [0.3]], on="fake_lagos")
    text = HEADER + "gate ecr a, b { cx a, b; }\nbit[1] c;\necr $1, $0;\nc[0] = measure $0;\n"
    with pytest.raises(EngineError, match=r"the circuit defines ecr on \$1, \$0 in another way"):
        sample([text], on="fake_sherbrooke")


def test_a_device_takes_its_gates_defined_in_text() -> None:
    circuit = QuantumCircuit(127, 1)
    circuit.ecr(1, 0)
    circuit.measure(0, 0)
    text = qasm3.dumps(circuit)
    assert "gate ecr" in text
    assert sample([text, None, 10], on="fake_sherbrooke")[0].data.c.num_shots == 10


@pytest.mark.parametrize(
    "registers",
    [
        {"a": (0, 2), "b": (3, 1)},
        {"a": (3, 2, 1, 0)},
        {"a": (0, 1, 2), "b": (2, 3), "c": (1,)},
        {"a": (2, 0), "b": (0, 1, 2, 3)},
    ],
    ids=str,
)
def test_registers_in_any_order(registers: dict[str, tuple[int, ...]]) -> None:
    bits = [Clbit() for _ in range(4)]
    circuit = QuantumCircuit(4)
    circuit.add_bits(bits)
    for name, places in registers.items():
        circuit.add_register(ClassicalRegister(bits=[bits[n] for n in places], name=name))
    circuit.x([0, 1])
    circuit.measure(range(4), range(4))
    [expected] = StatevectorSampler().run([circuit], shots=5).result()
    [found] = sample([circuit, None, 5])
    assert list(found.data) == list(expected.data)
    for name in registers:
        assert found.data[name].get_counts() == expected.data[name].get_counts()


@pytest.mark.parametrize("name", ["shape", "keys", "items"])
def test_a_register_that_the_result_cannot_have_is_refused(name: str) -> None:
    text = HEADER + f"qubit q;\nbit[1] {name};\nx q;\n{name}[0] = measure q;\n"
    with pytest.raises(EngineError, match=f"^pub 0: register {name} cannot be a field .*: rename"):
        sample([text])


def shot_by_shot() -> QuantumCircuit:
    circuit = QuantumCircuit(1, 1)
    circuit.ry(0.7, 0)
    circuit.reset(0)
    circuit.ry(0.7 + 0 * A, 0)
    circuit.measure(0, 0)
    return circuit


def copies(streams: list[Any], steps: range) -> bool:
    """Return True if a stream is another one that is moved by some shots."""
    return any(
        (one[step:] == other[: len(other) - step]).all()
        for n, one in enumerate(streams)
        for m, other in enumerate(streams)
        if n != m
        for step in steps
    )


@pytest.mark.parametrize("seed", [7, None])
@pytest.mark.parametrize("shots", [300, 2 * _SEED_STEP + 100])
def test_pubs_and_parameter_sets_are_independent(seed: int | None, shots: int) -> None:
    pub = [shot_by_shot(), np.zeros((3, 1)), shots]
    results = sample(pub, pub, pub, seed=seed)
    streams = [
        result.data.c.to_bool_array()[index, :, 0] for result in results for index in range(3)
    ]
    assert not copies(streams, range(4))
    assert not copies(streams[:3], range(_SEED_STEP, _SEED_STEP + 1)) or shots <= _SEED_STEP
    ones = np.array([stream.mean() for stream in streams])
    assert ones == pytest.approx(np.sin(0.35) ** 2, abs=5 * np.sqrt(0.104 / shots))


def test_a_seeded_job_is_repeated_as_a_whole() -> None:
    pub = [shot_by_shot(), np.zeros((3, 1)), 100]
    once, again = sample(pub, pub), sample(pub, pub)
    other = sample(pub, pub, seed=8)
    for one, two, three in zip(once, again, other, strict=True):
        assert one.data.c == two.data.c != three.data.c


def test_observables_of_a_noisy_device_that_take_two_methods_of_aer() -> None:
    # A gate follows the measurement in one circuit alone, which takes another method of Aer.
    circuit = QuantumCircuit(2, 1)
    circuit.measure(1, 0)
    paulis = ["XI", "ZX"]
    [result] = estimate([circuit, [paulis], None, 1 / 32], on="fake_essex")
    apart = [
        estimate([circuit, [pauli], None, 1 / 32], on="fake_essex")[0].data.evs for pauli in paulis
    ]
    assert np.ravel(apart) == pytest.approx([0, 0], abs=0.25)
    assert np.ravel(result.data.evs) == pytest.approx([0, 0], abs=0.25)


def test_a_bit_of_a_noisy_device_that_is_written_twice_has_the_last_error_alone() -> None:
    chances = []
    for first in ((), (0,), (1,)):
        circuit = QuantumCircuit(2, 1)
        for qubit in first:
            circuit.measure(qubit, 0)
        circuit.measure(1, 0)
        circuit.sx(0)  # after the measurement, and followed by none
        [result] = sample([circuit, None, 8000], on="fake_fractional")
        chances.append(result.data.c.get_counts().get("1", 0) / 8000)
    assert chances[1:] == pytest.approx([chances[0]] * 2, abs=0.015)


def test_estimates_from_shots_are_independent() -> None:
    circuit = QuantumCircuit(1)
    circuit.ry(0.7, 0)
    circuit.reset(0)
    circuit.ry(0.7, 0)
    pubs = [[circuit, ["Z", "X"], None, 0.02]] * 5
    values = [float(result.data.evs[0]) for result in estimate(*pubs)]
    assert len(set(values)) == 5
    assert values == pytest.approx([np.cos(0.7)] * 5, abs=0.1)


TEXT_DELAYS = (
    "qubit[2] q;\nbit[2] c;\nx q[0];\ndelay[100ns] q[0];\ndelay[200dt] q[0];\nc = measure q;\n"
)


def test_delays_do_nothing_on_the_ideal_simulator() -> None:
    stretched = QuantumCircuit(2, 2)
    stretch = stretched.add_stretch("s")
    stretched.x(0)
    stretched.delay(stretch, 1)
    with stretched.if_test((stretched.clbits[0], 0)):
        stretched.delay(stretch, 0)
        stretched.delay(100, 0, "dt")
    stretched.measure([0, 1], [0, 1])
    for form in (stretched, HEADER + TEXT_DELAYS):
        assert sample([form, None, 10])[0].data.c.get_counts() == {"01": 10}


def test_a_delay_on_a_device_is_as_long_as_it_says() -> None:
    backend = fake_provider.FakeTorino()
    relaxation = backend.target.qubit_properties[0].t1
    steps = round(relaxation / backend.target.dt)
    circuit = QuantumCircuit(133, 1)
    circuit.x(0)
    circuit.delay(steps // 2, 0, "dt")
    with circuit.if_test((circuit.clbits[0], 0)):
        circuit.delay(steps // 2, 0, "dt")
    circuit.measure(0, 0)
    text = HEADER + (
        f"bit[1] c;\nx $0;\ndelay[{relaxation / 2 * 1e6}us] $0;\ndelay[{steps // 2}dt] $0;\n"
        "c[0] = measure $0;\n"
    )
    for form in (circuit, text):
        ones = sample([form, None, 4000], on="fake_torino")[0].data.c.get_counts()["1"] / 4000
        assert ones == pytest.approx(0.4, abs=0.06)


def test_a_stretch_on_a_device_is_refused() -> None:
    circuit = QuantumCircuit(7, 1)
    circuit.delay(circuit.add_stretch("s"), 0)
    circuit.measure(0, 0)
    with pytest.raises(
        EngineError, match=r"^pub 0: the duration of a delay is a stretch .*: give a number"
    ):
        sample([circuit], on="fake_lagos")


@pytest.mark.parametrize(("duration", "unit"), [(1.5, "us"), (A, "dt")])
def test_delays_that_qpy_cannot_carry_are_refused(duration: Any, unit: str) -> None:
    circuit = QuantumCircuit(1, 1)
    with circuit.if_test((circuit.clbits[0], 0)):
        circuit.delay(duration, 0, unit)
    circuit.measure(0, 0)
    with pytest.raises(EngineError, match=r"^pub 0: .*: give them as whole numbers of dt$"):
        sample([circuit, [1.0] if circuit.num_parameters else None])


def test_text_may_start_with_a_byte_order_mark() -> None:
    text = "\ufeff" + HEADER + "qubit q;\nbit c;\nx q;\nc = measure q;\n"
    assert sample([text, None, 10])[0].data.c.get_counts() == {"1": 10}


@pytest.mark.parametrize(
    ("success", "statuses", "message"),
    [
        (False, ["DONE", "ERROR: no such mark"], "the simulator failed: no such mark"),
        (True, ["ERROR: no such mark"], "the simulator failed: no such mark"),
        (False, [], "the simulator failed: nothing ran"),
        (False, ["ERROR: Insufficient memory"], "a state of 2 qubits needs more than"),
    ],
)
def test_a_run_that_aer_reports_as_failed_is_an_error(
    success: bool, statuses: list[str], message: str
) -> None:
    experiments = [SimpleNamespace(success=each == "DONE", status=each) for each in statuses]
    result = SimpleNamespace(success=success, status="nothing ran", results=experiments)
    simulator = SimpleNamespace(
        options=SimpleNamespace(),
        run=lambda *_, **__: SimpleNamespace(result=lambda: result),
    )
    with pytest.raises(EngineError, match=f"^{message}"):
        execute(simulator, [QuantumCircuit(2)] * 2, np.random.SeedSequence(1), shots=1)


def test_a_wide_circuit_in_pieces_has_conditions_on_registers() -> None:
    circuit = QuantumCircuit(40)
    flag, rest = ClassicalRegister(2, "flag"), ClassicalRegister(40, "rest")
    circuit.add_register(flag, rest)
    circuit.x([0, 1])
    circuit.measure([0, 1], flag)
    with circuit.if_test((flag, 3)):
        circuit.x(2)
    circuit.measure(range(40), rest)
    [result] = sample([circuit, None, 5])
    assert result.data.rest.get_counts() == {"111".rjust(40, "0"): 5}


def test_a_gate_that_qpy_cannot_carry_is_refused_with_a_remedy() -> None:
    circuit = QuantumCircuit(3, 1)
    circuit.append(AndGate(2), [0, 1, 2])
    circuit.measure(2, 0)
    with pytest.raises(EngineError, match="^pub 0: its circuit cannot be decoded: .* decomposed"):
        sample([circuit])
    assert sample([circuit.decompose(), None, 10])[0].data.c.get_counts() == {"0": 10}


def test_delays_of_a_device_without_a_time_step() -> None:
    text = HEADER + "bit[1] c;\nu3(pi, 0, pi) $0;\ndelay[{}] $0;\nc[0] = measure $0;\n"
    [result] = sample([text.format("10s"), None, 1000], on="fake_essex")
    assert result.data.c.get_counts()["0"] > 900
    with pytest.raises(EngineError, match="^pub 0: fake_essex has no time step for delays in dt"):
        sample([text.format("10dt")], on="fake_essex")
