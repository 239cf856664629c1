"""Results of the primitives on local simulators."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, transpile
from qiskit.circuit import Duration, Gate, Parameter
from qiskit.circuit.classical import expr
from qiskit.primitives import BaseEstimatorV2, BasePrimitiveJob, BaseSamplerV2, PrimitiveResult
from qiskit.providers import JobStatus
from qiskit.quantum_info import SparsePauliOp

from qrmi_core import (
    InvalidInputError,
    QuantumResource,
    TaskCancelledError,
    TaskFailedError,
    WaitTimeoutError,
)
from qrmi_core.errors import UnsupportedFunctionError
from qrmi_qiskit import EstimatorV2, InvalidArgumentError, SamplerV2, get_backend
from support.local_store import MakeResource
from support.processes import said

SECONDS = 60.0
A, B = Parameter("a"), Parameter("b")
on_the_simulator = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def rotations(*, measured: bool) -> QuantumCircuit:
    circuit = QuantumCircuit(2)
    circuit.ry(B, 1)
    circuit.ry(A, 0)
    if measured:
        circuit.measure_all()
    return circuit


def slow() -> QuantumCircuit:
    """Return a circuit that takes hours, since every shot is a separate simulation."""
    circuit = QuantumCircuit(18, 1)
    for _ in range(40):
        circuit.h(range(18))
        circuit.measure(0, 0)
        circuit.reset(1)
    return circuit


@pytest.mark.slow
def test_a_bell_state_is_sampled(aer: QuantumResource, bell: QuantumCircuit) -> None:
    sampler = SamplerV2(aer, options={"simulator": {"seed_simulator": 1}})
    assert isinstance(sampler, BaseSamplerV2)
    job = sampler.run([bell], shots=1000)
    assert isinstance(job, BasePrimitiveJob)
    result = job.result(SECONDS)
    assert isinstance(result, PrimitiveResult)
    counts = result[0].data.meas.get_counts()
    assert counts.keys() == {"00", "11"}
    assert sum(counts.values()) == 1000
    assert 400 < counts["00"] < 600
    assert job.status() is JobStatus.DONE
    assert job.done()
    assert job.in_final_state()
    assert not any([job.running(), job.cancelled(), job.errored()])
    assert job.usage().quantum_seconds > 0


def test_the_same_seed_gives_the_same_counts(aer: QuantumResource, bell: QuantumCircuit) -> None:
    sampler = SamplerV2(aer, options={"simulator": {"seed_simulator": 5}})
    first, second = (sampler.run([bell], shots=100).result(SECONDS)[0].data for _ in range(2))
    assert first.meas == second.meas


def test_every_register_is_a_field_with_its_bits(aer: QuantumResource) -> None:
    wide, narrow = ClassicalRegister(10, "wide"), ClassicalRegister(1, "narrow")
    circuit = QuantumCircuit(QuantumRegister(10), wide, narrow)
    circuit.x([0, 9])
    circuit.measure(range(10), wide)
    circuit.measure(9, narrow)
    data = SamplerV2(aer).run([circuit], shots=3).result(SECONDS)[0].data
    assert set(data) == {"wide", "narrow"}
    assert data.wide.get_counts() == {"1000000001": 3}
    assert data.narrow.get_counts() == {"1": 3}


def test_pubs_have_their_own_shots(aer: QuantumResource, bell: QuantumCircuit) -> None:
    sampler = SamplerV2(aer, options={"default_shots": 7})
    result = sampler.run([(bell, None, 3), bell]).result(SECONDS)
    assert [pub.data.meas.num_shots for pub in result] == [3, 7]


@pytest.mark.slow
@on_the_simulator
@given(data=st.data())
def test_samples_have_the_shape_of_the_parameters(
    aer: QuantumResource, data: st.DataObject
) -> None:
    shape = data.draw(st.lists(st.integers(1, 3), max_size=3).map(tuple))
    size = int(np.prod(shape, dtype=int))
    bits = data.draw(st.lists(st.integers(0, 3), min_size=size, max_size=size))
    wanted = np.array(bits).reshape(shape)
    # In the order of the circuit's parameters: a turns qubit 0, b qubit 1.
    values = np.stack([wanted & 1, wanted >> 1], axis=-1) * np.pi
    job = SamplerV2(aer).run([(rotations(measured=True), values)], shots=4)
    meas = job.result(SECONDS)[0].data.meas
    assert meas.shape == shape
    for index in np.ndindex(shape):
        assert meas.get_int_counts(index) == {int(wanted[index]): 4}


@pytest.mark.slow
@on_the_simulator
@given(
    shapes=mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3),
    seed=st.integers(0, 1000),
)
def test_estimates_have_the_shape_of_observables_and_parameters_broadcast(
    aer: QuantumResource, shapes: object, seed: int
) -> None:
    (of_observables, of_values), shape = shapes.input_shapes, shapes.result_shape  # type: ignore[attr-defined]
    random = np.random.default_rng(seed)
    values = random.uniform(-3, 3, (*of_values, 2))
    labels = random.choice(["ZI", "IZ", "ZZ", "XI", "XZ"], of_observables)
    exact = {
        "ZI": np.cos(values[..., 1]),
        "IZ": np.cos(values[..., 0]),
        "ZZ": np.cos(values[..., 0]) * np.cos(values[..., 1]),
        "XI": np.sin(values[..., 1]),
        "XZ": np.sin(values[..., 1]) * np.cos(values[..., 0]),
    }
    wide, values_of = (
        np.broadcast_to(labels, shape),
        {label: np.broadcast_to(each, shape) for label, each in exact.items()},
    )
    job = EstimatorV2(aer).run(
        [(rotations(measured=False), labels.tolist(), values)], precision=1e-4
    )
    data = job.result(SECONDS)[0].data
    assert data.evs.shape == data.stds.shape == shape
    for index in np.ndindex(shape):
        assert data.evs[index] == pytest.approx(values_of[wide[index]][index], abs=1e-3)


def test_observables_are_whatever_qiskit_takes(aer: QuantumResource) -> None:
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    ising = SparsePauliOp.from_list([("ZZ", 1.0), ("XX", 0.5), ("YY", 0.25)])
    estimator = EstimatorV2(aer)
    assert isinstance(estimator, BaseEstimatorV2)
    result = estimator.run(
        [(circuit, ising), (circuit, [ising, "ZI", {"XX": 2.0}]), (circuit, [["ZZ"], ["YY"]])],
        precision=1e-4,
    ).result(SECONDS)
    assert result[0].data.evs == pytest.approx(1.25, abs=1e-3)
    assert result[1].data.evs == pytest.approx([1.25, 0, 2], abs=1e-3)
    assert result[2].data.evs == pytest.approx(np.array([[1], [-1]]), abs=1e-3)


def test_a_precision_is_what_the_result_says(aer: QuantumResource) -> None:
    circuit = QuantumCircuit(1)
    estimator = EstimatorV2(aer, options={"default_precision": 0.25})
    result = estimator.run([(circuit, "Z"), (circuit, "Z", None, 0.125)]).result(SECONDS)
    assert [pub.metadata["target_precision"] for pub in result] == [0.25, 0.125]
    by_shots = EstimatorV2(aer, options={"default_shots": 100}).run([(circuit, "Z")])
    assert by_shots.result(SECONDS)[0].metadata["target_precision"] == pytest.approx(0.1)


def test_precision_0_gives_exact_values_on_an_ideal_simulator(aer: QuantumResource) -> None:
    circuit = QuantumCircuit(1)
    theta = Parameter("theta")
    circuit.ry(theta, 0)
    angles = np.array([0.3, 1.0])
    estimator = EstimatorV2(aer)
    pubs = [(circuit, "Z", angles), (circuit, "Z", angles, 0)]
    jobs = [estimator.run([pubs[0]], precision=0), estimator.run([pubs[1]])]
    for [result] in (job.result(60) for job in jobs):
        np.testing.assert_allclose(result.data.evs, np.cos(angles), atol=1e-12)
        assert not result.data.stds.any()


def test_precision_0_is_refused_where_values_come_from_shots(
    aer: QuantumResource, local: MakeResource
) -> None:
    circuit = QuantumCircuit(1, 1)
    with circuit.for_loop(range(2)):
        circuit.measure(0, 0)
    with pytest.raises(
        InvalidArgumentError, match="^pub 0: its precision must be above 0: .* has measure"
    ):
        EstimatorV2(aer).run([(circuit, "Z")], precision=0)
    device = local("fake_torino")
    with pytest.raises(
        InvalidArgumentError, match="^pub 0: its precision must be above 0: .* shots of a device"
    ):
        EstimatorV2(device).run([(QuantumCircuit(133), "Z" * 133)], precision=0)


@pytest.mark.slow
def test_a_transpiled_circuit_runs_on_a_noisy_device(local: MakeResource) -> None:
    qpu = local("fake_torino")
    backend = get_backend(qpu)
    ghz = QuantumCircuit(3)
    ghz.h(0)
    ghz.cx(0, 1)
    ghz.cx(1, 2)
    isa = transpile(ghz, backend, seed_transpiler=1, optimization_level=2)
    observables = [
        SparsePauliOp(label).apply_layout(isa.layout) for label in ("ZZI", "IZZ", "XXX", "ZII")
    ]
    data = EstimatorV2(qpu).run([(isa, observables)], precision=0.03).result(SECONDS)[0].data
    assert data.evs == pytest.approx([1, 1, 1, 0], abs=0.35)
    ghz.measure_all()
    measured = transpile(ghz, backend, seed_transpiler=1, optimization_level=2)
    counts = SamplerV2(qpu).run([measured], shots=500).result(SECONDS)[0].data.meas.get_counts()
    assert counts["000"] + counts["111"] > 350


def test_within_a_session_tasks_belong_to_it(local: MakeResource, bell: QuantumCircuit) -> None:
    qpu = local("fake_manila")
    isa = transpile(bell, get_backend(qpu), seed_transpiler=1)
    with qpu:
        # The resource is held exclusively: any other user's task would wait.
        assert SamplerV2(qpu).run([isa], shots=10).result(SECONDS)[0].data.meas.num_shots == 10


@pytest.mark.slow
def test_another_process_finds_the_job_by_its_id(
    aer: QuantumResource, bell: QuantumCircuit
) -> None:
    job_id = SamplerV2(aer).run([bell], shots=50).job_id()
    home = aer.metadata()["store"]
    script = (
        "import sys\n"
        "from qrmi_core import QuantumResource\n"
        "from qrmi_qiskit import SamplerV2\n"
        "job_id, home = sys.argv[1:]\n"
        "qpu = QuantumResource('aer', 'local', {'QRMI_LOCAL_HOME': home})\n"
        "job = SamplerV2(qpu).job(job_id)\n"
        "counts = job.result(60)[0].data.meas.get_counts()\n"
        "print(job.job_id(), job.status().name, sum(counts.values()), set(counts) <= {'00', '11'})"
    )
    told = said(sys.executable, "-c", script, job_id, home)
    assert told.split() == [job_id, "DONE", "50", "True"]


def test_a_running_job_is_cancelled_and_says_so(aer: QuantumResource) -> None:
    job = SamplerV2(aer).run([slow()], shots=1_000_000)
    assert not job.in_final_state()
    with pytest.raises(WaitTimeoutError):
        job.result(timeout=0.1)
    job.cancel()
    job.wait_for_final_state(SECONDS)
    assert job.cancelled()
    assert job.status() is JobStatus.CANCELLED
    with pytest.raises(TaskCancelledError, match=job.job_id()):
        job.result()


@pytest.mark.slow
def test_a_failure_carries_the_simulators_words(aer: QuantumResource) -> None:
    circuit = QuantumCircuit(1)
    circuit.measure_all()
    job = SamplerV2(aer).run([circuit], shots=10_000_000)
    with pytest.raises(TaskFailedError, match="takes at most 1000000"):
        job.result(SECONDS)
    assert job.errored()
    assert job.status() is JobStatus.ERROR


@pytest.mark.parametrize(
    "options", [{"new_option": 1}, {"execution": {"new_flag": True}}, {"twirling": {"x": 1}}]
)
def test_a_simulator_refuses_an_unknown_option(aer: QuantumResource, options: Any) -> None:
    circuit = QuantumCircuit(1)
    circuit.measure_all()
    with pytest.raises(InvalidInputError, match=r"unknown.*(new_option|new_flag|twirling\.x)"):
        SamplerV2(aer, options=options).run([circuit])


def test_a_job_has_its_circuits_with_their_metadata(aer: QuantumResource) -> None:
    circuit = QuantumCircuit(1, metadata={"number": 7})
    circuit.measure_all()
    job = SamplerV2(aer).run([circuit])
    ((found, _),) = job.inputs["pubs"]
    assert found.metadata == {"number": 7}
    with pytest.raises(UnsupportedFunctionError, match=f"the pubs of job {job.job_id()}"):
        _ = SamplerV2(aer).job(job.job_id()).inputs


def conditional(condition: Any) -> QuantumCircuit:
    circuit = QuantumCircuit(1, 1)
    with circuit.if_test((0, 0)), circuit.while_loop(condition):
        circuit.x(0)
    circuit.measure(0, 0)
    return circuit


def opaque() -> QuantumCircuit:
    circuit = QuantumCircuit(1, 1)
    with circuit.if_test((0, 0)):
        circuit.append(Gate("unheard_of", 1, []), [0])
    return circuit


def stored() -> QuantumCircuit:
    circuit = QuantumCircuit(1, 1)
    circuit.add_var("share", expr.lift(0.5))
    return circuit


@pytest.mark.parametrize(
    ("circuit", "reason"),
    [
        (conditional(expr.less(expr.lift(0.5), 1.0)), "while_loop has a value of type Float"),
        (
            conditional(expr.logic_not(expr.less(Duration.ns(3), Duration.us(1)))),
            "while_loop has a value of type Duration",
        ),
        (stored(), "store has a value of type Float"),
        (opaque(), "instruction unheard_of has no definition"),
    ],
)
def test_what_no_simulator_has_is_refused_before_a_task_is_made(
    aer: QuantumResource, circuit: QuantumCircuit, reason: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=f"^pub 0: .*{reason}"):
        SamplerV2(aer).run([circuit])
