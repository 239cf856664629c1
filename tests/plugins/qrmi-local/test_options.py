"""The options of programs: every row of the README's table is what happens."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import logging
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import qiskit_ibm_runtime.options as published
from hypothesis import given, settings, strategies as st
from qiskit import QuantumCircuit, qasm3, transpile
from qiskit.circuit import Parameter
from qiskit.circuit.library import (
    PauliGate,
    RVGate,
    SwapGate,
    U1Gate,
    U3Gate,
    UnitaryGate,
    ZGate,
    iSwapGate,
)
from qiskit.primitives import BackendSamplerV2
from qiskit.quantum_info import Kraus
from qiskit_aer import AerSimulator
from qiskit_aer.noise import (
    NoiseModel,
    QuantumError,
    ReadoutError,
    amplitude_damping_error,
    depolarizing_error,
    pauli_error,
    reset_error,
)
from qiskit_ibm_runtime import QuantumProgram, RuntimeEncoder, options_models
from qiskit_ibm_runtime.decoders.result_decoder import ResultDecoder
from qiskit_ibm_runtime.quantum_program.params_converters import QUANTUM_PROGRAM_PARAMS_CONVERTERS

from qrmi_core import InvalidInputError, Payload, TaskFailedError
from qrmi_local.engines import EngineError, qiskit as engine
from qrmi_local.engines._devices import device_of
from qrmi_local.engines._encoding import decode
from qrmi_local.engines._options import review
from qrmi_local.engines._simulator_options import TaskNoise, noise_of
from support.local_options_table import local_options_table
from support.local_store import MakeResource

A = Parameter("a")
README = Path(__file__).parents[3] / "plugins/qrmi-local/README.md"
WARNED = "these options have no effect on a local simulator: "
PUBLISHED = {
    "sampler": (published.SamplerOptions, options_models.sampler.SamplerOptions),
    "estimator": (published.EstimatorOptions, options_models.estimator.EstimatorOptions),
    "executor": (options_models.executor.ExecutorOptions,),
    "noise-learner": (
        published.NoiseLearnerOptions,
        options_models.noise_learner_v3.NoiseLearnerV3Options,
    ),
}


def rows() -> Iterator[tuple[str, str, str, str]]:
    """Yield program, option, effect and the value that is always accepted from the README."""
    lines = re.findall(r"^\|(.*)\|$", README.read_text(encoding="utf-8"), re.MULTILINE)
    cells = [[cell.strip() for cell in line.split("|")] for line in lines]
    [start] = [number for number, row in enumerate(cells) if row[-1] == "always accepted"]
    programs = cells[start][1:-1]
    for name, *effects, usual in cells[start + 2 :]:
        if len(effects) != len(programs):
            return
        for program, effect in zip(programs, effects, strict=True):
            if effect:
                yield program, name.strip("`"), effect, usual.strip("`")


ROWS = list(rows())


def of_effect(effect: str) -> pytest.MarkDecorator:
    found = [(program, name, usual) for program, name, what, usual in ROWS if what == effect]
    assert found
    return pytest.mark.parametrize(("program", "name", "usual"), found)


def document(program: str, name: str, value: object) -> dict[str, Any]:
    """Return the input of a program with one option in its place."""
    if program in ("executor", "noise-learner"):
        name = name.removeprefix("execution.")
    made: dict[str, Any] = {}
    inner = made
    *groups, last = name.split(".")
    for group in () if name == "resilience_level" else ("options", *groups):
        inner = inner.setdefault(group, {})
    inner[last] = value
    return made


def encoded(pubs: list[Any], **fields: Any) -> bytes:
    lists = [pub if isinstance(pub, list) else [pub] for pub in pubs]
    return json.dumps({"pubs": lists, "version": 2} | fields, cls=RuntimeEncoder).encode()


def run(program: str, *pubs: Any, on: str = "aer", seed: int = 7, **fields: Any) -> Any:
    content = encoded(list(pubs), **fields)
    return ResultDecoder.decode(engine.run(on, program, content, seed=seed).decode())


def sample(*pubs: Any, simulator: Any = None, **more: Any) -> Any:
    return run("sampler", *pubs, options={"simulator": simulator}, **more)


def estimate(*pubs: Any, simulator: Any = None, **more: Any) -> Any:
    return run("estimator", *pubs, options={"simulator": simulator}, **more)


def flipped(*qubits: int, of: int | None = None) -> QuantumCircuit:
    """Make a circuit that measures 1 on some qubits."""
    circuit = QuantumCircuit(of or max(qubits) + 1, len(qubits))
    circuit.x(qubits)
    circuit.measure(qubits, range(len(qubits)))
    return circuit


def rotated() -> QuantumCircuit:
    circuit = QuantumCircuit(1)
    circuit.h(0)
    return circuit


def readout(probability: float, *qubits: int) -> NoiseModel:
    """Make a model with errors of measurements alone, on one qubit or on all."""
    model = NoiseModel()
    wrong = ReadoutError([[1 - probability, probability], [probability, 1 - probability]])
    if qubits:
        model.add_readout_error(wrong, qubits)
    else:
        model.add_all_qubit_readout_error(wrong)
    return model


def ones(result: Any) -> Any:
    """Return the share of ones of each bit of the first pub."""
    [bits] = result[0].data.values()
    return bits.to_bool_array(order="little").mean(axis=-2)


class TestTable:
    def test_it_is_that_of_the_engine(self) -> None:
        assert local_options_table() in README.read_text(encoding="utf-8")

    @pytest.mark.parametrize("program", PUBLISHED)
    def test_it_has_every_published_option(self, program: str) -> None:
        there = {name for each, name, _, _ in ROWS if each == program}
        for kind in PUBLISHED[program]:
            missing = set(names(kind())) - there
            assert not missing

    @of_effect("refused")
    def test_what_it_refuses(self, program: str, name: str, usual: str) -> None:
        wire = name.removeprefix("execution.") if program in ("executor", "noise-learner") else name
        for value in (1, "x", [1], {"x": 1}, False, True):
            if json.dumps(value) != usual:
                with pytest.raises(EngineError, match=rf"options\.{re.escape(wire)}\b.*simulated"):
                    review(program, document(program, name, value))
        for value in (None, *([json.loads(usual)] if usual else [])):
            assert review(program, document(program, name, value)) is None

    @of_effect("no effect, warns")
    def test_what_it_says_to_be_without_effect(self, program: str, name: str, usual: str) -> None:
        wire = name.removeprefix("execution.") if program in ("executor", "noise-learner") else name
        for value in (1, "x", [1], True):
            if json.dumps(value) != usual:
                assert review(program, document(program, name, value)) == WARNED + wire
        for value in (None, *([json.loads(usual)] if usual else [])):
            assert review(program, document(program, name, value)) is None

    @of_effect("applied")
    def test_what_it_says_to_be_applied(self, program: str, name: str, usual: str) -> None:
        assert not usual
        APPLIED[program, name]()

    def test_each_row_says_one_of_three(self) -> None:
        assert {effect for _, _, effect, _ in ROWS} == {"applied", "no effect, warns", "refused"}


def names(options: Any, path: str = "") -> Iterator[str]:
    """Yield the full names of the options of a published class."""
    for field in fields_of(type(options)):
        inner = getattr(options, field)
        if fields_of(type(inner)):
            yield from names(inner, f"{path}{field}.")
        elif not field.startswith("_"):
            yield f"{path}{field}"


def fields_of(kind: Any) -> list[str]:
    if hasattr(kind, "model_fields"):
        return list(kind.model_fields)
    return [field.name for field in dataclasses.fields(kind)] if is_dataclass(kind) else []


def _default_shots_of_the_sampler() -> None:
    result = run("sampler", flipped(0), options={"default_shots": 12})
    assert result[0].metadata["shots"] == 12


def _default_shots_of_the_estimator() -> None:
    result = run("estimator", [rotated(), "X"], options={"default_shots": 400})
    assert result[0].metadata["target_precision"] == 0.05


def _default_precision() -> None:
    result = run("estimator", [rotated(), "X"], options={"default_precision": 0.1})
    assert result[0].metadata["target_precision"] == 0.1


def _seed_estimator() -> None:
    pub = [rotated(), "Z"]
    one, again, other = (
        run("estimator", pub, seed=seed, options={"seed_estimator": number})
        for seed, number in ((1, 5), (2, 5), (1, 6))
    )
    assert one[0].data.evs == again[0].data.evs != other[0].data.evs


def _seed_simulator(program: str) -> None:
    circuit = rotated()
    if program == "sampler":
        circuit.measure_all()
    pub = circuit if program == "sampler" else [circuit, "Z"]
    one, again, other = (
        run(program, pub, seed=seed, options={"simulator": {"seed_simulator": number}})
        for seed, number in ((1, 5), (2, 5), (1, 6))
    )
    if program == "sampler":
        bits = [each[0].data.meas.array for each in (one, again, other)]
    else:
        bits = [each[0].data.evs for each in (one, again, other)]
    assert np.array_equal(bits[0], bits[1])
    assert not np.array_equal(bits[0], bits[2])


def _noise_model(program: str) -> None:
    model = {"noise_model": readout(0.3)}
    if program == "sampler":
        assert ones(sample([flipped(0), None, 5000], simulator=model)) == pytest.approx(
            0.7, abs=0.03
        )
    else:
        result = estimate(
            [flipped(0).remove_final_measurements(inplace=False), "Z"], simulator=model
        )
        assert result[0].data.evs == pytest.approx(-0.4, abs=0.1)


def _basis_gates(program: str) -> None:
    pub = flipped(0) if program == "sampler" else [rotated(), "Z"]
    gate = "x" if program == "sampler" else "h"
    run(program, pub, options={"simulator": {"basis_gates": [gate]}})
    with pytest.raises(EngineError, match=rf"pub 0: {gate} on \$0 is not one of .*basis_gates"):
        run(program, pub, options={"simulator": {"basis_gates": ["sx", "rz"]}})


def _coupling_map(program: str) -> None:
    circuit = QuantumCircuit(3)
    circuit.cx(0, 2)
    if program == "sampler":
        circuit.measure_all()
    pub = circuit if program == "sampler" else [circuit, "ZZZ"]
    run(program, pub, options={"simulator": {"coupling_map": [[0, 1], [0, 2]]}})
    for wrong in ([[0, 1], [1, 2]], [[2, 0], [0, 1]]):
        with pytest.raises(EngineError, match=r"pub 0: cx on \$0, \$2 is not in .*coupling_map"):
            run(program, pub, options={"simulator": {"coupling_map": wrong}})
    with pytest.raises(EngineError, match=r"on .*\$2, and options.simulator.coupling_map has 2 q"):
        run(program, pub, options={"simulator": {"coupling_map": [[0, 1], [1, 0]]}})


def _learned(**options: Any) -> list[dict[str, Any]]:
    text = 'OPENQASM 3.0;\ninclude "stdgates.inc";\ncx $0, $1;\nbarrier $0, $1, $3;\ncx $1, $3;\n'
    content = json.dumps({"circuits": [text], "options": options}).encode()
    found: list[dict[str, Any]] = json.loads(engine.run("fake_lagos", "noise-learner", content))[
        "data"
    ]
    return [each["__value__"] for each in found]


def _max_layers_to_learn() -> None:
    assert len(_learned(max_layers_to_learn=1)) == 1
    assert len(_learned(max_layers_to_learn=2)) == 2


def _twirling_strategy() -> None:
    assert [layer["qubits"] for layer in _learned(twirling_strategy="active")] == [[0, 1], [1, 3]]
    wide = _learned(twirling_strategy="active-circuit")
    assert [layer["qubits"] for layer in wide] == [[0, 1, 3], [0, 1, 3]]


APPLIED: dict[tuple[str, str], Callable[[], None]] = {
    ("sampler", "default_shots"): _default_shots_of_the_sampler,
    ("estimator", "default_shots"): _default_shots_of_the_estimator,
    ("estimator", "default_precision"): _default_precision,
    ("estimator", "seed_estimator"): _seed_estimator,
    ("noise-learner", "max_layers_to_learn"): _max_layers_to_learn,
    ("noise-learner", "twirling_strategy"): _twirling_strategy,
    **{
        (program, f"simulator.{name}"): lambda check=check, program=program: check(program)
        for program in ("sampler", "estimator")
        for name, check in {
            "seed_simulator": _seed_simulator,
            "noise_model": _noise_model,
            "basis_gates": _basis_gates,
            "coupling_map": _coupling_map,
        }.items()
    },
}


class TestNoise:
    def test_it_replaces_that_of_a_device(self) -> None:
        circuit = flipped(0, 1, of=7)
        noisy = ones(sample([circuit, None, 4000], on="fake_lagos"))
        assert not (noisy == 1).all()
        ideal = sample(
            [circuit, None, 4000], on="fake_lagos", simulator={"noise_model": NoiseModel()}
        )
        assert (ones(ideal) == 1).all()
        result = estimate(
            [circuit.remove_final_measurements(inplace=False), "IIIIIIZ"],
            on="fake_lagos",
            simulator={"noise_model": NoiseModel()},
        )
        assert result[0].data.evs == -1

    @pytest.mark.parametrize("on", ["aer", "fake_lagos"])
    def test_it_is_of_the_qubits_that_it_names(self, on: str) -> None:
        circuit = flipped(5, 3, of=7)
        found = ones(
            sample([circuit, None, 4000], on=on, simulator={"noise_model": readout(0.3, 5)})
        )
        # Of a device the rest of its noise is replaced too.
        assert found == pytest.approx([0.7, 1], abs=0.03)
        assert found[1] == 1

    @pytest.mark.parametrize("on", ["aer", "fake_lagos"])
    def test_it_is_applied_as_in_the_local_mode_of_ibms_client(self, on: str) -> None:
        model = readout(0.05, 1)
        model.add_quantum_error(depolarizing_error(0.2, 2), "cx", [1, 3])
        model.add_all_qubit_quantum_error(amplitude_damping_error(0.2), "sx")
        circuit = QuantumCircuit(7, 2)
        circuit.sx(1)
        circuit.cx(1, 3)
        circuit.sx(3)
        circuit.measure([1, 3], [0, 1])
        options = {"simulator": {"noise_model": model, "seed_simulator": 3}}
        backend = AerSimulator() if on == "aer" else device_of(on).backend
        # This is all that the local mode does with the option.
        run_options = {"noise_model": model}
        sampler = BackendSamplerV2(backend=backend, options={"run_options": run_options})
        theirs = sampler.run([circuit], shots=20_000).result()
        ours = run("sampler", [circuit, None, 20_000], on=on, options=options)
        shares = [
            [result[0].data.c.get_counts().get(key, 0) / 20_000 for key in ("00", "01", "10", "11")]
            for result in (theirs, ours)
        ]
        assert shares[1] == pytest.approx(shares[0], abs=0.02)

    @pytest.mark.parametrize("qubits", [(0, 1), (1, 0)])
    def test_the_order_of_a_gates_qubits_counts(self, qubits: tuple[int, int]) -> None:
        model = NoiseModel()
        model.add_quantum_error(pauli_error([("IX", 1)]), "cx", [1, 0])
        circuit = QuantumCircuit(2, 2)
        circuit.cx(*qubits)
        circuit.measure([0, 1], [0, 1])
        wanted = [0, 1] if qubits == (1, 0) else [0, 0]
        assert ones(sample(circuit, simulator={"noise_model": model})).tolist() == wanted

    def test_gates_have_it_by_their_names(self) -> None:
        model = NoiseModel()
        model.add_all_qubit_quantum_error(pauli_error([("X", 1)]), ["x"])
        circuit = flipped(0)
        assert ones(sample(circuit, simulator={"noise_model": model})) == 0
        circuit = QuantumCircuit(1, 1)
        circuit.y(0)
        circuit.measure(0, 0)
        assert ones(sample(circuit, simulator={"noise_model": model})) == 1

    @pytest.mark.parametrize(
        ("name", "append"),
        [
            ("u3", lambda c: c.append(U3Gate(0, 0, 0), [0])),
            ("u1", lambda c: c.append(U1Gate(0.2), [0])),
            ("r", lambda c: c.r(A, 0.3, 0)),
            ("unitary", lambda c: c.unitary(np.eye(2), [0])),
            ("mine", lambda c: c.unitary(np.eye(2), [0], label="mine")),
            ("mine", lambda c: c.append(ZGate(label="mine"), [0])),
            ("initialize", lambda c: c.initialize([1, 0], 0)),
            ("reset", lambda c: c.reset(0)),
            ("delay", lambda c: c.delay(1, 0, "dt")),
        ],
    )
    def test_no_gate_that_has_errors_is_translated(
        self, name: str, append: Callable[[QuantumCircuit], Any]
    ) -> None:
        model = NoiseModel()
        model.add_all_qubit_quantum_error(pauli_error([("X", 1)]), name)
        circuit = QuantumCircuit(2, 2)
        append(circuit)
        with circuit.if_test((1, 0)):
            circuit.append(RVGate(A, 0, 0), [1])
        circuit.measure(0, 0)
        values = [[0.0]] if A in circuit.parameters else None
        found = ones(sample([circuit, values, 10], simulator={"noise_model": model}))
        assert found.ravel().tolist() == [1, 0]

    @pytest.mark.parametrize(
        ("name", "form"),
        [
            *itertools.product(("iswap", "mine"), (lambda circuit: circuit, qasm3.dumps)),
            ("pauli", lambda circuit: circuit),
        ],
    )
    def test_errors_of_a_gate_that_is_translated_are_refused(
        self, name: str, form: Callable[[QuantumCircuit], Any]
    ) -> None:
        model = NoiseModel()
        model.add_all_qubit_quantum_error(pauli_error([("XX", 1)]), name)
        circuit = QuantumCircuit(2, 2)
        simulator = {"noise_model": model}
        circuit.append(SwapGate(), [0, 1])
        circuit.measure(0, 0)
        assert ones(sample([form(circuit), None, 10], simulator=simulator)).tolist() == [0, 0]
        body = QuantumCircuit(2, name="mine")
        body.swap(0, 1)
        gates = {"iswap": iSwapGate(), "pauli": PauliGate("XX"), "mine": body.to_gate()}
        with circuit.if_test((0, 0)):
            circuit.append(gates[name], [0, 1])
        with pytest.raises(EngineError, match=f"pub 0: .*noise_model has errors of {name}, "):
            sample([form(circuit), None, 10], simulator=simulator)

    def test_errors_of_measurements_that_are_no_readout_errors(self) -> None:
        model = NoiseModel()
        model.add_all_qubit_quantum_error(pauli_error([("X", 1)]), "measure")
        simulator = {"noise_model": model}
        assert ones(sample(flipped(0), simulator=simulator)) == 0
        circuit = QuantumCircuit(1, 1)
        circuit.measure(0, 0)
        with circuit.if_test((0, 0)):
            circuit.measure(0, 0)
        with pytest.raises(EngineError, match="errors of measure.* control flow"):
            sample(circuit, simulator=simulator)

    @pytest.mark.parametrize("form", ["object", "to_dict", "json"])
    def test_every_form_of_a_model_is_that_model(self, form: str) -> None:
        model = NoiseModel()
        model.add_all_qubit_readout_error(ReadoutError([[0.9, 0.1], [0.2, 0.8]]))
        model.add_readout_error(ReadoutError([[0.7, 0.3], [0.4, 0.6]]), [1])
        model.add_all_qubit_quantum_error(depolarizing_error(0.1, 1), ["x", "sx"])
        model.add_quantum_error(depolarizing_error(0.2, 2), "cx", [1, 0])
        model.add_all_qubit_quantum_error(amplitude_damping_error(0.3), "h")
        model.add_all_qubit_quantum_error(reset_error(0.1), "id")
        turn = UnitaryGate(
            [[math.cos(0.2), 1j * math.sin(0.2)], [1j * math.sin(0.2), math.cos(0.2)]]
        )
        model.add_all_qubit_quantum_error(QuantumError([(turn, 0.5), (Kraus(turn), 0.5)]), "y")
        model.add_quantum_error(QuantumError([([(UnitaryGate(np.eye(2)), [0])], 1.0)]), "z", [0])
        sent: Any = {
            "object": lambda: model,
            "to_dict": lambda: model.to_dict(),
            "json": lambda: model.to_dict(serializable=True),
        }[form]()
        options = json.loads(json.dumps({"noise_model": sent}, cls=RuntimeEncoder))
        noise = noise_of(options, decode)
        assert isinstance(noise, TaskNoise)
        assert noise.operations == {"x", "sx", "cx", "h", "id", "y"}
        assert noise.on(range(2)) == model

    def test_a_circuit_in_pieces_has_it(self) -> None:
        # No memory has room for a state of all qubits, which are not entangled.
        circuit = flipped(*range(30))
        found = ones(sample([circuit, None, 100], simulator={"noise_model": readout(1, 27)}))
        assert found.tolist() == [1] * 27 + [0, 1, 1]

    def test_of_a_wide_circuit_it_is_of_measurements_alone(self) -> None:
        circuit = QuantumCircuit(40)
        for qubit in range(39):
            circuit.cx(qubit, qubit + 1)
        circuit.measure_all()
        device = "fake_sherbrooke"
        compiled = transpile(circuit, device_of(device).backend, seed_transpiler=5)
        pub = [compiled, None, 20]
        result = sample(pub, on=device, simulator={"noise_model": readout(1)})
        assert (ones(result) == 1).all()
        model = readout(1)
        model.add_all_qubit_quantum_error(depolarizing_error(0.1, 1), "sx")
        with pytest.raises(EngineError, match="pub 0: .*noise_model has errors of gates"):
            sample(pub, on=device, simulator={"noise_model": model})

    def test_a_task_gets_the_noise_of_its_own_options(self) -> None:
        for probability in (1, 0, 1):
            result = sample(flipped(0), simulator={"noise_model": readout(probability)})
            assert ones(result) == 1 - probability
        assert ones(sample(flipped(0))) == 1

    @pytest.mark.parametrize(
        ("model", "message"),
        [
            ("none", " is not a noise model"),
            ({"__type__": "NoiseModel", "__value__": []}, " is not a noise model"),
            ({"errors": 3}, " is not a noise model"),
            ({"errors": [3]}, "error 0: "),
            ({"errors": [{"type": "lost"}]}, "error 0: its type 'lost' is neither"),
            ({"errors": [{"type": "roerror", "probabilities": [[2, 0], [0, 1]]}]}, "error 0: "),
            ({"errors": [{"type": "qerror", "operations": []}]}, "follows no operation"),
            (
                {
                    "errors": [
                        {
                            "type": "qerror",
                            "operations": ["x"],
                            "instructions": [[{"name": "magic", "qubits": [0]}]],
                            "probabilities": [1],
                        }
                    ]
                },
                "error 0: its instruction 'magic' is unknown",
            ),
        ],
    )
    def test_what_is_no_noise_model_is_refused(self, model: Any, message: str) -> None:
        with pytest.raises(EngineError, match=rf"options\.simulator\.noise_model.*{message}"):
            sample(flipped(0), simulator={"noise_model": model})

    @settings(deadline=None)
    @given(
        st.recursive(
            st.none()
            | st.integers(-2, 3)
            | st.floats()
            | st.sampled_from(["x", "pauli", "roerror"]),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        ["type", "operations", "instructions", "probabilities", "gate_qubits"]
                    ),
                    inner,
                )
            ),
            max_leaves=10,
        )
    )
    def test_reading_one_raises_nothing_else(self, error: Any) -> None:
        for kind in ("roerror", "qerror"):
            form = {"type": kind, **error} if isinstance(error, dict) else error
            try:
                noise = noise_of({"noise_model": {"errors": [form]}}, decode)
                assert noise
                noise.on(range(2))
            except EngineError as refusal:
                assert "\n" not in str(refusal)


class TestUnknown:
    @pytest.mark.parametrize(
        ("program", "fields", "message"),
        [
            ("sampler", {"pub": []}, r"unknown in the input of sampler: pub \(did you mean pubs\?"),
            ("estimator", {"shots": 5}, "unknown in the input of estimator: shots"),
            ("sampler", {"options": {"new": 1, "other": 2}}, "options of sampler: new, other"),
            ("sampler", {"options": {"seed_estimator": 1}}, "seed_estimator"),
            ("estimator", {"options": {"execution": {"meas_type": "classified"}}}, "meas_type"),
            ("sampler", {"options": {"execution": {"new_flag": None}}}, "execution.new_flag"),
            (
                "estimator",
                {"options": {"resilience": {"zne": {"noise_factor": [1]}}}},
                r"zne\.noise_factor \(did you mean resilience\.zne\.noise_factors\?\)",
            ),
            ("sampler", {"options": {"twirling": {"nothing": 1}}}, r"twirling\.nothing$"),
            ("sampler", {"options": {"simulater": {}}}, r"simulater \(did you mean simulator\?\)"),
            ("sampler", {"options": {"twirling": 3}}, "options.twirling is not an object"),
            ("sampler", {"options": {"simulator": {"basis_gates": "x"}}}, "not a list of names"),
            ("sampler", {"options": {"simulator": {"basis_gates": [1]}}}, "not a list of names"),
            ("sampler", {"options": {"simulator": {"coupling_map": [[0]]}}}, "not a list of pairs"),
            ("sampler", {"options": {"simulator": {"coupling_map": [[0, -1]]}}}, "not a list of p"),
        ],
    )
    def test_is_refused_by_name(self, program: str, fields: dict[str, Any], message: str) -> None:
        pub: Any = flipped(0) if program == "sampler" else [rotated(), "Z"]
        with pytest.raises(EngineError, match=message):
            engine.check(program, encoded([pub], **fields))

    @given(
        st.sampled_from(engine.PROGRAMS),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        ["simulator", "noise_model", "basis_gates", "coupling_map", "execution"]
                    )
                    | st.text(max_size=3),
                    inner,
                    max_size=3,
                )
            ),
        ),
    )
    def test_nothing_else_is_raised(self, program: str, options: Any) -> None:
        try:
            review(program, {"options": options})
        except EngineError as refusal:
            assert "\n" not in str(refusal)


SUPPRESSED = {"dynamical_decoupling": {"enable": True}, "twirling": {"strategy": "all"}}


class TestTask:
    @pytest.mark.slow
    def test_a_warning_is_seen_once_by_the_user_and_once_in_the_log(
        self, warm: MakeResource, caplog: pytest.LogCaptureFixture
    ) -> None:
        payload = Payload.QiskitPrimitive(encoded([flipped(0)], options=SUPPRESSED), "sampler")
        with caplog.at_level(logging.WARNING):
            task = warm().task_start(payload)
        wanted = f"{WARNED}dynamical_decoupling.enable, twirling.strategy"
        assert [record.getMessage() for record in caplog.records] == [
            f"task {task} on aer: {wanted}"
        ]
        resource = warm()
        resource.task(task).result(timeout=60)
        assert resource.task_logs(task).count(wanted) == 1

    def test_what_cannot_be_simulated_is_refused_before_there_is_a_task(
        self, warm: MakeResource
    ) -> None:
        resource = warm()
        before = len(list(resource.task_list()))
        for options in ({"execution": {"meas_type": "kerneled"}}, {"new_option": 1}):
            content = encoded([flipped(0)], options=options)
            with pytest.raises(InvalidInputError, match=r"meas_type|new_option"):
                resource.task_start(Payload.QiskitPrimitive(content, "sampler"))
        assert len(list(resource.task_list())) == before

    @pytest.mark.slow
    def test_a_circuit_that_was_not_compiled_fails(self, warm: MakeResource) -> None:
        content = encoded([flipped(0)], options={"simulator": {"basis_gates": ["sx"]}})
        task = warm().run(Payload.QiskitPrimitive(content, "sampler"))
        with pytest.raises(TaskFailedError, match="pub 0: x on .*basis_gates"):
            task.result(timeout=60)

    @pytest.mark.parametrize("program", engine.PROGRAMS)
    def test_running_warns_once_and_gives_the_same(
        self, program: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        pub: Any = flipped(0) if program == "sampler" else [rotated(), "Z"]
        with_options = run(program, pub, pub, options=SUPPRESSED)
        assert len(caplog.records) == 1
        plain = run(program, pub, pub)
        assert len(caplog.records) == 1
        for one, other in zip(with_options, plain, strict=True):
            for field in one.data:
                assert one.data[field] == other.data[field]

    def test_the_service_s_programs_warn_and_refuse_too(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        _learned(num_randomizations=3)
        assert [record.getMessage() for record in caplog.records] == [f"{WARNED}num_randomizations"]
        with pytest.raises(EngineError, match="basis_gates cannot be simulated"):
            _learned(simulator={"basis_gates": ["cx"]})
        program = QuantumProgram(shots=2)
        program.append_circuit_item(flipped(0))
        encoder = QUANTUM_PROGRAM_PARAMS_CONVERTERS["v2.0"].encoder
        sent = encoder(program, options_models.executor.ExecutorOptions())
        for options, caught in (
            ({"init_qubits": False}, pytest.raises(EngineError, match="init_qubits")),
            ({"rep_delay": 0.1}, contextlib.nullcontext()),
        ):
            changed = sent.model_dump(mode="json") | {"options": options}
            with caught:
                engine.run("aer", "executor", json.dumps(changed).encode())
        assert caplog.records[-1].getMessage() == f"{WARNED}rep_delay"
