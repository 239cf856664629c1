"""Sequences and results of a size at which they are neither parsed nor copied."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given, settings, strategies as st

from qrmi_core import InvalidInputError, InvalidResponseError, Payload, QrmiError
from qrmi_core.plugin import Response
from qrmi_core.testing import Faults, VendorRequest, VendorResponse
from qrmi_pasqal.cloud.results import read_result, result_text
from qrmi_pasqal.documents import LARGE, body
from qrmi_pasqal.sequence import read_sequence
from support.pasqal_service import PasqalService
from support.resources import Make

PADDING = " " * LARGE
NAMES = r'"name": "\u00e9 é \" {", "inner": {"variables": {"x": 1}, "device": {"max_runs": 1}}'
SEQUENCE = f'{{{NAMES}, "device": {{"max_runs": 100}}, "variables": {{}}}}{PADDING}'


# --- sequences ---


@pytest.mark.parametrize("form", ["text", "bytes", "path", "encoded twice"])
def test_a_large_sequence_arrives_as_it_came(
    service: PasqalService, make: Make, tmp_path: Path, form: str
) -> None:
    path = tmp_path / "sequence.json"
    path.write_text(SEQUENCE, encoding="utf-8")
    forms: dict[str, Any] = {
        "text": SEQUENCE,
        "bytes": SEQUENCE.encode(),
        "path": path,
        "encoded twice": json.dumps(SEQUENCE),
    }
    service.fail("POST v1/batches", Faults.lost_before)
    make().task_start(Payload.PasqalCloud(forms[form], 100))
    first, again = (
        each for each in service.received if each.method == "POST" and each.body[:1] == b"{"
    )
    assert first.body == again.body
    assert again.json()["sequence_builder"] == SEQUENCE
    assert again.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "not JSON"),
        ("{} {}", "not JSON"),
        ('{"a": NaN}', "not JSON"),
        ("{'single': 1}", "not JSON"),
        ("[]", "JSON object"),
        ("[1,]", "not JSON"),
        ('"text"', "not JSON"),
        ("[" * 100_000, "nested"),
        ('{"a":' + "[" * 100_000, "nested"),
        ('{"a": "\ud800"}', "UTF-8"),
        ('{"variables": {"amp": {}}, "operations": [{"variable": "amp"}]}', r"\(amp\).*build"),
        ('{"device": {"max_runs": 99}}', "at most 99"),
    ],
)
def test_a_large_wrong_sequence_is_refused_as_a_small_one(text: str, problem: str) -> None:
    for padding in ("", PADDING):
        if "NaN" not in text or padding:
            with pytest.raises(InvalidInputError, match=problem):
                read_sequence(Payload.PasqalCloud(padding + text, 100))


def test_numbers_of_a_large_program_of_cudaq_are_sent_as_they_came(
    service: PasqalService, make: Make
) -> None:
    program = f'{{"setup": {{"times": [1.50e-07]}}, "hamiltonian": {{}}, "pad": "{PADDING}"}}'
    make("EMU_MPS").task_start(Payload.PasqalCloud(program, 100))
    assert service.bodies[-1]["sequence"] == json.loads(program)
    assert b'{"times": [1.50e-07]}' in service.received[-1].body


# --- results ---

AS_THEY_CAME = [
    '{"counter":{"10":64,"00":36}}',
    '{ "counter" : {\n "10" : 64 ,\t"00":36 } , "raw": [ ] }',
    r'{"note": "\u00e9 é \" {\"counter\": {}}", "counter": {"1": 1}}',
    '{"other": {"counter": {"x": 1}, "data": []}, "counter": {"0": 2}, "data": {"counter": 5}}',
    r'{"counter": {"0": 2}, "serialised_results": "{\"counter\": {\"9\": 1}}"}',
    '{"counter": {"0": 2}, "energy": 1.50e-07}',
]


def large(text: str) -> Response:
    return Response("GET http://here/there", 200, {}, (PADDING + text).encode())


@pytest.mark.parametrize("text", AS_THEY_CAME)
def test_a_large_result_is_passed_on_as_it_came(text: str) -> None:
    envelope = '{"status": {"data": {}}, "data": %s, "pagination": {"data": {"counter": {"0": 1}}}}'
    for response in (
        read_result(large(text)),
        read_result(large(envelope % text), "data"),
        read_result(large(envelope % f'{{"job-1": {text}}}'), "data"),
    ):
        assert response is not None
        assert b"".join(response).decode().strip() == text


def test_a_large_result_comes_in_pieces() -> None:
    shots = json.dumps({"counter": {"0": 1}, "raw": ["0"] * (LARGE // 2)})
    pieces = list(read_result(large(shots)) or ())
    assert len(pieces) > 2
    assert b"".join(pieces).decode().strip() == shots


@pytest.mark.parametrize(
    "text",
    [
        r'{"counter": {"\u0030": 1, "1": 2}}',
        '{"counter": {"1": 1}, "counter": {}, "raw": ["0"]}',
        '{"raw": {"counter": {"1": 1}}}',
        '{"a": {"counter": {"1": 1}}, "b": {"counter": {"1": 1}}}',
        '{"counter": {"1": 1, "2": 1}}',
        '{"counter": {"1": 1.5}}',
        '{"counter": {"1": -1}}',
        '{"counter": {"": 1}}',
        '"{\\"counter\\": {\\"1\\": 1}}"',
    ],
)
def test_a_large_result_of_another_form_is_read_as_a_small_one(text: str) -> None:
    assert outcome(lambda: b"".join(read_result(large(text)) or ())) == outcome(
        lambda: result_text(json.loads(text)) or b""
    )


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("01ab", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["counter", "raw", "00", "1", "job"]), inner, max_size=3)
    ),
)


@settings(max_examples=30)
@given(_json)
def test_anything_large_is_read_as_if_it_were_small(found: Any) -> None:
    text = json.dumps(found)
    assert outcome(lambda: b"".join(read_result(large(text)) or ())) == outcome(
        lambda: result_text(found) or b""
    )


def outcome(read: Any) -> object:
    try:
        return json.loads(read() or b"null")
    except QrmiError as error:
        return type(error)


def test_a_large_response_without_the_key_is_refused() -> None:
    for text in ('{"status": "success"}', "[]", "{", "<html>", "\ud7ff"):
        with pytest.raises(InvalidResponseError):
            read_result(large(text), "data")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("linked", [False, True])
def test_a_large_result_is_read_from_both_sources(
    service: PasqalService, make: Make, linked: bool, packed: bool
) -> None:
    service.full_results = not linked
    service.result = {"counter": {"10": 64, "00": 36}, "raw": ["é"] + ["10"] * (LARGE // 4)}
    qpu = make()
    task_id = qpu.task_start(Payload.PasqalCloud({"version": "1"}, 100))
    service.finish_all()
    if packed:
        job = service.job_of(task_id)["id"]
        kind = f"GET files/{job}" if linked else "GET v1/batches/*/full_results"
        service.fail(service.kind(kind), zipped)
    assert json.loads(qpu.task(task_id).result(10).value) == service.result


def zipped(_request: VendorRequest, respond: Any) -> VendorResponse:
    response = respond()
    return attrs.evolve(
        response, body=gzip.compress(response.content), headers={"Content-Encoding": "gzip"}
    )


def test_a_result_that_is_too_large_names_the_setting(service: PasqalService, make: Make) -> None:
    qpu = make(QRMI_HTTP_MAX_RESULT_BYTES="1000000", QRMI_HTTP_MAX_RESPONSE_BYTES="10000")
    service.result = {"counter": {"10": 64}, "raw": ["10"] * 10_000}
    task_id = qpu.task_start(Payload.PasqalCloud({"version": "1"}, 100))
    service.finish_all()
    assert len(qpu.task(task_id).result(10).value) > 10_000
    service.result = {"counter": {"10": 64}, "raw": ["10"] * 200_000}
    with pytest.raises(InvalidResponseError, match="1000000 bytes.*QRMI_HTTP_MAX_RESULT_BYTES"):
        qpu.task(task_id).result(10)


# --- memory ---


def test_large_documents_are_copied_once_at_most() -> None:
    payload = Payload.PasqalCloud(f'{{"pad": "{PADDING * 4}"}}', 100)
    response = large('{"counter": {"0": 1}, "pad": "%s"}' % (PADDING * 4))
    for name, use in {
        "a start": lambda: body({"sequence": read_sequence(payload).text}, LARGE),
        "a result": lambda: sum(map(len, read_result(response) or ())),
    }.items():
        use()  # imports
        tracemalloc.start()
        try:
            use()
            assert tracemalloc.get_traced_memory()[1] < 7 * LARGE, name
        finally:
            tracemalloc.stop()
