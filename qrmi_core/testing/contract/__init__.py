"""Tests that every driver must pass, to subclass."""

from __future__ import annotations

from qrmi_core.testing.contract.http import HttpFaultContract
from qrmi_core.testing.contract.manners import MannersContract
from qrmi_core.testing.contract.resources import ResourceContract
from qrmi_core.testing.contract.submissions import SubmissionContract
from qrmi_core.testing.contract.tasks import TaskContract

__all__ = ["DriverContract", "HttpFaultContract"]


class DriverContract(TaskContract, SubmissionContract, ResourceContract, MannersContract):
    """The behaviour that users rely on, whoever the vendor is, as tests.

    Subclass it as ``class TestMyDriver(DriverContract)`` in a ``test_*.py`` and give it a
    `resource` and a `payload`. Tests of what the driver does not do, and of what the test's vendor
    cannot show, are skipped with the reason.
    """
