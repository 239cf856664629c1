"""Settings of both generations, settings of the store, and the lifetime of URLs."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from qrmi_core import ConfigError, EnvVarNotSetError, QuantumResource
from qrmi_ibm_da.settings import SystemSettings
from support.settings_table import settings_table

README = Path(__file__).parents[3] / "plugins/qrmi-ibm-da/README.md"
NEEDED = ("ENDPOINT", "IAM_ENDPOINT", "IAM_APIKEY", "SERVICE_CRN")
STORE = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "S3_ENDPOINT", "S3_BUCKET", "S3_REGION")
GOOD = {
    "QRMI_IBM_QS_ENDPOINT": "https://system.example",
    "QRMI_IBM_QS_IAM_ENDPOINT": "https://iam.example",
    "QRMI_IBM_QS_IAM_APIKEY": "secret-key",
    "QRMI_IBM_QS_SERVICE_CRN": "crn:v1:x",
    "QRMI_IBM_QS_AWS_ACCESS_KEY_ID": "access-key",
    "QRMI_IBM_QS_AWS_SECRET_ACCESS_KEY": "secret-access-key",
    "QRMI_IBM_QS_S3_ENDPOINT": "https://s3.example",
    "QRMI_IBM_QS_S3_BUCKET": "tasks",
    "QRMI_IBM_QS_S3_REGION": "us-east",
}
TYPES = ("direct-access", "ibm-quantum-system")


def settings(**more: str) -> SystemSettings:
    keys = {k if k.startswith("QRMI_") else f"QRMI_IBM_QS_{k}": v for k, v in more.items()}
    return SystemSettings.from_mapping(GOOD | keys)


@pytest.mark.parametrize("resource_type", TYPES)
@pytest.mark.parametrize("prefix", ["DA", "QS"])
def test_either_type_takes_keys_of_either_generation(resource_type: str, prefix: str) -> None:
    keys = {key.replace("_QS_", f"_{prefix}_"): value for key, value in GOOD.items()}
    environment = {f"ibm_rensselaer_{key}": value for key, value in keys.items()}
    for qpu in (
        QuantumResource("ibm_rensselaer", resource_type, keys),
        QuantumResource("ibm_rensselaer", resource_type, environment=environment),
    ):
        assert qpu.resource_type() == resource_type


@pytest.mark.parametrize(
    "key", ["QRMI_IBM_QS_S3_ENDPOINT_FOR_QSAPI", "QRMI_IBM_DA_S3_ENDPOINT_FOR_DAAPI"]
)
def test_the_renamed_key_of_the_second_endpoint(key: str) -> None:
    assert settings(**{key: "http://inner:9000/"}).s3_service_endpoint == "http://inner:9000"


def test_the_newest_name_wins_key_by_key_and_a_record_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    read = settings(QRMI_IBM_DA_IAM_APIKEY="old-key", QRMI_IBM_DA_LOG_LEVEL="info")
    assert (read.api_key, read.log_level) == ("secret-key", "info")
    assert "QRMI_IBM_QS_IAM_APIKEY is used, and not QRMI_IBM_DA_IAM_APIKEY" in caplog.text
    assert "old-key" not in caplog.text
    assert "LOG_LEVEL" not in caplog.text


def test_all_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(EnvVarNotSetError) as caught:
        QuantumResource("ibm_rensselaer", TYPES[1], environment={})
    for name in NEEDED:
        assert f"ibm_rensselaer_QRMI_IBM_QS_{name}" in str(caught.value)
        assert f"ibm_rensselaer_QRMI_IBM_DA_{name}" in str(caught.value)


@pytest.mark.parametrize("left_out", STORE)
def test_a_store_that_is_set_in_part_is_an_error_that_names_the_rest(left_out: str) -> None:
    keys = {key: value for key, value in GOOD.items() if key != f"QRMI_IBM_QS_{left_out}"}
    with pytest.raises(ConfigError, match=f"missing QRMI_IBM_QS_{left_out}$"):
        SystemSettings.from_mapping(keys)


def test_the_store_may_be_left_out_altogether() -> None:
    keys = {f"QRMI_IBM_QS_{name}": GOOD[f"QRMI_IBM_QS_{name}"] for name in NEEDED}
    assert len(SystemSettings.from_mapping(keys).missing_for_store()) == 5


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("SERVICE_CRN", "crn:v1:x\nX-Other: 1"),
        ("SERVICE_CRN", "crn:v1: x"),
        ("DEFAULT_TIMEOUT_SECONDS", "0"),
        ("DEFAULT_TIMEOUT_SECONDS", "1d"),
        ("S3_URL_LIFETIME_SECONDS", "604801"),
        ("S3_URL_LIFETIME_SECONDS", "0"),
        ("S3_PART_BYTES", "5242879"),
        ("S3_DELETE_OBJECTS", "perhaps"),
        ("DELETE_FINISHED", "perhaps"),
        ("LOG_LEVEL", "loud"),
        ("API_VERSION", "latest"),
    ],
)
def test_what_is_malformed_is_found_before_any_request(name: str, text: str) -> None:
    with pytest.raises(ConfigError, match=f"QRMI_IBM_QS_{name}"):
        settings(**{name: text})


@pytest.mark.parametrize("text", ["0", "-1", "abc", "1.5"])
def test_a_limit_of_the_job_that_is_none_is_found_at_once(text: str) -> None:
    with pytest.raises(ConfigError, match="QRMI_JOB_TIMEOUT_SECONDS"):
        settings(QRMI_JOB_TIMEOUT_SECONDS=text)


@pytest.mark.parametrize(
    "name", ["ENDPOINT", "IAM_ENDPOINT", "S3_ENDPOINT", "S3_ENDPOINT_FOR_QSAPI"]
)
def test_an_address_that_cannot_be_used_is_found_at_once(name: str) -> None:
    with pytest.raises(ConfigError, match=f"QRMI_IBM_QS_{name}.*query string") as caught:
        settings(**{name: "https://h.example?key=pw1"})
    assert "pw1" not in str(caught.value)
    for address in ("h.example:9000", "https://me:pw1@h.example", "ftp://h.example"):
        with pytest.raises(ConfigError) as caught:
            QuantumResource("b", TYPES[1], GOOD | {f"QRMI_IBM_QS_{name}": address})
        assert "pw1" not in str(caught.value)


@pytest.mark.parametrize(
    ("more", "limit", "urls"),
    [
        ({}, 86400, 172800),
        ({"QRMI_JOB_TIMEOUT_SECONDS": "900"}, 900, 87300),
        ({"QRMI_JOB_TIMEOUT_SECONDS": "4294967295"}, 86400, 172800),
        ({"DEFAULT_TIMEOUT_SECONDS": "60"}, 60, 86460),
        ({"DEFAULT_TIMEOUT_SECONDS": "60", "QRMI_JOB_TIMEOUT_SECONDS": "900"}, 900, 87300),
        ({"QRMI_JOB_TIMEOUT_SECONDS": "600000"}, 600000, 604800),
        ({"QRMI_JOB_TIMEOUT_SECONDS": "9999999"}, 9999999, 604800),
        ({"S3_URL_LIFETIME_SECONDS": "100000"}, 86400, 100000),
        (
            {"QRMI_JOB_TIMEOUT_SECONDS": "9999999", "S3_URL_LIFETIME_SECONDS": "604800"},
            9999999,
            604800,
        ),
    ],
)
def test_how_long_a_task_may_take_and_its_urls_are_valid(
    more: dict[str, str], limit: int, urls: int
) -> None:
    read = settings(**more)
    assert (read.task_seconds(), read.url_seconds(limit)) == (limit, urls)


def test_urls_that_end_before_the_task_are_refused() -> None:
    with pytest.raises(ConfigError, match="S3_URL_LIFETIME_SECONDS: 3600 is less than the 86400"):
        settings(S3_URL_LIFETIME_SECONDS="3600").url_seconds(86400)


def test_secrets_are_not_shown() -> None:
    shown = repr(settings())
    assert not any(word in shown for word in ("secret-key", "access-key", "secret-access-key"))


def test_the_readme_has_the_table_of_settings() -> None:
    assert settings_table(SystemSettings) in README.read_text(encoding="utf-8")
