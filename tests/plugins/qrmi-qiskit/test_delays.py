"""Delays, which are sent in the device's time steps, the unit that QPY can represent."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from qiskit import QuantumCircuit, qpy
from qiskit.circuit import Duration, Parameter
from qiskit.circuit.classical import expr
from qiskit.primitives.containers.bindings_array import BindingsArray

from qrmi_core import QuantumResource
from qrmi_qiskit import InvalidArgumentError, SamplerV2, get_backend
from qrmi_qiskit.delays import delays_in_dt
from support.local_store import MakeResource

STEP = 4e-9
WAIT, OTHER = Parameter("wait"), Parameter("other")
NOTHING = BindingsArray()


def waiting(duration: Any, unit: str | None = None) -> QuantumCircuit:
    circuit = QuantumCircuit(2, 1)
    circuit.x(0)
    circuit.delay(duration, 1, *([unit] if unit else []))
    circuit.measure(0, 0)
    return circuit


def durations(circuit: QuantumCircuit) -> list[tuple[Any, str]]:
    return [
        (each.operation.duration, each.operation.unit)
        for each in circuit.data
        if each.operation.name == "delay"
    ]


def converted(circuit: QuantumCircuit, values: Any = NOTHING) -> QuantumCircuit:
    return delays_in_dt(circuit, values, lambda: STEP)


@pytest.mark.parametrize(
    ("duration", "unit", "steps"),
    [
        (100, "dt", 100),
        (0, "dt", 0),
        (4, "ns", 1),
        (1.5, "us", 375),
        (1, "ms", 250_000),
        (1e-6, "s", 250),
        (8000, "ps", 2),
        (33.3, "ns", 8),
        (expr.lift(Duration.us(3)), None, 750),
        (expr.lift(Duration.dt(7)), None, 7),
    ],
)
def test_every_unit_becomes_dt(duration: Any, unit: str | None, steps: int) -> None:
    assert durations(converted(waiting(duration, unit))) == [(steps, "dt")]


@given(st.floats(0, 1e-3), st.sampled_from(["s", "ms", "us", "ns", "ps"]))
def test_a_duration_is_right_to_half_a_step(seconds: float, unit: str) -> None:
    scale = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9, "ps": 1e12}[unit]
    [(steps, _)] = durations(converted(waiting(seconds * scale, unit)))
    assert abs(steps * STEP - seconds) <= STEP * 0.51


def test_what_is_sent_can_be_read() -> None:
    sent = converted(waiting(1.5, "us"))
    file = io.BytesIO()
    qpy.dump(sent, file)
    file.seek(0)
    assert durations(qpy.load(file)[0]) == [(375, "dt")]


def test_a_circuit_without_delays_stays_itself() -> None:
    circuit = QuantumCircuit(1)
    circuit.x(0)
    assert converted(circuit) is circuit


def test_delays_in_blocks_and_instructions_are_converted() -> None:
    inner = QuantumCircuit(1)
    inner.delay(8, 0, "ns")
    circuit = QuantumCircuit(1, 1)
    circuit.append(inner.to_instruction(), [0])
    with circuit.if_test((circuit.clbits[0], 0)), circuit.for_loop(range(2)):
        circuit.delay(12, 0, "ns")
    found = converted(circuit)
    assert durations(found.data[0].operation.definition) == [(2, "dt")]
    loop = found.data[1].operation.blocks[0].data[0].operation
    assert durations(loop.blocks[0]) == [(3, "dt")]
    assert durations(inner) == [(8, "ns")]


@pytest.mark.parametrize(
    ("circuit", "values", "message"),
    [
        (waiting(WAIT, "dt"), BindingsArray({"wait": -1}), "dt are whole numbers of at least 0"),
        (waiting(WAIT, "us"), BindingsArray({"wait": [1.0, 2.0]}), "parameter differ: use one pub"),
        (waiting(WAIT, "dt"), BindingsArray({"wait": 0.5}), "wait dt on qubit 1 cannot be sent"),
    ],
)
def test_what_cannot_be_sent_is_refused(
    circuit: QuantumCircuit, values: BindingsArray, message: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        converted(circuit, values)


def test_a_duration_that_depends_on_the_round_of_a_loop_is_refused() -> None:
    circuit = QuantumCircuit(1, 1)
    with circuit.for_loop(range(3)) as turn:
        circuit.delay(turn, 0, "dt")
    with pytest.raises(InvalidArgumentError, match="depends on the round of a loop"):
        converted(circuit)


def test_a_time_without_a_time_step_is_refused_and_names_the_pub(bench: Any) -> None:
    SamplerV2(bench.qpu).run([waiting(3, "dt")])
    with pytest.raises(
        InvalidArgumentError,
        match=r"^pub 1: its delay of 3(\.0)? us on qubit 1 cannot be sent: .* names no time step",
    ):
        SamplerV2(bench.qpu).run([waiting(3, "dt"), waiting(3, "us")])
    assert len(bench.sent) == 1


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_a_duration_that_is_not_finite_is_refused(bench: Any, value: float) -> None:
    with pytest.raises(InvalidArgumentError, match="^pub 0: its parameter values are not all fin"):
        SamplerV2(bench.qpu).run([(waiting(WAIT, "dt"), [value])])


def test_a_parameter_of_delays_alone_is_bound_and_not_sent(bench: Any, decoded: Any) -> None:
    circuit = QuantumCircuit(1, 1)
    circuit.delay(2 * WAIT, 0, "dt")
    circuit.ry(OTHER, 0)
    circuit.measure(0, 0)
    SamplerV2(bench.qpu).run([(circuit, {"wait": [5, 5], "other": [0.1, 0.2]})])
    [[form, values, _]] = bench.sent[0]["pubs"]
    sent = decoded(form)
    assert [parameter.name for parameter in sent.parameters] == ["other"]
    assert durations(sent) == [(10, "dt")]
    assert decoded(values).tolist() == [[0.1], [0.2]]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("duration", "unit", "values"),
    [(1.5, "us", None), (33.3, "ns", None), (WAIT, "dt", [100]), (WAIT, "us", [[1.5], [1.5]])],
)
def test_delays_run_on_an_ideal_simulator(
    aer: QuantumResource, duration: Any, unit: str, values: Any
) -> None:
    data = SamplerV2(aer).run([(waiting(duration, unit), values)], shots=10).result(60)[0].data
    assert data.c.get_counts() == {"1": 10 * (len(values) if np.ndim(values) == 2 else 1)}


@pytest.mark.slow
@pytest.mark.parametrize("bound", [True, False])
def test_a_device_relaxes_for_as_long_as_the_delay_says(local: MakeResource, bound: bool) -> None:
    device = local("fake_torino")
    backend = get_backend(device)
    relaxation = backend.target.qubit_properties[0].t1
    circuit = QuantumCircuit(backend.num_qubits, 1)
    circuit.x(0)
    circuit.delay(*((relaxation * 1e6, 0, "us") if bound else (WAIT, 0, "s")))
    circuit.measure(0, 0)
    values = None if bound else [relaxation]
    data = SamplerV2(device).run([(circuit, values)], shots=4000).result(60)[0].data
    assert data.c.get_counts()["1"] / 4000 == pytest.approx(0.4, abs=0.06)
