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
    `resource` and a `payload`. Everything else is a hook with a default. Tests of what the driver
    does not do, and of what the test's vendor cannot show, are skipped with the reason.

    Attributes:
        unknown_task_id: A well-formed id of a task that does not exist.
        timeout_seconds: The time that a small task may take, in seconds.
        secrets: Credentials that must not appear in any error, log or repr, beside the settings
            that are declared as secret.
        type_strings: The resource types whose entry points must lead to this driver.
        stop_deletes: True if stopping deletes a task, so that an unknown one was stopped before.
        submission: The request that submits a task, such as ``POST /v1/tasks``, at `vendor`.
        requests_of_a_round: The requests that one poll of 450 tasks may cost; None if the driver
            polls each task alone.
    """
