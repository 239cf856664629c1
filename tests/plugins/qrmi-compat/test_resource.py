"""`QuantumResource` with the published signatures, over an in-memory vendor."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

import qrmi
from qrmi import Payload, QuantumResource, ResourceType, TaskStatus
from qrmi_core import Observation, TaskCancelledError, TaskFailedError
from qrmi_core.testing import FakeVendor

PAYLOAD = Payload.QiskitPrimitive("{}", "sampler")


def test_the_published_life_of_a_task(vendor: FakeVendor, qpu: QuantumResource) -> None:
    lock = qpu.acquire()
    assert isinstance(lock, str)
    job = qpu.task_start(PAYLOAD)
    assert qpu.task_status(job) is TaskStatus.Queued
    while qpu.task_status(job) in [TaskStatus.Queued, TaskStatus.Running]:
        pass
    assert qpu.task_result(job).value == '{"counter": {"00": 1}}'
    qpu.task_stop(job)
    qpu.release(id=lock)
    assert vendor.tokens == []


def test_a_result_is_waited_for(vendor: FakeVendor, qpu: QuantumResource) -> None:
    assert qpu.task_result(qpu.task_start(PAYLOAD)).value.startswith("{")
    assert vendor.calls["task_status"] == 3


@pytest.mark.parametrize(
    ("status", "kind"),
    [(TaskStatus.Failed, TaskFailedError), (TaskStatus.Cancelled, TaskCancelledError)],
)
def test_a_task_without_a_result_is_not_ready_as_published_and_says_why(
    vendor: FakeVendor, qpu: QuantumResource, status: TaskStatus, kind: type[Exception]
) -> None:
    vendor.reports = [Observation(status, reason="the dilution fridge warmed up", code="1234")]
    job = qpu.task_start(PAYLOAD)
    with pytest.raises(qrmi.TaskNotReadyError) as caught:
        qpu.task_result(job)
    assert isinstance(caught.value, kind)
    assert (caught.value.task_id, caught.value.resource_id) == (job, "fake")
    assert not caught.value.retryable
    assert isinstance(caught.value.__cause__, kind)


def test_releasing_what_was_never_acquired_is_harmless(
    vendor: FakeVendor, qpu: QuantumResource
) -> None:
    qpu.release("")
    qpu.release("0-0-0")
    assert vendor.calls["release"] == 1
    for wrong in ((), (None,)):
        with pytest.raises(TypeError):
            qpu.release(*wrong)


def test_whether_it_is_accessible_is_asked_with_a_warning_at_the_callers_line(
    vendor: FakeVendor, qpu: QuantumResource
) -> None:
    with pytest.warns(DeprecationWarning, match=r"is_accessible\(\) is deprecated") as caught:
        assert qpu.is_accessible() is True
    assert caught[0].filename == __file__
    assert qpu.status().to_dict() == {
        "status": "online",
        "status_reason": None,
        "healthy": None,
        "busy": False,
        "capacity": None,
        "pending_job_count": None,
    }


def test_it_says_what_it_is(qpu: QuantumResource) -> None:
    assert qpu.resource_id() == "fake"
    assert qpu.resource_type() is ResourceType("fake")
    assert qpu.metadata()["backend_name"] == "fake"
    assert isinstance(qpu.target().value, str)


@pytest.mark.parametrize("wrong", [None, 0, 3, TaskStatus.Queued])
def test_what_is_no_resource_type_is_a_type_error(wrong: Any) -> None:
    with pytest.raises(TypeError, match="ResourceType"):
        QuantumResource("dev", wrong)


KEYS = {
    ResourceType.IBMQuantumSystem: "QRMI_IBM_QS_",
    ResourceType.IBMDirectAccess: "QRMI_IBM_DA_",
    ResourceType.IBMQuantumComputeService: "QRMI_IBM_QCS_",
    ResourceType.IBMQiskitRuntimeService: "QRMI_IBM_QRS_",
}
SETTINGS = {
    "ENDPOINT": "http://127.0.0.1:1",
    "IAM_ENDPOINT": "http://127.0.0.1:1",
    "IAM_APIKEY": "k",
    "SERVICE_CRN": "crn:v1::::::::",
}


@pytest.mark.parametrize("kind", KEYS)
def test_the_keys_with_the_resources_prefix_are_read_from_the_environment(
    kind: ResourceType, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(qrmi.EnvVarNotSetError) as caught:
        QuantumResource("dev1", kind)
    assert all(f"dev1_{KEYS[kind]}{key}" in str(caught.value) for key in SETTINGS)
    for key, value in SETTINGS.items():
        monkeypatch.setenv(f"dev1_{KEYS[kind]}{key}", value)
    with contextlib.closing(QuantumResource("dev1", kind)) as qpu:
        assert qpu.resource_type() is kind


@pytest.mark.parametrize("kind", KEYS)
def test_a_mapping_has_the_keys_without_prefix_in_either_case(kind: ResourceType) -> None:
    with pytest.raises(qrmi.ConfigError) as caught:
        QuantumResource.from_config("dev1", kind, {})
    assert f"{KEYS[kind]}ENDPOINT" in str(caught.value)
    upper = {f"{KEYS[kind]}{key}": value for key, value in SETTINGS.items()}
    lower = {key.lower(): value for key, value in upper.items()}
    for config in (upper, lower):
        made = QuantumResource.from_config(resource_id="dev1", resource_type=kind, config=config)
        assert made.resource_type() is kind
        assert type(made) is QuantumResource
        made.close()


@pytest.mark.parametrize(
    "kind", [ResourceType.AliceBobFelis, ResourceType.IQMServer, ResourceType.OQTOPUS]
)
def test_a_type_without_a_plugin_is_refused_by_its_name(kind: ResourceType) -> None:
    with pytest.raises(qrmi.UnsupportedResourceTypeError, match=kind.type_string):
        QuantumResource("dev1", kind)


def test_a_payload_of_another_vendor_is_refused_without_being_shown(
    vendor: FakeVendor, qpu: QuantumResource
) -> None:
    with pytest.raises(qrmi.UnsupportedPayloadError) as caught:
        qpu.task_start(Payload.Oqtopus("s3cret"))
    assert "s3cret" not in str(caught.value)
    assert vendor.calls["task_start"] == 0
    with pytest.raises(TypeError):
        qpu.task_start({"input": "{}"})  # type: ignore[arg-type]
