"""Devices: their state, their description, and discovery."""

from __future__ import annotations

import json
import socket

import pytest

from qrmi_core import (
    ConfigError,
    ResourceNotFoundError,
    ResourceProvider,
    ResourceStatus,
    ResourceStatusCode,
)
from support.faulty_server import status
from support.pasqal_service import SPECS, PasqalService, device
from support.resources import Make


def ids(service: PasqalService, filters: str | None = None) -> set[str]:
    provider = ResourceProvider("pasqal-cloud", {"QRMI_PASQAL_CLOUD_BASE_URL": service.host})
    return {info.resource_id for info in provider.infos(filters)}


@pytest.mark.parametrize(
    ("name", "expected"),
    {
        "FRESNEL": ResourceStatus(
            ResourceStatusCode.Online, "average queue time: 120", healthy=True, busy=True
        ),
        "fresnel_can1": ResourceStatus(
            ResourceStatusCode.Online,
            "the device is down; tasks are queued",
            healthy=False,
            busy=False,
        ),
        "FRESNEL_OLD": ResourceStatus(
            ResourceStatusCode.Offline, "its availability is RETIRED", healthy=True, busy=False
        ),
        "EMU_FREE": ResourceStatus(ResourceStatusCode.Online, healthy=True, busy=False),
    }.items(),
)
def test_the_state_of_a_device(
    service: PasqalService, make: Make, name: str, expected: ResourceStatus
) -> None:
    assert make(name).status() == expected
    assert service.requests == [f"GET v1/devices?device_type={name.upper()}"]
    assert "authorization" not in service.headers[0]


def test_what_the_service_does_not_tell_is_none(service: PasqalService, make: Make) -> None:
    service.fail("GET v1/devices", status(200, {"data": [{"availability": "ACTIVE"}]}))
    assert make().status() == ResourceStatus(ResourceStatusCode.Online)


def test_a_device_that_is_not_there(service: PasqalService, make: Make) -> None:
    service.devices = []
    with pytest.raises(ResourceNotFoundError, match="no device FRESNEL") as caught:
        make().is_accessible()
    assert "device types are" not in str(caught.value), "this one is known"


def test_a_target_is_a_list_of_devices(service: PasqalService, make: Make) -> None:
    expected = [{"device_type": "FRESNEL", "specs": SPECS}]
    assert json.loads(make().target().value) == expected
    assert json.loads(make("EMU_FREE").target().value) == expected
    assert service.counted()["GET v1/devices/public-specs"] == 1
    assert "authorization" not in service.headers[-1]
    with pytest.raises(ResourceNotFoundError, match="no such device; device types are FRESNEL"):
        make("OTHER").target()


def test_discovery_by_qubits_status_name_and_kind(service: PasqalService) -> None:
    assert ids(service) == {"FRESNEL", "FRESNEL_CAN1", "FRESNEL_OLD", "EMU_FREE"}
    assert ids(service, "num_qubits=80") == {"FRESNEL", "FRESNEL_CAN1"}
    assert ids(service, "status=online&name=FRESNEL*") == {"FRESNEL", "FRESNEL_CAN1"}
    assert ids(service, "is_simulator=true") == {"EMU_FREE"}
    assert service.counted() == {"GET v1/devices": 4}, "one request each, and no token"


def test_discovery_asks_nobody_where_nothing_of_pasqal_is_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket, "create_connection", pytest.fail)
    monkeypatch.setattr(socket, "getaddrinfo", pytest.fail)
    for settings in ({}, {"QRMI_HTTP_ATTEMPTS": "1"}, {"PASQAL_USERNAME": " "}):
        with pytest.raises(ConfigError, match="no setting of Pasqal Cloud.*PASQAL_CONFIG_ROOT"):
            ResourceProvider("pasqal-cloud", settings).infos()


def test_discovery_by_shots_asks_for_the_public_descriptions(service: PasqalService) -> None:
    assert ids(service, "max_shots=500") == {"FRESNEL"}
    assert ids(service, "max_shots=501") == set()
    assert service.counted() == {"GET v1/devices": 2, "GET v1/devices/public-specs": 2}


def test_discovery_reads_every_page(service: PasqalService) -> None:
    service.devices = [device(f"FRESNEL_{number}") for number in range(7)]
    service.page = 3
    assert len(ids(service)) == 7
    assert service.counted() == {"GET v1/devices": 3}


def test_tasks_are_listed_newest_first_over_all_pages(service: PasqalService, make: Make) -> None:
    for device_type in ("FRESNEL", "EMU_FREE", "FRESNEL", "FRESNEL"):
        service.start(service.batches, "")
        newest = service.batches[list(service.batches)[-1]]
        newest |= {"tags": None, "project_id": service.settings()["QRMI_PASQAL_CLOUD_PROJECT_ID"]}
        newest |= {"device_type": device_type, "jobs": [{"id": newest["id"]}]}
    service.page = 2
    listed = make().task_list()
    expected = [id for id, batch in service.batches.items() if batch["device_type"] == "FRESNEL"]
    assert [info.id for info in listed] == expected[::-1]
    assert service.counted()["GET v1/batches"] == 2
