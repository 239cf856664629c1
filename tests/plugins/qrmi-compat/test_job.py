"""The job's variables, configuration files, the service and discovery."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest

import qrmi
from qrmi import (
    Config,
    QRMIService,
    ResourceProvider,
    ResourceType,
    get_job_qpu_resources_and_types,
)
from qrmi_core import ResourceInfo, ResourceStatusCode
from qrmi_core.testing import FakeVendor


@pytest.mark.parametrize("prefix", ["QRMI", "SLURM"])
def test_the_jobs_variables_are_read_under_both_names(
    monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    monkeypatch.setenv(f"{prefix}_JOB_QPU_RESOURCES", "a, b")
    monkeypatch.setenv(f"{prefix}_JOB_QPU_TYPES", "local,pasqal-cloud")
    assert get_job_qpu_resources_and_types() == (["a", " b"], ["local", "pasqal-cloud"])


def test_the_newer_name_wins_and_the_delimiter_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    for prefix, name in (("SLURM", "old"), ("QRMI", "new")):
        monkeypatch.setenv(f"{prefix}_JOB_QPU_RESOURCES", f"{name}1::{name}2")
        monkeypatch.setenv(f"{prefix}_JOB_QPU_TYPES", "local::local")
    monkeypatch.setenv("QRMI_LIST_DELIMITER", "::")
    assert get_job_qpu_resources_and_types() == (["new1", "new2"], ["local", "local"])


def test_no_job_is_a_runtime_error_that_names_the_variable() -> None:
    with pytest.raises(RuntimeError, match="QRMI_JOB_QPU_RESOURCES"):
        get_job_qpu_resources_and_types()
    with pytest.raises(qrmi.EnvVarNotSetError, match="QRMI_JOB_QPU_RESOURCES"):
        QRMIService()


def test_lists_of_different_lengths_are_a_value_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QRMI_JOB_QPU_RESOURCES", "a,b")
    monkeypatch.setenv("QRMI_JOB_QPU_TYPES", "local")
    with pytest.raises(ValueError) as caught:
        get_job_qpu_resources_and_types()
    assert isinstance(caught.value, qrmi.ConfigError)
    with pytest.raises(qrmi.ConfigError):
        QRMIService()


def test_the_service_keeps_the_resources_that_work_and_warns_of_the_others(
    site: Path, enter_job: Any, caplog: pytest.LogCaptureFixture
) -> None:
    enter_job(
        one="works",
        resting="paused",
        down="broken",
        unknown="iqm-server",
        unset="ibm-quantum-system",
        two="works",
    )
    service = QRMIService()
    assert [each.resource_id() for each in service.resources()] == ["one", "two"]
    assert service.resource("two") is service.resources()[1]
    assert service.resource("resting") is service.resource("nobody") is None
    assert type(service.resources()[0]) is qrmi.QuantumResource
    for name, why in (
        ("resting", "it is paused: maintenance"),
        ("down", "the vendor fell over"),
        ("unknown", "iqm-server"),
        ("unset", "unset_QRMI_IBM_QS_ENDPOINT"),
    ):
        (text,) = (text for text in caplog.messages if text.startswith(f"{name} "))
        assert why in text


def test_a_job_without_resources_says_what_the_schedulers_plugin_said(
    site: Path, enter_job: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QRMI_PLUGIN_ERROR", "acquisition of one was refused")
    with pytest.raises(RuntimeError, match="acquisition of one was refused"):
        QRMIService()
    enter_job()
    with pytest.raises(RuntimeError, match="acquisition of one was refused"):
        QRMIService()
    enter_job(one="works")
    assert len(QRMIService().resources()) == 1


def test_every_home_of_the_service_is_the_same() -> None:
    import qrmi.primitives.service
    import qrmi.pulser.service

    assert qrmi.primitives.QRMIService is QRMIService
    assert qrmi.primitives.service.QRMIService is QRMIService
    assert qrmi.pulser.QRMIService is qrmi.pulser.service.QRMIService is QRMIService


def write(path: Path, *entries: dict[str, Any]) -> str:
    path.write_text(json.dumps({"resources": entries}))
    return str(path)


def test_a_configuration_file_is_read_as_published(tmp_path: Path) -> None:
    path = write(
        tmp_path / "qrmi_config.json",
        {"name": "FRESNEL", "type": "pasqal-cloud", "environment": {"K": "s3cret"}},
        {"name": "ibm", "type": "direct-access", "environment": {}, "is_dynamic": True},
    )
    found = Config.load(path).resource_map
    assert list(found) == ["FRESNEL", "ibm"]
    fresnel, ibm = found.values()
    assert (fresnel.name, fresnel.resource_type) == ("FRESNEL", ResourceType.PasqalCloud)
    assert (fresnel.is_dynamic, fresnel.environment) == (False, {"K": "s3cret"})
    assert (ibm.resource_type, ibm.is_dynamic) == (ResourceType.IBMDirectAccess, True)
    assert "s3cret" not in repr(fresnel)


def test_changes_to_the_map_do_not_stick(tmp_path: Path) -> None:
    path = write(tmp_path / "c.json", {"name": "a", "type": "local", "environment": {}})
    config = Config.load(path)
    config.resource_map["a"].environment["K"] = "v"
    config.resource_map.clear()
    assert config.resource_map["a"].environment == {}


def test_a_wrong_file_is_a_runtime_error_that_names_it(tmp_path: Path) -> None:
    for path in (str(tmp_path / "none.json"), write(tmp_path / "c.json", {"name": "a"})):
        with pytest.raises(RuntimeError, match=path) as caught:
            Config.load(path)
        assert isinstance(caught.value, qrmi.ConfigError)


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch, vendor: FakeVendor) -> ResourceProvider:
    driver = vendor.driver()
    found = [
        ResourceInfo("sim", 30, 10, True, ResourceStatusCode.Online, 0),
        ResourceInfo("busy", 127, 1000, False, ResourceStatusCode.Online, 9),
        ResourceInfo("idle", 5, 1000, False, ResourceStatusCode.Offline, 1),
    ]
    monkeypatch.setattr(driver, "discover", classmethod(lambda *_: found))
    monkeypatch.setattr("qrmi_core.discovery.find_driver", lambda _type: driver)
    return ResourceProvider(ResourceType.IBMQuantumComputeService, {})


def test_the_provider_finds_published_resources_and_no_simulators(
    provider: ResourceProvider,
) -> None:
    def found(filters: str | None) -> list[str]:
        return [each.resource_id() for each in provider.resources(filters)]

    assert found(None) == ["idle", "busy"]
    assert found("num_qubits=100") == ["busy"]
    assert found("status=online & name=b*") == ["busy"]
    assert found("is_simulator=true") == ["sim"]
    assert found("num_qubits=1000") == []
    for made in provider.resources():
        assert type(made) is qrmi.QuantumResource
        assert made.resource_type() is ResourceType.IBMQuantumComputeService
    least = provider.least_busy()
    assert least is not None
    assert least.resource_id() == "idle"
    assert provider.least_busy("num_qubits=1000") is None
    for wrong in ("num_qubits=x", "status=offline", "is_simulator=maybe", "nothing"):
        with pytest.raises(qrmi.InvalidInputError):
            provider.resources(wrong)


def test_the_provider_writes_nothing_to_the_environment(provider: ResourceProvider) -> None:
    before = dict(os.environ)
    provider.resources()
    assert dict(os.environ) == before


def test_a_type_that_cannot_be_discovered_is_refused() -> None:
    with pytest.raises(qrmi.UnsupportedResourceTypeError):
        ResourceProvider(ResourceType.PasqalLocal, {})


@pytest.fixture
def restored() -> Any:
    """Restore the loggers after the test."""
    names = [name for name in logging.root.manager.loggerDict if name.startswith("qrmi")]
    loggers = [logging.getLogger(name) for name in {*names, "qrmi_core"}]
    before = [(each, each.propagate, each.level, list(each.handlers)) for each in loggers]
    yield
    for each, propagate, level, handlers in before:
        each.propagate, each.handlers = propagate, handlers
        each.setLevel(level)


def test_a_callback_gets_the_records_in_place_of_logging(
    restored: None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RUST_LOG", raising=False)
    got: list[tuple[str, str, str]] = []
    qrmi.set_log_callback(lambda *record: got.append(record))
    logging.getLogger("qrmi_core.http").warning("slow %s", "answer")
    logging.getLogger("qrmi_core.http").debug("not shown")
    assert got == [("WARN", "qrmi_core.http", "slow answer")]
    assert caplog.messages == []


def test_the_level_of_a_callback_is_that_of_the_published_variable(
    restored: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUST_LOG", "debug")
    got: list[tuple[str, str, str]] = []
    qrmi.set_log_callback(lambda *record: got.append(record))
    logging.getLogger("qrmi_core.http").debug("shown")
    assert got == [("DEBUG", "qrmi_core.http", "shown")]


def test_without_a_callback_records_are_printed(
    restored: None, capsys: pytest.CaptureFixture[str]
) -> None:
    qrmi.set_log_callback(None)
    logging.getLogger("qrmi_core.http").warning("slow")
    assert capsys.readouterr().err.endswith("WARN qrmi_core.http] slow\n")


def test_an_error_of_the_callback_is_printed_and_dropped(
    restored: None, capsys: pytest.CaptureFixture[str]
) -> None:
    def fall(*_record: str) -> None:
        raise ValueError("callback fell over")

    qrmi.set_log_callback(fall)
    logging.getLogger("qrmi_core.http").warning("slow")
    assert "callback fell over" in capsys.readouterr().err
    with pytest.raises(TypeError, match="callable"):
        qrmi.set_log_callback(5)  # type: ignore[arg-type]
