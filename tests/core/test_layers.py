"""The core's modules: each imports only those below it, for type checking too."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import qrmi_core

ROOT = Path(qrmi_core.__file__).parent

LAYERS = (
    {"_imports", "_lazy", "_version", "deadline", "files", "locks", "readers", "values"},
    {"errors", "notes", "states"},
    {"folders", "options", "outcomes", "payload", "redaction", "retry", "urls"},
    {"settings"},
    {"driver", "http"},
    {"channel", "registry"},
    {"batches", "counts", "polling", "submission"},
    {"acquisition", "task"},
    {"commands", "resource"},
    {"discovery", "testing"},
    {"config"},
    {"checks"},
    {"plugin"},
    {"cli"},
)
"""The layers of docs/architecture.md, the lowest first. A package is one module here."""

LARGEST_LINES = 450


def imports(path: Path) -> set[str]:
    """The modules of the core that a file imports anywhere, whether it runs or not."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.ImportFrom(module="qrmi_core", level=0):
                found |= {name.name for name in node.names}
            case ast.ImportFrom(module=str(module), level=0):
                found.add(module.removeprefix("qrmi_core.") if "qrmi_core." in module else "")
            case ast.ImportFrom():
                raise AssertionError(f"{path}: a relative import")
            case ast.Import():
                for name in node.names:
                    if name.name.startswith("qrmi_core."):
                        found.add(name.name.removeprefix("qrmi_core."))
    return {module.partition(".")[0] for module in found} - {""}


def graph() -> dict[str, set[str]]:
    modules: dict[str, set[str]] = {}
    for path in ROOT.rglob("*.py"):
        module = path.relative_to(ROOT).with_suffix("").parts[0]
        if module != "__init__":
            modules.setdefault(module, set()).update(imports(path))
    return {module: found & modules.keys() - {module} for module, found in modules.items()}


def test_no_import_circle() -> None:
    assert [*TopologicalSorter(graph()).static_order()]


def test_every_module_has_a_layer_and_imports_only_lower_ones() -> None:
    layer_of = {module: number for number, layer in enumerate(LAYERS) for module in layer}
    upward = {
        f"{module} -> {other}"
        for module, found in graph().items()
        for other in found
        if layer_of[other] >= layer_of[module]
    }
    assert not upward
    assert layer_of.keys() == graph().keys()


@pytest.mark.parametrize(
    "source",
    [
        "from qrmi_core.task import Task",
        "from qrmi_core import task",
        "import qrmi_core.task",
        "if TYPE_CHECKING:\n    from qrmi_core.task import Task",
        "def f():\n    from qrmi_core.task import Task",
    ],
)
def test_every_way_to_import_is_seen(tmp_path: Path, source: str) -> None:
    file = tmp_path / "module.py"
    file.write_text(source)
    assert imports(file) == {"task"}


def test_modules_are_small_enough_to_read_in_a_sitting() -> None:
    lines = {path.name: len(path.read_text().splitlines()) for path in ROOT.rglob("*.py")}
    assert not {name for name, length in lines.items() if length > LARGEST_LINES}
