"""Settings from a mapping or the environment: all errors named at once, no secret revealed."""

from __future__ import annotations

import pickle
from pathlib import Path

import attrs
import pytest
from hypothesis import given, strategies as st

from qrmi_core import ConfigError, EnvVarNotSetError, Settings, setting
from qrmi_core.http.settings import HttpSettings
from qrmi_core.settings import one_of, to_bool, to_count, to_seconds, to_url


@attrs.frozen(kw_only=True)
class Example(Settings):
    endpoint: str = setting("QRMI_ACME_NEW_ENDPOINT", "QRMI_ACME_OLD_ENDPOINT", help="Where.")
    token: str = setting("QRMI_ACME_NEW_TOKEN", help="Key.", secret=True)
    slots: int = setting("QRMI_ACME_SLOTS", help="Places.", default=1, converter=to_count)
    user: str | None = setting("ACME_USER", help="Who.", default=None, prefixed=False)


GOOD = {"QRMI_ACME_NEW_ENDPOINT": "https://x", "QRMI_ACME_NEW_TOKEN": "s3cret"}


def test_a_mapping_has_unprefixed_keys() -> None:
    settings = Example.from_mapping({**GOOD, "QRMI_ACME_SLOTS": "3"})
    assert (settings.endpoint, settings.slots, settings.user) == ("https://x", 3, None)


def test_a_mapping_may_be_in_lower_case() -> None:
    assert Example.from_mapping({key.lower(): value for key, value in GOOD.items()})


def test_a_mapping_keeps_the_environment_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_USER", "somebody")
    assert Example.from_mapping(GOOD).user is None


def test_an_old_name_is_taken_and_the_new_one_wins() -> None:
    old = {"QRMI_ACME_OLD_ENDPOINT": "old", "QRMI_ACME_NEW_TOKEN": "t"}
    assert Example.from_mapping(old).endpoint == "old"
    assert Example.from_mapping({**old, "QRMI_ACME_NEW_ENDPOINT": "new"}).endpoint == "new"


def test_the_environment_has_the_id_as_prefix_but_for_unprefixed_settings() -> None:
    environment = {f"qpu_{key}": value for key, value in GOOD.items()} | {"ACME_USER": "me"}
    settings = Example.from_environment("qpu", environment)
    assert (settings.endpoint, settings.user) == ("https://x", "me")


def test_odd_characters_of_an_id_may_be_written_as_underscores_and_the_literal_form_wins() -> None:
    environment = {f"a_b_{key}": value for key, value in GOOD.items()}
    assert Example.from_environment("a:b", environment).endpoint == "https://x"
    environment["a:b_QRMI_ACME_NEW_ENDPOINT"] = "literal"
    assert Example.from_environment("a:b", environment).endpoint == "literal"


def test_a_class_may_have_prefixes_of_its_own() -> None:
    class Regional(Example):
        @classmethod
        def prefixes(cls, resource_id: str) -> tuple[str, ...]:
            return super().prefixes(resource_id.partition(":")[0])

    environment = {f"site_{key}": value for key, value in GOOD.items()}
    assert Regional.from_environment("site:qpu-1", environment).endpoint == "https://x"
    with pytest.raises(EnvVarNotSetError, match="site_QRMI_ACME_NEW_ENDPOINT"):
        Regional.from_environment("site:qpu-1", {})


def test_an_error_of_a_converter_may_be_a_sentence_that_does_not_show_the_value() -> None:
    @attrs.frozen(kw_only=True)
    class Located(Settings):
        endpoint: str = setting("QRMI_ACME_URL", help="Where.", converter=to_url)

    assert Located.from_mapping({"QRMI_ACME_URL": "https://h/v1/ "}).endpoint == "https://h/v1"
    for wrong in ("https://h?key=s3cret", "https://me:s3cret@h", "ftp://h"):
        with pytest.raises(ConfigError, match="settings: QRMI_ACME_URL: ") as caught:
            Located.from_mapping({"QRMI_ACME_URL": wrong})
        assert "s3cret" not in str(caught.value)


def test_every_missing_variable_is_named() -> None:
    with pytest.raises(EnvVarNotSetError) as caught:
        Example.from_environment("qpu", {})
    assert "qpu_QRMI_ACME_NEW_ENDPOINT or qpu_QRMI_ACME_OLD_ENDPOINT" in str(caught.value)
    assert "qpu_QRMI_ACME_NEW_TOKEN" in str(caught.value)
    assert caught.value.resource_id == "qpu"


def test_missing_and_malformed_keys_are_named_together() -> None:
    with pytest.raises(ConfigError) as caught:
        Example.from_mapping({"QRMI_ACME_NEW_TOKEN": "t", "QRMI_ACME_SLOTS": "many"})
    assert "QRMI_ACME_NEW_ENDPOINT" in str(caught.value)
    assert "QRMI_ACME_SLOTS: 'many' is not a whole number" in str(caught.value)
    assert not isinstance(caught.value, EnvVarNotSetError)


def test_the_keys_of_another_generation_are_hinted_at() -> None:
    with pytest.raises(ConfigError, match="another type or generation: QRMI_OTHER_OLD_ENDPOINT"):
        Example.from_mapping({"QRMI_OTHER_OLD_ENDPOINT": "x", "QRMI_ACME_NEW_TOKEN": "t"})


def test_a_value_may_be_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("from file\n")
    given_ = {"QRMI_ACME_NEW_ENDPOINT": "x", "QRMI_ACME_NEW_TOKEN_FILE": str(file)}
    assert Example.from_mapping(given_).token == "from file"
    prefixed = {f"q_{key}": value for key, value in given_.items()}
    assert Example.from_environment("q", prefixed).token == "from file"


def test_value_and_file_together_are_an_error_and_so_is_a_file_that_is_not_there() -> None:
    for more, words in (
        ({"QRMI_ACME_NEW_TOKEN_FILE": "/x"}, "both QRMI_ACME_NEW_TOKEN and"),
        ({"ACME_USER_FILE": "/nowhere/file"}, "cannot read /nowhere/file"),
    ):
        with pytest.raises(ConfigError, match=words):
            Example.from_mapping({**GOOD, **more})


def test_an_empty_value_counts_as_unset() -> None:
    with pytest.raises(ConfigError, match="missing QRMI_ACME_NEW_TOKEN"):
        Example.from_mapping({**GOOD, "QRMI_ACME_NEW_TOKEN": ""})


def test_values_that_are_no_strings_are_named() -> None:
    with pytest.raises(ConfigError, match="must be strings: QRMI_ACME_SLOTS"):
        Example.from_mapping({**GOOD, "QRMI_ACME_SLOTS": 3})  # type: ignore[dict-item]


def test_no_secret_is_shown() -> None:
    @attrs.frozen(kw_only=True)
    class Strict(Example):
        pin: int = setting("PIN", help="Pin.", converter=to_count, secret=True)

    with pytest.raises(ConfigError) as caught:
        Strict.from_mapping({**GOOD, "PIN": "s3cret"})
    assert "PIN: the value is not a whole number" in str(caught.value)
    assert "s3cret" not in str(caught.value) + repr(Example.from_mapping(GOOD))


def test_slurms_word_for_no_limit_is_none() -> None:
    given_ = {**GOOD, "QRMI_JOB_TIMEOUT_SECONDS": "4294967295"}
    assert Example.from_mapping(given_).job_timeout_seconds is None
    given_["QRMI_JOB_TIMEOUT_SECONDS"] = "60"
    assert Example.from_mapping(given_).job_timeout_seconds == 60


def test_settings_pickle() -> None:
    settings = Example.from_mapping(GOOD)
    assert pickle.loads(pickle.dumps(settings)) == settings


@given(st.text())
def test_converters_give_a_value_or_a_value_error(text: str) -> None:
    for converter in (to_seconds, to_count, to_bool, one_of("a", "b")):
        try:
            converter(text)
        except ValueError as error:
            assert str(error)


@given(st.dictionaries(st.sampled_from([*GOOD, "QRMI_ACME_SLOTS", "ACME_USER"]), st.text()))
def test_any_mapping_gives_settings_or_one_config_error(mapping: dict[str, str]) -> None:
    try:
        settings = Example.from_mapping(mapping)
    except ConfigError:
        return
    assert settings.endpoint == mapping["QRMI_ACME_NEW_ENDPOINT"]


def test_the_documentation_has_the_settings_of_all_resources() -> None:
    page = (Path(__file__).parents[2] / "docs/configuration.md").read_text(encoding="utf-8")
    for declaration in {**Settings.declarations(), **HttpSettings.declarations()}.values():
        assert f"| `{declaration.names[0]}` | {declaration.help} |\n" in page


def test_an_older_name_that_is_set_too_is_told_without_its_value(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @attrs.frozen(kw_only=True)
    class Two(Settings):
        key: str = setting("QRMI_X_NEW_KEY", "QRMI_X_OLD_KEY", help="", secret=True)

    caplog.set_level("INFO")
    both = {"QRMI_X_OLD_KEY": "the old one", "QRMI_X_NEW_KEY": "the new one"}
    assert Two.from_mapping(both).key == "the new one"
    assert "QRMI_X_NEW_KEY is used, and not QRMI_X_OLD_KEY" in caplog.text
    assert " one" not in caplog.text.replace("one of", "")
    caplog.clear()
    Two.from_mapping({"QRMI_X_OLD_KEY": "the old one", "QRMI_X_NEW_KEY": ""})
    assert not caplog.records


@pytest.mark.parametrize(
    "proxy",
    ["proxy:3128", "http://proxy", "https://me:p@ss:w/ord@h-1.org:80/", "socks5h://[::1]:9", "h_1"],
)
def test_a_proxy_may_be_written_in_many_ways(proxy: str) -> None:
    assert HttpSettings.from_mapping({"QRMI_HTTP_PROXY": f" {proxy} "}).proxy == proxy


@pytest.mark.parametrize(
    "proxy",
    ["htp://x", "http://", "h:port", "http://me:s3cret@", "http://my host:1", "http://[::1"],
)
def test_a_malformed_proxy_is_refused_without_its_password(proxy: str) -> None:
    with pytest.raises(ConfigError, match="QRMI_HTTP_PROXY: the value is not the URL") as caught:
        HttpSettings.from_mapping({"QRMI_HTTP_PROXY": proxy})
    assert "s3cret" not in str(caught.value)
