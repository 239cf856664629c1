"""Results in every form are one form of text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from qrmi_core import InvalidResponseError, QrmiError, ServiceError
from qrmi_pasqal.cloud.results import result_text

COUNTER = {"10": 64, "00": 36}
TEXT = b'{"counter":{"00":36,"10":64}}'
SERIALISED = json.dumps(
    {
        "atom_order": ["q0", "q1"],
        "total_duration": 400,
        "tagmap": {"bitstrings": "e6bf"},
        "results": {"e6bf": [{"10": 1}, COUNTER]},
        "times": {"e6bf": [0.5, 1.0]},
    }
)


@pytest.mark.parametrize(
    "found",
    [
        COUNTER,
        {"counter": COUNTER},
        {"job-1": {"counter": COUNTER}},
        {"counter": {"job-1": COUNTER}},
        {"job-1": COUNTER},
        [COUNTER],
        [{"counter": COUNTER}],
    ],
)
def test_every_shape_of_a_counter_is_the_published_one(found: Any) -> None:
    assert result_text(found) == TEXT


def test_what_comes_with_the_counter_is_kept() -> None:
    found = {"raw": ["00"], "serialised_results": SERIALISED, "counter": COUNTER, "new": 1}
    text = result_text({"job-1": found})
    assert text is not None
    assert text.startswith(TEXT[:-1])
    assert json.loads(text) == found


@pytest.mark.parametrize("missing", [{}, {"counter": None}, {"counter": {}}])
def test_a_counter_that_is_missing_is_made_of_the_rest(missing: dict[str, Any]) -> None:
    shots = ["10", "00", "10"]
    for found in ({**missing, "raw": shots}, shots):
        assert json.loads(result_text(found) or b"") == {
            "counter": {"00": 1, "10": 2},
            "raw": shots,
        }
    text = result_text({**missing, "raw": [], "serialised_results": SERIALISED})
    assert json.loads(text or b"")["counter"] == COUNTER


@pytest.mark.parametrize(
    "found", [None, {}, [], {"job-1": None}, {"job-1": {}}, {"counter": None, "raw": []}]
)
def test_no_result_is_none(found: Any) -> None:
    assert result_text(found) is None


@pytest.mark.parametrize(
    "found",
    [
        "text",
        7,
        [7],
        {"counter": {"00": 1.5}},
        {"counter": {"00": True, "0x": 1}},
        {"counter": {"00": -1}},
        {"raw": [1]},
        {"raw": "00"},
        {"serialised_results": "{"},
        {"serialised_results": "{}"},
        {"serialised_results": 5},
        {"job-1": "text"},
    ],
)
def test_what_is_no_result_is_an_error(found: Any) -> None:
    with pytest.raises(InvalidResponseError):
        result_text(found)


def test_several_jobs_are_not_one_result() -> None:
    with pytest.raises(ServiceError, match="2 jobs"):
        result_text({"job-1": {"counter": COUNTER}, "job-2": None})


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("01ab", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["counter", "raw", "00", "1", "job"]), inner, max_size=3)
    ),
)


@given(_json)
def test_anything_is_a_result_or_none_or_an_error(found: Any) -> None:
    try:
        text = result_text(found)
    except QrmiError:
        return
    assert text is None or json.loads(text)["counter"]


@given(st.dictionaries(st.text("01", min_size=1), st.integers(0, 10**9), min_size=1))
def test_a_counter_is_sorted_and_otherwise_as_it_came(counter: dict[str, int]) -> None:
    text = result_text(counter)
    assert text is not None
    assert list(json.loads(text)["counter"].items()) == sorted(counter.items())
