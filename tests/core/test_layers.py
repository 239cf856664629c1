"""Layers of the core: each module imports only lower ones, also for type checking."""

from __future__ import annotations

import ast
import re
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import qrmi_core
from qrmi_core import Payload, QuantumResource
from qrmi_core.testing import FakeVendor

ROOT = Path(qrmi_core.__file__).parent
PAGE = (Path(__file__).parents[2] / "docs/architecture.md").read_text(encoding="utf-8")

LAYERS = (
    {"_imports", "_lazy", "_version", "deadline", "files", "locks", "readers", "values"},
    {"errors", "notes", "states"},
    {"folders", "options", "outcomes", "payload", "redaction", "retry", "urls"},
    {"settings"},
    {"driver", "http"},
    {"registry", "reports"},
    {"channel"},
    {"batches", "counts", "polling", "submission"},
    {"acquisition", "task"},
    {"blocks"},
    {"bulk"},
    {"runs"},
    {"resource"},
    {"discovery", "testing"},
    {"config"},
    {"commands"},
    {"plugin"},
    {"cli"},
)
"""The layers of docs/architecture.md, the lowest first. A package is one module here."""

LARGEST_LINES = 450


def imports(path: Path) -> set[str]:
    """Return the core modules that a file imports anywhere, whether or not the import runs."""
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
    for path in (*ROOT.rglob("*.py"), *ROOT.rglob("*.pyi")):
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


def test_the_page_draws_these_layers() -> None:
    drawing = PAGE.split("```text\n", 1)[1].split("```", 1)[0].splitlines()
    # A comment on a line's modules follows after several spaces.
    drawn = [re.split(r" {4,}", line)[0].split() for line in reversed(drawing)]
    rows = [set(row) for row in drawn]
    layer_of = {module: number for number, row in enumerate(rows) for module in row}
    assert layer_of.keys() == {name for name in graph() if not name.startswith("_")}
    upward = {
        f"{module} -> {other}"
        for module, found in graph().items()
        for other in found & layer_of.keys()
        if module in layer_of and layer_of[other] >= layer_of[module]
    }
    assert not upward


def test_the_page_counts_the_frames_above_the_driver() -> None:
    frames: dict[str, int] = {}

    def count(function: str) -> None:
        frame = sys._getframe(3)  # skip this frame, the vendor's and the driver's
        number = 0
        while (caller := frame.f_back) is not None and frame.f_code.co_name != "body":
            number, frame = number + 1, caller
        frames[function] = number

    def body() -> None:
        task_id = resource.task_start(Payload.QiskitPrimitive("{}", "sampler"))
        resource.task_status(task_id)

    vendor = FakeVendor(on_call=count)
    resource = QuantumResource("fake", "fake", {}, driver_class=vendor.driver())
    body()
    told = re.search(r"Of these, (\d+) and (\d+) are in the core above the driver", PAGE)
    assert told
    assert (frames["task_start"], frames["task_status"]) == tuple(map(int, told.groups()))


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
