"""The built distributions: their contents, and their use after installation."""

from __future__ import annotations

import configparser
import email.message
import email.parser
import json
import os
import re
import shutil
import subprocess
import tarfile
import tomllib
import zipfile
from pathlib import Path

import attrs
import pytest

ROOT = Path(__file__).parents[2]


@attrs.frozen
class Distribution:
    """A distribution, as declared by the metadata in its folder."""

    name: str
    folder: Path
    license: str
    extras: frozenset[str]
    entry_points: dict[str, dict[str, str]]

    @classmethod
    def of_folder(cls, folder: Path) -> Distribution:
        project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
        groups = dict(project.get("entry-points", {}))
        if scripts := project.get("scripts"):
            groups["console_scripts"] = scripts
        extras = frozenset(project.get("optional-dependencies", {}))
        return cls(project["name"], folder, project["license"], extras, groups)

    @property
    def package(self) -> str:
        """The import package."""
        if self.folder == ROOT:
            return self.stem
        (package,) = (path.parent.name for path in self.folder.glob("src/*/__init__.py"))
        return package

    @property
    def stem(self) -> str:
        """The beginning of the file names of its wheel and its source archive."""
        return self.name.replace("-", "_")


# The core's metadata are in setup.cfg, unlike any other distribution's.
CORE = Distribution(
    "qrmi-core", ROOT, "Apache-2.0", frozenset(), {"console_scripts": {"qrmi": "qrmi_core.cli:run"}}
)
EXAMPLE = Distribution.of_folder(ROOT / "docs/examples/qrmi-example")
PLUGINS = [Distribution.of_folder(path.parent) for path in ROOT.glob("plugins/*/pyproject.toml")]
DISTRIBUTIONS = [CORE, *sorted(PLUGINS, key=lambda dist: dist.name), EXAMPLE]

each = pytest.mark.parametrize("dist", DISTRIBUTIONS, ids=lambda dist: dist.name)


def wheel_of(wheels: Path, dist: Distribution) -> Path:
    (path,) = wheels.glob(f"{dist.stem}-*.whl")
    return path


def metadata_of(wheel: Path) -> email.message.Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return email.parser.Parser().parsestr(archive.read(name).decode())


def run(*command: object, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a command like a new user, in a separate folder."""
    kept = {"PATH", "LANG", "LC_ALL", "TMPDIR"}
    environment = {name: value for name, value in os.environ.items() if name in kept}
    return subprocess.run(
        [str(word) for word in command],
        cwd=home,
        env={**environment, "HOME": str(home)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_every_distribution_is_built_and_described_in_the_readme(wheels: Path) -> None:
    for pattern in ("*.whl", "*.tar.gz"):
        assert len(list(wheels.glob(pattern))) == len(DISTRIBUTIONS)
    readme = (ROOT / "README.md").read_text("utf-8")
    for dist in DISTRIBUTIONS[1:]:
        assert f"({dist.folder.relative_to(ROOT)}/README.md)" in readme, dist.name


@each
def test_a_wheel_holds_its_package_and_nothing_else(wheels: Path, dist: Distribution) -> None:
    with zipfile.ZipFile(wheel_of(wheels, dist)) as archive:
        names = archive.namelist()
    assert {name.partition("/")[0] for name in names} == {
        dist.package,
        next(name.partition("/")[0] for name in names if ".dist-info/" in name),
    }
    assert f"{dist.package}/py.typed" in names
    source = dist.folder / ("" if dist.name == "qrmi-core" else "src") / dist.package
    suffixes = (".py", ".pyi")
    modules = {
        str(path.relative_to(source.parent))
        for path in source.rglob("*")
        if path.suffix in suffixes
    }
    assert {name for name in names if name.endswith(suffixes)} == modules
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


@each
def test_a_source_archive_holds_what_a_build_needs(wheels: Path, dist: Distribution) -> None:
    (path,) = wheels.glob(f"{dist.stem}-*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "LICENSE", "README.md", "PKG-INFO"} <= names


@each
def test_the_metadata_are_complete(wheels: Path, dist: Distribution) -> None:
    metadata = metadata_of(wheel_of(wheels, dist))
    assert metadata["Name"] == dist.name
    assert re.fullmatch(r"\d+\.\d+\.\d+", metadata["Version"])
    assert metadata["License-Expression"] == dist.license
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["Summary"]
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert len(str(metadata.get_payload())) > 100
    assert frozenset(metadata.get_all("Provides-Extra", [])) == dist.extras


@each
def test_every_dependency_has_a_lower_bound_and_ours_an_upper_one(
    wheels: Path, dist: Distribution
) -> None:
    for requirement in metadata_of(wheel_of(wheels, dist)).get_all("Requires-Dist", []):
        wanted, _, marker = requirement.partition(";")
        if "extra ==" not in marker:
            assert ">=" in wanted, requirement
        if re.match(r"qrmi-core\b", wanted):
            assert "<" in wanted, requirement
        assert not re.search(r"==|@", wanted), f"{requirement} leaves no range"


@each
def test_the_entry_points_are_those_announced(wheels: Path, dist: Distribution) -> None:
    with zipfile.ZipFile(wheel_of(wheels, dist)) as archive:
        names = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        parser = configparser.ConfigParser(delimiters=["="])
        parser.optionxform = str  # type: ignore[assignment, method-assign]
        for name in names:
            parser.read_string(archive.read(name).decode())
    assert {section: dict(parser[section]) for section in parser.sections()} == dist.entry_points


@pytest.mark.parametrize("dist", [CORE, *PLUGINS], ids=lambda dist: dist.package)
def test_an_installed_package_imports(smoke_venv: Path, tmp_path: Path, dist: Distribution) -> None:
    script = f"import {dist.package}; print({dist.package}.__file__)"
    done = run(smoke_venv / "bin/python", "-W", "error", "-c", script, home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert str(smoke_venv) in done.stdout


@pytest.mark.parametrize("dist", [CORE, *PLUGINS], ids=lambda dist: dist.name)
def test_every_entry_point_loads_from_the_wheel(
    smoke_venv: Path, tmp_path: Path, dist: Distribution
) -> None:
    script = (
        "import sys; from importlib.metadata import distribution\n"
        "for point in distribution(sys.argv[1]).entry_points: point.load()"
    )
    done = run(smoke_venv / "bin/python", "-W", "error", "-c", script, dist.name, home=tmp_path)
    assert done.returncode == 0, done.stderr


def test_everything_public_imports_from_the_wheel(smoke_venv: Path, tmp_path: Path) -> None:
    done = run(
        smoke_venv / "bin/python", "-W", "error", "-c", "from qrmi_core import *", home=tmp_path
    )
    assert done.returncode == 0, done.stderr


def test_the_command_tells_its_version(smoke_venv: Path, wheels: Path, tmp_path: Path) -> None:
    done = run(smoke_venv / "bin/qrmi", "--version", home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert metadata_of(wheel_of(wheels, CORE))["Version"] in done.stdout


def test_the_command_lists_the_installed_plugins(smoke_venv: Path, tmp_path: Path) -> None:
    done = run(smoke_venv / "bin/qrmi", "plugins", home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "local" in done.stdout
    listed = run(smoke_venv / "bin/qrmi", "plugins", "--json", home=tmp_path)
    assert "qrmi-local" in listed.stdout
    json.loads(listed.stdout)


def test_an_engine_that_is_not_installed_is_one_line_that_says_what_to_install(
    smoke_venv: Path, tmp_path: Path
) -> None:
    done = run(smoke_venv / "bin/qrmi", "target", "local:aer", home=tmp_path)
    assert done.returncode not in {0, 70}
    assert "Traceback" not in done.stderr
    assert "qrmi-local[" in done.stderr


def test_an_emulator_without_its_simulator_is_one_line_that_says_what_to_install(
    smoke_venv: Path, tmp_path: Path
) -> None:
    done = run(smoke_venv / "bin/qrmi", "emulator", "serve", home=tmp_path)
    assert done.returncode not in {0, 70}
    assert "Traceback" not in done.stderr
    assert "qrmi-emulator[ibm]" in done.stderr


def test_the_installed_environment_is_consistent(smoke_venv: Path, tmp_path: Path) -> None:
    done = run(smoke_venv / "bin/python", "-m", "pip", "check", home=tmp_path)
    assert done.returncode == 0, done.stdout


def test_the_example_plugin_passes_its_own_tests_where_only_wheels_are_installed(
    outsider_venv: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "qrmi-example"
    folder.mkdir()
    example = ROOT / "docs/examples/qrmi-example"
    shutil.copytree(example / "tests", folder / "tests", ignore=shutil.ignore_patterns("__*"))
    shutil.copy(example / "pyproject.toml", folder)
    done = subprocess.run(
        [outsider_venv / "bin/python", "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d+ passed", done.stdout)
    listed = run(outsider_venv / "bin/qrmi", "plugins", home=tmp_path)
    assert "coin" in listed.stdout
