"""Inputs of the primitives: how they are sent, and which are rejected before any request."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.circuit.classical import types
from qiskit.quantum_info import SparsePauliOp

from qrmi_core import InvalidInputError, Payload, QuantumResource, UnsupportedPayloadError
from qrmi_core.testing import FakeVendor
from qrmi_qiskit import EstimatorV2, InvalidArgumentError, SamplerV2

THETA, PHI = Parameter("theta"), Parameter("phi")


def parametrised() -> QuantumCircuit:
    circuit = QuantumCircuit(2, 2)
    circuit.ry(THETA, 0)
    circuit.ry(PHI, 1)
    circuit.measure([0, 1], [0, 1])
    return circuit


def with_register(name: str, size: int = 1) -> QuantumCircuit:
    circuit = QuantumCircuit(1)
    circuit.add_register(ClassicalRegister(size, name))
    return circuit


def test_a_samplers_input_has_the_published_form(bench: Any, decoded: Any) -> None:
    circuit = parametrised()
    values = np.arange(6.0).reshape(3, 2)
    SamplerV2(bench.qpu, options={"default_shots": 11}).run([(circuit, values, np.int32(5))])
    [sent] = bench.sent
    assert sent.keys() == {"pubs", "options", "version", "support_qiskit"}
    assert (sent["version"], sent["support_qiskit"]) == (2, True)
    assert sent["options"] == {"default_shots": 11}
    [[form, parameters, shots]] = sent["pubs"]
    assert shots == 5
    assert decoded(form) == circuit
    assert np.array_equal(decoded(parameters), values)


def test_parameters_given_by_name_are_sent_in_the_circuits_order(bench: Any, decoded: Any) -> None:
    circuit = parametrised()
    assert [parameter.name for parameter in circuit.parameters] == ["phi", "theta"]
    SamplerV2(bench.qpu).run([(circuit, {THETA: [1.0, 2.0], PHI: [3.0, 4.0]})])
    assert decoded(bench.sent[0]["pubs"][0][1]).tolist() == [[3, 1], [4, 2]]


def test_without_parameters_an_empty_array_is_sent(
    bench: Any, decoded: Any, bell: QuantumCircuit
) -> None:
    SamplerV2(bench.qpu).run([bell])
    values = decoded(bench.sent[0]["pubs"][0][1])
    assert (values.shape, values.dtype) == ((0,), np.float64)


@pytest.mark.parametrize(
    ("options", "shots", "wanted"),
    [
        ({}, None, 4096),
        ({"default_shots": 9}, None, 9),
        ({"default_shots": 9}, 8, 8),
        (
            {
                "default_shots": 9,
                "twirling": {"num_randomizations": 3, "shots_per_randomization": 2},
            },
            None,
            6,
        ),
        ({"twirling": {"num_randomizations": 3, "shots_per_randomization": "auto"}}, None, 4096),
    ],
)
def test_shots_are_those_of_run_or_of_the_options(
    bench: Any, bell: QuantumCircuit, options: Any, shots: int | None, wanted: int
) -> None:
    SamplerV2(bench.qpu, options=options).run([bell, (bell, None, 2)], shots=shots)
    assert [pub[2] for pub in bench.sent[0]["pubs"]] == [wanted, 2]


@pytest.mark.parametrize(
    ("options", "precision", "wanted"),
    [
        ({}, None, 1 / 64),
        ({"default_precision": 0.5}, None, 0.5),
        ({"default_precision": 0.5}, 0.25, 0.25),
        ({"default_precision": 0.5, "default_shots": 100}, None, None),
        (
            {"twirling": {"num_randomizations": 3, "shots_per_randomization": 2}},
            None,
            None,
        ),
    ],
)
def test_a_precision_is_that_of_run_or_of_the_options(
    bench: Any, options: Any, precision: float | None, wanted: float | None
) -> None:
    circuit = QuantumCircuit(1)
    estimator = EstimatorV2(bench.qpu, options=options)
    estimator.run([(circuit, "Z"), (circuit, "Z", None, 0.125)], precision=precision)
    assert [pub[3] for pub in bench.sent[0]["pubs"]] == [wanted, 0.125]


def test_an_estimators_input_has_the_published_form(bench: Any, decoded: Any) -> None:
    circuit = QuantumCircuit(2)
    ising = SparsePauliOp.from_list([("ZZ", 1.0), ("XI", 0.5)])
    EstimatorV2(bench.qpu, options={"resilience_level": 0}).run(
        [(circuit, ising), (circuit, ["ZI", {"IZ": 2}]), (circuit, [["ZZ"], ["XX"]])]
    )
    [sent] = bench.sent
    assert sent.keys() == {"pubs", "options", "version", "support_qiskit", "resilience_level"}
    assert (sent["resilience_level"], sent["options"]) == (0, {})
    assert [pub[1] for pub in sent["pubs"]] == [
        {"ZZ": 1.0, "XI": 0.5},
        [{"ZI": 1.0}, {"IZ": 2.0}],
        [[{"ZZ": 1.0}], [{"XX": 1.0}]],
    ]


def test_one_run_is_one_task_and_the_description_is_asked_for_once(
    bench: Any, bell: QuantumCircuit
) -> None:
    sampler = SamplerV2(bench.qpu)
    for _ in range(3):
        sampler.run([bell] * 5)
    assert bench.vendor.calls["task_start"] == 3
    assert bench.vendor.calls["target"] == 1


BAD_SAMPLES: dict[str, tuple[Any, dict[str, Any], str]] = {
    "a bare circuit": (QuantumCircuit(1), {}, "put it into a list"),
    "no pub": ([], {}, "no pub"),
    "not a pub": ([3], {}, "pub 0"),
    "values missing": ([parametrised()], {}, "pub 0.*parameter"),
    "too many values": ([(parametrised(), [1, 2, 3])], {}, "pub 0"),
    "values that are not numbers": ([(parametrised(), ["x", "y"])], {}, "pub 0"),
    "infinite values": ([(parametrised(), [1, np.inf])], {}, "pub 0.*finite"),
    "an empty array": ([(parametrised(), np.zeros((0, 2)))], {}, "pub 0.*empty"),
    "no shots": ([with_register("c")], {"shots": 0}, "shots must be a whole number"),
    "half a shot": ([with_register("c")], {"shots": 1.5}, "shots must be a whole number"),
    "shots of a flag": ([with_register("c")], {"shots": True}, "shots must be a whole number"),
    "a pub without shots": ([(with_register("c"), None, 0)], {}, "pub 0.*shots"),
    "a pub with negative shots": ([(with_register("c"), None, -1)], {}, "pub 0.*shots"),
    "no register": ([QuantumCircuit(1)], {}, "no classical register"),
    "the second pub": ([with_register("c"), QuantumCircuit(1)], {}, "pub 1"),
    "an empty register": ([with_register("c", 0)], {}, "register c has no bits"),
    "a register that is no name": ([with_register("1c")], {}, "'1c'.*rename"),
    "a register that is a keyword": ([with_register("lambda")], {}, "'lambda'.*rename"),
    "a register that results have": ([with_register("items")], {}, "'items'.*rename"),
    "a register named shape": ([with_register("shape")], {}, "'shape'.*rename"),
}


@pytest.mark.parametrize("case", BAD_SAMPLES)
def test_a_wrong_input_of_the_sampler_is_refused_before_it_is_sent(bench: Any, case: str) -> None:
    pubs, more, message = BAD_SAMPLES[case]
    with pytest.raises(InvalidArgumentError, match=message) as refused:
        SamplerV2(bench.qpu).run(pubs, **more)
    assert isinstance(refused.value, InvalidInputError)
    assert isinstance(refused.value, ValueError)
    assert not bench.vendor.tasks


BAD_ESTIMATES: dict[str, tuple[Any, dict[str, Any], str]] = {
    "no observables": ([QuantumCircuit(1)], {}, "pub 0"),
    "an empty array": ([(QuantumCircuit(1), [])], {}, "pub 0"),
    "another width": ([(QuantumCircuit(1), "ZZ")], {}, "pub 0.*qubit"),
    "a strange letter": ([(QuantumCircuit(1), "Q")], {}, "pub 0"),
    "a projector": ([(QuantumCircuit(1), "0")], {}, "pub 0.*I, X, Y and Z, not of 0"),
    "a complex coefficient": ([(QuantumCircuit(1), {"Z": 1j})], {}, "pub 0"),
    "an infinite coefficient": ([(QuantumCircuit(1), {"Z": np.inf})], {}, "pub 0.*finite"),
    "shapes apart": (
        [(parametrised().remove_final_measurements(inplace=False), ["ZZ"] * 2, np.zeros((3, 2)))],
        {},
        "pub 0.*shape",
    ),
    "precision 0": (
        [(QuantumCircuit(1), "Z")],
        {"precision": 0},
        "pub 0: its precision must be above 0: its values come from the shots of a device",
    ),
    "no number": ([(QuantumCircuit(1), "Z")], {"precision": "1"}, "precision must be a finite"),
    "not a number": (
        [(QuantumCircuit(1), "Z")],
        {"precision": np.nan},
        "precision must be a finite",
    ),
    "precision 0 of a pub": ([(QuantumCircuit(1), "Z", None, 0)], {}, "pub 0.*precision"),
    "negative precision of a pub": ([(QuantumCircuit(1), "Z", None, -1)], {}, "pub 0.*precision"),
}


@pytest.mark.parametrize("case", BAD_ESTIMATES)
def test_a_wrong_input_of_the_estimator_is_refused_before_it_is_sent(bench: Any, case: str) -> None:
    pubs, more, message = BAD_ESTIMATES[case]
    with pytest.raises(InvalidArgumentError, match=message):
        EstimatorV2(bench.qpu).run(pubs, **more)
    assert not bench.vendor.tasks


def test_an_input_variable_is_refused(bench: Any) -> None:
    circuit = with_register("c")
    circuit.add_input("given", types.Uint(3))
    with pytest.raises(InvalidArgumentError, match="^pub 0: .* input variable given, for which"):
        SamplerV2(bench.qpu).run([circuit])


def test_dynamical_decoupling_and_control_flow_exclude_each_other(bench: Any) -> None:
    circuit = QuantumCircuit(1, 1)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(0)
    sampler = SamplerV2(bench.qpu)
    sampler.options.dynamical_decoupling.enable = True
    with pytest.raises(InvalidArgumentError, match="control flow"):
        sampler.run([circuit])
    sampler.options.dynamical_decoupling.enable = False
    sampler.run([circuit])
    assert len(bench.vendor.tasks) == 1


@pytest.mark.parametrize("primitive", [SamplerV2, EstimatorV2])
def test_a_resource_that_runs_no_primitives_is_refused_at_once(primitive: Any) -> None:
    driver = FakeVendor().driver()
    driver.payloads = (Payload.PasqalCloud,)
    qpu = QuantumResource("FRESNEL", "fake", {}, driver_class=driver)
    with pytest.raises(UnsupportedPayloadError, match=r"FRESNEL.*takes PasqalCloud"):
        primitive(qpu)
