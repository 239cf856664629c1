"""Settings of both generations, and the URL of the API."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given, strategies as st

from qrmi_core import ConfigError, EnvVarNotSetError, QuantumResource
from qrmi_core.registry import find_driver
from qrmi_ibm_runtime.settings import RuntimeSettings, to_api_url
from support.settings_table import settings_table

README = Path(__file__).parents[3] / "plugins/qrmi-ibm-runtime/README.md"
NEEDED = ("ENDPOINT", "IAM_ENDPOINT", "IAM_APIKEY", "SERVICE_CRN")
GOOD = {
    "QRMI_IBM_QCS_ENDPOINT": "https://quantum.example/api/v1",
    "QRMI_IBM_QCS_IAM_ENDPOINT": "https://iam.example",
    "QRMI_IBM_QCS_IAM_APIKEY": "secret-key",
    "QRMI_IBM_QCS_SERVICE_CRN": "crn:v1:x",
}
TYPES = ("qiskit-runtime-service", "ibm-quantum-compute-service")


def settings(**more: str) -> RuntimeSettings:
    return RuntimeSettings.from_mapping(GOOD | {f"QRMI_IBM_QCS_{k}": v for k, v in more.items()})


@pytest.mark.parametrize("resource_type", TYPES)
@pytest.mark.parametrize("prefix", ["QRS", "QCS"])
def test_either_type_takes_keys_of_either_generation(resource_type: str, prefix: str) -> None:
    keys = {key.replace("QCS", prefix): value for key, value in GOOD.items()}
    environment = {f"ibm_fez_{key}": value for key, value in keys.items()}
    settings_class = find_driver(resource_type).settings_class
    for read in (
        settings_class.from_mapping(keys, "ibm_fez"),
        settings_class.from_environment("ibm_fez", environment),
    ):
        assert read == settings()


def test_the_newest_name_wins_key_by_key() -> None:
    mapping = GOOD | {"QRMI_IBM_QRS_IAM_APIKEY": "old", "QRMI_IBM_QRS_SESSION_MODE": "batch"}
    read = RuntimeSettings.from_mapping(mapping)
    assert (read.api_key, read.session_mode) == ("secret-key", "batch")


def test_all_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(EnvVarNotSetError) as caught:
        QuantumResource("ibm_fez", TYPES[1], environment={})
    for name in NEEDED:
        assert f"ibm_fez_QRMI_IBM_QCS_{name}" in str(caught.value)
        assert f"ibm_fez_QRMI_IBM_QRS_{name}" in str(caught.value)


def test_defaults() -> None:
    read = settings()
    assert (read.session_mode, read.session_max_ttl_seconds) == ("dedicated", 28800)
    assert (read.session_id, read.timeout_seconds, read.tags) == (None, None, ())


def test_an_empty_session_id_is_none() -> None:
    assert settings(SESSION_ID="").session_id is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("SESSION_MODE", "exclusive"),
        ("SESSION_MAX_TTL", "8h"),
        ("SESSION_MAX_TTL", "0"),
        ("TIMEOUT_SECONDS", "1.5"),
        ("LOG_LEVEL", "loud"),
        ("SESSION_MODE", "dedicatd"),
        ("SESSION_ID", "  "),
        ("SESSION_ID", "a b"),
        ("SERVICE_CRN", "crn:v1:x\nHost: y"),
        ("SERVICE_CRN", "crn:v1:\u0142"),
        ("IAM_APIKEY", "a secret"),
        ("PRIVATE", "perhaps"),
        ("TAGS", "a,b,c,d,e,f,g"),
        ("TAGS", "x" * 87),
        ("API_VERSION", "latest"),
    ],
)
def test_what_is_malformed_is_found_before_any_request(name: str, text: str) -> None:
    with pytest.raises(ConfigError, match=f"QRMI_IBM_QCS_{name}"):
        settings(**{name: text})


def test_blanks_around_an_id_or_a_key_are_dropped() -> None:
    read = settings(IAM_APIKEY=" secret-key\n", SERVICE_CRN=" crn:v1:x ", SESSION_ID="s-1\r\n")
    assert (read.api_key, read.service_crn, read.session_id) == ("secret-key", "crn:v1:x", "s-1")


def test_a_key_that_is_malformed_is_not_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        settings(IAM_APIKEY="my secret")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("mode", ["dedicated", "batch", "job", "auto", "Dedicated", " BATCH "])
def test_modes_in_any_case(mode: str) -> None:
    assert settings(SESSION_MODE=mode).session_mode == mode.strip().lower()


def test_the_key_is_not_shown() -> None:
    assert "secret-key" not in repr(settings())


@pytest.mark.parametrize("address", ["quantum.example/api/v1", "https://me:pw1@quantum.example"])
def test_an_endpoint_that_cannot_be_used_is_found_at_once(address: str) -> None:
    with pytest.raises(ConfigError) as caught:
        QuantumResource("ibm_fez", TYPES[0], GOOD | {"QRMI_IBM_QCS_ENDPOINT": address})
    assert "pw1" not in str(caught.value)


@pytest.mark.parametrize("name", ["ENDPOINT", "IAM_ENDPOINT"])
@pytest.mark.parametrize("end", ["?key=pw1", "/?key=pw1", "?", "/api/v1?key=pw1", "#pw1"])
def test_an_address_with_a_query_string_is_refused(name: str, end: str) -> None:
    with pytest.raises(ConfigError, match=f"QRMI_IBM_QCS_{name}.*query string") as caught:
        settings(**{name: f"https://quantum.example{end}"})
    assert "pw1" not in str(caught.value)


@pytest.mark.parametrize(
    ("given_", "used"),
    [
        ("https://h", "https://h/api/v1"),
        ("https://h/", "https://h/api/v1"),
        ("https://h:8443/api", "https://h:8443/api/v1"),
        ("https://h/api/", "https://h/api/v1"),
        ("https://h/api/v1", "https://h/api/v1"),
        ("https://h/api/v1/", "https://h/api/v1"),
        ("https://h/api/v1//", "https://h/api/v1"),
        ("https://h/experimental/api/v1", "https://h/experimental/api/v1"),
        ("https://h/api/v2", "https://h/api/v2"),
        (" http://127.0.0.1:8000 ", "http://127.0.0.1:8000/api/v1"),
    ],
)
def test_the_address_of_the_api(given_: str, used: str) -> None:
    assert to_api_url(given_) == used


_HOSTS = st.from_regex(r"[a-z][a-z0-9.-]{0,20}(:[0-9]{1,4})?", fullmatch=True)
_PATHS = st.lists(st.from_regex(r"[A-Za-z0-9_.~-]{1,6}", fullmatch=True), max_size=4).map("/".join)


@given(_HOSTS, _PATHS, st.integers(0, 3))
def test_completing_an_address_keeps_what_was_said_and_is_done_once(
    host: str, path: str, slashes: int
) -> None:
    stem = f"https://{host}/{path}".rstrip("/")
    used = to_api_url(stem + "/" * slashes)
    assert used.startswith(stem)
    assert not used.endswith("/")
    assert to_api_url(used) == used
    assert urlsplit(used).path == {"": "/api/v1", "api": "/api/v1"}.get(path, f"/{path}")


def test_the_readme_has_the_table_of_settings() -> None:
    assert settings_table(RuntimeSettings) in README.read_text(encoding="utf-8")
