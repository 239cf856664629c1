"""Resources behind the published classes, with an in-memory vendor, and jobs of a scheduler."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

import qrmi
from qrmi_core.testing import FakeClock, FakeVendor
from support.sites import add_distribution

JOB_VARIABLES = (
    "QRMI_JOB_QPU_RESOURCES",
    "QRMI_JOB_QPU_TYPES",
    "SLURM_JOB_QPU_RESOURCES",
    "SLURM_JOB_QPU_TYPES",
    "QRMI_LIST_DELIMITER",
    "QRMI_PLUGIN_ERROR",
)

# The name of the type sets the reported states, and whether the resource is online.
DRIVERS = """
import os
from qrmi_core import Observation, QrmiError, ResourceStatus, ResourceStatusCode, TaskStatus
from qrmi_core.testing import FakeVendor


def note(function):
    if "QRMI_TEST_CALLS" in os.environ:
        with open(os.environ["QRMI_TEST_CALLS"], "a") as stream:
            print(function, file=stream)


def driver(*reports, status=None, fault=None):
    vendor = FakeVendor(reports=[Observation(each) for each in reports], on_call=note)
    made = vendor.driver()
    if status is not None:
        made.status = lambda self: ResourceStatus(status, status_reason="maintenance")
    if fault:
        vendor.faults[fault] = [QrmiError("the vendor fell over")] * 9
    return made


works = driver(TaskStatus.Completed)
fails = driver(TaskStatus.Failed)
cancels = driver(TaskStatus.Cancelled)
runs = driver(TaskStatus.Running)
lost = driver(TaskStatus.Completed, fault="task_result")
paused = driver(TaskStatus.Completed, status=ResourceStatusCode.Paused)
broken = driver(TaskStatus.Completed, fault="status")
"""
TYPES = ("works", "fails", "cancels", "runs", "lost", "paused", "broken")


@pytest.fixture(autouse=True)
def no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in JOB_VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def vendor() -> FakeVendor:
    return FakeVendor()


@pytest.fixture
def qpu(vendor: FakeVendor) -> qrmi.QuantumResource:
    clock = FakeClock()
    return qrmi.QuantumResource(
        "fake",
        qrmi.ResourceType("fake"),
        {},
        driver_class=vendor.driver(),
        clock=clock,
        sleep=clock.sleep,
    )


class EnterJob(Protocol):
    def __call__(self, **resources: str) -> None: ...


@pytest.fixture
def enter_job(monkeypatch: pytest.MonkeyPatch) -> EnterJob:
    """Enter a job with these resources, given as name=type."""

    def enter(**resources: str) -> None:
        monkeypatch.setenv("QRMI_JOB_QPU_RESOURCES", ",".join(resources))
        monkeypatch.setenv("QRMI_JOB_QPU_TYPES", ",".join(resources.values()))

    return enter


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Create a folder on the path with drivers that behave as their types say."""
    from stevedore import extension

    folder = tmp_path / "site"
    folder.mkdir()
    module = "qrmi_test_compat"
    targets = {name: f"{module}:{name}" for name in TYPES}
    add_distribution(folder, "qrmi-test-compat", drivers=targets, modules={module: DRIVERS})
    extension.ExtensionManager.ENTRY_POINT_CACHE.clear()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", str(folder))
    yield folder
    extension.ExtensionManager.ENTRY_POINT_CACHE.clear()
    sys.modules.pop(module, None)
