"""Faces of other distributions: found by entry point, and broken ones that harm no others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from qrmi_core import PluginError
from qrmi_emulator import Emulator
from qrmi_emulator.discovery import GROUP, face_class, vendors
from qrmi_emulator.face import Face
from qrmi_local.engines import MissingExtra
from support.processes import run_example_tests
from support.sites import add_distribution

ROOT = Path(__file__).parents[3]
OWN = ["ibm-da", "ibm-runtime", "pasqal-cloud", "pasqal-local"]
FACE = """
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from qrmi_emulator.face import Face
from qrmi_local.engines import MissingExtra

class BellFace(Face):
    name = "bell"
    types = ("bell",)
    default_resource = "ding"

    def owns(self, path):
        return path.startswith("/bell")

    def refusal(self, path, status):
        return {"bell": status}

    def environment(self, resource_type, url):
        return {"QRMI_BELL_URL": url}

    def routes(self):
        return [Route("/bell", self.ring)]

    async def ring(self, request):
        return PlainTextResponse(self.state.condition("ding").status)
"""
BROKEN = {
    "raises": ("raise RuntimeError('no bell')", "no bell"),
    "exits": ("raise SystemExit(3)", "exits on import"),
    "other": ("BellFace = dict", "not a subclass of qrmi_emulator.face.Face"),
    "renamed": (FACE, "its class has the name 'bell'"),
    "unfinished": (
        "from qrmi_emulator.face import Face\nclass BellFace(Face):\n    name = 'unfinished'",
        "abstract",
    ),
}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for distributions, on the path."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    for name in [name for name in sys.modules if name.startswith("qrmi_test_face_")]:
        del sys.modules[name]


def add_face(site: Path, name: str, source: str) -> None:
    module = f"qrmi_test_face_{name}"
    add_distribution(
        site,
        f"qrmi-test-{name}",
        groups={GROUP: {name: f"{module}:BellFace"}},
        modules={module: source},
    )


def test_listing_imports_nothing_and_begins_with_our_own(site: Path) -> None:
    add_face(site, "aaa", "raise SystemExit(3)")
    assert vendors()[: len(OWN)] == OWN
    assert "aaa" in vendors()
    assert "qrmi_test_face_aaa" not in sys.modules
    for name in OWN:
        assert issubclass(face_class(name), Face)


def test_a_face_of_another_distribution_is_served_with_faults_and_configuration(site: Path) -> None:
    add_face(site, "bell", FACE)
    with Emulator(["bell"]) as emulator:
        assert requests.get(f"{emulator.url}/bell", timeout=10).text == "online"
        emulator.set_resource("ding", status="paused")
        assert requests.get(f"{emulator.url}/bell", timeout=10).text == "paused"
        emulator.fault("status", path="/bell", status=503)
        refused = requests.get(f"{emulator.url}/bell", timeout=10)
        assert (refused.status_code, refused.json()) == (503, {"bell": 503})
        (entry,) = emulator.config()["resources"]
        assert entry["environment"] == emulator.settings_for("bell")
        assert [request["status"] for request in emulator.requests()] == [200, 200, 503]


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_face_is_named_and_harms_no_others(site: Path, name: str) -> None:
    source, message = BROKEN[name]
    add_face(site, name, source)
    add_face(site, "bell", FACE)
    with pytest.raises((PluginError, TypeError), match=message), Emulator([name]):
        pass
    with Emulator() as emulator:
        assert {"bell", "ibm-runtime"} <= {face.name for face in emulator.faces}
        assert message in str(emulator.unavailable[name])


@pytest.mark.slow
def test_the_command_warns_of_a_broken_face(site: Path, tmp_path: Path) -> None:
    add_face(site, "raises", "raise RuntimeError('no bell')")
    qrmi = Path(sys.executable).with_name("qrmi")
    process = subprocess.Popen(
        [qrmi, "emulator", "serve", "--state", tmp_path / "state"],
        env={**os.environ, "PYTHONPATH": str(site)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("listening on")
    process.terminate()
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert errors.count("warning: vendor raises is not served: ") == 1
    assert "no bell" in errors


def test_without_any_simulator_all_that_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("qrmi_local.engines.qiskit._installed", lambda: False)
    monkeypatch.setattr("qrmi_local.engines.pulser._installed", lambda _name: False)
    with (
        pytest.raises(MissingExtra, match=r"\[ibm-da\].*\[ibm\].*\[pasqal\]") as raised,
        Emulator(),
    ):
        pass
    assert "\n" not in str(raised.value)


def test_an_unknown_vendor_is_told_those_there_are() -> None:
    with pytest.raises(ValueError, match="there is no vendor 'nope'; there are: ibm-da, "):
        face_class("nope")


def test_jobs_of_a_face_that_is_not_served_wait_for_it(site: Path, tmp_path: Path) -> None:
    add_face(site, "bell", FACE)
    state = tmp_path / "state"
    with Emulator(["ibm-runtime"], state=state) as emulator:
        known = emulator.settings_for("ibm-quantum-compute-service")
        headers = {
            "Authorization": f"apikey {known['QRMI_IBM_QCS_IAM_APIKEY']}",
            "Service-CRN": known["QRMI_IBM_QCS_SERVICE_CRN"],
        }
        emulator.fault("job-queued")
        body = {
            "program_id": "sampler",
            "backend": "aer",
            "params": {"pubs": [["OPENQASM 3.0;"]], "version": 2},
        }
        url = f"{emulator.url}/api/v1/jobs"
        job = requests.post(url, json=body, headers=headers, timeout=10).json()["id"]
    with Emulator(["bell"], state=state) as emulator:
        assert emulator.info()["jobs"]["Queued"] == 0
    with Emulator(["ibm-runtime"], state=state) as emulator:
        url = f"{emulator.url}/api/v1/jobs/{job}"
        document = requests.get(url, headers=headers, timeout=10).json()
        assert (document["status"], document["params"]) == ("Queued", body["params"])


@pytest.mark.slow
def test_the_face_of_the_example_plugin_passes_its_tests() -> None:
    run_example_tests("test_face.py")


def test_our_faces_know_no_others() -> None:
    faces = ROOT / "plugins/qrmi-emulator/src/qrmi_emulator/faces"
    packages = [path.parent for path in faces.glob("*/*/face.py")]
    assert len(packages) == len(OWN)
    for package in packages:
        text = json.dumps([path.read_text(encoding="utf-8") for path in package.glob("*.py")])
        for other in set(packages) - {package}:
            assert f"faces.{other.parent.name}.{other.name}" not in text, package
