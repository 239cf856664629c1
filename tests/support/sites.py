"""Real distributions, built on the fly in a separate folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

DRIVER = """
from qrmi_core.testing import FakeVendor

vendor = FakeVendor()
Driver = vendor.driver()
"""
"""A module with a working driver."""


def add_distribution(
    site: Path,
    name: str,
    *,
    version: str = "1.0",
    drivers: Mapping[str, str] | None = None,
    commands: Mapping[str, str] | None = None,
    groups: Mapping[str, Mapping[str, str]] | None = None,
    modules: Mapping[str, str] | None = None,
) -> None:
    """Install a distribution into a folder as pip would.

    Args:
        site: A folder that is or will be on `sys.path`.
        name: Name of the distribution.
        version: Version of the distribution.
        drivers: Entry points of the group ``qrmi.drivers``.
        commands: Entry points of the group ``qrmi.commands``.
        groups: Entry points of further groups.
        modules: Source text by module name.
    """
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    every = {"qrmi.drivers": drivers, "qrmi.commands": commands, **(groups or {})}
    (info / "entry_points.txt").write_text(
        "".join(
            f"[{group}]\n" + "".join(f"{key} = {target}\n" for key, target in entries.items())
            for group, entries in every.items()
            if entries
        )
    )
    for module, source in (modules or {}).items():
        (site / f"{module}.py").write_text(dedent(source))
