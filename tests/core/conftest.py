"""Fixtures of the core's tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Create a folder for distributions on the path; afterwards forget all imports from it."""
    from stevedore import extension

    folder = tmp_path / "site"
    folder.mkdir()
    extension.ExtensionManager.ENTRY_POINT_CACHE.clear()
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    yield folder
    extension.ExtensionManager.ENTRY_POINT_CACHE.clear()
    for name in set(sys.modules) - before:
        path = getattr(sys.modules[name], "__file__", None)
        if path and Path(path).is_relative_to(folder):
            del sys.modules[name]


@pytest.fixture
def no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Set an empty home folder, and remove all settings from the environment."""
    for name in os.environ:
        if "QRMI_" in name or name.startswith(("SLURM_", "XDG_CONFIG")):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    return home
