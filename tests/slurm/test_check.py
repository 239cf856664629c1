"""`qrmi-slurm check` on a real cluster."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from qrmi_emulator import Emulator
from support.cluster import Cluster, Plugin, missing, wait_for

QPU = "fake_fez"
RUNTIME, ADDED = "ibm-quantum-compute-service", "fake_marrakesh"


class CheckedSite:
    """A cluster with the integration and one vendor.

    Attributes:
        cluster: The cluster.
        plugin: The integration.
        vendor: The service of all QPUs.
    """

    def __init__(self, cluster: Cluster, plugin: Plugin, vendor: Emulator) -> None:
        self.cluster = cluster
        self.plugin = plugin
        self.vendor = vendor

    def findings(self, *arguments: str) -> list[dict[str, Any]]:
        """Return the findings of the check, without those about this machine's Python."""
        report = json.loads(self.plugin.run("check", "--json", *arguments).stdout)
        found: list[dict[str, Any]] = report["findings"]
        return [one for one in found if one["about"] != "Python"]

    def errors(self, *arguments: str) -> list[str]:
        """Return the messages of the findings that are errors."""
        return [one["message"] for one in self.findings(*arguments) if one["mark"] == "error"]


@pytest.fixture(scope="module", params=["scripts", "shim"])
def site(request: pytest.FixtureRequest) -> Iterator[CheckedSite]:
    if problem := missing():
        pytest.skip(problem)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="qrmi-check-")))
        folder.chmod(0o755)
        cluster = stack.enter_context(Cluster(folder, debug="info"))
        vendor = stack.enter_context(Emulator(["ibm-runtime"]))
        plugin = Plugin(cluster, request.param)
        plugin.install(vendor.config())
        cluster.start(*plugin.lines())
        yield CheckedSite(cluster, plugin, vendor)


def test_what_setup_wrote_is_as_the_check_wants_it(site: CheckedSite) -> None:
    plugin = site.plugin
    assert site.errors() == []
    wrong = {one["about"] for one in site.findings() if one["mark"] == "warning"}
    assert wrong <= {"sweep"}, "this machine's systemd does not know the timer"
    messages = {(one["about"], one["message"]) for one in site.findings()}
    assert ("versions", "Slurm 22.05.8") in messages or "newer" in str(messages)
    assert ("slurm.conf", f"licence {QPU}, for 1 at a time") in messages
    assert (f"resource {QPU}", "online (available)") in messages
    if plugin.mode == "shim":
        assert ("plugstack", f"srun loads {plugin.folder}/spank_qrmi.so") in messages
    else:
        assert (f"Prolog {plugin.folder}/prolog", "runs prolog") in messages


def test_a_job_with_a_qpu_is_counted_and_nothing_is_wrong_with_it(site: CheckedSite) -> None:
    job = site.cluster.submit("sleep 60", f"--licenses={QPU}").wait("RUNNING")
    wait_for(lambda: site.vendor.info()["sessions"]["open"], "the session is open")
    found = [one["message"] for one in site.findings("--offline") if one["about"] == "sweep"]
    assert "ended jobs have left nothing; jobs that have QPUs now: 1" in found
    site.cluster.command("scancel", job.id)
    site.cluster.wait_until_idle()


def test_a_vendor_that_does_not_answer_is_an_error_unless_offline(site: CheckedSite) -> None:
    before = site.errors("--offline")
    site.vendor.fault("status", status=403, count=None)
    assert len(site.errors()) == len(before) + 1
    assert site.errors("--offline") == before
    site.vendor.clear_faults()


def test_a_qpu_that_is_added_later_can_be_asked_for(site: CheckedSite) -> None:
    plugin, cluster = site.plugin, site.cluster
    plugin.write_config(site.vendor.config([(RUNTIME, ADDED)]))
    plugin.program("setup", "--folder", str(plugin.folder))
    conf = cluster.folder / "etc/slurm.conf"
    conf.write_text(conf.read_text().replace("Licenses=", f"Licenses={ADDED}:1,"))
    cluster.command("scontrol", "reconfigure")
    job = cluster.submit("printenv QRMI_JOB_QPU_RESOURCES", f"--comment=qpu={ADDED}").wait()
    assert (job.state, job.output) == ("COMPLETED", f"{ADDED}\n"), job.show()
    cluster.wait_until_idle()
    assert site.errors() == []
