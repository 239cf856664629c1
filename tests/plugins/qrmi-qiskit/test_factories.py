"""Backend factories of plugins, found by resource type."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from qrmi_core import (
    InvalidResponseError,
    Payload,
    PluginError,
    QuantumResource,
    UnsupportedFunctionError,
)
from qrmi_core.testing import FakeVendor
from qrmi_qiskit import get_backend
from qrmi_qiskit.pasqal import QRMIPasqalBackend
from support.local_store import MakeResource
from support.sites import add_distribution

FACTORY = """
class Backend:
    def __init__(self, resource, **options):
        self.resource, self.options = resource, options
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Create a folder for distributions on the path, with a working factory and a broken one."""
    folder = tmp_path / "site"
    add_distribution(
        folder,
        "factories",
        groups={
            "qrmi.qiskit": {"theirs": "qrmi_test_theirs:Backend", "bad": "qrmi_test_bad:Backend"}
        },
        modules={"qrmi_test_theirs": FACTORY, "qrmi_test_bad": "import sys; sys.exit(3)"},
    )
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    for name in ("qrmi_test_theirs", "qrmi_test_bad"):
        sys.modules.pop(name, None)


def resource(resource_type: str, payload: type[Payload]) -> QuantumResource:
    driver = FakeVendor().driver()
    driver.payloads = (payload,)
    return QuantumResource("qpu", resource_type, {}, driver_class=driver)


def test_the_plugin_for_the_type_makes_the_backend(site: Path) -> None:
    qpu = resource("theirs", Payload.Oqtopus)
    backend = get_backend(qpu, shots=5)
    assert backend.resource is qpu
    assert backend.options == {"shots": 5}
    assert get_backend(qpu, True).options == {"use_fractional_gates": True}
    assert "qrmi_test_bad" not in sys.modules


def test_a_resource_that_takes_primitives_needs_no_plugin(site: Path) -> None:
    with pytest.raises(InvalidResponseError, match="cannot be used as a Qiskit backend"):
        get_backend(resource("theirs", Payload.QiskitPrimitive))
    assert "qrmi_test_theirs" not in sys.modules


def test_a_resource_that_nothing_makes_a_backend_of_says_what_it_takes() -> None:
    qpu = resource("nobodys", Payload.Oqtopus)
    with pytest.raises(InvalidResponseError, match=r"qpu cannot .*\(the resource takes Oqtopus\)"):
        get_backend(qpu)
    qpu._driver.target = lambda: qpu._driver.task_input("t")  # type: ignore[method-assign]
    with pytest.raises(UnsupportedFunctionError, match=r"it has no target \(the .* Oqtopus\)"):
        get_backend(qpu)


def test_a_broken_plugin_is_named(site: Path) -> None:
    with pytest.raises(PluginError, match=r"bad \(qrmi_test_bad:Backend of factories 1.0\)"):
        get_backend(resource("bad", Payload.Oqtopus))


def test_pasqals_backend_is_a_plugins_like_any_other(local: MakeResource) -> None:
    backend = get_backend(local("EMU_FREE"), default_shots=7)
    assert isinstance(backend, QRMIPasqalBackend)
    for resource_type in ("pasqal-cloud", "pasqal-local"):
        assert isinstance(
            get_backend(resource(resource_type, Payload.PasqalCloud)), QRMIPasqalBackend
        )
