"""The Qiskit engine: payload forms, results that the SDK decodes, known values, clear refusals."""

from __future__ import annotations

import json
import math
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from qiskit import QuantumCircuit, QuantumRegister, qasm3, transpile
from qiskit.circuit import ClassicalRegister, Parameter, ParameterVector
from qiskit.qasm3 import ExperimentalFeatures
from qiskit_ibm_runtime import fake_provider
from qiskit_ibm_runtime.decoders.result_decoder import ResultDecoder
from qiskit_ibm_runtime.models import BackendProperties
from qiskit_ibm_runtime.utils.backend_converter import convert_to_target
from qiskit_ibm_runtime.utils.backend_decoder import (
    configuration_from_server_data,
    properties_from_server_data,
)
from scipy import stats

from qrmi_local.engines import (
    EngineError,
    UnknownResource,
    engine_for,
    one_line,
    qiskit as engine,
)
from support.processes import said
from support.qiskit_engine import HEADER, encoded, estimate, sample

# As the published wrapper sends them: a Bell state on two qubits of a device.
LAGOS_BELL = (
    HEADER + "bit[2] c;\nrz(1.5707963267948966) $0;\nsx $0;\nrz(1.5707963267948966) $0;\n"
    "cx $0, $1;\nc[0] = measure $0;\nc[1] = measure $1;\n"
)
LAGOS_PAIR = LAGOS_BELL.replace("bit[2] c;\n", "").partition("c[0]")[0]
PAYLOADS = Path(__file__).parents[3] / "docs" / "examples" / "payloads"


def bell() -> QuantumCircuit:
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    return circuit


def measured(circuit: QuantumCircuit) -> QuantumCircuit:
    circuit.measure_all()
    return circuit


def rotation() -> QuantumCircuit:
    circuit = QuantumCircuit(1, 1)
    circuit.ry(Parameter("theta"), 0)
    circuit.measure(0, 0)
    return circuit


class TestResources:
    def test_ids_are_those_of_the_sdk_and_aer(self) -> None:
        names = {
            value.backend_name
            for value in vars(fake_provider).values()
            if isinstance(getattr(value, "backend_name", None), str)
        }
        assert {resource.resource_id for resource in engine.resources()} == names | {"aer"}

    def test_describe_the_device(self) -> None:
        found = {resource.resource_id: resource for resource in engine.resources()}
        assert found["fake_lagos"].num_qubits == 7
        assert found["fake_lagos"].max_shots > 0

    def test_are_listed_and_described_without_importing_a_simulator(self) -> None:
        script = (
            "import sys\n"
            "from qrmi_local.engines import engine_for\n"
            "engine = engine_for('aer'); engine.resources(); engine.target('fake_fez')\n"
            "engine_for('EMU_FREE').resources()\n"
            'engine.check(\'sampler\', b\'{"version": 2, "pubs": [""]}\')\n'
            "print([n for n in ('qiskit', 'numpy', 'qiskit_aer', 'pulser') if n in sys.modules])"
        )
        assert python(script) == "[]"

    @pytest.mark.slow
    def test_every_snapshot_converts_to_a_target(self) -> None:
        for resource in engine.resources():
            documents = json.loads(engine.target(resource.resource_id))
            assert documents["configuration"]["backend_name"] == resource.resource_id
            properties = properties_from_server_data(documents["properties"])
            assert isinstance(properties, BackendProperties)
            configuration = configuration_from_server_data(documents["configuration"])
            assert configuration is not None, resource
            target = convert_to_target(configuration, properties)
            assert target.num_qubits == resource.num_qubits
            assert "measure" in target.operation_names

    def test_a_circuit_for_the_target_of_aer_stays_as_it_is(self) -> None:
        documents = json.loads(engine.target("aer"))
        target = convert_to_target(
            configuration_from_server_data(documents["configuration"], use_fractional_gates=None),
            properties_from_server_data(documents["properties"]),
        )
        circuit = QuantumCircuit(3)
        circuit.h(0)
        circuit.ccx(0, 1, 2)
        circuit.rzz(0.3, 0, 2)
        circuit.measure_all()
        names = transpile(circuit, target=target, optimization_level=0).count_ops()
        assert names.keys() == {"h", "ccx", "rzz", "measure", "barrier"}

    @pytest.mark.parametrize("resource_id", ["fake_nothing", "fake_", "fake_../lagos"])
    def test_an_unknown_snapshot_is_named(self, resource_id: str) -> None:
        with pytest.raises(UnknownResource, match=resource_id):
            engine.target(resource_id)
        with pytest.raises(UnknownResource, match=resource_id):
            engine.run(resource_id, "sampler", encoded([LAGOS_BELL]))

    def test_the_engine_is_chosen_by_id(self) -> None:
        assert engine_for("aer") is engine_for("fake_fez") is engine
        assert engine_for("emu_free") is engine_for("EMU_MPS") is not engine
        with pytest.raises(UnknownResource, match="EMU_TN"):
            engine_for("EMU_TN")


class TestSampler:
    @pytest.mark.parametrize(
        "pub",
        [
            pytest.param(LAGOS_BELL, id="bare text"),
            pytest.param([LAGOS_BELL], id="text"),
            pytest.param([LAGOS_BELL, None], id="null"),
            pytest.param([LAGOS_BELL, [], None], id="empty list"),
            pytest.param([LAGOS_BELL, np.zeros(0)], id="empty array"),
            pytest.param([LAGOS_BELL, {}, 4096], id="empty object"),
            pytest.param([measured(bell()), []], id="circuit"),
        ],
    )
    def test_a_bell_state_in_every_form(self, pub: Any) -> None:
        [result] = sample(pub)
        [register] = result.data.values()
        counts = register.get_counts()
        assert counts.keys() == {"00", "11"}
        assert sum(counts.values()) == result.metadata["shots"] == 4096
        assert abs(counts["00"] - 2048) < 5 * 32

    def test_a_result_has_the_runtime_s_metadata(self) -> None:
        result = sample([LAGOS_BELL, None, 10])
        assert result.metadata == {"version": 2}
        assert result[0].metadata == {"shots": 10, "circuit_metadata": {}}

    @pytest.mark.parametrize(
        ("shots", "fields", "expected"),
        [
            (3, {"shots": 4, "options": {"default_shots": 5}}, 3),
            (None, {"shots": 4, "options": {"default_shots": 5}}, 4),
            (None, {"options": {"default_shots": 5}}, 5),
            (None, {"options": None}, 4096),
        ],
    )
    def test_shots_of_the_pub_the_input_and_the_options(
        self, shots: int | None, fields: dict[str, Any], expected: int
    ) -> None:
        [result] = sample([LAGOS_BELL, None, shots], **fields)
        assert result.data.c.num_shots == expected

    @pytest.mark.parametrize(
        "values",
        [
            [[0.0], [math.pi]],
            [0.0, math.pi],
            np.array([[0.0], [math.pi]]),
            {"theta": [0.0, math.pi]},
        ],
        ids=["nested list", "list", "array", "by name"],
    )
    @pytest.mark.parametrize("form", [rotation(), qasm3.dumps(rotation())], ids=["qpy", "text"])
    def test_parameter_values_in_every_form(self, form: Any, values: Any) -> None:
        [result] = sample([form, values, 16])
        assert result.data.shape == (2,)
        assert result.data.c.array.shape == (2, 16, 1)
        assert [result.data.c.get_counts(i) for i in range(2)] == [{"0": 16}, {"1": 16}]

    @pytest.mark.parametrize("as_text", [True, False], ids=["text", "qpy"])
    def test_twelve_parameters_keep_the_order_of_their_declarations(self, as_text: bool) -> None:
        angles = ParameterVector("θ", 12)
        circuit = QuantumCircuit(12, 12)
        for qubit, angle in enumerate(angles):
            circuit.ry(angle, qubit)
        circuit.measure(range(12), range(12))
        values = [math.pi if qubit in (2, 5, 11) else 0.0 for qubit in range(12)]
        [result] = sample([qasm3.dumps(circuit) if as_text else circuit, values, 10])
        assert result.data.c.get_counts() == {"100000100100": 10}

    def test_declaration_order_wins_over_names_and_use(self) -> None:
        text = HEADER + (
            "input float[64] zeta;\ninput float[64] unused;\ninput float[64] a;\n"
            "bit[2] c;\nqubit[2] q;\nry(a) q[0];\nry(zeta) q[1];\nc = measure q;\n"
        )
        [result] = sample([text, [math.pi, 0.5, 0.0], 10])
        assert result.data.c.get_counts() == {"10": 10}

    def test_a_circuit_without_parameters_is_repeated_for_the_shape_of_its_values(self) -> None:
        [result] = sample([measured(bell()), np.zeros((2, 3, 0)), 50])
        assert result.data.meas.array.shape == (2, 3, 50, 1)
        for index in np.ndindex(2, 3):
            assert result.data.meas.get_counts(index).keys() == {"00", "11"}

    def test_several_pubs_keep_their_order_shots_and_randomness(self) -> None:
        circuit = measured(bell())
        first, second, third = sample(
            [circuit, None, 100], [LAGOS_BELL, None, 7], [circuit, [], 100]
        )
        assert [first.metadata["shots"], second.metadata["shots"]] == [100, 7]
        assert (first.data.meas.array != third.data.meas.array).any()

    def test_several_registers_with_any_name(self) -> None:
        left, right = ClassicalRegister(2, "Left"), ClassicalRegister(9, "right")
        circuit = QuantumCircuit(QuantumRegister(2, "q"), left, right)
        circuit.x(0)
        circuit.measure(0, left[1])
        circuit.measure(0, right[8])
        for form in (circuit, qasm3.dumps(circuit)):
            [result] = sample([form, None, 4])
            assert list(result.data) == ["Left", "right"]
            assert result.data.Left.get_counts() == {"10": 4}
            assert result.data.right.get_counts() == {"100000000": 4}
            assert result.data.right.array.tolist() == [[1, 0]] * 4

    def test_loose_bits_are_registers_of_their_own(self) -> None:
        text = HEADER + (
            "qubit[2] q;\nbit c;\nbit[2] pair;\nbit d;\nx q[0];\nc = measure q[0];\n"
            "pair[1] = measure q[0];\nd = measure q[1];\nif (c) { x q[1]; }\n"
            "pair[0] = measure q[1];\n"
        )
        [result] = sample([text, None, 5])
        found = {name: bits.get_counts() for name, bits in result.data.items()}
        assert found == {"c": {"1": 5}, "pair": {"11": 5}, "d": {"0": 5}}

    def test_bits_without_any_register_are_collected_in_c(self) -> None:
        circuit = QuantumCircuit([*QuantumCircuit(1).qubits], [*QuantumCircuit(0, 2).clbits])
        circuit.x(0)
        circuit.measure(0, 1)
        [result] = sample([circuit, None, 5])
        assert result.data.c.get_counts() == {"10": 5}

    @pytest.mark.parametrize("as_text", [True, False], ids=["text", "qpy"])
    def test_a_measurement_decides_about_a_parametrised_gate(self, as_text: bool) -> None:
        circuit = QuantumCircuit(2, 2)
        circuit.x(0)
        circuit.measure(0, 0)
        with circuit.if_test((circuit.clbits[0], 1)):
            circuit.ry(Parameter("a"), 1)
        circuit.measure(1, 1)
        [result] = sample([qasm3.dumps(circuit) if as_text else circuit, [[0.0], [math.pi]], 10])
        assert [result.data.c.get_counts(i) for i in range(2)] == [{"01": 10}, {"11": 10}]

    @pytest.mark.parametrize("form", ["qpy", "text", "text of the first syntax"])
    @pytest.mark.parametrize(("angle", "expected"), [(0.0, "0110"), (math.pi, "1111")])
    def test_a_switch(self, form: str, angle: float, expected: str) -> None:
        circuit = QuantumCircuit(3, 4)
        circuit.x(0)
        circuit.measure(0, 1)
        with circuit.switch(circuit.cregs[0]) as case:
            with case(0):
                circuit.x(2)
            with case(1, 2):
                circuit.ry(Parameter("a"), 1)
                with circuit.for_loop(range(3)):
                    circuit.measure(1, 3)
                    with circuit.switch(circuit.clbits[3]) as inner:
                        with inner(1):
                            circuit.z(2)
                        with inner(0):
                            circuit.x(2)
                    with circuit.if_test((circuit.clbits[3], 1)):
                        circuit.x(2)
            with case(3, case.DEFAULT):
                circuit.y(2)
        circuit.measure([1, 2], [0, 2])
        with circuit.switch(circuit.cregs[0]) as case:
            with case(3):
                circuit.x(2)
            with case(case.DEFAULT):
                circuit.id(2)
        old = {"experimental": ExperimentalFeatures.SWITCH_CASE_V1}
        options = old if "first" in form else {}
        sent = circuit if form == "qpy" else qasm3.dumps(circuit, **options)
        [result] = sample([sent, [angle], 10])
        assert result.data.c.get_counts() == {expected: 10}

    def test_a_switch_with_gates_that_the_text_defines(self) -> None:
        text = HEADER + (
            "gate r(a) q { ry(a) q; }\nbit[1] c;\nint i;\nqubit[1] q;\ni = c;\n"
            "switch (i) { case 1 { id q[0]; } default { r(pi) q[0]; } }\nc[0] = measure q[0];\n"
        )
        [result] = sample([text, None, 10])
        assert result.data.c.get_counts() == {"1": 10}

    def test_a_gate_that_the_text_defines_is_its_definition(self) -> None:
        # Aer has a gate `r` of two parameters.
        text = HEADER + (
            "gate r(a) q { ry(a) q; }\ngate twice q { r(pi/2) q; r(pi/2) q; }\n"
            "qubit[1] q;\nbit[1] c;\ntwice q[0];\nc[0] = measure q[0];\n"
        )
        [result] = sample([text, None, 10])
        assert result.data.c.get_counts() == {"1": 10}

    def test_sixty_qubits_of_clifford_gates(self) -> None:
        circuit = QuantumCircuit(60)
        circuit.h(0)
        for qubit in range(59):
            circuit.cx(qubit, qubit + 1)
        circuit.measure_all()
        [result] = sample([circuit, None, 20])
        assert result.data.meas.get_counts().keys() == {"0" * 60, "1" * 60}

    def test_plain_json(self) -> None:
        circuit = rotation()
        out = engine.run(
            "aer", "sampler", encoded([[circuit, [[0.0], [math.pi]], 3]], support_qiskit=False)
        )
        assert json.loads(out) == {
            "results": [
                {
                    "data": {"c": {"samples": [["0x0"] * 3, ["0x1"] * 3], "num_bits": 1}},
                    "metadata": {"shots": 3, "circuit_metadata": {}},
                }
            ],
            "metadata": {"version": 2},
        }


class TestSeeds:
    @pytest.mark.slow
    @pytest.mark.parametrize("on", ["aer", "fake_lagos"])
    def test_equal_seeds_give_equal_bytes_in_another_process(self, on: str, tmp_path: Path) -> None:
        payload = encoded(
            [[LAGOS_BELL, None, 200], [LAGOS_BELL, None, 200]],
            options={"simulator": {"seed_simulator": 11}},
        )
        (tmp_path / "payload").write_bytes(payload)
        script = (
            "import pathlib, sys\nfrom qrmi_local.engines import qiskit\n"
            f"out = qiskit.run({on!r}, 'sampler', pathlib.Path('payload').read_bytes())\n"
            "sys.stdout.write(out.decode())\n"
            # Importing it takes longer than all the rest.
            f"assert {on != 'aer'} or 'qiskit_ibm_runtime' not in sys.modules"
        )
        assert python(script, cwd=tmp_path) == engine.run(on, "sampler", payload, seed=99).decode()

    @pytest.mark.parametrize(
        "options", [{"seed_estimator": 11}, {"simulator": {"seed_simulator": 11}}]
    )
    def test_the_estimator_s_options_have_a_seed_too(self, options: dict[str, Any]) -> None:
        pub = [LAGOS_PAIR, "XX"]
        one, two = estimate(pub, pub, options=options, seed=1)
        again, _ = estimate(pub, pub, options=options, seed=2)
        assert one.data.evs == again.data.evs != two.data.evs

    def test_without_a_seed_runs_differ(self) -> None:
        [one], [two] = (sample([LAGOS_BELL, None, 200], seed=None) for _ in range(2))
        assert (one.data.c.array != two.data.c.array).any()

    @pytest.mark.parametrize("seed", ["x", -1, 1.5, True, 2**63])
    def test_a_seed_that_is_none_is_refused(self, seed: Any) -> None:
        with pytest.raises(EngineError, match="seed"):
            sample([LAGOS_BELL], options={"simulator": {"seed_simulator": seed}})


class TestEstimator:
    def test_precision_0_is_exact(self) -> None:
        [result] = estimate([bell(), ["ZZ", "XX", "YY", "ZI", {"ZZ": 0.5, "XX": 1}], None, 0])
        np.testing.assert_allclose(result.data.evs, [1, 1, -1, 0, 1.5], atol=1e-9)
        assert result.data.stds.tolist() == [0.0] * 5
        assert result.metadata == {"target_precision": 0, "circuit_metadata": {}}

    def test_observables_as_wide_as_the_device(self) -> None:
        # Lagos misreads these two qubits in 17 % and 14 % of the shots.
        for on, expected in (("aer", 1.5), ("fake_lagos", 0.7)):
            [result] = estimate(
                [LAGOS_PAIR, {"IIIIIXX": 0.5, "IIIIIZZ": 1.0}, [], 0.1], on=on, precision=0.1
            )
            assert result.data.evs.shape == result.data.stds.shape == ()
            assert result.data.evs == pytest.approx(expected, abs=0.5)
            assert result.metadata["target_precision"] == 0.1

    def test_the_rightmost_character_is_qubit_0(self) -> None:
        text = HEADER + "x $2;\nx $29;\n"
        wide = ["I" * 29 + "Z", "I" * 27 + "ZII", "Z" + "I" * 29]
        [result] = estimate([text, wide, None, 0])
        np.testing.assert_allclose(result.data.evs, [1, -1, -1], atol=1e-9)

    def test_a_bit_that_is_written_twice_has_the_error_of_the_last_measurement(self) -> None:
        circuit = QuantumCircuit(5, 1)
        circuit.measure(0, 0)
        circuit.measure(1, 0)
        error = fake_provider.FakeManilaV2().target["measure"][(1,)].error
        [result] = sample([circuit, None, 8192], on="fake_manila")
        ones = result.data.c.get_counts().get("1", 0)
        low, high = stats.binom.ppf([1e-9, 1 - 1e-9], 8192, error)
        assert low <= ones <= high

    @pytest.mark.parametrize("on", ["aer", "fake_lagos"])
    def test_a_text_without_instructions_is_as_wide_as_its_observable(self, on: str) -> None:
        [result] = estimate([HEADER, "IIIIIIZ", [], 0.1], on=on)
        assert result.data.evs == pytest.approx(1, abs=0.6)

    def test_projectors(self) -> None:
        labels = ["00", "01", "11", "+-", "++", "rl", "rr", "Z1", {"0I": 2, "II": 1}, {"11": 4}]
        expected = [0.5, 0, 0.5, 0, 0.5, 0.5, 0, -0.5, 2, 2]
        [result] = estimate([bell(), labels, None, 0])
        np.testing.assert_allclose(result.data.evs, expected, atol=1e-9)
        [noisy] = estimate([LAGOS_PAIR, ["IIIIII1", "IIIII00"]], on="fake_lagos")
        np.testing.assert_allclose(noisy.data.evs, 0.5, atol=0.2)

    def test_broadcasting_of_observables_and_parameters(self) -> None:
        circuit = QuantumCircuit(1)
        circuit.ry(Parameter("theta"), 0)
        angles = np.array([0.0, 1.0, 2.0])
        [result] = estimate([circuit, [["Z"], ["X"]], angles[:, None], 0])
        np.testing.assert_allclose(result.data.evs, [np.cos(angles), np.sin(angles)], atol=1e-9)
        [zipped] = estimate([qasm3.dumps(circuit), ["Z", "X", "Z"], angles[:, None].tolist(), 0])
        np.testing.assert_allclose(zipped.data.evs, [1, math.sin(1), math.cos(2)], atol=1e-9)

    def test_values_of_a_circuit_without_parameters_give_the_shape(self) -> None:
        [result] = estimate([bell(), ["ZZ", "XX"], np.zeros((3, 1, 0))])
        assert result.data.evs.shape == (3, 2)
        assert len(set(result.data.evs.ravel().tolist())) == 6

    @pytest.mark.parametrize(
        ("precision", "fields", "expected"),
        [
            (0.5, {"precision": 0.25, "options": {"default_precision": 0.1}}, 0.5),
            (None, {"precision": 0.25, "options": {"default_precision": 0.1}}, 0.25),
            (None, {"options": {"default_precision": 0.1}}, 0.1),
            (None, {"options": {"default_precision": 0.1, "default_shots": 400}}, 0.05),
            (None, {}, 0.015625),
        ],
    )
    def test_precision_of_the_pub_the_input_and_the_options(
        self, precision: float | None, fields: dict[str, Any], expected: float
    ) -> None:
        [result] = estimate([bell(), "ZZ", None, precision], **fields)
        assert result.metadata["target_precision"] == expected
        assert result.data.stds == expected
        assert 0 < abs(result.data.evs - 1) < 5 * expected

    def test_values_with_a_measurement_in_the_circuit_come_from_shots(self) -> None:
        circuit = QuantumCircuit(2, 1)
        circuit.h(0)
        circuit.cx(0, 1)
        circuit.measure(0, 0)
        [result] = estimate([circuit, ["ZZ", "XX"]])
        assert result.data.evs[0] == 1
        assert abs(result.data.evs[1]) < 5 / 64
        assert result.data.stds == pytest.approx([0, 1 / 64], rel=0.01)
        assert result.metadata["shots"] == 4096
        with pytest.raises(EngineError, match="pub 0: the precision must be more than 0"):
            estimate([circuit, "ZZ", None, 0])

    def test_plain_json(self) -> None:
        pub = [bell(), ["ZZ", "ZI"], None, 0]
        out = engine.run("aer", "estimator", encoded([pub], support_qiskit=False))
        [result] = json.loads(out)["results"]
        assert result["data"]["evs"] == pytest.approx([1, 0], abs=1e-9)
        assert result["data"]["stds"] == [0, 0]


class TestDevices:
    def test_results_have_the_device_s_noise(self) -> None:
        [result] = sample([LAGOS_BELL, None, 4000], on="fake_lagos")
        counts = result.data.c.get_counts()
        wrong = counts["01"] + counts["10"]
        assert 40 < wrong < 1600
        assert counts["00"] + counts["11"] == 4000 - wrong

    def test_the_noise_is_that_of_the_qubits_in_use(self) -> None:
        """Two qubits of Lagos, measured in 0: readout errors as the snapshot says."""
        text = HEADER + "bit[2] c;\nc[0] = measure $3;\nc[1] = measure $6;\n"
        [result] = sample([text, None, 20_000], on="fake_lagos")
        properties = fake_provider.FakeLagosV2().properties()
        ones = result.data.c.array[:, 0]
        for bit, qubit in enumerate((3, 6)):
            expected = properties.qubit_property(qubit)["prob_meas1_prep0"][0]
            rate = ((ones >> bit) & 1).mean()
            spread = math.sqrt(expected * (1 - expected) / 20_000)
            # The noise model has one readout error for both outcomes.
            error = properties.readout_error(qubit)
            assert rate == pytest.approx(error, abs=5 * spread + abs(expected - error))

    @pytest.mark.parametrize("as_text", [True, False], ids=["text", "qpy"])
    def test_a_few_qubits_of_156(self, as_text: bool) -> None:
        backend = fake_provider.FakeFez()
        circuit = QuantumCircuit(2, 2)
        circuit.x(0)
        circuit.rzz(0.5, 0, 1)
        circuit.measure(0, 0)
        with circuit.if_test((circuit.clbits[0], 1)):
            circuit.x(1)
        circuit.measure(1, 1)
        isa = transpile(circuit, backend, initial_layout=[100, 101], optimization_level=0)
        isa.barrier()
        [result] = sample([qasm3.dumps(isa) if as_text else isa, None, 500], on="fake_fez")
        assert result.data.c.get_counts()["11"] > 400
        plain = transpile(bell(), backend, initial_layout=[100, 101], optimization_level=1)
        zz = "".join("Z" if qubit in (100, 101) else "I" for qubit in reversed(range(156)))
        form = qasm3.dumps(plain) if as_text else plain
        [value] = estimate([form, [zz, "I" * 156, "Z" + "I" * 155]], on="fake_fez")
        assert 0.8 < value.data.evs[0] < 1
        assert value.data.evs[1] == 1
        assert 0.8 < value.data.evs[2] <= 1
        assert value.metadata["shots"] == 4096

    def test_the_identity_of_a_text_is_the_device_s(self) -> None:
        [result] = sample(
            [HEADER + "bit[1] c;\nid $3;\nc[0] = measure $3;\n", None, 100], on="fake_lagos"
        )
        assert result.data.c.num_shots == 100

    def test_the_identity_in_a_block_is_too(self) -> None:
        text = (
            "bit[1] c;\nc[0] = measure $3;\nif (c[0]) { id $3; if (c[0]) { id $3; } }\n"
            "int i;\ni = c;\nswitch (i) { case 0 { id $3; } }\n"
        )
        [result] = sample([HEADER + text, None, 100], on="fake_lagos")
        assert result.data.c.num_shots == 100

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (
                "bit[1] c;\nh $3;\nc[0] = measure $3;\n",
                r"pub 0: fake_lagos has no h on \$3: transp",
            ),
            ("bit[1] c;\ncx $0, $6;\nc[0] = measure $0;\n", r"has no cx on \$0, \$6: transpile"),
            ("bit[1] c;\nx $7;\nc[0] = measure $7;\n", "has 8 qubits, fake_lagos 7"),
            (
                "bit[1] c;\nc[0] = measure $0;\nif (c[0]) { h $1; }\n",
                r"fake_lagos has no h on \$1: transpile",
            ),
        ],
    )
    def test_a_circuit_that_is_not_the_device_s_is_refused(self, text: str, message: str) -> None:
        with pytest.raises(EngineError, match=message):
            sample([HEADER + text], on="fake_lagos")

    def test_observables_wider_than_the_device_are_refused(self) -> None:
        with pytest.raises(EngineError, match="an observable has 8 qubits, fake_lagos 7"):
            estimate([LAGOS_PAIR, "I" * 6 + "ZZ"], on="fake_lagos")

    def test_more_shots_than_the_device_takes_are_refused(self) -> None:
        most = next(r.max_shots for r in engine.resources() if r.resource_id == "fake_lagos")
        with pytest.raises(EngineError, match=f"{most + 1} shots; fake_lagos takes at most {most}"):
            sample([LAGOS_BELL, None, most + 1], on="fake_lagos")


class TestRefusals:
    """Errors in the user's input are reported on one line that names the pub."""

    @pytest.mark.parametrize(
        ("pub", "message"),
        [
            (["OPENQASM 3.0;\nfoo"], "not OpenQASM 3: line 2:"),
            (["OPENQASM 3.0;\nqubit[2"], "not OpenQASM 3: line 2:7 unexpected '<EOF>'"),
            ([""], "not OpenQASM 3: the text is empty"),
            (["// nothing"], "not OpenQASM 3: the text is empty"),
            (["bit c; switch (c) { case 1: { } case 2: { } break; }"], "lacks its break"),
            (["bit c; int i; i = c; c = 1; switch (i) { case 1 { } }"], "'int' are not supported"),
            (["OPENQASM 3.0;\nqubit q;\nfoo q;"], "gate 'foo' is not defined"),
            (
                [{"__type__": "QuantumCircuit", "__value__": "eJw="}],
                "its circuit cannot be decoded: E",
            ),
            (
                [LAGOS_BELL, {"__type__": "ndarray", "__value__": "AAAA"}],
                "its parameter values can",
            ),
            ([QuantumCircuit(1)], "no classical bits"),
            (
                [QuantumCircuit([], ClassicalRegister(0, "e"))],
                "register e of the circuit has no bits",
            ),
            (
                [HEADER + "bit[0] e;\nbit[1] c;\nqubit q;\n"],
                "register e of the circuit has no bits",
            ),
            ([LAGOS_BELL, [1.0]], ""),
            ([rotation(), None], r"number of values \(0\) does not match"),
            ([rotation(), []], "array of parameter values is empty"),
            ([rotation(), [["x"]]], "could not convert string"),
            ([rotation(), {"phi": 1.0}], ""),
            ([rotation(), [math.nan]], "its parameter values are not all finite"),
            ([rotation(), [[0.0], [math.inf]]], "its parameter values are not all finite"),
            ([LAGOS_BELL, None, 0], "its number of shots is not a positive whole number: 0"),
            ([LAGOS_BELL, None, 2.5], "its number of shots is not a positive whole number: 2.5"),
            ([LAGOS_BELL, None, 10**9], "1000000000 shots; aer takes at most 1000000"),
        ],
    )
    def test_of_a_sampler(self, pub: Any, message: str) -> None:
        with pytest.raises(EngineError, match=f"^pub 1: .*{message}.*") as refusal:
            sample([LAGOS_BELL, None, 1], pub)
        assert "\n" not in str(refusal.value)

    @pytest.mark.parametrize(
        ("pub", "message"),
        [
            ([bell(), "ZZZ"], "number of qubits"),
            ([bell(), {"ZZ": "a"}], ""),
            ([bell(), {}], "empty"),
            ([bell(), "AB"], "labels must only contain"),
            ([bell(), {"ZZ": {"__type__": "complex", "__value__": [0, 1]}}], "Non-Hermitian"),
            ([bell(), ["ZZ", "XX"], np.zeros((3, 0))], "not broadcastable"),
            ([bell(), {"ZZ": math.nan}], "the result is not finite"),
            ([bell(), ""], "an observable has no qubits"),
            ([bell(), {"__type__": "ndarray", "__value__": "AAAA"}], "its observables cannot be"),
            ([QuantumCircuit(11), "1" * 11], "a term has 11 projectors; at most 10"),
            ([bell(), "ZZ", None, -1], "its precision is not a finite number of at least 0: -1"),
            ([bell(), "ZZ", None, math.nan], "its precision is not a finite number"),
            ([bell(), "ZZ", None, math.inf], "its precision is not a finite number"),
            ([bell(), "ZZ", None, True], "its precision is not a finite number"),
            ([LAGOS_BELL, "ZZ", None, 1e-200], "shots; aer takes at most"),
            ([LAGOS_BELL, "ZZ", None, 1e-6], "shots; aer takes at most"),
        ],
    )
    def test_of_an_estimator(self, pub: Any, message: str) -> None:
        with pytest.raises(EngineError, match=f"^pub 1: .*{message}.*") as refusal:
            estimate([bell(), "ZZ"], pub)
        assert "\n" not in str(refusal.value)

    def test_of_a_state_that_does_not_fit_into_memory(self) -> None:
        circuit = QuantumCircuit(48)
        circuit.h(0)
        circuit.t(0)
        for qubit in range(47):
            circuit.cx(qubit, qubit + 1)
        for execute, pub in ((estimate, [circuit, "Z" * 48]), (sample, [measured(circuit.copy())])):
            with pytest.raises(EngineError, match="^pub 0: a state of 48 qubits needs more than"):
                execute(pub)


class TestCheck:
    @pytest.mark.parametrize(
        ("program_id", "input", "message"),
        [
            ("executor", b"{}", "'executor' is none of: sampler, estimator"),
            ("sampler", b"{", "not JSON"),
            ("sampler", b"\xff", "not JSON"),
            ("sampler", b"[" * 100_000, "not JSON"),
            ("sampler", b"[]", "not a JSON object"),
            ("sampler", b'{"pubs": [""]}', "version is missing, not 2"),
            ("sampler", b'{"version": 1, "pubs": [""]}', "version is 1, not 2"),
            ("sampler", b'{"version": 2}', "pubs is not a list"),
            ("sampler", b'{"version": 2, "pubs": []}', "pubs is not a list of at least one"),
            ("sampler", b'{"version": 2, "pubs": [""], "options": []}', None),
            ("sampler", b'{"version": 2, "pubs": [""], "options": 3}', "options is not an object"),
            ("sampler", b'{"version": 2, "pubs": [""], "support_qiskit": 0}', "support_qiskit"),
            ("sampler", b'{"version": 2, "pubs": ["", ["", null, 1, 2]]}', "pub 1: .* 1 to 3"),
            ("estimator", b'{"version": 2, "pubs": [""]}', "pub 0: not a list of 2 to 4 parts"),
            ("estimator", b'{"version": 2, "pubs": [[3, "Z"]]}', "pub 0: its circuit is neither"),
            ("sampler", b'{"version": 2, "pubs": [[{"__type__": "set"}]]}', "pub 0: its circuit"),
            ("sampler", b'{"version": 2, "pubs": [""], "shots": 0}', "^shots is not a positive"),
            ("estimator", b'{"version": 2, "pubs": [["", ""]], "shots": 0}', "of estimator: shots"),
        ],
    )
    def test_refuses_in_words(self, program_id: str, input: bytes, message: str | None) -> None:
        if message is None:
            engine.check(program_id, input)
            return
        with pytest.raises(EngineError, match=message):
            engine.check(program_id, input)

    @pytest.mark.parametrize("value", [0, -1, 2.5, "x", True, [], math.nan, 2**63])
    @pytest.mark.parametrize("program_id", engine.PROGRAMS)
    def test_of_default_shots(self, program_id: str, value: Any) -> None:
        input = encoded([[LAGOS_BELL, "ZZ"]], options={"default_shots": value})
        with pytest.raises(EngineError, match=r"^options.default_shots is not a positive whole n"):
            engine.check(program_id, input)

    @pytest.mark.parametrize("value", [-1, "x", True, [], math.nan, math.inf, 10**400])
    def test_of_default_precision(self, value: Any) -> None:
        for fields in ({"precision": value}, {"options": {"default_precision": value}}):
            with pytest.raises(EngineError, match=r"precision is not a finite number of at least"):
                engine.check("estimator", encoded([[LAGOS_BELL, "ZZ"]], **fields))

    def test_takes_what_runs(self) -> None:
        engine.check("sampler", encoded([LAGOS_BELL, [bell(), None, 3]]))
        engine.check("estimator", encoded([[bell(), {"ZZ": 1}]]))

    @settings(deadline=None)
    @given(st.text(max_size=12), st.binary())
    def test_raises_nothing_else_on_bytes(self, program_id: str, input: bytes) -> None:
        self._only_refuses(program_id, input)
        self._only_refuses("sampler", input)

    @settings(deadline=None)
    @given(
        st.sampled_from(engine.PROGRAMS),
        st.fixed_dictionaries(
            {},
            optional={
                name: st.recursive(
                    st.none() | st.booleans() | st.floats() | st.just(2) | st.text(max_size=5),
                    lambda inner: (
                        st.lists(inner, max_size=4)
                        | st.dictionaries(
                            st.sampled_from(["__type__", "__value__", "simulator"]), inner
                        )
                    ),
                    max_leaves=8,
                )
                for name in ("version", "pubs", "options", "support_qiskit")
            },
        ),
    )
    def test_raises_nothing_else_on_json(self, program_id: str, document: Any) -> None:
        self._only_refuses(program_id, json.dumps(document).encode())
        self._only_refuses(program_id, json.dumps(document | {"version": 2}).encode())

    @staticmethod
    def _only_refuses(program_id: str, input: bytes) -> None:
        try:
            engine.check(program_id, input)
        except EngineError as refusal:
            assert "\n" not in str(refusal)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("'quoted'", "quoted"),
        ("'a' is not 'b'", "'a' is not 'b'"),
        ("'a' has no 'b", "'a' has no 'b"),
        ("'", "'"),
        ("", "ValueError"),
    ],
)
def test_one_line_strips_only_a_pair_of_quotes(message: str, expected: str) -> None:
    assert one_line(ValueError(message)) == expected


class TestSamplePayloads:
    """The payloads of the documentation give what is said of them."""

    def test_ghz(self) -> None:
        [result] = self._run("ghz_sampler")
        assert result.data.meas.get_counts().keys() == {"00000", "11111"}

    def test_ising(self) -> None:
        [result] = self._run("ising_estimator")
        np.testing.assert_allclose(result.data.evs, [[0, 0, -2], [4, 2, 2]], atol=0.05)

    def test_mid_circuit(self) -> None:
        [result] = self._run("mid_circuit")
        assert result.data.out.get_counts() == {"1": 1000}
        assert result.data.bell.get_counts().keys() == {"00", "01", "10", "11"}

    def test_several_registers(self) -> None:
        [result] = self._run("several_registers")
        assert result.data.flag.get_counts() == {"1": 1000}
        left, right = (result.data[name].array.ravel() for name in ("left", "right"))
        assert (left == 3 * right).all()
        assert set(right.tolist()) == {0, 1}

    @staticmethod
    def _run(name: str) -> Any:
        payload = json.loads((PAYLOADS / f"{name}.json").read_text())
        input = json.dumps(payload["parameters"]).encode()
        result = engine.run("aer", payload["program_id"], input, seed=5)
        return ResultDecoder.decode(result.decode())


def python(script: str, cwd: Path | None = None) -> str:
    """Return the output of a script in a new interpreter that finds the same modules."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return said(sys.executable, "-c", script, cwd=cwd, env=environment).strip()
