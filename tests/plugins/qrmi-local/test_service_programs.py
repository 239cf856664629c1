"""The programs `executor` and `noise-learner` of the Qiskit engine."""

from __future__ import annotations

import importlib
import itertools
import json
import warnings
from typing import Any

import numpy as np
import pytest
from qiskit import QuantumCircuit, QuantumRegister, transpile
from qiskit.circuit import Parameter
from qiskit.quantum_info import PTM, Pauli, PauliList
from qiskit_aer.noise.device import basic_device_gate_errors
from qiskit_ibm_runtime import QuantumProgram, fake_provider
from qiskit_ibm_runtime.decoders.executor.decoder import ExecutorResultDecoder
from qiskit_ibm_runtime.decoders.noise_learner import NoiseLearnerResultDecoder
from qiskit_ibm_runtime.decoders.noise_learner_v3.decoder import NoiseLearnerV3ResultDecoder
from qiskit_ibm_runtime.noise_learner_v3.params_converters import (
    NOISE_LEARNER_V3_PARAMS_CONVERTERS,
)
from qiskit_ibm_runtime.options_models import ExecutorOptions, NoiseLearnerV3Options
from qiskit_ibm_runtime.quantum_program.params_converters import QUANTUM_PROGRAM_PARAMS_CONVERTERS
from samplomatic import build
from samplomatic.transpiler import generate_boxing_pass_manager

from qrmi_local.engines import EngineError, qiskit as engine
from qrmi_local.engines._encoding import encode

PAIR = """OPENQASM 3.0;
include "stdgates.inc";
cx $0, $1;
"""
LAGOS = fake_provider.FakeLagosV2()


def executed(
    program: QuantumProgram, resource: str = "aer", version: str = "v2.0", seed: int = 5
) -> Any:
    encoder = QUANTUM_PROGRAM_PARAMS_CONVERTERS[version].encoder
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        document = encoder(program, ExecutorOptions()).model_dump_json().encode()
    text = engine.run(resource, "executor", document, seed=seed).decode()
    assert json.loads(text)["schema_version"] == version
    return ExecutorResultDecoder.decode(text)


def rotated() -> QuantumCircuit:
    circuit = QuantumCircuit(2, 2)
    circuit.ry(Parameter("a"), 0)
    circuit.ry(Parameter("b"), 1)
    circuit.measure([0, 1], [0, 1])
    return circuit


def bell() -> QuantumCircuit:
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    return circuit


def learned(document: dict[str, Any], resource: str = "fake_lagos") -> Any:
    text = engine.run(resource, "noise-learner", json.dumps(document).encode()).decode()
    schema = importlib.import_module("ibm_quantum_schemas.noise_learner_v2.version_0_1")
    schema.ResultsModel.model_validate_json(text)
    return NoiseLearnerResultDecoder.decode(text)


def fidelities(resource_gate: str, qubits: tuple[int, int]) -> dict[str, float]:
    """Of the device's own channel behind a gate, by labels."""
    for name, places, error in basic_device_gate_errors(target=LAGOS.target):
        if (name, tuple(places)) == (resource_gate, qubits):
            labels = map("".join, itertools.product("IXYZ", repeat=2))
            return dict(zip(labels, np.diag(PTM(error.to_quantumchannel()).data).real, strict=True))
    raise AssertionError("no such gate")


class TestExecutor:
    @pytest.mark.parametrize("version", sorted(QUANTUM_PROGRAM_PARAMS_CONVERTERS))
    def test_each_version_of_the_schema_is_answered_in_it(self, version: str) -> None:
        program = QuantumProgram(shots=20)
        values = np.array([[[0, 0], [np.pi, 0]], [[0, np.pi], [np.pi, np.pi]]], dtype=float)
        program.append_circuit_item(rotated(), circuit_arguments=values)
        program.append_circuit_item(bell())
        first, second = executed(program, version=version)
        assert first["c"].shape == (2, 2, 20, 2)
        assert first["c"][..., 0].mean(axis=-1).tolist() == [[0, 1], [0, 1]]
        assert first["c"][..., 1].mean(axis=-1).tolist() == [[0, 0], [1, 1]]
        assert second["meas"].shape == (20, 2)
        assert (second["meas"][:, 0] == second["meas"][:, 1]).all()

    def test_a_seed_repeats_a_program_with_its_randomizations(self) -> None:
        boxed = generate_boxing_pass_manager().run(
            transpile(bell(), basis_gates=["rz", "sx", "cz"])
        )
        template, samplex = build(boxed)
        program = QuantumProgram(shots=50, passthrough_data={"mine": [1, "x"]})
        program.append_samplex_item(template, samplex=samplex, shape=(8,))
        first, again, other = (executed(program, seed=seed) for seed in (1, 1, 2))
        flipped = first[0]["meas"] ^ first[0]["measurement_flips.meas"]
        assert flipped.shape == (8, 50, 2)
        assert (flipped[..., 0] == flipped[..., 1]).all()
        assert len(np.unique(first[0]["measurement_flips.meas"], axis=0)) > 1
        assert (first[0]["meas"] == again[0]["meas"]).all()
        assert not (first[0]["meas"] == other[0]["meas"]).all()
        assert first.passthrough_data == {"mine": [1, "x"]}
        [chunk] = first.metadata.chunk_timing
        assert chunk.parts[0].size == 8

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"schema_version": "v9.9"}, "schema_version is none of: v0.1, "),
            ({"schema_version": ["v2.0"]}, "schema_version is none of"),
            ({"options": 5}, "does not follow v2.0: options"),
            ({"quantum_program": {}}, "does not follow v2.0: quantum_program.shots"),
        ],
    )
    def test_what_is_not_of_the_schema_is_refused(
        self, change: dict[str, Any], message: str
    ) -> None:
        program = QuantumProgram(shots=1)
        program.append_circuit_item(bell())
        encoder = QUANTUM_PROGRAM_PARAMS_CONVERTERS["v2.0"].encoder
        document = encoder(program, ExecutorOptions()).model_dump(mode="json") | change
        with pytest.raises(EngineError, match=message):
            engine.run("aer", "executor", json.dumps(document).encode())

    def test_what_cannot_be_executed_is_refused(self) -> None:
        program = QuantumProgram(shots=1, meas_level="kerneled")
        program.append_circuit_item(bell())
        with pytest.raises(EngineError, match="'kerneled' cannot be simulated"):
            executed(program)
        program = QuantumProgram(shots=1)
        program.append_circuit_item(bell())
        with pytest.raises(EngineError, match=r"item 0: fake_lagos has no h .*\(ISA\)"):
            executed(program, "fake_lagos")
        program = QuantumProgram(shots=10**7)
        program.append_circuit_item(bell())
        with pytest.raises(EngineError, match="item 0: 10000000 shots; aer takes at most"):
            executed(program)


class TestNoiseLearner:
    def test_the_rates_are_those_of_the_simulators_channel(self) -> None:
        [layer] = learned({"circuits": [PAIR], "version": 2}).data
        assert layer.qubits == [0, 1]
        assert [each.operation.name for each in layer.circuit] == ["cx"]
        wanted = fidelities("cx", (0, 1))
        for label, fidelity in wanted.items():
            against = Pauli(label)
            exponent = sum(
                -2 * rate
                for generator, rate in zip(layer.error.generators, layer.error.rates, strict=True)
                if not against.commutes(generator)
            )
            assert np.exp(exponent) == pytest.approx(fidelity, abs=1e-9)

    def test_the_order_of_a_gates_qubits_is_that_of_the_device(self) -> None:
        [layer] = learned({"circuits": [PAIR.replace("$0, $1", "$1, $0")]}).data
        rates = dict(zip(layer.error.generators.to_labels(), layer.error.rates, strict=True))
        wanted = fidelities("cx", (1, 0))
        # The gate's first qubit is the right letter of its labels; here it is the layer's second.
        swapped = np.exp(
            sum(
                -2 * rate for label, rate in rates.items() if Pauli("ZI").anticommutes(Pauli(label))
            )
        )
        assert swapped == pytest.approx(wanted["IZ"], abs=1e-9)

    def test_layers_are_chosen_by_how_often_they_come(self) -> None:
        often = PAIR + "cx $1, $2;\nbarrier $0, $1, $2;\ncx $1, $2;\n"
        options = {"max_layers_to_learn": 1, "twirling_strategy": "active"}
        result = learned({"circuits": [often], "options": options})
        assert [layer.qubits for layer in result.data] == [[1, 2]]
        assert result.metadata["input_options"]["twirling_strategy"] == "active"
        result = learned({"circuits": [often], "options": options | {"max_layers_to_learn": None}})
        assert [layer.qubits for layer in result.data] == [[1, 2], [0, 1]]

    def test_idle_qubits_that_are_twirled_have_no_noise(self) -> None:
        circuit = PAIR + "barrier $0, $1, $3;\ncx $1, $3;\n"
        options = {"twirling_strategy": "active-circuit"}
        first = learned({"circuits": [circuit], "options": options}).data[0]
        assert first.qubits == [0, 1, 3]
        assert isinstance(first.error.generators, PauliList)
        rates = dict(zip(first.error.generators.to_labels(), first.error.rates, strict=True))
        assert len(rates) == 3 * 3 + 2 * 9
        idle = [rate for label, rate in rates.items() if label[0] != "I"]
        assert idle == [0] * len(idle)

    def test_a_simulator_without_noise_has_none(self) -> None:
        text = 'OPENQASM 3.0; include "stdgates.inc"; qubit[2] q; h q[0]; cx q[0], q[1];'
        [layer] = learned({"circuits": [text]}, "aer").data
        assert not layer.error.rates.any()
        assert len(layer.error.rates) == 15

    @pytest.mark.parametrize("version", sorted(NOISE_LEARNER_V3_PARAMS_CONVERTERS))
    def test_boxes_are_learned_in_each_version_of_the_schema(self, version: str) -> None:
        circuit = QuantumCircuit(QuantumRegister(7, "q"))
        circuit.cx(1, 0)
        circuit.cx(3, 5)
        circuit.measure_all()
        boxed = generate_boxing_pass_manager(twirling_strategy="active").run(circuit)
        boxes = [each for each in boxed if each.name == "box"]
        encoder = NOISE_LEARNER_V3_PARAMS_CONVERTERS[version].encoder
        document = encoder(boxes, NoiseLearnerV3Options()).model_dump(mode="json") | {"version": 3}
        text = engine.run("fake_lagos", "noise-learner", json.dumps(document).encode()).decode()
        results = NoiseLearnerV3ResultDecoder.decode(text)
        found = {item.metadata["learning_protocol"]: item for item in results.data}
        gates = found["lindblad"].to_pauli_lindblad_map()
        assert gates.num_qubits == 4
        wanted = fidelities("cx", (1, 0))
        total = sum(-2 * term.rate for term in gates if not Pauli("IIIZ").commutes(_pauli(term, 4)))
        assert np.exp(total) == pytest.approx(wanted["ZI"], abs=1e-9)
        flips = found["trex"].to_pauli_lindblad_map()
        assert flips.num_qubits == 7
        assert (np.array(flips.rates) > 0).all()

    @pytest.mark.parametrize(
        ("document", "message"),
        [
            ({"circuits": []}, "circuits is not a list of at least one"),
            ({"circuits": ["nonsense"]}, "circuit 0: not OpenQASM 3"),
            (
                {"circuits": [PAIR.replace("$1", "$6")]},
                r"circuit 0: fake_lagos has no cx .*\(ISA\)",
            ),
            ({"circuits": [PAIR], "options": {"x": 1}}, "options does not follow the schema: x"),
            ({"schema_version": "v7.0"}, "schema_version is none of: v0.1, v0.2, v0.3"),
            ({"schema_version": "v0.3"}, "the input does not follow the schema: instructions"),
        ],
    )
    def test_what_cannot_be_learned_is_refused(
        self, document: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(EngineError, match=message):
            engine.run("fake_lagos", "noise-learner", json.dumps(document).encode())


def _pauli(term: Any, width: int) -> Pauli:
    letters = ["I"] * width
    for letter, index in zip(term.pauli_labels(), term.indices, strict=True):
        letters[width - 1 - index] = letter
    return Pauli("".join(letters))


@pytest.mark.slow
def test_wide_circuits_of_unentangled_qubits_are_simulated_in_pieces() -> None:
    for resource, width in (("aer", 30), ("fake_fez", 156)):
        circuit = QuantumCircuit(width)
        for qubit in range(0, width, 3):
            circuit.x(qubit)
        circuit.cz(0, 1)
        circuit.measure_all()
        document = {"pubs": [[circuit, None, 200]], "version": 2, "support_qiskit": False}
        result = json.loads(engine.run(resource, "sampler", encode(document), seed=3))
        [pub] = result["results"]
        samples = [int(sample, 16) for sample in pub["data"]["meas"]["samples"]]
        ones = [sum(sample >> qubit & 1 for sample in samples) for qubit in range(width)]
        if resource == "aer":
            assert ones == [200 if qubit % 3 == 0 else 0 for qubit in range(width)]
        else:
            right = sum(
                200 - count if qubit % 3 == 0 else count for qubit, count in enumerate(ones)
            )
            assert right < 0.1 * 200 * width


def test_wide_circuits_that_are_entangled_still_say_that_they_are_too_large() -> None:
    circuit = QuantumCircuit(48)
    circuit.h(0)
    circuit.t(0)
    for qubit in range(47):
        circuit.cx(qubit, qubit + 1)
    circuit.measure_all()
    document = {"pubs": [[circuit, None, 1]], "version": 2}
    with pytest.raises(EngineError, match="a state of 48 qubits needs more than"):
        engine.run("aer", "sampler", encode(document))
