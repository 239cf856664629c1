"""Configuration files, the job's environment, and finding a resource by its name."""

from __future__ import annotations

import json
import logging
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

import qrmi_core.config
from qrmi_core import (
    Config,
    ConfigError,
    EnvVarNotSetError,
    InvalidInputError,
    ResourceDef,
    UnsupportedResourceTypeError,
    get_job_qpu_resources_and_types,
    open_resource,
    resources_from_job,
)
from qrmi_core.config import config_files, inspect_config, job_resources
from support.sites import DRIVER, add_distribution

QPU = {"name": "qpu", "type": "fake", "environment": {}}


@pytest.fixture
def fake(site: Path, no_settings: Path) -> Path:
    """Provide the resource type `fake`, whose discovery finds fake_idle and fake_busy."""
    add_distribution(
        site, "fake", drivers={"fake": "qrmi_test_fake:Driver"}, modules={"qrmi_test_fake": DRIVER}
    )
    return no_settings


def write(path: Path, data: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    path.chmod(0o600)
    return path


def problems(tmp_path: Path, data: Any) -> tuple[str, ...]:
    return inspect_config(write(tmp_path / "config.json", data)).problems


# Files


def test_a_file_gives_its_entries(tmp_path: Path) -> None:
    dynamic = {"name": "any", "type": "odd", "environment": {"K": "v"}, "is_dynamic": True}
    config = Config.load(write(tmp_path / "c.json", {"resources": [QPU, dynamic]}))
    assert config.resource_map == {
        "qpu": ResourceDef("qpu", "fake"),
        "any": ResourceDef("any", "odd", True, {"K": "v"}),
    }


def test_an_entry_tells_the_scheduler_what_is_for_it_alone(tmp_path: Path) -> None:
    own = {**QPU, "scheduler_environment": {"K": "v"}, "cancel_pending": False}
    named = {**QPU, "name": "named", "user_credentials": True}
    report = inspect_config(write(tmp_path / "c.json", {"resources": [own, named]}))
    assert (report.problems, report.warnings) == ((), ())
    first, second = report.resources
    assert first.scheduler_environment == {"K": "v"}
    assert (first.user_credentials, first.cancel_pending) == (False, False)
    assert (second.user_credentials, second.cancel_pending) == (True, True)


def test_what_the_scheduler_would_not_use_is_a_warning(tmp_path: Path) -> None:
    both = {**QPU, "scheduler_environment": {"K": "v"}, "user_credentials": True}
    (warning,) = inspect_config(write(tmp_path / "c.json", {"resources": [both]})).warnings
    assert warning == (
        "qpu: scheduler_environment is not used, since user_credentials leaves the resource to "
        "each job's user"
    )


def test_a_user_does_not_get_the_settings_of_the_scheduler(fake: Path, tmp_path: Path) -> None:
    given = {"QRMI_JOB_ACQUISITION_TOKEN": "the scheduler's"}
    entry = {**QPU, "scheduler_environment": given}
    dynamic = {**entry, "name": "any", "is_dynamic": True}
    config = Config.load(write(tmp_path / "c.json", {"resources": [entry, dynamic]}))
    for name in ("qpu", "any", "any:fake_busy"):
        with config.resource(name) as qpu:
            assert qpu._acquisitions.current() not in (None, "the scheduler's")


def test_the_path_may_be_a_string(tmp_path: Path) -> None:
    path = write(tmp_path / "c.json", {"resources": []})
    assert Config.load(str(path)) == Config.load(path)


def test_changes_to_the_resource_map_do_not_stick(tmp_path: Path) -> None:
    config = Config.load(write(tmp_path / "c.json", {"resources": [QPU]}))
    config.resource_map["qpu"].environment["K"] = "v"
    config.resource_map.clear()
    assert config.resource_map == {"qpu": ResourceDef("qpu", "fake")}


def test_settings_are_not_printed(tmp_path: Path) -> None:
    entry = {**QPU, "environment": {"TOKEN": "s3cret"}}
    config = Config.load(write(tmp_path / "c.json", {"resources": [entry]}))
    assert "s3cret" not in repr(config)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", "is not JSON: Expecting value (line 1, column 1)"),
        ('{"resources": [],}', "(line 1, column 1"),
        ('{"resources": []} x', "Extra data (line 1, column 19)"),
        ("[" * 100_000, "is not JSON that can be read"),
        ("\ufeff{}", "is not JSON"),
        ([], "must be an object with the key resources, not a list"),
        ({}, "resources is missing"),
        ({"resources": {}}, "resources must be a list, not an object"),
        ({"resources": [["n", "t", {}]]}, "resources[0]: must be an object, not a list"),
        ({"resources": [{"type": "t", "environment": {}}]}, "resources[0]: name is missing"),
        ({"resources": [{"name": "n", "environment": {}}]}, "n: type is missing"),
        ({"resources": [{"name": "n", "type": "t"}]}, "n: environment is missing"),
        ({"resources": [{**QPU, "name": ""}]}, "resources[0]: name is empty"),
        ({"resources": [{**QPU, "name": None}]}, "name must be a string, not null"),
        ({"resources": [{**QPU, "type": 3}]}, "qpu: type must be a string, not a number"),
        (
            {"resources": [{**QPU, "is_dynamic": "true"}]},
            "qpu: is_dynamic must be true or false, not a string",
        ),
        (
            {"resources": [{**QPU, "environment": {"K": 1}}]},
            "qpu: environment: K must be a string, not a number",
        ),
        (
            {"resources": [{**QPU, "user_credentials": 1}]},
            "qpu: user_credentials must be true or false, not a number",
        ),
        (
            {"resources": [{**QPU, "cancel_pending": None}]},
            "qpu: cancel_pending must be true or false, not null",
        ),
        (
            {"resources": [{**QPU, "scheduler_environment": []}]},
            "qpu: scheduler_environment must be an object, not a list",
        ),
        (
            {"resources": [{**QPU, "scheduler_environment": {"K": None}}]},
            "qpu: scheduler_environment: K must be a string, not null",
        ),
        (
            '{"resources": [{"name": "q", "type": "t", "environment": {},'
            ' "scheduler_environment": {"K": "1", "K": "1"}}]}',
            "q: scheduler_environment: K is there twice",
        ),
        ({"resources": [QPU, QPU]}, "qpu: the name is there twice"),
        ('{"resources": [], "resources": []}', "the key resources is there twice"),
        (
            '{"resources": [{"name": "q", "type": "t", "type": "t", "environment": {}}]}',
            "q: the key type is there twice",
        ),
        (
            '{"resources": [{"name": "q", "type": "t", "environment": {"K": "1", "K": "1"}}]}',
            "q: environment: K is there twice",
        ),
    ],
)
def test_a_problem_names_entry_and_key(tmp_path: Path, data: Any, message: str) -> None:
    assert message in "; ".join(problems(tmp_path, data))


def test_every_problem_is_named_at_once_with_the_file(tmp_path: Path) -> None:
    path = write(
        tmp_path / "c.json",
        {"resources": [{"name": "a"}, {**QPU, "environment": {"K": 1, "L": None}}, QPU, QPU]},
    )
    with pytest.raises(ConfigError) as caught:
        Config.load(path)
    for words in (
        str(path),
        "a: type is missing",
        "a: environment is missing",
        "K must be a string, not a number",
        "L must be a string, not null",
        "the name is there twice",
    ):
        assert words in str(caught.value)


def test_unknown_keys_are_ignored_with_a_warning(tmp_path: Path) -> None:
    report = inspect_config(
        write(tmp_path / "c.json", {"resources": [{**QPU, "colour": "red"}], "$schema": "x"})
    )
    assert report.problems == ()
    assert report.warnings == (
        "the key $schema is unknown and ignored",
        "qpu: the key colour is unknown and ignored",
    )


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_file_with_a_secret_that_others_can_read_warns(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int
) -> None:
    entry = {**QPU, "environment": {"QRMI_X_IAM_APIKEY": "s3cret"}}
    path = write(tmp_path / "c.json", {"resources": [entry]})
    Config.load(path)
    assert not caplog.records
    path.chmod(mode)
    with caplog.at_level(logging.WARNING):
        Config.load(path)
    assert "others can read the file, which holds QRMI_X_IAM_APIKEY of qpu" in caplog.text
    assert "s3cret" not in caplog.text


def test_a_secret_of_the_scheduler_that_others_can_read_warns(tmp_path: Path) -> None:
    entry = {**QPU, "scheduler_environment": {"QRMI_X_IAM_APIKEY": "s3cret"}}
    path = write(tmp_path / "c.json", {"resources": [entry]})
    path.chmod(0o644)
    (warning,) = inspect_config(path).warnings
    assert "which holds QRMI_X_IAM_APIKEY of qpu" in warning
    assert "s3cret" not in warning


def test_a_public_file_without_secrets_is_fine(tmp_path: Path) -> None:
    entry = {**QPU, "environment": {"QRMI_X_ENDPOINT": "u", "QRMI_X_TOKEN_FILE": "/run/token"}}
    path = write(tmp_path / "c.json", {"resources": [entry]})
    path.chmod(path.stat().st_mode | stat.S_IROTH)
    assert inspect_config(path).warnings == ()


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing.json: cannot be read: No such file"):
        Config.load(tmp_path / "nothing.json")
    with pytest.raises(ConfigError, match="Is a directory"):
        Config.load(tmp_path)
    (tmp_path / "latin").write_bytes(b'{"a": "\xe9"}')
    with pytest.raises(ConfigError, match="not UTF-8"):
        Config.load(tmp_path / "latin")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
odd_entries = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["a", "b", ""]) | json_values,
        "type": st.just("t") | json_values,
        "environment": st.dictionaries(st.text(), st.text() | json_values) | json_values,
        "is_dynamic": st.booleans() | json_values,
        "scheduler_environment": st.dictionaries(st.text(), st.text()) | json_values,
        "user_credentials": st.booleans() | json_values,
        "cancel_pending": st.booleans() | json_values,
    },
)


@pytest.mark.slow
@given(json_values | st.fixed_dictionaries({"resources": st.lists(odd_entries | json_values)}))
def test_any_json_gives_entries_or_problems(tmp_path_factory: Any, data: Any) -> None:
    report = inspect_config(write(tmp_path_factory.getbasetemp() / "any.json", data))
    if not report.problems:
        assert len(report.resources) == len(data["resources"])
        names = [entry.name for entry in report.resources]
        assert len(set(names)) == len(names)


# The job's environment


def test_the_job_variables_are_split_as_they_are() -> None:
    environment = {"QRMI_JOB_QPU_RESOURCES": "a, b", "QRMI_JOB_QPU_TYPES": "t,u"}
    assert get_job_qpu_resources_and_types(environment) == (["a", " b"], ["t", "u"])
    assert job_resources(environment) == {"a": "t", "b": "u"}


def test_each_variable_falls_back_to_slurms_alone() -> None:
    environment = {"SLURM_JOB_QPU_RESOURCES": "a", "QRMI_JOB_QPU_TYPES": "t"}
    assert get_job_qpu_resources_and_types(environment) == (["a"], ["t"])


def test_the_delimiter_may_have_several_characters() -> None:
    environment = {
        "QRMI_JOB_QPU_RESOURCES": "a,1::b",
        "QRMI_JOB_QPU_TYPES": "t::u",
        "QRMI_LIST_DELIMITER": "::",
    }
    assert job_resources(environment) == {"a,1": "t", "b": "u"}


def test_an_empty_variable_does_not_fall_back(caplog: pytest.LogCaptureFixture) -> None:
    environment = {
        "QRMI_JOB_QPU_RESOURCES": "",
        "SLURM_JOB_QPU_RESOURCES": "a",
        "QRMI_JOB_QPU_TYPES": "",
    }
    with caplog.at_level(logging.WARNING):
        assert get_job_qpu_resources_and_types(environment) == ([], [])
    assert "no quantum resource" in caplog.text


@pytest.mark.parametrize(
    ("environment", "error", "message"),
    [
        ({}, EnvVarNotSetError, "QRMI_JOB_QPU_RESOURCES is not set"),
        ({"QRMI_JOB_QPU_RESOURCES": "a"}, EnvVarNotSetError, "QRMI_JOB_QPU_TYPES is not set"),
        (
            {"QRMI_JOB_QPU_RESOURCES": "a,b", "QRMI_JOB_QPU_TYPES": "t"},
            ConfigError,
            "do not match: 2 names",
        ),
        (
            {
                "QRMI_JOB_QPU_RESOURCES": "a",
                "QRMI_JOB_QPU_TYPES": "t",
                "QRMI_LIST_DELIMITER": "",
            },
            ConfigError,
            "DELIMITER is empty",
        ),
        (
            {"QRMI_JOB_QPU_RESOURCES": "a,", "QRMI_JOB_QPU_TYPES": "t,t"},
            ConfigError,
            "empty element",
        ),
        (
            {"QRMI_JOB_QPU_RESOURCES": "a,a", "QRMI_JOB_QPU_TYPES": "t,u"},
            ConfigError,
            "gives a two types",
        ),
    ],
)
def test_job_variables_that_make_no_sense_are_named(
    environment: dict[str, str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        job_resources(environment)


@given(
    st.dictionaries(
        st.text(min_size=1).map(str.strip).filter(lambda name: name and ";;" not in f";{name};"),
        st.sampled_from(["t", "u"]),
        min_size=1,
    )
)
def test_lists_that_were_joined_are_split_again(resources: dict[str, str]) -> None:
    environment = {
        "QRMI_JOB_QPU_RESOURCES": ";;".join(resources),
        "QRMI_JOB_QPU_TYPES": ";;".join(resources.values()),
        "QRMI_LIST_DELIMITER": ";;",
    }
    assert job_resources(environment) == resources


def test_the_resources_of_a_job_take_their_settings_from_its_environment(fake: Path) -> None:
    environment = {
        "QRMI_JOB_QPU_RESOURCES": "a,b",
        "QRMI_JOB_QPU_TYPES": "fake, fake",
        "b_QRMI_JOB_ACQUISITION_TOKEN": "given",
    }
    first, second = resources_from_job(environment)
    assert (first.resource_id(), second.resource_id()) == ("a", "b")
    assert second.acquire() == "given"
    assert first.acquire() != "given"


# Names


def test_a_type_and_an_id_take_the_environments_settings(
    fake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("qpu_QRMI_JOB_ACQUISITION_TOKEN", "given")
    resource = open_resource("fake:qpu")
    assert (resource.resource_id(), resource.resource_type()) == ("qpu", "fake")
    assert resource.acquire() == "given"


def test_a_name_of_the_job_wins_over_a_file(
    fake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = {**QPU, "environment": {"QRMI_JOB_ACQUISITION_TOKEN": "file"}}
    file = write(tmp_path / "c.json", {"resources": [entry]})
    assert open_resource("qpu", file).acquire() == "file"
    monkeypatch.setenv("QRMI_JOB_QPU_RESOURCES", "qpu")
    monkeypatch.setenv("QRMI_JOB_QPU_TYPES", "fake")
    monkeypatch.setenv("qpu_QRMI_JOB_ACQUISITION_TOKEN", "job")
    assert open_resource("qpu", file).acquire() == "job"


def test_an_entry_keeps_the_environment_out(
    fake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("qpu_QRMI_JOB_ACQUISITION_TOKEN", "environment")
    file = write(tmp_path / "c.json", {"resources": [QPU]})
    assert open_resource("qpu", file).acquire() != "environment"


def test_files_are_looked_at_in_order_and_never_in_the_working_directory(
    fake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "qrmi_config.json", {"resources": [QPU]})
    monkeypatch.chdir(tmp_path)
    site_file = write(tmp_path / "etc/qrmi_config.json", {"resources": [{**QPU, "name": "site"}]})
    monkeypatch.setattr(qrmi_core.config, "SITE_FILE", site_file)
    assert config_files() == [site_file]
    own = write(fake / ".config/qrmi/qrmi_config.json", {"resources": [{**QPU, "name": "own"}]})
    assert config_files() == [own, site_file]
    assert open_resource("site").resource_id() == "site"
    assert open_resource("own").resource_id() == "own"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    assert config_files() == [site_file]
    monkeypatch.setenv("QRMI_CONFIG", "/named/by/variable")
    assert config_files() == [Path("/named/by/variable")]
    assert config_files("/given") == [Path("/given")]


def test_a_site_file_for_the_scheduler_alone_does_not_disturb(
    fake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qrmi_core.config, "SITE_FILE", tmp_path / "private")
    monkeypatch.setattr(os, "access", lambda path, _mode: path != tmp_path / "private")
    assert tmp_path / "private" not in config_files()


def test_files_that_cannot_be_read_are_named(
    fake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    site_file = write(tmp_path / "etc/qrmi_config.json", {"resources": []})
    own = write(fake / ".config/qrmi/qrmi_config.json", {"resources": [QPU]})
    monkeypatch.setattr(qrmi_core.config, "SITE_FILE", site_file)
    # The superuser could read them all the same.
    monkeypatch.setattr(os, "access", lambda path, _mode: path not in (own, site_file))
    with pytest.raises(ConfigError) as caught:
        open_resource("qpu")
    assert f"{own} (cannot be read), {site_file} (cannot be read)" in str(caught.value)
    assert "no configuration file" not in str(caught.value)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert f"{own} is ignored" in caplog.text


def test_an_unknown_name_lists_the_known_ones_and_where_they_were_looked_for(
    fake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(tmp_path / "c.json", {"resources": [QPU]})
    monkeypatch.setenv("QRMI_JOB_QPU_RESOURCES", "of_job")
    monkeypatch.setenv("QRMI_JOB_QPU_TYPES", "fake")
    with pytest.raises(ConfigError) as caught:
        open_resource("nope", file)
    for words in ("no resource nope", "of_job, qpu", "QRMI_JOB_QPU_RESOURCES", str(file)):
        assert words in str(caught.value)


def test_an_unknown_type_is_told_as_such(fake: Path) -> None:
    with pytest.raises(UnsupportedResourceTypeError, match="'nope'"):
        open_resource("nope:x")


def test_an_entry_that_is_taken_for_a_type_is_told_as_such(fake: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "c.json", {"resources": [QPU]})
    with pytest.raises(ConfigError, match="qpu is an entry of .*c.json and not a resource type"):
        open_resource("qpu:x", file)


@pytest.mark.parametrize("name", ["", ":", ":x", "fake:"])
def test_half_a_name_is_refused(fake: Path, name: str) -> None:
    with pytest.raises(InvalidInputError, match="not a name of a resource"):
        open_resource(name)


def test_a_dynamic_entry_opens_the_least_busy_or_a_certain_one(fake: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "c.json", {"resources": [{**QPU, "name": "any", "is_dynamic": True}]})
    assert open_resource("any", file).resource_id() == "fake_idle"
    assert open_resource("any:fake_busy", file).resource_id() == "fake_busy"
    with pytest.raises(ConfigError, match="no entry other"):
        Config.load(file).resource("other")


def test_a_dynamic_entry_without_an_online_resource_says_so(fake: Path, tmp_path: Path) -> None:
    entry = {"name": "any", "type": "asleep", "environment": {}, "is_dynamic": True}
    source = f"{DRIVER}\nDriver.discover = classmethod(lambda *_: [])\n"
    add_distribution(
        tmp_path / "site",
        "asleep",
        drivers={"asleep": "qrmi_test_asleep:Driver"},
        modules={"qrmi_test_asleep": source},
    )
    config = Config.load(write(tmp_path / "c.json", {"resources": [entry]}))
    with pytest.raises(ConfigError, match="no resource of any is online"):
        config.resource("any")
