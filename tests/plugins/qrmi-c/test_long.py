"""No leak, no use of freed memory, and little memory for large texts (make test-c-long)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from support.c_library import HERE, SOURCES, Build, Run, runner

pytestmark = [
    pytest.mark.native,
    pytest.mark.slow,
    pytest.mark.skipif(os.environ.get("QRMI_TEST_C") != "long", reason="make test-c-long runs it"),
]

CASES = ("one call", "killed idle", "fork idle", "threads", "not noticed", "exported token")


@pytest.fixture
def environment(environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    config = tmp_path / "qrmi_config.json"
    entry = {"name": "entry", "type": "bench", "environment": {"BENCH_KEY": "top-secret"}}
    config.write_text(json.dumps({"resources": [entry]}))
    return {**environment, "BENCH_CONFIG": str(config)}


def test_large_texts_are_not_copied_in_the_program(host: Run) -> None:
    size = 100_000_000
    host("large texts", size, environment={"BENCH_BYTES": str(size)})


def test_a_program_of_four_gigabytes_starts_a_helper_at_once(host: Run) -> None:
    host("large host")


@pytest.mark.parametrize(
    ("source", "checks", "cases"),
    [
        ("host", ("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"), CASES),
        ("table", ("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"), ("",)),
        ("host", ("-fsanitize=thread", "-DQRMI_PLAIN_FORK"), CASES[:4]),
    ],
    ids=["memory", "memory of all functions", "threads"],
)
def test_the_sanitizers_find_nothing(
    build: Build,
    environment: dict[str, str],
    source: str,
    checks: tuple[str, ...],
    cases: tuple[str, ...],
) -> None:
    program = build.folder / f"{source}{checks[0]}"
    files = [HERE / f"programs/{source}.c", *sorted((SOURCES / "c").glob("*.c"))]
    build.cc("-std=c11", "-O1", "-g", *checks, "-pthread", *files, "-ldl", "-o", program)
    for case in cases:
        runner(program, environment)(case)


@pytest.mark.parametrize(
    ("source", "case"), [("host", "one call"), ("host", "killed idle"), ("table", "")]
)
def test_valgrind_finds_nothing(
    build: Build, environment: dict[str, str], source: str, case: str
) -> None:
    if shutil.which("valgrind") is None:
        pytest.skip("there is no valgrind")
    program = build.program(HERE / f"programs/{source}.c", "-ldl")
    kinds = "--errors-for-leak-kinds=definite,indirect,possible"
    words = ["valgrind", "-q", "--leak-check=full", kinds, "--error-exitcode=9", program, case]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
