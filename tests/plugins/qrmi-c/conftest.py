"""The library built anew, a Python that has one plugin more, and host programs."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from support.c_library import HERE, INTERPRETER, Build, Run, runner


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    folder = tmp_path_factory.mktemp("build")
    folder.parent.chmod(0o755)
    plugin = folder / "plugin"
    shutil.copytree(HERE / "plugin", plugin, ignore=shutil.ignore_patterns("__pycache__"))
    metadata = plugin / "bench-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: bench\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[qrmi.drivers]\nbench = bench_driver:BenchDriver\n")
    interpreter = folder / "python"
    interpreter.write_text(INTERPRETER.format(python=sys.executable, plugin=str(plugin)))
    interpreter.chmod(0o755)
    return Build(folder, interpreter)


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    """Create the folder in which the plugin records its calls."""
    folder = tmp_path / "bench"
    folder.mkdir()
    return folder


@pytest.fixture
def environment(build: Build, bench: Path, tmp_path: Path) -> dict[str, str]:
    """Return the environment of a host program."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    own = {"BENCH_FOLDER": str(bench), "QRMI_PYTHON": str(build.interpreter), "HOME": str(tmp_path)}
    return {**kept, **own}


@pytest.fixture
def host(build: Build, environment: dict[str, str]) -> Run:
    """Run a case of `programs/host.c`, which must succeed."""
    return runner(build.program(HERE / "programs/host.c", "-ldl"), environment)
