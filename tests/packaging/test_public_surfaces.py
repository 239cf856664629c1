"""Outsiders import from the public modules only, and the reference documents exactly these."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SURFACES = ("qrmi_core", "qrmi_core.plugin", "qrmi_core.testing")
OUTSIDERS = sorted(
    path
    for pattern in (
        "plugins/*/src/**/*.py",
        "docs/examples/*.py",
        "docs/examples/*/src/**/*.py",
        "docs/examples/*/tests/*.py",
    )
    for path in ROOT.glob(pattern)
)


def public(surface: str) -> set[str]:
    """Return the names of a public module, whose homes are imported on first use."""
    return set(importlib.import_module(surface).__all__) - {"__version__"}


def of_the_core(path: Path) -> Iterator[tuple[int, str, str]]:
    """Yield line, module and name of each import from the core in a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                found = [("", alias.name) for alias in names]
            case ast.ImportFrom(module=str(module), level=0, names=names):
                found = [(module, alias.name) for alias in names]
            case _:
                continue
        for module, name in found:
            if (module or name).partition(".")[0] == "qrmi_core":
                yield node.lineno, module, name


@pytest.mark.parametrize("path", OUTSIDERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_imported_from_the_core_is_public(path: Path) -> None:
    for line, module, name in of_the_core(path):
        place = f"{path.relative_to(ROOT)}:{line}: {module}.{name}"
        if not module:
            assert name == "qrmi_core", place
            continue
        assert module in SURFACES, place
        # `from qrmi_core import testing` is the module, not a name in it.
        assert name in public(module) | {"__version__"} or f"{module}.{name}" in SURFACES, place


@pytest.mark.parametrize("surface", SURFACES)
def test_every_public_name_can_be_imported(surface: str) -> None:
    module = importlib.import_module(surface)
    for name in public(surface):
        assert getattr(module, name) is not None, name


def test_a_name_means_the_same_on_every_surface() -> None:
    modules = [importlib.import_module(surface) for surface in SURFACES]
    for name in set.union(*map(public, SURFACES)):
        homes = [getattr(module, name) for module in modules if name in module.__all__]
        assert all(value is homes[0] for value in homes), name


def documented() -> dict[str, list[str]]:
    """Return the names that the reference lists under each public module."""
    found: dict[str, list[str]] = {surface: [] for surface in SURFACES}
    surface = ""
    text = (ROOT / "docs/reference.md").read_text(encoding="utf-8")
    for directive, argument in re.findall(r"^\.\. ([a-z]+):: (\S+)$", text, re.MULTILINE):
        if directive == "currentmodule":
            surface = argument
        elif directive in {"autoclass", "autoexception", "autofunction", "autodata"}:
            found[surface].append(argument)
        else:
            assert not argument.startswith("qrmi_core"), f"{directive}:: {argument}"
    return found


@pytest.mark.parametrize("surface", SURFACES)
def test_the_reference_has_exactly_the_public_names(surface: str) -> None:
    names = documented()[surface]
    assert len(names) == len(set(names))
    # A name on both surfaces is documented under the one for scripts.
    shared = public("qrmi_core") if surface != "qrmi_core" else set()
    assert set(names) == public(surface) - shared
