"""The settings: their names, forms and order, and the table in the README."""

from __future__ import annotations

from pathlib import Path

import pytest

from qrmi_core import ConfigError, QrmiError, QuantumResource, ResourceProvider
from qrmi_pasqal.cloud.settings import (
    AUDIENCE,
    AUTH_ENDPOINT,
    BASE_URL,
    GRANT_TYPE,
    PUBLIC_CLIENT_ID,
    REALM,
    PasqalCloudSettings as Settings,
)
from support.settings_table import settings_table

PREFIX = "FRESNEL_QRMI_PASQAL_CLOUD_"


@pytest.fixture
def root(tmp_path: Path) -> str:
    """A folder with a file in it."""
    (tmp_path / "root/.pasqal").mkdir(parents=True)
    (tmp_path / "root/.pasqal/config").write_text(
        "username = file-user\npassword = file-password\nproject_id = file-project\n"
        "base_url = https://file.example\nauth_realm = file-realm\ntoken = file-token\n"
        "client_id = file-client\nclient_secret = file-secret\nauth_endpoint = file.example/t\n"
    )
    return str(tmp_path / "root")


def read(**environment: str) -> Settings:
    return Settings.from_environment("FRESNEL", environment)


def test_without_any_setting_there_are_the_defaults_and_no_error() -> None:
    found = read(**{f"{PREFIX}PROJECT_ID": " \t", f"{PREFIX}BASE_URL": ""})
    assert found.project_id is None
    assert (found.base_url, found.auth_endpoint) == (BASE_URL, AUTH_ENDPOINT)
    assert (found.auth_realm, found.auth_audience) == (REALM, AUDIENCE)
    assert (found.auth_public_client_id, found.auth_grant_type) == (PUBLIC_CLIENT_ID, GRANT_TYPE)


def test_the_published_names_are_read() -> None:
    found = read(
        **{
            f"{PREFIX}PROJECT_ID": " p ",
            f"{PREFIX}AUTH_TOKEN": "t",
            f"{PREFIX}CLIENT_ID": "c",
            f"{PREFIX}CLIENT_SECRET": "s",
            f"{PREFIX}AUTH_ENDPOINT": "h/oauth/token",
            f"{PREFIX}BASE_URL": "http://h:1//",
            "PASQAL_USERNAME": "u",
            "PASQAL_PASSWORD": " with blanks ",
        }
    )
    assert (found.project_id, found.token) == ("p", "t")
    assert (found.client_id, found.client_secret) == ("c", "s")
    assert (found.username, found.password) == ("u", " with blanks ")
    assert (found.auth_endpoint, found.base_url) == ("https://h/oauth/token", "http://h:1")


@pytest.mark.parametrize(
    ("text", "url"),
    [
        (" h/oauth/token ", "https://h/oauth/token"),
        ("http://127.0.0.1:9/oauth/token", "http://127.0.0.1:9/oauth/token"),
        ("  https://h/t/ ", "https://h/t/"),
        ("h", "https://h"),
        ("  ", AUTH_ENDPOINT),
    ],
)
def test_the_forms_of_the_authentication_endpoint(text: str, url: str) -> None:
    assert read(**{f"{PREFIX}AUTH_ENDPOINT": text}).auth_endpoint == url


def test_each_key_is_taken_from_the_environment_first(root: str) -> None:
    found = read(
        **{
            "PASQAL_CONFIG_ROOT": root,
            "PASQAL_USERNAME": "me",
            "PASQAL_PASSWORD": "  ",
            f"{PREFIX}BASE_URL": BASE_URL,  # the default, and set all the same
        }
    )
    assert (found.username, found.password) == ("me", "file-password")
    assert (found.base_url, found.auth_realm) == (BASE_URL, "file-realm")
    assert (found.project_id, found.token) == ("file-project", "file-token")
    assert (found.client_id, found.client_secret) == ("file-client", "file-secret")
    assert found.auth_endpoint == "https://file.example/t"


def test_a_secret_in_a_file_of_its_own_comes_before_the_users_file(
    root: str, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("from the file of its own\n")
    found = read(PASQAL_CONFIG_ROOT=root, PASQAL_PASSWORD_FILE=str(tmp_path / "password"))
    assert found.password == "from the file of its own"


def test_the_order_of_the_roots(root: str, tmp_path: Path) -> None:
    empty = str(tmp_path)
    assert read(HOME=root).username == "file-user"
    assert read(FRESNEL_PASQAL_CONFIG_ROOT=root).username == "file-user"
    assert read(PASQAL_CONFIG_ROOT=" ", FRESNEL_PASQAL_CONFIG_ROOT=root).username == "file-user"
    assert read(PASQAL_CONFIG_ROOT=empty, HOME=root).username == "file-user"
    assert read(PASQAL_CONFIG_ROOT=empty, FRESNEL_PASQAL_CONFIG_ROOT=root).username is None
    assert read(PASQAL_CONFIG_ROOT="$BASE/root", BASE=empty).username == "file-user"
    assert read(PASQAL_CONFIG_ROOT="~/root", HOME=empty).username == "file-user"
    assert read(HOME="${BASE}/root", BASE=empty).username == "file-user"
    with pytest.raises(ConfigError, match="malformed environment variable"):
        read(PASQAL_CONFIG_ROOT="${BASE")


def test_a_mapping_is_read_without_the_environment(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", root)
    monkeypatch.setenv("PASQAL_USERNAME", "environment")
    monkeypatch.setenv("PASQAL_CONFIG_ROOT", root)
    assert Settings.from_mapping({}).username is None
    found = Settings.from_mapping({"PASQAL_CONFIG_ROOT": root, "pasqal_username": "mapping"})
    assert (found.username, found.password) == ("mapping", "file-password")
    assert Settings.from_mapping({"HOME": root}).username == "file-user", "as an environment is one"
    found = Settings.from_mapping({"PASQAL_CONFIG_ROOT": "~"})
    assert found.username == "file-user", "the home folder is this process's"


def test_a_provider_with_the_environment_reads_the_users_file(root: str) -> None:
    provider = ResourceProvider("pasqal-cloud", {"HOME": root, "QRMI_HTTP_ATTEMPTS": "1"})
    with pytest.raises(QrmiError, match=r"file\.example"):
        provider.infos()


@pytest.mark.parametrize("url", ["https://h/?key=abc", "https://me:abc@h/", "ftp://abc", "://abc"])
@pytest.mark.parametrize("key", ["BASE_URL", "AUTH_ENDPOINT"])
def test_an_address_that_is_none_is_an_error_at_once(key: str, url: str) -> None:
    config = {
        f"QRMI_PASQAL_CLOUD_{key}": url,
        "PASQAL_USERNAME": "me",
        "PASQAL_PASSWORD": "a-password",
    }
    with pytest.raises(ConfigError) as caught:
        QuantumResource("FRESNEL", "pasqal-cloud", config)
    assert "abc@" not in str(caught.value)
    assert "=abc" not in str(caught.value)


def test_no_secret_is_shown(root: str) -> None:
    shown = repr(read(PASQAL_CONFIG_ROOT=root))
    for secret in ("file-password", "file-secret", "file-token"):
        assert secret not in shown


def test_the_table_in_the_readme_is_that_of_the_class() -> None:
    readme = Path(__file__).parents[4] / "plugins/qrmi-pasqal/README.md"
    assert settings_table(Settings) in readme.read_text(encoding="utf-8")
