"""Allowed imports: nothing imports upward, and the core names no vendor."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.processes import said

ROOT = Path(__file__).parents[2]
CORE = ROOT / "qrmi_core"
PLUGINS = {
    path.name: path.parent
    for pattern in ("plugins/*/src/*", "docs/examples/*/src/*")
    for path in ROOT.glob(pattern)
    if path.is_dir() and path.suffix != ".egg-info" and path.name != "__pycache__"
}

CORE_DEPENDENCIES = {"attrs", "requests", "stevedore", "tenacity"}
# requests depends on urllib3, whose exceptions and timeouts are visible through it.
BROUGHT_ALONG = {"urllib3"}
CLI_ONLY = {"click", "rich"}
# Only test processes import the contract tests, and they have pytest.
TESTING_ONLY = {"pytest"}

# Sibling packages that each package may import, by the design.
ALLOWED_SIBLINGS: dict[str, set[str]] = {
    "qrmi": {"qrmi_pulser", "qrmi_qiskit"},
    "qrmi_emulator": {"qrmi_local"},
    "qrmi_example": {"qrmi_emulator", "qrmi_qiskit"},  # its face and its backend, as extras
    "qrmi_ibm_da": {"qrmi_ibm_common"},
    "qrmi_ibm_runtime": {"qrmi_ibm_common"},
}

VENDOR_WORDS = re.compile(r"qiskit|pasqal|ibm|pulser|iqm|oqtopus|alice", re.IGNORECASE)


def sources(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def imports(path: Path, *, runtime_only: bool = False) -> Iterator[str]:
    """Return the full names of the modules that a file imports anywhere."""
    package = path.relative_to(_top(path)).parent.parts

    def visit(node: ast.AST) -> Iterator[str]:
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=module, level=0, names=names):
                yield from (f"{module}.{alias.name}" for alias in names)
            case ast.ImportFrom(module=module, level=level, names=names):
                base = [*package[: len(package) - level + 1], *([module] if module else [])]
                yield from (".".join([*base, alias.name]) for alias in names)
            case ast.If(test=ast.Name(id="TYPE_CHECKING"), orelse=rest) if runtime_only:
                for child in rest:
                    yield from visit(child)
            case _:
                for child in ast.iter_child_nodes(node):
                    yield from visit(child)

    return visit(ast.parse(path.read_text(encoding="utf-8")))


def _top(path: Path) -> Path:
    return (
        ROOT
        if path.is_relative_to(CORE)
        else next(folder for folder in PLUGINS.values() if path.is_relative_to(folder))
    )


def roots(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports(path)} - set(sys.stdlib_module_names)


def in_cli(path: Path) -> bool:
    part = path.relative_to(CORE).parts[0]
    return part in {"cli", "commands"}


@pytest.mark.parametrize("path", sources(CORE), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_core_imports_its_dependencies_and_nothing_else(path: Path) -> None:
    allowed = CORE_DEPENDENCIES | BROUGHT_ALONG | {"qrmi_core"}
    if in_cli(path):
        allowed |= CLI_ONLY
    if path.is_relative_to(CORE / "testing"):
        allowed |= TESTING_ONLY
    assert roots(path) - {"__future__"} <= allowed


def test_only_the_command_imports_the_command() -> None:
    for path in sources(CORE):
        if not in_cli(path):
            assert not any(
                re.match(r"qrmi_core\.(cli|commands)\b", name)
                for name in imports(path, runtime_only=True)
            ), path


def test_the_core_outside_its_tables_names_no_vendor() -> None:
    """Names of types, payloads and packages are public; behaviour by vendor is forbidden."""
    published = {"values.py", "payload.py", "plugin.py", "registry.py", "discovery.py", "config.py"}
    for path in sources(CORE):
        if path.name in published or in_cli(path) or path.is_relative_to(CORE / "testing"):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        docstrings = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and ast.get_docstring(node) is not None
            and isinstance(node.body[0], ast.Expr)
        }
        words = [
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in docstrings
            and VENDOR_WORDS.search(node.value)
        ]
        # Messages about a payload name its published class.
        assert [word for word in words if "Payload." not in word] == [], path


@pytest.mark.parametrize("package", sorted(PLUGINS))
def test_a_plugin_imports_no_sibling(package: str) -> None:
    siblings = set(PLUGINS) - {package} - ALLOWED_SIBLINGS.get(package, set())
    for path in sources(PLUGINS[package] / package):
        assert not roots(path) & siblings, path


@pytest.mark.parametrize("package", sorted(PLUGINS))
def test_a_plugin_has_the_shape_of_all(package: str) -> None:
    folder = PLUGINS[package].parent
    # the published package, not our distribution
    assert folder.name.replace("-", "_") == ("qrmi_compat" if package == "qrmi" else package)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        assert (folder / name).is_file(), name
    for name in ("__init__.py", "py.typed"):
        assert (PLUGINS[package] / package / name).is_file(), name
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    # Where one vendor has several services, each is a subpackage.
    for entry in project.get("entry-points", {}).get("qrmi.drivers", {}).values():
        home = PLUGINS[package].joinpath(*entry.partition(":")[0].split(".")[:-1])
        for name in ("__init__.py", "driver.py", "settings.py"):
            assert (home / name).is_file(), home / name


def test_the_page_about_helpers_names_every_helper() -> None:
    folder = ROOT / "tests/support"
    named = set(re.findall(r"`([a-z_]+)`", (folder / "README.md").read_text(encoding="utf-8")))
    assert {path.stem for path in folder.glob("*.py")} - {"__init__"} <= named


HEAVY = {"asyncio", "attr", "inspect", "logging", "requests", "rich", "stevedore", "tenacity"}


def test_importing_the_core_imports_nothing_heavy() -> None:
    code = "import sys; bare = set(sys.modules); import qrmi_core; print(*set(sys.modules) - bare)"
    assert not set(said(sys.executable, "-c", code, cwd=ROOT).split()) & HEAVY
