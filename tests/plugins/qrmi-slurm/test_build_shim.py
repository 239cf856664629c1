"""Compiling the SPANK plugin, and messages about missing tools."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from qrmi_slurm import cli

HEADER = """
#include <stddef.h>
typedef void *spank_t;
struct spank_option { char *name, *arginfo, *usage; int has_arg, val; void *cb; };
enum { ESPANK_SUCCESS, S_CTX_SLURMD, S_JOB_ENV };
#define SPANK_PLUGIN(name, version) const char plugin_name[] = #name;
int spank_context(void), spank_option_register(spank_t, struct spank_option *);
int spank_option_getopt(spank_t, struct spank_option *, char **);
int spank_setenv(spank_t, const char *, const char *, int), spank_unsetenv(spank_t, const char *);
int spank_get_item(spank_t, int, ...);
void slurm_error(const char *, ...);
"""


@pytest.fixture
def include(tmp_path: Path) -> Path:
    """Return the part of Slurm's headers that the plugin needs."""
    folder = tmp_path / "include/slurm"
    folder.mkdir(parents=True)
    (folder / "spank.h").write_text(HEADER)
    return folder.parent


@pytest.fixture(autouse=True)
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder with programs, but no compiler, the only one on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr("qrmi_slurm.build_shim._PATH", str(folder))
    monkeypatch.delenv("CC", raising=False)
    return folder


def build(folder: Path, *arguments: str | Path) -> int:
    output = str(folder / "made.so")
    return cli.main(["build-shim", "--output", output, *map(str, arguments)])


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> str:
    found = shutil.which("cc", path="/usr/bin:/usr/local/bin")
    if found is None:
        pytest.skip("there is no C compiler")
    monkeypatch.setenv("PATH", str(Path(found).parent))
    return found


@pytest.mark.usefixtures("compiler")
def test_it_is_compiled_and_replaces_the_former(tmp_path: Path, include: Path) -> None:
    (tmp_path / "made.so").write_text("former")
    assert build(tmp_path, "--include", include) == 0
    assert (tmp_path / "made.so").read_bytes().startswith(b"\x7fELF")
    assert not list(tmp_path.glob(".spank*")), "nothing else is left"


def test_missing_headers_are_named_with_their_packages(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(tmp_path, "--include", tmp_path) == 1
    told = capsys.readouterr().err
    assert f"slurm/spank.h is not in {tmp_path}" in told
    assert "libslurm-dev" in told
    assert "slurm-devel" in told


def test_a_missing_compiler_is_named(
    tmp_path: Path, include: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(tmp_path, "--include", include) == 1
    assert "install gcc" in capsys.readouterr().err


@pytest.mark.usefixtures("compiler")
def test_what_the_compiler_says_is_told(
    tmp_path: Path, include: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (include / "slurm/spank.h").write_text("#error of another kind\n")
    assert build(tmp_path, "--include", include) == 1
    assert "of another kind" in capsys.readouterr().err
    assert not (tmp_path / "made.so").exists()


def test_headers_of_another_version_than_the_daemon_are_refused(
    tmp_path: Path, include: Path, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (include / "slurm/slurm_version.h").write_text("#define SLURM_VERSION_NUMBER 0x160508\n")
    for name, text in (("slurmd", "echo slurm 24.05.3"), ("cc", "exit 1")):
        (path / name).write_text(f"#!/bin/sh\n{text}\n")
        (path / name).chmod(0o755)
    assert build(tmp_path, "--include", include) == 1
    told = capsys.readouterr().err
    assert "22.05.8" in told
    assert "24.05" in told


def test_the_makefile_compiles_the_same(tmp_path: Path, include: Path, compiler: str) -> None:
    make = shutil.which("make", path="/usr/bin:/usr/local/bin")
    if make is None:
        pytest.skip("there is no make")
    folder = tmp_path / "shim"
    source = Path(cli.__file__).with_name("shim")
    shutil.copytree(source, folder)
    done = subprocess.run(
        [make, f"CC={compiler}", f"INCLUDE={include}"], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done
    assert "warning" not in done.stderr
    assert (folder / "spank_qrmi.so").exists()
