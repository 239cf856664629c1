"""A new site for each test."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from stevedore import extension

from qrmi_slurm.resources import driver_of
from support.filed_vendor import DRIVERS
from support.sites import add_distribution
from support.slurm_site import SlurmSite


@pytest.fixture(scope="session", autouse=True)
def installed_vendor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Install the vendor's driver as a distribution."""
    folder = tmp_path_factory.mktemp("site")
    add_distribution(folder, "filed-vendor", drivers=DRIVERS)
    sys.path.insert(0, str(folder))
    extension.ExtensionManager.ENTRY_POINT_CACHE.clear()
    driver_of("filed")  # found once here, instead of in each process
    yield
    sys.path.remove(str(folder))
    extension.ExtensionManager.ENTRY_POINT_CACHE.clear()


@pytest.fixture
def site(tmp_path: Path) -> SlurmSite:
    """Return a site with two QPUs."""
    return SlurmSite(tmp_path)
