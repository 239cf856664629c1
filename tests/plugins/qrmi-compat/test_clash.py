"""The published package installed beside ours: an error on import, and a report."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

import pytest

from qrmi_core.cli import main
from qrmi_core.registry import conflicts
from support.processes import said
from support.sites import add_distribution

BOTH = f"qrmi 0.26.4 and qrmi-compat {importlib.metadata.version('qrmi-compat')}"
ADVICE = "pip uninstall qrmi qrmi-compat"


@pytest.fixture
def beside(site: Path) -> Path:
    """Put the published package's metadata beside ours."""
    add_distribution(site, "qrmi", version="0.26.4")
    return site


def run(capfd: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    status = main([*argv])
    out, err = capfd.readouterr()
    return status, out, err


def test_alone_there_is_no_clash(capfd: pytest.CaptureFixture[str]) -> None:
    assert conflicts() == []
    status, _, err = run(capfd, "plugins", "--check")
    assert (status, err) == (0, "")


def test_importing_it_raises_and_says_what_to_do(beside: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import qrmi"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"ImportError: {BOTH} are both installed")
    assert ADVICE in last


def test_the_list_of_plugins_says_so_on_standard_error(
    beside: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(capfd, "plugins", "--json")
    assert status == 0
    assert isinstance(json.loads(out), list)
    assert ADVICE in err
    assert BOTH in err


def test_checking_the_plugins_fails(beside: Path, capfd: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capfd, "plugins", "--check")
    assert status == 2
    assert ADVICE in err


def test_checking_the_settings_fails(
    beside: Path, capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "qrmi_config.json"
    config.write_text('{"resources": []}')
    status, out, _ = run(capfd, "config", "check", "--json", "--config", str(config))
    assert status == 2
    (finding,) = json.loads(out)["findings"]
    assert (finding["source"], finding["severity"]) == ("installation", "error")
    assert ADVICE in finding["message"]


def test_it_is_told_although_the_files_of_the_published_package_won(
    beside: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (beside / "qrmi").mkdir()
    (beside / "qrmi" / "__init__.py").write_text("theirs = True\n")
    said(sys.executable, "-c", "import qrmi; assert qrmi.theirs")
    assert ADVICE in run(capfd, "plugins")[2]
