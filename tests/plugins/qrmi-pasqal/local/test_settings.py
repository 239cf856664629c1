"""Settings: which operation needs which."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from qrmi_core import (
    ConfigError,
    EnvVarNotSetError,
    NotAcquiredError,
    Payload,
    QuantumResource,
    ResourceStatusCode,
)
from qrmi_pasqal.warden.settings import PasqalLocalSettings, to_uid
from support.settings_table import settings_table
from support.socket_server import SocketServer, answer

README = Path(__file__).parents[4] / "plugins/qrmi-pasqal/README.md"
URL = {"QRMI_WARDEN_URL": "http://127.0.0.1:1"}


def test_the_address_alone_is_required_under_either_name() -> None:
    for key in ("QRMI_WARDEN_URL", "QRMI_URL"):
        environment = {f"PASQAL_LOCAL_{key}": "http://127.0.0.1:1"}
        QuantumResource("PASQAL_LOCAL", "pasqal-local", environment=environment)
    with pytest.raises(EnvVarNotSetError, match="PASQAL_LOCAL_QRMI_WARDEN_URL or"):
        QuantumResource("PASQAL_LOCAL", "pasqal-local", environment={})


def test_the_newer_name_wins() -> None:
    both = {"QRMI_WARDEN_URL": "http://new", "QRMI_URL": "http://old"}
    assert PasqalLocalSettings.from_mapping(both).warden_url == "http://new"


def test_the_variables_of_the_job_have_no_prefix() -> None:
    environment = {
        "P_QRMI_WARDEN_URL": "http://127.0.0.1:1",
        "QRMI_JOB_UID": "1000",
        "QRMI_JOB_ID": "7",
        "P_QRMI_JOB_ACQUISITION_TOKEN": "session",
    }
    read = PasqalLocalSettings.from_environment("P", environment)
    assert (read.job_uid, read.job_id, read.acquisition_token) == (1000, "7", "session")


@given(st.integers())
def test_a_user_id_is_any_that_the_system_has(number: int) -> None:
    if 0 <= number <= 4294967294:
        assert to_uid(str(number)) == number
    else:
        with pytest.raises(ValueError, match="4294967294"):
            to_uid(str(number))


@pytest.mark.parametrize("text", ["abc", "-1", "4294967295", "1 000", "", "٣", "1.0"])
def test_what_is_no_user_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="user id"):
        to_uid(text)


def test_a_malformed_user_id_is_named() -> None:
    with pytest.raises(ConfigError, match="QRMI_JOB_UID: 'abc' is not a user id"):
        QuantumResource("p", "pasqal-local", URL | {"QRMI_JOB_UID": "abc"})


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({}, "QRMI_JOB_UID and QRMI_JOB_ID"),
        ({"QRMI_JOB_UID": "0"}, "QRMI_JOB_ID"),
        ({"QRMI_JOB_ID": "7"}, "QRMI_JOB_UID"),
    ],
)
def test_acquiring_names_what_it_lacks_before_anything_is_sent(
    given: dict[str, str], missing: str
) -> None:
    with SocketServer([answer()]) as server:
        qpu = QuantumResource("p", "pasqal-local", {"QRMI_WARDEN_URL": server.url, **given})
        with pytest.raises(EnvVarNotSetError, match=f"acquire needs {missing},"):
            qpu.acquire()
        assert not server.requests
        qpu.close()


def test_a_task_without_a_session_is_refused_before_anything_is_sent() -> None:
    with SocketServer([answer()]) as server:
        qpu = QuantumResource("p", "pasqal-local", {"QRMI_WARDEN_URL": server.url})
        with pytest.raises(NotAcquiredError, match="p_QRMI_JOB_ACQUISITION_TOKEN"):
            qpu.task_start(Payload.PasqalCloud({}, 1))
        assert not server.requests
        qpu.close()


@pytest.mark.parametrize("ending", ["", "/", "//", " "])
def test_neither_job_nor_munge_is_needed_to_ask_whether_it_is_accessible(ending: str) -> None:
    with SocketServer([answer(200, {"is_accessible": True}), answer(404)]) as server:
        settings = {"QRMI_WARDEN_URL": server.url + ending, "QRMI_MUNGE_SOCKET": "/nowhere"}
        qpu = QuantumResource("p", "pasqal-local", settings)
        assert qpu.status().status is ResourceStatusCode.Online
        assert [request.target for request in server.requests] == ["/accessible", "/qpu-slots"]
        assert not any("x-munge-cred" in request.headers for request in server.requests)
        qpu.close()


@pytest.mark.parametrize("url", ["http://h:1/?key=secret", "http://h:1/#secret"])
def test_an_address_with_more_behind_it_is_refused_unseen(url: str) -> None:
    with pytest.raises(ConfigError, match="QRMI_WARDEN_URL") as caught:
        QuantumResource("p", "pasqal-local", {"QRMI_WARDEN_URL": url})
    assert "secret" not in str(caught.value)


def test_the_readme_has_the_table_of_settings() -> None:
    assert settings_table(PasqalLocalSettings) in README.read_text()
