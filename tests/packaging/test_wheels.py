"""The distributions as users get them: what is in them, and whether it works once installed."""

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
import zipfile
from pathlib import Path

import attrs
import pytest

ROOT = Path(__file__).parents[2]


@attrs.frozen
class Distribution:
    """What a distribution must be."""

    name: str
    folder: Path
    entry_points: dict[str, dict[str, str]]
    extras: frozenset[str] = frozenset()
    license: str = "Apache-2.0"
    package: str = attrs.field()

    @package.default
    def _named_alike(self) -> str:
        return self.stem

    @property
    def stem(self) -> str:
        """How the files of the wheel and of the source archive begin."""
        return self.name.replace("-", "_")


DISTRIBUTIONS = [
    Distribution("qrmi-core", ROOT, {"console_scripts": {"qrmi": "qrmi_core.cli:run"}}),
    Distribution(
        "qrmi-local",
        ROOT / "plugins/qrmi-local",
        {
            "qrmi.drivers": {"local": "qrmi_local.driver:LocalDriver"},
            "qrmi.commands": {"local": "qrmi_local.commands:local"},
        },
        frozenset({"qiskit", "pulser", "emu-mps", "all"}),
    ),
    Distribution(
        "qrmi-emulator",
        ROOT / "plugins/qrmi-emulator",
        {"qrmi.commands": {"emulator": "qrmi_emulator.commands:emulator"}},
        frozenset({"ibm", "ibm-da", "pasqal", "all"}),
    ),
    Distribution(
        "qrmi-compat",
        ROOT / "plugins/qrmi-compat",
        {"console_scripts": {"task_runner": "qrmi.tools.task_runner.main:run"}},
        frozenset({"ibm", "pasqal", "all"}),
        package="qrmi",
    ),
    Distribution("qrmi-ibm-common", ROOT / "plugins/qrmi-ibm-common", {}),
    Distribution(
        "qrmi-ibm-da",
        ROOT / "plugins/qrmi-ibm-da",
        {
            "qrmi.drivers": {
                "direct-access": "qrmi_ibm_da.driver:SystemDriver",
                "ibm-quantum-system": "qrmi_ibm_da.driver:SystemDriver",
            }
        },
    ),
    Distribution(
        "qrmi-ibm-runtime",
        ROOT / "plugins/qrmi-ibm-runtime",
        {
            "qrmi.drivers": {
                "ibm-quantum-compute-service": "qrmi_ibm_runtime.driver:RuntimeDriver",
                "qiskit-runtime-service": "qrmi_ibm_runtime.driver:RuntimeDriver",
            }
        },
    ),
    Distribution("qrmi-qiskit", ROOT / "plugins/qrmi-qiskit", {}, frozenset({"pasqal"})),
    Distribution("qrmi-pulser", ROOT / "plugins/qrmi-pulser", {}),
    Distribution(
        "qrmi-slurm",
        ROOT / "plugins/qrmi-slurm",
        {"console_scripts": {"qrmi-slurm": "qrmi_slurm.cli:run"}},
        license="Apache-2.0 AND GPL-2.0-or-later",
    ),
    Distribution(
        "qrmi-pasqal",
        ROOT / "plugins/qrmi-pasqal",
        {
            "qrmi.drivers": {
                "pasqal-cloud": "qrmi_pasqal.driver:PasqalCloud",
                "pasqal-local": "qrmi_pasqal.local.driver:PasqalLocal",
            }
        },
    ),
    Distribution(
        "qrmi-example",
        ROOT / "docs/examples/qrmi-example",
        {"qrmi.drivers": {"coin": "qrmi_example.driver:CoinDriver"}},
        frozenset({"test"}),
    ),
]

each = pytest.mark.parametrize("dist", DISTRIBUTIONS, ids=lambda dist: dist.name)


def wheel_of(wheels: Path, dist: Distribution) -> Path:
    (path,) = wheels.glob(f"{dist.stem}-*.whl")
    return path


def metadata_of(wheel: Path) -> email.message.Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return email.parser.Parser().parsestr(archive.read(name).decode())


def run(*command: object, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as a new user would, in a folder of their own."""
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


def test_every_distribution_is_built_and_described_here(wheels: Path) -> None:
    folders = {path.parent for path in ROOT.glob("plugins/*/pyproject.toml")}
    assert folders <= {dist.folder for dist in DISTRIBUTIONS}
    assert len(list(wheels.glob("*.whl"))) == len(DISTRIBUTIONS)
    assert len(list(wheels.glob("*.tar.gz"))) == len(DISTRIBUTIONS)


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
    modules = {str(path.relative_to(source.parent)) for path in source.rglob("*.py")}
    assert {name for name in names if name.endswith(".py")} == modules
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
        for name in names:
            parser.read_string(archive.read(name).decode())
    assert {section: dict(parser[section]) for section in parser.sections()} == dist.entry_points


@pytest.mark.parametrize(
    "package", [dist.package for dist in DISTRIBUTIONS if dist.name != "qrmi-example"]
)
def test_an_installed_package_imports(smoke_venv: Path, tmp_path: Path, package: str) -> None:
    python = smoke_venv / "bin/python"
    done = run(
        python, "-W", "error", "-c", f"import {package}; print({package}.__file__)", home=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert str(smoke_venv) in done.stdout


def test_everything_public_imports_from_the_wheel(smoke_venv: Path, tmp_path: Path) -> None:
    done = run(
        smoke_venv / "bin/python", "-W", "error", "-c", "from qrmi_core import *", home=tmp_path
    )
    assert done.returncode == 0, done.stderr


def test_the_command_tells_its_version(smoke_venv: Path, wheels: Path, tmp_path: Path) -> None:
    done = run(smoke_venv / "bin/qrmi", "--version", home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert metadata_of(wheel_of(wheels, DISTRIBUTIONS[0]))["Version"] in done.stdout


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
