"""Text of users is read in a time that grows no faster than the text."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from qrmi_local.engines import EngineError, _circuits, qiskit as engine

COUNT = 20_000
# Linear, each takes a tenth of it at most; quadratic, ten times as long.
MOST_SECONDS = 5.0
SPACES = " " * COUNT
REPEATED = [
    *("case 1: ", "case 1, 2 ", "case ", "case /* ", 'case "', "case // ", "case 1: case 2 "),
    *("default: ", "default ", "case 1: default ", "default: case 1 ", "case 1: default: x "),
    *("{ ", "} ", "} break ", "case 1: { ", "/* ", "*/ ", '"', "// \n", " ", "\n"),
    *(f"case{SPACES}:{SPACES}"[:1000], f"default{SPACES}"[:1000], f"}}{SPACES}"[:1000]),
]


@contextmanager
def no_time() -> Iterator[None]:
    start = time.process_time()
    yield
    assert time.process_time() - start < MOST_SECONDS


@pytest.mark.parametrize("part", REPEATED)
def test_the_braces_of_any_circuit_are_read_once(part: str) -> None:
    text = "switch (c) {" + part * (len("case 1: ") * COUNT // len(part))
    with no_time():
        try:
            _circuits._modern_switch(text)
        except EngineError as error:
            assert "lacks its break" in str(error)


@pytest.mark.parametrize(
    ("old", "modern"),
    [
        ("case 1: { x q; } break;", "case 1 { x q; }"),
        ("case 1: case 2: { } break; default: { } break;", "case 1, 2 { } default { }"),
        ("case 1:\n{ }\nbreak;", "case 1 {\n }\n"),
        ("case /* a: { */ 1: // b\n{ } break;", None),
        ("case 1 /* a: { */: { } break;", "case 1 { }"),
        ("case 1, 2 { } default { }", None),
        ("case 1 { } case 2: { } break;", "case 1 { } case 2 { }"),
        ("if (a) { case 1: { } break; }", "if (a) { case 1 { } }"),
        ('include "case 1: {"; // case 2: {\n/* case 3: { */', None),
        ("gate showcase q { }", None),
    ],
)
def test_labels_of_an_old_switch_become_those_of_a_new_one(old: str, modern: str | None) -> None:
    assert _circuits._modern_switch(old) == (old if modern is None else modern)


@pytest.mark.parametrize("group", ["options", "options.simulator", "input"])
def test_the_names_of_many_unknown_options_are_not_all_compared(group: str) -> None:
    names = {f"default_shot{number}": 1 for number in range(COUNT)}
    document = {"pubs": [["OPENQASM 3.0;"]], "version": 2}
    document |= {
        "options": {"options": names},
        "options.simulator": {"options": {"simulator": names}},
        "input": names,
    }[group]
    with no_time(), pytest.raises(EngineError, match="and 19990 more") as raised:
        engine.check("sampler", json.dumps(document).encode())
    assert len(str(raised.value)) < 2000
