"""Plugins: listed without imports, loaded one at a time, and named if broken."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from qrmi_core import PluginError, UnsupportedResourceTypeError, registry
from qrmi_core.registry import COMMANDS, DISTRIBUTIONS, check, defects, find_driver, installed, load
from support.processes import said
from support.sites import DRIVER, add_distribution


def add_driver(site: Path, name: str, source: str, attribute: str = "Driver") -> None:
    module = f"qrmi_test_{name}"
    add_distribution(
        site,
        f"qrmi-test-{name}",
        drivers={name: f"{module}:{attribute}"},
        modules={module: source},
    )


def test_a_driver_is_found_by_its_type(site: Path) -> None:
    add_driver(site, "good", DRIVER)
    driver = find_driver("good")
    assert driver is sys.modules["qrmi_test_good"].Driver  # type: ignore[attr-defined]


def test_several_types_may_point_at_one_class(site: Path) -> None:
    target = "qrmi_test_two:Driver"
    add_distribution(
        site, "two", drivers={"one": target, "other": target}, modules={"qrmi_test_two": DRIVER}
    )
    assert find_driver("one") is find_driver("other")


def test_listing_imports_nothing(site: Path) -> None:
    add_driver(site, "exits", "import sys; sys.exit(3)")
    (info,) = (info for info in installed() if info.name == "exits")
    assert (info.distribution, info.version) == ("qrmi-test-exits", "1.0")
    assert info.target == "qrmi_test_exits:Driver"
    assert "qrmi_test_exits" not in sys.modules


def test_only_the_driver_asked_for_is_imported(site: Path) -> None:
    add_driver(site, "good", DRIVER)
    add_driver(site, "other", DRIVER)
    find_driver("good")
    assert "qrmi_test_other" not in sys.modules


BROKEN = {
    "import_error": ("from os import nothing_of_this_name", "ImportError"),
    "missing_dependency": ("import a_module_nobody_has", "pip install qrmi-test-broken"),
    "exits": ("import sys; sys.exit(3)", "it exits on import (status 3)"),
    "fails_an_assertion": ("assert 1 == 2, 'no'", "AssertionError: no"),
    "raises": ("raise ValueError('odd')", "ValueError: odd"),
    "raises_no_exception": ("class E(BaseException): pass\nraise E('odd')", "raises E: odd"),
    "raises_lines": ("raise ValueError('one\\n  two')", "ValueError: one two"),
    "exits_with_lines": ("import sys; sys.exit('one\\ntwo')", "(status one two)"),
    "syntax_error": ("def (", "SyntaxError"),
    "no_attribute": ("Other = 1", "AttributeError"),
    "an_instance": ("Driver = 3", "not a class or a function but int"),
    "another_class": (
        "class Driver: pass",
        "not a Driver class but <class 'qrmi_",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_driver_is_named_with_its_cause_and_harms_no_other(site: Path, case: str) -> None:
    source, cause = BROKEN[case]
    add_driver(site, "broken", source)
    add_driver(site, "good", DRIVER)
    with pytest.raises(PluginError) as caught:
        find_driver("broken")
    for word in ("broken", "qrmi-test-broken 1.0", "qrmi_test_broken:Driver", cause):
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)
    assert find_driver("good")
    results = {info.name: check(info) for info in installed() if info.name in ("good", "broken")}
    assert results["good"] is None
    assert cause in str(results["broken"])


DEFECTS = {
    "no version": ("contract_version = None", "version None of it (contract_version), and this"),
    "another version": ("contract_version = 99", "version 99 of it (contract_version), and this"),
    "a text": ("contract_version = '1'", "version 1 of it (contract_version), and this"),
    "abstract": ("", "it does not implement acquire, discover, release, status, "),
    "settings": ("settings_class = dict", "settings_class is not a subclass of Settings"),
    "payloads": ("payloads = QiskitPrimitive", "payloads is not a tuple of Payload classes"),
    "a payload": ("payloads = (str,)", "payloads is not a tuple of Payload classes"),
    "options": ("task_options = frozenset({'shots'})", "task_options is not a frozenset of max_"),
    "a set": ("task_options = {'name'}", "task_options is not a frozenset"),
    "no pause": ("min_pause_seconds = 0", "min_pause_seconds is not a number of at least 0.001"),
    "a pause": ("min_pause_seconds = '1'", "min_pause_seconds is not a number of at least 0.001"),
    "old task_start": (
        "def task_start(self, payload, *, submission, acquisition): pass",
        "task_start cannot be called as the contract says: got an unexpected keyword argument",
    ),
    "one more": (
        "def task_status(self, task_id, more): pass",
        "task_status cannot be called as the contract says: missing a required argument: 'more'",
    ),
    "old acquire": (
        "def acquire(self, *, timeout, detached): pass",
        "acquire cannot be called as the contract says",
    ),
    "discover": ("def discover(self, settings, filters): pass", "discover is not a class method"),
    "a value": ("task_stop = None", "task_stop is not a method"),
    "init": (
        "def __init__(self, resource_id, settings): pass",
        "__init__ cannot be called as the contract says: too many positional arguments",
    ),
}


OF_USE = {*DEFECTS} - {"old task_start", "one more", "old acquire", "discover", "a value", "init"}


@pytest.mark.parametrize("case", DEFECTS)
def test_a_driver_that_breaks_the_contract_is_refused(site: Path, case: str) -> None:
    member, problem = DEFECTS[case]
    source = f"""
from qrmi_core.driver import Acquires, Discovers, Driver as Base
from qrmi_core.payload import QiskitPrimitive
class Driver(Base, Acquires, Discovers):
    contract_version = 1
    {member}
if {case != "abstract"}:
    Driver.__abstractmethods__ = frozenset()
"""
    add_driver(site, "wrong", source)
    (info,) = (info for info in installed() if info.name == "wrong")
    error = check(info)
    assert isinstance(error, PluginError)
    assert problem in error.message
    assert "plugin wrong (qrmi_test_wrong:Driver of qrmi-test-wrong 1.0)" in error.message
    # Comparing signatures at each use takes too long.
    with pytest.raises(PluginError) if case in OF_USE else contextlib.nullcontext():
        find_driver("wrong")


@pytest.mark.parametrize(
    "member",
    [
        "def task_start(self, payload, **how): pass",
        "def task_status(self, id, *more): pass",
        "def acquire(self, *, detached, slots=None): pass",
    ],
)
def test_a_driver_may_write_its_signatures_in_another_way(member: str) -> None:
    namespace: dict[str, Any] = {}
    source = f"""
from qrmi_core.driver import Acquires, Driver
class Other(Driver, Acquires):
    contract_version = 1
    {member}
"""
    exec(source, namespace)
    problems = [*defects(namespace["Other"])]
    assert not [problem for problem in problems if "not implement" not in problem]


def test_an_import_error_is_kept_as_the_cause(site: Path) -> None:
    add_driver(site, "broken", "raise ValueError('odd')")
    with pytest.raises(PluginError) as caught:
        find_driver("broken")
    assert isinstance(caught.value.__cause__, ValueError)


def test_an_interruption_is_not_the_plugins_fault(site: Path) -> None:
    add_driver(site, "slow", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        find_driver("slow")


@pytest.mark.parametrize("target", ["p_x:Driver", "p_x.inner:Driver"])
def test_a_plugin_whose_own_module_is_missing_is_to_be_installed_again(
    site: Path, target: str
) -> None:
    add_distribution(site, "qrmi-test-x", drivers={"x": target})
    with pytest.raises(PluginError, match="its module p_x is missing; pip .* qrmi-test-x$"):
        find_driver("x")


def test_an_entry_point_that_is_none_is_named(site: Path) -> None:
    add_distribution(site, "qrmi-test-x", drivers={"x": "p_x:"})
    with pytest.raises(PluginError, match=r"qrmi-test-x 1\.0.* is not module:attribute"):
        find_driver("x")


def test_a_distribution_that_claims_a_name_twice_is_named(site: Path) -> None:
    # Two names for the helper, but one for the reader of entry points.
    add_distribution(site, "qrmi-test-x", drivers={"x": "p_x:One", "x ": "p_x:Two"})
    with pytest.raises(PluginError, match="claims x more than once: p_x:One, p_x:Two"):
        find_driver("x")


def test_a_name_claimed_twice_is_reported_before_either_is_imported(site: Path) -> None:
    for letter in "ab":
        module = f"qrmi_test_{letter}"
        add_distribution(
            site, f"dist-{letter}", drivers={"same": f"{module}:Driver"}, modules={module: DRIVER}
        )
    with pytest.raises(PluginError, match="same is claimed by several distributions") as caught:
        find_driver("same")
    assert "dist-a 1.0" in str(caught.value)
    assert "dist-b 1.0" in str(caught.value)
    assert not {"qrmi_test_a", "qrmi_test_b"} & set(sys.modules)


def test_of_two_copies_of_a_distribution_the_first_on_the_path_counts(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "later")])
    add_distribution(tmp_path / "later", "dist-a", version="0.9", drivers={"x": "p_old:Driver"})
    add_distribution(site, "dist-a", drivers={"x": "p_new:Driver"})
    (found,) = installed(name="x")
    assert (found.target, found.version) == ("p_new:Driver", "1.0")


def test_what_only_a_later_copy_of_a_distribution_has_is_not_installed(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "later")])
    add_distribution(tmp_path / "later", "dist-a", version="0.9", drivers={"x": "p_old:Driver"})
    add_distribution(site, "dist-a", drivers={"y": "p_new:Driver"})
    assert installed(name="x") == []
    assert [info.name for info in installed() if info.distribution == "dist-a"] == ["y"]


def test_a_distribution_without_a_name_harms_no_other(site: Path) -> None:
    add_driver(site, "good", DRIVER)
    add_distribution(site, "dist-a", drivers={"x": "p_x:Driver"})
    (metadata,) = site.glob("dist?a*/METADATA")
    metadata.write_text("Version: 1.0\n")
    assert {"good", "x"} <= {info.name for info in installed()}
    assert find_driver("good")


def test_an_unknown_type_names_the_installed_ones(site: Path) -> None:
    add_driver(site, "good", DRIVER)
    with pytest.raises(UnsupportedResourceTypeError, match=r"'nope'.*installed: .*good"):
        find_driver("nope")


@pytest.mark.parametrize("kind", sorted(set(DISTRIBUTIONS) - {"local"}))
def test_one_of_our_types_that_is_missing_names_the_pip_line(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(registry, "installed", lambda *_: [])
    with pytest.raises(UnsupportedResourceTypeError) as caught:
        find_driver(kind)
    assert f"pip install {DISTRIBUTIONS[kind]}" in str(caught.value)


def test_commands_are_a_group_of_their_own(site: Path) -> None:
    add_distribution(
        site,
        "cmd",
        commands={"hello": "qrmi_test_cmd:hello"},
        modules={"qrmi_test_cmd": "hello=str"},
    )
    assert "hello" in [info.name for info in installed(COMMANDS)]
    assert "hello" not in [info.name for info in installed()]
    assert load("hello", COMMANDS) is str


def test_entry_points_are_read_once_and_again_when_a_plugin_is_installed_or_removed(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = registry._installed.cache_info
    # Other tests write into the other folders.
    changed = registry._changed
    monkeypatch.setattr(registry, "_changed", lambda it: changed(it) if it == str(site) else 0)
    add_driver(site, "first", DRIVER)
    find_driver("first")  # its import makes a folder for bytecode, where Python keeps that
    before = reads().misses
    for _ in range(3):
        find_driver("first")
        installed(COMMANDS)
    assert reads().misses <= before + 2, "once for each group"
    before = reads().misses
    add_driver(site, "second", DRIVER)
    find_driver("second")
    installed(COMMANDS)
    assert reads().misses == before + 2
    for folder in site.glob("*second*.dist-info"):
        shutil.rmtree(folder)
    with pytest.raises(UnsupportedResourceTypeError, match="second"):
        find_driver("second")


def test_a_plugin_installed_while_the_caches_are_warm_is_found(site: Path, tmp_path: Path) -> None:
    """stevedore keeps entry points on disk by the times of folders; a new process must see ours.

    Nor may that be written: a user may have no home folder, and `HOME=` would make it one of `/`.
    """
    script = "from qrmi_core.registry import find_driver; import sys; find_driver(sys.argv[1])"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(site), str(Path(__file__).parents[2])]),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    for name in ("first", "second"):
        add_driver(site, name, DRIVER)
        said(sys.executable, "-c", script, name, env=environment)
    assert not (tmp_path / "cache").exists()
