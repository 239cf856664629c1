"""Build the examples by the lines of the documentation, and check the installed files."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.c_library import ROOT

pytestmark = [pytest.mark.native, pytest.mark.slow]

PAGE = (ROOT / "docs/other-languages.md").read_text(encoding="utf-8")
LINES = re.findall(r"^cc .*$", PAGE, re.MULTILINE)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    store = {"QRMI_LOCAL_HOME": str(tmp_path / "store"), "QRMI_LOCAL_IDLE_SECONDS": "5"}
    return {"PATH": path, "HOME": str(tmp_path), **store}


def shell(line: str, folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-c", f"set -e; {line}"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def needs(*commands: str) -> None:
    for command in commands:
        if shutil.which(command) is None:
            pytest.skip(f"there is no {command}")


@pytest.mark.parametrize("line", LINES)
def test_each_line_of_the_page_builds_a_program_that_starts(
    line: str, environment: dict[str, str], tmp_path: Path
) -> None:
    needs("cc", *(["pkg-config"] if "pkg-config" in line else []))
    shutil.copy(ROOT / "docs/examples/c/task.c", tmp_path)
    shell(line, tmp_path, environment)
    if "--static" in line:
        environment["QRMI_PYTHON"] = sys.executable
    done = subprocess.run(
        [tmp_path / "task", "x", "no-such-type"],
        env={
            **environment,
            "LD_LIBRARY_PATH": shell("qrmi-c --libdir", tmp_path, environment).strip(),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "unknown resource type: no-such-type" in done.stderr


def test_the_example_in_c_runs_a_whole_task(environment: dict[str, str], tmp_path: Path) -> None:
    needs("cc")
    shutil.copy(ROOT / "docs/examples/c/task.c", tmp_path)
    shell(LINES[0], tmp_path, environment)
    assert '"samples"' in shell("./task", tmp_path, environment)


def test_cmake_finds_both_libraries(environment: dict[str, str], tmp_path: Path) -> None:
    needs("cc", "cmake")
    shutil.copy(ROOT / "docs/examples/c/task.c", tmp_path)
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.15)\nproject(task C)\nfind_package(qrmi REQUIRED)\n"
        "add_executable(task task.c)\ntarget_link_libraries(task PRIVATE qrmi::shared)\n"
        "add_executable(still task.c)\ntarget_link_libraries(still PRIVATE qrmi::static)\n"
    )
    shell("cmake -S . -B build -Dqrmi_DIR=$(qrmi-c --cmakedir)", tmp_path, environment)
    shell("cmake --build build", tmp_path, environment)
    for name in ("task", "still"):
        assert (tmp_path / "build" / name).exists()


def test_an_installed_copy_works_without_a_variable(
    environment: dict[str, str], tmp_path: Path
) -> None:
    needs("cc")
    shell("qrmi-c install --prefix usr", tmp_path, environment)
    shell("qrmi-c check --library usr/lib/libqrmi.so", tmp_path, environment)
    assert (tmp_path / "usr/lib/libqrmi.python").read_text().strip() == sys.executable
