"""Dependencies that are broken, missing, or shadowed by a file of the user."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from qrmi_core._imports import broken_dependency
from qrmi_core.channel import defects_named
from qrmi_core.errors import DriverDefectError, PluginError
from qrmi_core.registry import find_driver
from qrmi_core.settings import Settings
from support.sites import add_distribution

QRMI = Path(sys.executable).with_name("qrmi")

BROKEN = {
    "raises": 'raise RuntimeError("an old copy")',
    "lacks a library": 'raise ImportError("libopenblas.so.0: cannot open shared object file")',
    "is not Python": "def f(:\n",
    "is another module": "x = 1",
}


def shadow(folder: Path, module: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / f"{module}.py").write_text(text)
    return folder / f"{module}.py"


def failure(folder: Path, statement: str) -> BaseException:
    """Return the exception of a statement in one of our modules that is imported."""
    shadow(folder, "qrmi_test_user", statement)
    with pytest.raises(Exception) as caught:
        importlib.import_module("qrmi_test_user")
    return caught.value


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("module", ["attrs", "click", "stevedore"])
def test_a_broken_dependency_of_the_command_is_named(
    tmp_path: Path, module: str, text: str
) -> None:
    file = shadow(tmp_path, module, text)
    ended = subprocess.run(
        [QRMI, "status", "local:aer"],
        env={**os.environ, "PYTHONPATH": str(tmp_path), "QRMI_LOCAL_HOME": str(tmp_path / "x")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert f"module {module} ({file}) cannot be used: " in ended.stderr
    assert ended.stderr.startswith("qrmi: error: ")
    assert ended.stderr.count("\n") == 1
    assert "defect" not in ended.stderr


@pytest.mark.parametrize("text", list(BROKEN.values())[:3], ids=list(BROKEN)[:3])
@pytest.mark.parametrize("statement", ["import {}", "from {} import x", "import {}.y"])
def test_the_module_of_an_import_that_failed_is_told(site: Path, text: str, statement: str) -> None:
    file = shadow(site, "other", text)
    told = broken_dependency(failure(site, statement.format("other")))
    assert told
    assert told.startswith(f"module other ({file}) cannot be used: ")


@pytest.mark.parametrize("statement", ["from other import z", "import other; other.z"])
def test_a_module_without_what_is_needed_is_told(site: Path, statement: str) -> None:
    file = shadow(site, "other", BROKEN["is another module"])
    told = broken_dependency(failure(site, statement))
    assert told
    assert f"module other ({file}) cannot be used: " in told


def test_the_innermost_module_is_told(site: Path) -> None:
    shadow(site, "outer", "import inner")
    file = shadow(site, "inner", "1 / 0")
    told = broken_dependency(failure(site, "import outer"))
    assert told
    assert f"module inner ({file}) cannot be used: ZeroDivisionError: division by zero" in told


def test_a_module_that_is_not_there_is_told(site: Path) -> None:
    told = broken_dependency(failure(site, "import not_there.at_all"))
    assert told == "module not_there is not installed; install the package that it belongs to"


@pytest.mark.parametrize(
    "text", ["1 / 0", "import qrmi_core.nothing", "from qrmi_core import nothing", "int('x')"]
)
def test_an_error_of_our_own_is_none_of_a_dependency(site: Path, text: str) -> None:
    assert broken_dependency(failure(site, text)) is None


def test_an_error_outside_of_imports_is_none_of_a_dependency() -> None:
    try:
        raise KeyError("x")
    except KeyError as error:
        assert broken_dependency(error) is None


def test_a_driver_with_a_broken_dependency_is_no_defect_of_the_driver(site: Path) -> None:
    file = shadow(site, "other", "1 / 0")
    with (
        pytest.raises(PluginError, match="driver cannot be used: module other"),
        defects_named(Settings()),
    ):
        importlib.import_module("other")
    with pytest.raises(DriverDefectError), defects_named(Settings()):
        _ = 1 // 0
    modules = {"p_x": "import other"}
    add_distribution(site, "dist-x", drivers={"x": "p_x:Driver"}, modules=modules)
    with pytest.raises(PluginError) as caught:
        find_driver("x")
    assert f"module other ({file}) cannot be used: ZeroDivisionError" in str(caught.value)
