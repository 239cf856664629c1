"""Programs and their inputs: rejected ones, and those that are sent unchanged."""

from __future__ import annotations

import json
import tracemalloc
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from qrmi_core import InvalidInputError, Payload
from qrmi_core.plugin import QiskitPrimitive
from qrmi_ibm_common.primitives import read_input
from qrmi_ibm_runtime.api import Body, body_of
from support.faulty_server import cut_before
from support.ibm_service import IbmService
from support.resources import Make


def body(content: Any, program_id: str = "sampler") -> bytes:
    payload = Payload.QiskitPrimitive(content, program_id)
    return b"".join(prepare(payload))


def prepare(payload: QiskitPrimitive) -> Body:
    program_id, params = read_input(payload, resource_id="b", submission=str(uuid.uuid4()))
    return body_of({"program_id": program_id, "backend": "b"}, params)


@pytest.mark.parametrize(
    ("program_id", "sent"),
    [
        ("sampler", "sampler"),
        ("estimator", "estimator"),
        ("executor", "executor"),
        ("noise-learner", "noise-learner"),
        ("noiselearner", "noise-learner"),
        ("noise_learner", "noise-learner"),
    ],
)
def test_programs_and_their_spellings(program_id: str, sent: str) -> None:
    made = json.loads(
        body({"pubs": [], "circuits": []} if sent == "executor" else _least(sent), program_id)
    )
    assert made["program_id"] == sent
    assert made["backend"] == "b"


def _least(program_id: str) -> dict[str, Any]:
    return {"circuits": []} if program_id == "noise-learner" else {"pubs": []}


@pytest.mark.parametrize("program_id", ["Sampler", "vqe", "", "sampler "])
def test_another_program_is_refused_and_the_right_ones_named(program_id: str) -> None:
    with pytest.raises(InvalidInputError, match="sampler, estimator, noise-learner, executor"):
        body({"pubs": []}, program_id)


def _options(**options: Any) -> dict[str, Any]:
    return {"pubs": [], "options": options}


@pytest.mark.parametrize(
    ("program_id", "params", "names"),
    [
        ("sampler", {"pubs": [], "precision": 0.1}, "'precision'"),
        ("sampler", {"pubs": [], "options": {"environment": {}}}, "'options.environment'"),
        (
            "sampler",
            {"pubs": [], "options": {"resilience": 1, "seed_estimator": 2}},
            "'options.resilience', 'options.seed_estimator'",
        ),
        (
            "estimator",
            {"pubs": [], "options": {"simulator": {"seed": 1}}},
            "'options.simulator.seed'",
        ),
        ("estimator", {"pubs": [], "shots": 5}, "'shots'"),
        ("noiselearner", {"circuits": [], "options": {"shots": 5}}, "'options.shots'"),
        (
            "sampler",
            {"pubs": [], "options": {"execution": {"meas_level": 1, "rep_delay": 0.1}}},
            "'options.execution.meas_level'",
        ),
        (
            "estimator",
            _options(execution={"meas_type": "kerneled"}),
            "'options.execution.meas_type'",
        ),
        ("sampler", _options(twirling={"gates": True}), "'options.twirling.gates'"),
        ("estimator", _options(twirling={"gates": True}), "'options.twirling.gates'"),
        (
            "sampler",
            _options(dynamical_decoupling={"enable": True, "sequence": "XX"}),
            "'options.dynamical_decoupling.sequence'",
        ),
        ("estimator", _options(resilience={"zne_": {}}), "'options.resilience.zne_'"),
        (
            "estimator",
            _options(resilience={"zne": {"noise_factor": [1]}}),
            "'options.resilience.zne.noise_factor'",
        ),
        (
            "estimator",
            _options(resilience={"layer_noise_learning": {"depths": [1]}}),
            "'options.resilience.layer_noise_learning.depths'",
        ),
        (
            "estimator",
            _options(resilience={"measure_noise_learning": {"shots": 1}}),
            "'options.resilience.measure_noise_learning.shots'",
        ),
        ("estimator", _options(resilience={"pec": {"gain": 1}}), "'options.resilience.pec.gain'"),
        (
            "noise-learner",
            {"schema_version": "v0.2", "instructions": [], "options": {"bit_flip_checks": {}}},
            "'options.bit_flip_checks'",
        ),
        (
            "noise-learner",
            {
                "schema_version": "v0.3",
                "instructions": [],
                "options": {"bit_flip_checks": {"pre_circuit": {"on": True}}},
            },
            "'options.bit_flip_checks.pre_circuit.on'",
        ),
        (
            "executor",
            {"schema_version": "v2.0", "quantum_program": {}, "options": {"shots": 1}},
            "'options.shots'",
        ),
        ("sampler", {"pubs": [], "new_key": {"x": 1}}, "'new_key'; "),
        ("sampler", _options(new_option=3), "'options.new_option'; "),
        ("sampler", _options(execution={"new_flag": True}), "'options.execution.new_flag'; "),
        ("estimator", {"pubs": [], "option": {}}, "'option' (did you mean 'options'?); "),
        (
            "sampler",
            _options(twirling={"stategy": "all"}, default_shot=1),
            "'options.default_shot' (did you mean 'options.default_shots'?), "
            "'options.twirling.stategy' (did you mean 'options.twirling.strategy'?); ",
        ),
        ("sampler", {"pubs": [], "a\nb": 1}, r"'a\nb'; "),
        ("sampler", {"pubs": [], "x" * 10_000: 1}, "'" + "x" * 499 + "...; "),
        ("sampler", {"pubs": [], "schema_version": "v9.9"}, "'schema_version'"),
    ],
)
def test_unknown_keys_are_passed_on_with_one_warning(
    program_id: str, params: dict[str, Any], names: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert json.loads(body(params, program_id))["params"] == params
    [record] = caplog.records
    assert record.levelname == "WARNING"
    assert f": {names}" in record.getMessage()
    assert record.getMessage().endswith("; the input is passed on, and the service decides")


@pytest.mark.parametrize(
    ("program_id", "params"),
    [
        ("sampler", {"pubs": [], "options": None}),
        ("sampler", {"pubs": [], "version": 2}),
        ("noise-learner", {"circuits": [], "version": None}),
        ("sampler", _options(experimental={"anything": {"x": 1}}, simulator=None)),
        ("sampler", _options(execution={"rep_delay": "soon"}, twirling={"strategy": 5})),
        ("sampler", _options(simulator={"noise_model": {"__type__": "NoiseModel"}})),
        ("estimator", {"pubs": [], "precision": None, "resilience_level": 2, "options": {}}),
        ("estimator", _options(resilience={"layer_noise_model": [{"x": 1}], "zne": None})),
        ("noise-learner", {"schema_version": "v9.9", "instructions": [], "options": {"x": 1}}),
        ("executor", {"schema_version": "v9.9", "quantum_program": {}, "options": {"x": 1}}),
        ("executor", {"quantum_program": {}, "options": {"x": 1}}),
        ("executor", {"schema_version": "v2.0", "quantum_program": {"x": 1}, "options": {}}),
    ],
)
def test_what_the_service_itself_decides_is_left_to_it(
    program_id: str, params: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    assert json.loads(body(params, program_id))["params"] == params
    assert not caplog.records


def test_a_submission_warns_once_whatever_its_attempts(
    service: IbmService, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    service.fail("POST jobs", cut_before)
    qpu = make(SESSION_MODE="job")
    payload = Payload.QiskitPrimitive('{"pubs": [], "new_key": 1}', "sampler")
    for attempts in (2, 1):
        caplog.clear()
        service.forget_requests()
        qpu.task_start(payload)
        assert service.counted()["POST jobs"] == attempts
        [warned] = [each.message for each in caplog.records if "new_key" in each.message]
        assert "to ibm_fez: unknown in the input of sampler: 'new_key'" in warned


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "not JSON"),
        ("OPENQASM 3.0;", "not JSON"),
        ('{"pubs": [NaN]}', "not JSON"),
        ('{"pubs": []} {}', "not JSON"),
        ('{"pubs": [1,]}', "not JSON"),
        (b'{"pubs": ["\xff"]}', "UTF-8"),
        (b'{"pubs": ["\xc3', "UTF-8"),
        ("[]", "JSON object"),
        ("null", "JSON object"),
        ('{"pubs": [], "options": 1}', "`options` must be"),
        ('{"pubs": [], "options": {"simulator": []}}', "`options.simulator` must be"),
        ("{}", "needs `pubs`"),
        ('{"pubs": [], "version": 1}', "must be 2"),
        ('{"pubs": [], "version": "2"}', "must be 2"),
        ('{"pubs": ' + "[" * 100_000 + "]" * 100_000 + "}", "not JSON"),
        ('{"parameters": {"pubs": []}, "program_id": "sampler"}', "`parameters` alone"),
    ],
)
def test_an_input_that_cannot_be_right(content: str | bytes, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words) as caught:
        body(content)
    assert len(str(caught.value)) < 300


_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: _TEXTS | st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=8,
)
_NEARLY_JSON = st.text('{}[]",:0123456789-+.eEtrufalsn\\ ', max_size=20).map(str.encode)


@given(_VALUES, st.booleans(), st.sampled_from([None, 1, "\t"]))
def test_the_bytes_of_an_input_are_sent_as_they_are(
    pubs: object, ascii_only: bool, indent: int | str | None
) -> None:
    text = json.dumps({"pubs": pubs}, ensure_ascii=ascii_only, indent=indent)
    assert body(text) == b'{"program_id":"sampler","backend":"b","params":' + text.encode() + b"}"


@given(
    st.binary(max_size=40)
    | st.text('{}[]":,0123456789-+.eEtrufalsn\\ ', max_size=20).map(str.encode)
)
def test_whatever_is_sent_is_json(content: bytes) -> None:
    try:
        made = body(content, "executor")
    except InvalidInputError:
        return
    json.loads(made)


def test_what_is_refused_is_not_sent(service: IbmService, make: Make) -> None:
    with pytest.raises(InvalidInputError):
        make().task_start(Payload.QiskitPrimitive('{"option": {}}', "sampler"))
    with pytest.raises(InvalidInputError):
        make().task_start(Payload.QiskitPrimitive(Path("/does/not/exist"), "sampler"))
    assert not service.requests


LARGE = b'{ "pubs":[["' + b"x" * 50_000_000 + '\u0141"]] }'.encode()


def test_a_large_input_goes_out_as_it_came(service: IbmService, make: Make, tmp_path: Path) -> None:
    path = tmp_path / "input.json"
    path.write_bytes(LARGE)
    make(SESSION_MODE="job").task_start(Payload.QiskitPrimitive(path, "sampler"))
    head, _, rest = service.bodies[0].partition(b',"params":')
    assert head.startswith(b'{"program_id":"sampler","backend":"ibm_fez"')
    assert rest == LARGE + b"}"


def test_checking_a_large_input_takes_no_copy_of_it() -> None:
    payload = Payload.QiskitPrimitive(LARGE, "sampler")
    tracemalloc.start()
    made = prepare(payload)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000
    assert any(piece is LARGE for piece in made)
