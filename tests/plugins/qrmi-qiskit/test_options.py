"""Options under qiskit-ibm-runtime's names, and their checks."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from qiskit.transpiler import CouplingMap
from qiskit_ibm_runtime import options as vendors

from qrmi_core import InvalidInputError
from qrmi_qiskit import (
    EstimatorOptions,
    EstimatorV2,
    InvalidArgumentError,
    SamplerOptions,
    SamplerV2,
    vendor,
)
from support.options_table import options_table

OURS: dict[str, type[SamplerOptions] | type[EstimatorOptions]] = {
    "sampler": SamplerOptions,
    "estimator": EstimatorOptions,
}
THEIRS = {"sampler": vendors.SamplerOptions, "estimator": vendors.EstimatorOptions}


def names(value: Any, path: str = "") -> set[str]:
    """Return the full names of the options of one of the vendor's dataclasses."""
    found: set[str] = set()
    for field in dataclasses.fields(value):
        name = f"{path}.{field.name}" if path else field.name
        inner = getattr(value, field.name)
        found |= names(inner, name) if dataclasses.is_dataclass(inner) else {name}
    return found


@pytest.mark.parametrize("program", OURS)
def test_the_names_are_those_of_qiskit_ibm_runtime(program: str) -> None:
    theirs = {
        name
        for name in names(THEIRS[program]())
        # options of the job and not of a primitive's input
        if not name.startswith(("environment.", "_")) and name != "max_execution_time"
    }
    assert {name for name, _ in OURS[program].described()} == theirs


def test_only_what_is_set_is_sent() -> None:
    assert SamplerOptions().to_dict() == {}
    given = {"default_shots": 5, "twirling": {"strategy": "all"}}
    assert SamplerOptions.from_mapping(given).to_dict() == given
    assert SamplerOptions.from_mapping({"twirling": {"strategy": None}}).to_dict() == {}
    assert SamplerOptions.from_mapping({"twirling": None}).to_dict() == {}


def test_none_is_a_value_where_it_means_no_limit() -> None:
    given = {
        "resilience": {
            "pec": {"max_overhead": None},
            "layer_noise_learning": {"max_layers_to_learn": None},
        }
    }
    assert EstimatorOptions.from_mapping(given).to_dict() == given


def test_options_are_set_as_attributes_by_update_or_as_an_object(bench: Any, bell: Any) -> None:
    given = SamplerOptions(default_shots=3)
    sampler = SamplerV2(bench.qpu, options=given)
    sampler.options.twirling.enable_gates = np.True_
    sampler.options.update(twirling={"strategy": "all"}, default_shots=np.int64(4))
    sampler.run([bell])
    assert bench.sent[0]["options"] == {
        "default_shots": 4,
        "twirling": {"enable_gates": True, "strategy": "all"},
    }
    assert given == SamplerOptions(default_shots=3)


def test_a_coupling_map_may_be_qiskits(bench: Any, bell: Any) -> None:
    sampler = SamplerV2(bench.qpu)
    sampler.options.simulator.coupling_map = CouplingMap([[0, 1], [1, 0]])
    sampler.run([bell])
    assert bench.sent[0]["options"]["simulator"]["coupling_map"] == [[0, 1], [1, 0]]


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("sampler", {"default_shot": 1}, r"`default_shot` is unknown; did you mean `default_shots`"),
    ("sampler", {"shots": 1}, r"`shots` is unknown; did you mean `default_shots`"),
    ("sampler", {"simulator": {"seed": 1}}, r"did you mean `simulator.seed_simulator`"),
    ("sampler", {"resilience": {"zne_mitigation": True}}, r"`resilience` is unknown"),
    ("sampler", {"resilience_level": 1}, r"`resilience_level` is unknown"),
    ("sampler", {"twirling": {"stategy": "all"}}, r"did you mean `twirling.strategy`"),
    ("sampler", {"twirling": {"strategy": "some"}}, r"`twirling.strategy` must be \"active\""),
    ("sampler", {"twirling": {"num_randomizations": 0}}, "at least 1"),
    ("sampler", {"twirling": {"num_randomizations": "many"}}, '"auto"'),
    ("sampler", {"twirling": "all"}, "`twirling` must be a mapping"),
    ("sampler", {"default_shots": 0}, "`default_shots` must be a whole number of at least 1"),
    ("sampler", {"default_shots": "100"}, "not '100'"),
    ("sampler", {"default_shots": True}, "not True"),
    ("sampler", {"default_shots": 1.0}, "not 1.0"),
    ("sampler", {"execution": {"rep_delay": -1}}, "`execution.rep_delay`"),
    ("sampler", {"execution": {"rep_delay": math.inf}}, "finite"),
    ("sampler", {"execution": {"init_qubits": 1}}, "True or False"),
    ("sampler", {"execution": {"meas_type": "raw"}}, "kerneled"),
    ("sampler", {"dynamical_decoupling": {"sequence_type": "XYXY"}}, "XpXm"),
    ("sampler", {"simulator": {"seed_simulator": -1}}, "`simulator.seed_simulator`"),
    ("sampler", {"simulator": {"coupling_map": [[0, 1, 2]]}}, "pairs of qubits"),
    ("sampler", {"simulator": {"noise_model": "none"}}, "NoiseModel"),
    ("sampler", {"environment": {"job_tags": ["a"]}}, "settings of the resource"),
    ("sampler", {"max_execution_time": 5}, "setting of the resource"),
    ("sampler", {"experimental": 3}, "a mapping"),
    ("estimator", {"resilience_level": 3}, "from 0 to 2"),
    ("estimator", {"default_precision": 0}, "above 0"),
    ("estimator", {"default_precision": math.nan}, "finite"),
    ("estimator", {"execution": {"meas_type": "classified"}}, "unknown"),
    ("estimator", {"resilience": {"zne": {"noise_factors": [0.5, 1]}}}, "at least 1"),
    ("estimator", {"resilience": {"zne": {"noise_factors": []}}}, "a list"),
    ("estimator", {"resilience": {"zne": {"extrapolator": "cubic"}}}, "polynomial_degree_3"),
    (
        "estimator",
        {"resilience": {"zne": {"extrapolator": ["linear", "double_exponential"]}}},
        "double_exponential needs at least 4 noise factors, and there are 3",
    ),
    ("estimator", {"resilience": {"pec": {"max_overhead": 0}}}, "above 0, or None"),
    (
        "estimator",
        {"resilience": {"pec_mitigation": True, "zne_mitigation": True}},
        "exclude each other",
    ),
]


@pytest.mark.parametrize(("program", "given", "message"), WRONG, ids=lambda value: str(value)[:60])
def test_a_wrong_option_is_refused_at_once(
    bench: Any, program: str, given: dict[str, Any], message: str
) -> None:
    primitive: Any = {"sampler": SamplerV2, "estimator": EstimatorV2}[program]
    with pytest.raises(InvalidArgumentError, match=message) as refused:
        primitive(bench.qpu, options=given)
    assert isinstance(refused.value, InvalidInputError)


UNKNOWN: list[tuple[str, dict[str, Any]]] = [
    ("sampler", {"new_option": 1}),
    ("sampler", {"new_group": {"flag": True, "inner": {"values": [1, 2]}}}),
    ("sampler", {"execution": {"new_flag": True}}),
    ("estimator", {"resilience": {"zne": {"new_flag": None, "x": [0.5]}}}),
    ("estimator", {"twirling": {"enable_gates": True, "new_flag": "auto"}, "new_option": 1}),
]


@pytest.mark.parametrize(("program", "given"), UNKNOWN, ids=lambda value: str(value)[:60])
def test_an_unknown_option_is_sent_as_it_is(
    bench: Any, bell: Any, program: str, given: dict[str, Any]
) -> None:
    primitive: Any = {"sampler": SamplerV2, "estimator": EstimatorV2}[program]
    made = primitive(bench.qpu, options=given)
    again = primitive(bench.qpu, options=made.options)
    again.options.update(default_shots=3)
    pub = bell if program == "sampler" else (bell.remove_final_measurements(inplace=False), "ZZ")
    for each in (made, again):
        each.run([pub])
    first, second = (sent["options"] for sent in bench.sent)
    wanted = without_none(given)
    assert first == wanted
    assert second == wanted | {"default_shots": 3}


def without_none(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: without_none(inner) for name, inner in value.items() if inner is not None}


def test_an_unknown_option_can_be_changed_and_unset() -> None:
    options = SamplerOptions.from_mapping({"new_option": 1, "execution": {"new_flag": True}})
    before = attrs.evolve(options)
    options.update(new_option=2, execution={"new_flag": None, "rep_delay": 1})
    assert options.to_dict() == {"new_option": 2, "execution": {"rep_delay": 1}}
    assert before != options
    with pytest.raises(InvalidArgumentError, match="default_shots"):
        options.update(new_option=3, default_shots=0)
    assert options.to_dict()["new_option"] == 2


def test_an_option_of_the_vendor_s_is_no_near_miss() -> None:
    """Options of later qiskit-ibm-runtime classes are rejected, though close to known names."""
    for name in ("layer_noise_model", "warn_absent", "angle_decimals"):
        given = {"simulator": {name: 1}}
        if vendor.has_option(f"simulator.{name}"):
            assert SamplerOptions.from_mapping(given).to_dict() == given
    assert vendor.has_option("twirling.strategy")
    assert vendor.has_option("resilience_level")
    for wrong in ("twirling.stategy", "copy", "twirling.copy", "twirling.strategy.x", "", "."):
        assert not vendor.has_option(wrong)


def test_a_value_that_cannot_be_encoded_is_named(bench: Any, bell: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="the options cannot be encoded"):
        SamplerV2(bench.qpu, options={"new_option": math.nan}).run([bell])


def test_a_wrong_attribute_is_refused_and_changes_nothing() -> None:
    options = SamplerOptions.from_mapping({"default_shots": 5, "twirling": {"strategy": "all"}})
    before = attrs.asdict(options)
    with pytest.raises(InvalidArgumentError, match="default_shots"):
        options.default_shots = -1
    with pytest.raises(InvalidArgumentError, match=r"twirling\.strategy"):
        options.update(default_shots=7, twirling={"strategy": "some"})
    with pytest.raises(InvalidArgumentError, match=r"twirling\.strategi"):
        options.update(twirling={"enable_gates": True, "strategi": "all"})
    with pytest.raises(AttributeError, match="default_shot"):
        options.default_shot = 3  # type: ignore[attr-defined]
    assert attrs.asdict(options) == before


def test_options_of_another_type_are_a_type_error(bench: Any) -> None:
    for wrong in (3, [("default_shots", 1)], EstimatorOptions()):
        with pytest.raises(TypeError, match="SamplerOptions"):
            SamplerV2(bench.qpu, options=wrong)  # type: ignore[arg-type]


def test_the_readme_has_the_table_of_options() -> None:
    readme = Path(__file__).parents[3] / "plugins/qrmi-qiskit/README.md"
    assert options_table() in readme.read_text(encoding="utf-8")
