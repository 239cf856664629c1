"""INPUT files, whose values reach the vendor exactly as written."""

from __future__ import annotations

import io
import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from qrmi_core import InvalidInputError, Payload, UnsupportedPayloadError
from qrmi_core.commands.inputs import choose_payload, read_input, split_object
from qrmi_core.payload import PasqalCloud, QiskitPrimitive

KINDS = (QiskitPrimitive, PasqalCloud)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
spaces = st.text(" \t\r\n", max_size=3)


@st.composite
def written(draw: st.DrawFn) -> tuple[str, dict[str, tuple[Any, str]]]:
    """Generate the text of an object, with each key's value and the value's own text."""
    values = {
        key: (value, draw(st.sampled_from([json.dumps(value), json.dumps(value, indent=1)])))
        for key, value in draw(st.dictionaries(st.text(), json_values)).items()
    }
    members = ",".join(
        f"{draw(spaces)}{json.dumps(key)}{draw(spaces)}:{draw(spaces)}{text}{draw(spaces)}"
        for key, (_, text) in values.items()
    )
    return f"{draw(spaces)}{{{members or draw(spaces)}}}{draw(spaces)}", values


@given(written())
def test_containers_are_verbatim_and_the_rest_is_decoded(
    case: tuple[str, dict[str, tuple[Any, str]]],
) -> None:
    text, values = case
    found = split_object(text)
    assert list(found) == list(values)
    for key, (value, own_text) in values.items():
        assert found[key] == (own_text if isinstance(value, dict | list) else value)


@given(st.text('{}[]":, \\u0123ab\n-.e') | st.text())
def test_any_text_is_taken_or_refused_as_json_is(text: str) -> None:
    try:
        split_object(text)
    except json.JSONDecodeError:
        # Only the core rejects these: documents other than objects, and duplicate keys.
        try:
            pairs = json.loads(text, object_pairs_hook=tuple)
        except ValueError:
            return
        assert not text.strip(" \t\r\n").startswith("{") or len(dict(pairs)) < len(pairs)
    else:
        assert isinstance(json.loads(text), dict)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        (" \n ", "is empty"),
        ("[]", "Expecting an object (line 1, column 1)"),
        ("{", "Expecting a key in double quotes (line 1, column 2)"),
        ('{"a": 1,}', "Illegal trailing comma (line 1, column 9)"),
        ('{"a" 1}', "Expecting ':' after the key (line 1, column 6)"),
        ('{"a": 1\n"b": 2}', "Expecting ',' or '}' (line 2, column 1)"),
        ('{"a": nope}', "Expecting value (line 1, column 7)"),
        ('{"a": {"b": [1, 2}}', "(line 1, column 18)"),
        ('{"a": 1, "a": 2}', "Key 'a' is there twice (line 1, column 10)"),
        ('{"a": 1} x', "Unexpected text after the object (line 1, column 10)"),
        ('{"a": ' + "[" * 100_000, "nested too deeply"),
        ('{"a": ' + "9" * 5000 + "}", "(line 1, column 7)"),
    ],
)
def test_what_is_no_input_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "input.json"
    file.write_text(text)
    with pytest.raises(InvalidInputError) as caught:
        read_input(str(file))
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{file}: ")
    assert "\n" not in str(caught.value)


def test_what_is_no_file_of_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b'{"a": "\xe9"}')
    for name, message in (
        ("nothing", "No such file"),
        (".", "Is a directory"),
        ("latin", r"not UTF-8 text \(byte 7\)"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            read_input(str(tmp_path / name))


def test_standard_input_is_a_dash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'\xef\xbb\xbf{"a": 1}')))
    assert read_input("-") == {"a": 1}


def test_numbers_keep_their_text_within_parameters() -> None:
    values = split_object('{"program_id": "sampler", "parameters": {"x": 1.10e0, "x": 1e400}}')
    payload = choose_payload(values, KINDS, None, "qpu")
    assert payload == QiskitPrimitive(input='{"x": 1.10e0, "x": 1e400}', program_id="sampler")


@pytest.mark.parametrize("text", ['{"a": [1]}', json.dumps('{"a": [1]}')])
def test_a_sequence_may_be_an_object_or_a_string(text: str) -> None:
    values = split_object(f'{{"sequence": {text}, "job_runs": 10}}')
    assert choose_payload(values, KINDS, None, "qpu") == Payload.PasqalCloud('{"a": [1]}', 10)


def test_further_keys_are_ignored() -> None:
    values = {"program_id": "sampler", "parameters": "{}", "comment": None}
    assert isinstance(choose_payload(values, KINDS, None, "qpu"), QiskitPrimitive)


def test_an_input_for_another_kind_of_resource_is_refused() -> None:
    with pytest.raises(InvalidInputError) as caught:
        choose_payload({"sequence": "{}", "job_runs": 1}, (QiskitPrimitive,), None, "qpu")
    assert "qpu cannot run this INPUT: it needs QiskitPrimitive with parameters, program_id" in str(
        caught.value
    )
    assert "(has: sequence, job_runs)" in str(caught.value)


def test_an_input_that_fits_two_kinds_needs_a_choice() -> None:
    values = {"program_id": "x", "parameters": "{}", "sequence": "{}", "job_runs": 1}
    with pytest.raises(InvalidInputError, match="--payload"):
        choose_payload(values, KINDS, None, "qpu")
    assert isinstance(choose_payload(values, KINDS, "pasqalcloud", "qpu"), PasqalCloud)
    with pytest.raises(UnsupportedPayloadError, match="takes no Coin, but QiskitPrimitive"):
        choose_payload(values, KINDS, "Coin", "qpu")


@pytest.mark.parametrize(
    "values",
    [
        {"program_id": "sampler", "parameters": None},
        {"program_id": 3, "parameters": "{}"},
        {"sequence": "{}", "job_runs": "10"},
        {"sequence": "{}", "job_runs": 0},
        {"sequence": math.inf, "job_runs": 1},
    ],
)
def test_a_value_of_the_wrong_kind_is_invalid_input(values: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        choose_payload(values, KINDS, None, "qpu")


def test_a_kind_asked_for_whose_keys_are_missing_names_them() -> None:
    with pytest.raises(InvalidInputError, match="needs sequence"):
        choose_payload({"job_runs": 1}, KINDS, "PasqalCloud", "qpu")
