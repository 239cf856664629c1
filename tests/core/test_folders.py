"""The user's folders, with and without a home folder."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from qrmi_core import ConfigError
from qrmi_core.config import config_files
from qrmi_core.folders import config_folder, expand, home_folder, state_folder
from qrmi_core.http.settings import HttpSettings

UNUSABLE = ["", "relative/folder", "~", " "]


@pytest.fixture(params=[None, *UNUSABLE])
def no_home(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the user's passwd entry, and set HOME to a missing folder."""

    def unknown(_uid: int) -> None:
        raise KeyError

    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "QRMI_CONFIG", "USER"):
        monkeypatch.delenv(name, raising=False)
    if request.param is not None:
        monkeypatch.setenv("HOME", request.param)
    monkeypatch.setattr("pwd.getpwuid", unknown)


def test_the_variable_names_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert home_folder() == Path("/home/ada")
    assert home_folder({"HOME": "/home/eve"}) == Path("/home/eve")


@pytest.mark.parametrize("value", UNUSABLE)
def test_a_variable_that_names_no_folder_counts_as_not_set(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("HOME", value)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    own = Path(pwd.getpwuid(os.getuid()).pw_dir)
    assert home_folder() == own
    assert state_folder() == own / ".local/state"
    assert expand("~/store") == own / "store"


@pytest.mark.usefixtures("no_home")
def test_a_user_without_a_home_folder_is_told_what_to_set() -> None:
    for ask in (home_folder, config_folder, state_folder, lambda: expand("~/x")):
        with pytest.raises(ConfigError, match=f"user id {os.getuid()} has no home .*: set HOME"):
            ask()


@pytest.mark.usefixtures("no_home")
def test_what_needs_no_home_folder_works_without_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for variable in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    assert config_folder() == state_folder() == tmp_path
    assert expand("/absolute/~") == Path("/absolute/~")
    assert expand("relative") == Path("relative")


@pytest.mark.usefixtures("no_home")
def test_a_user_without_a_home_folder_has_no_configuration_file_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    site_file = tmp_path / "site.json"
    site_file.write_text("{}")
    monkeypatch.setattr("qrmi_core.config.SITE_FILE", site_file)
    assert config_files() == [site_file]
    assert config_files("given.json") == [Path("given.json")]
    with pytest.raises(ConfigError, match="set HOME"):
        config_files("~/given.json")


@pytest.mark.usefixtures("no_home")
def test_a_file_of_a_setting_in_no_home_folder_is_named_by_its_key() -> None:
    with pytest.raises(ConfigError, match="QRMI_HTTP_PROXY_FILE: user id .* set HOME"):
        HttpSettings.from_mapping({"QRMI_HTTP_PROXY_FILE": "~/proxy"})


@pytest.mark.parametrize("value", ["", "relative", "~/x"])
def test_an_xdg_folder_that_is_not_absolute_is_ignored(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setenv("XDG_CONFIG_HOME", value)
    monkeypatch.setenv("XDG_STATE_HOME", value)
    assert config_folder() == Path("/home/ada/.config")
    assert state_folder() == Path("/home/ada/.local/state")


def test_the_home_folder_of_an_unknown_user_is_an_error() -> None:
    with pytest.raises(ConfigError, match="~nobody-has-this-name/x: no such user's home folder"):
        expand("~nobody-has-this-name/x")


@given(st.text().filter(lambda text: "\0" not in text))
def test_a_path_expands_as_the_shell_does_it_or_is_an_error(text: str) -> None:
    try:
        found = expand(text)
    except ConfigError:
        assert text.startswith("~")
    else:
        assert found == Path(text).expanduser()
