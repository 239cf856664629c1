"""The choice of a connection's resource."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pulser.backend.remote import RemoteConnection

from qrmi_core import ConfigError, EnvVarNotSetError
from qrmi_core.testing import FakeVendor
from qrmi_pulser import InvalidArgumentError, PulserQRMIConnection
from support.fakes import fake_resource
from support.pasqal_service import PasqalService
from support.processes import said

Job = Callable[[str, str], None]


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Job:
    """Turn this process into one of a scheduler's job with resources."""
    monkeypatch.setenv("QRMI_LOCAL_HOME", str(tmp_path / "store"))

    def set_job(names: str, types: str) -> None:
        monkeypatch.setenv("QRMI_JOB_QPU_RESOURCES", names)
        monkeypatch.setenv("QRMI_JOB_QPU_TYPES", types)

    return set_job


def test_the_only_resource_of_the_job_is_taken(job: Job) -> None:
    job("aer,EMU_FREE", "local,local")
    connection = PulserQRMIConnection()
    assert isinstance(connection, RemoteConnection)
    assert connection.resource.resource_id() == "EMU_FREE"
    assert repr(connection) == "PulserQRMIConnection(QuantumResource('EMU_FREE', 'local'))"


def test_outside_a_job_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("QRMI_JOB_QPU_RESOURCES", "SLURM_JOB_QPU_RESOURCES"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(EnvVarNotSetError):
        PulserQRMIConnection()


def test_a_job_without_one_that_takes_sequences_is_told(job: Job) -> None:
    job("aer", "local")
    with pytest.raises(ConfigError, match="aer takes no pulse sequences"):
        PulserQRMIConnection()
    with pytest.raises(RuntimeError, match=r"PulserQRMIConnection\(resource\)"):
        PulserQRMIConnection()


def test_resources_that_are_not_accessible_do_not_count(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    with PasqalService() as service:
        for name in ("FRESNEL", "FRESNEL_OLD", "NOWHERE", "EMU_FREE"):
            for key, value in service.settings().items():
                monkeypatch.setenv(f"{name}_{key}", value)
        job("FRESNEL_OLD,NOWHERE", "pasqal-cloud,pasqal-cloud")
        with pytest.raises(ConfigError, match="FRESNEL_OLD is offline; NOWHERE: .*no device"):
            PulserQRMIConnection()
        job("FRESNEL_OLD,FRESNEL", "pasqal-cloud,pasqal-cloud")
        assert PulserQRMIConnection().resource.resource_id() == "FRESNEL"
        job("EMU_FREE,FRESNEL", "pasqal-cloud,pasqal-cloud")
        with pytest.raises(ValueError, match="several resources: EMU_FREE, FRESNEL"):
            PulserQRMIConnection()


def test_a_resource_without_pulse_sequences_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="it takes QiskitPrimitive") as caught:
        PulserQRMIConnection(fake_resource(FakeVendor()))
    assert isinstance(caught.value, ValueError)


@pytest.mark.slow
def test_importing_it_needs_neither_qiskit_nor_pasqals_client() -> None:
    absent = ("qiskit", "qiskit_ibm_runtime", "pasqal_cloud", "pulser_simulation")
    script = f"import sys\nfor name in {absent!r}: sys.modules[name] = None\nimport qrmi_pulser"
    said(sys.executable, "-c", script)
