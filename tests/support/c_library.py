"""libqrmi as the tests use it: built strictly, with a Python that has a plugin to test with."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs

ROOT = Path(__file__).parents[2]
HERE = ROOT / "tests/plugins/qrmi-c"
SOURCES = ROOT / "plugins/qrmi-c"
STRICT = ("-Wall", "-Wextra", "-Werror", "-pedantic", "-Wconversion")
SECONDS = 100

INTERPRETER = """#!{python} -I
import runpy, sys
sys.path.insert(0, {plugin!r})
runpy.run_module("qrmi_c.helper", run_name="__main__")
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


@attrs.frozen
class Build:
    """Programs and libraries made of the sources.

    Args:
        folder: Where they are.
        interpreter: The Python that has the plugin `bench`.
    """

    folder: Path
    interpreter: Path

    def library(self, name: str = "libqrmi.so", *flags: str, compiler: str = "cc") -> Path:
        """Build the library, once for each name."""
        path = self.folder / name
        if not path.exists():
            sources = sorted((SOURCES / "c").glob("*.c"))
            how = (*STRICT, "-Wshadow", "-std=c11", "-O1", "-g", "-pthread", "-fPIC", "-shared")
            hidden = ("-fvisibility=hidden", "-Wl,--no-undefined", "-Wl,-soname,libqrmi.so")
            self.cc(*how, *hidden, *flags, *sources, "-o", path, compiler=compiler)
        return path

    def program(self, source: Path, *flags: str, name: str | None = None) -> Path:
        """Build a program that is linked to the library, once for each name."""
        path = self.folder / (name or source.stem)
        if not path.exists():
            self.library()
            linked = (f"-L{self.folder}", f"-Wl,-rpath,{self.folder}", "-lqrmi", "-pthread")
            self.cc("-std=c11", *STRICT, "-g", source, "-o", path, *linked, *flags)
        return path

    def cc(self, *arguments: object, compiler: str = "cc") -> None:
        words = [compiler, f"-I{SOURCES / 'include'}", *map(str, arguments)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def runner(program: Path, environment: Mapping[str, str]) -> Run:
    def run(*words: object, **how: Any) -> subprocess.CompletedProcess[str]:
        more = how.pop("environment", {})
        done = subprocess.run(
            [program, *map(str, words)],
            env={**environment, **more},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            **how,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    return run


def events(folder: Path, name: str = "") -> list[str]:
    """The calls that the plugin got."""
    path = folder / "events"
    lines = path.read_text().splitlines() if path.exists() else []
    return [line for line in lines if line.startswith(name)]
