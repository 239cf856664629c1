"""Emulators whose program ends before they are closed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

OPEN = """
import sys
from qrmi_emulator import Emulator

emulator = Emulator({vendors})
emulator.__enter__()
"""
SUBMIT = """
from qrmi_core import Payload, QuantumResource

kind = "ibm-quantum-compute-service"
circuit = "OPENQASM 3.0;\\nbit[1] c;\\nqubit[1] q;\\nc[0] = measure q[0];"
document = {"pubs": [[circuit, None, 10]], "version": 2, "options": {}}
qpu = QuantumResource("aer", kind, config=emulator.settings_for(kind))
qpu.run(Payload.QiskitPrimitive(document, "sampler"))
"""
CLOSE_AT_EXIT = """
import atexit

atexit.register(emulator.__exit__)
"""
GENERATOR = """
def served():
    with Emulator(["pasqal-cloud"]) as other:
        yield other

held = served()
next(held)
"""
FORKED = """
import os

child = os.fork()
if child == 0:
    sys.exit(0)
os.waitpid(child, 0)
assert emulator.info(), "the child has closed it"
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "parts",
    [
        [],
        [CLOSE_AT_EXIT],
        [SUBMIT],
        [SUBMIT, CLOSE_AT_EXIT],
        [GENERATOR],
        [FORKED],
        [CLOSE_AT_EXIT, "sys.exit(0)"],
    ],
)
def test_an_emulator_that_is_open_at_the_end_says_nothing_and_leaves_nothing(
    tmp_path: Path, parts: list[str]
) -> None:
    vendors = ["ibm-runtime", "ibm-da"] if SUBMIT in parts else []
    ended = subprocess.run(
        [
            sys.executable,
            "-W",
            "ignore::DeprecationWarning",
            "-c",
            "".join([OPEN.format(vendors=vendors), *parts]),
        ],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert not list(tmp_path.glob("qrmi-emulator-*"))
