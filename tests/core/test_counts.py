"""Counts in results: read by plugins, checked by the core."""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs
import pytest

from qrmi_core import (
    InvalidResponseError,
    Payload,
    PluginError,
    QuantumResource,
    Settings,
    Task,
    UnsupportedFunctionError,
    counts,
)
from qrmi_core.registry import PluginInfo, installed
from qrmi_core.testing import FakeClock, FakeVendor
from support.sites import DRIVER, add_distribution

JSON_READER = """
import json

def counts(text):
    return [json.loads(text)]
"""
SPLITTING_READER = """
def counts(text):
    return [{bits: text.split().count(bits) for bits in text.split()}]
"""


@attrs.frozen
class Flip(Payload):
    """A payload without a reader in any plugin."""


def add_reader(site: Path, name: str, source: str, attribute: str = "counts") -> None:
    module = f"qrmi_test_{name}"
    add_distribution(
        site,
        name,
        groups={"qrmi.readers": {"Flip": f"{module}:{attribute}"}},
        modules={module: source},
    )


def flipped(text: str, resource_type: str = "fake") -> Task:
    """Return a task with the result `text`."""
    clock = FakeClock()
    driver = FakeVendor(result=text.encode()).driver()
    driver.payloads = (Flip,)
    qpu = QuantumResource(
        "qpu", resource_type, {}, driver_class=driver, clock=clock, sleep=clock.sleep
    )
    return qpu.run(Flip())


def test_counts_are_read_by_the_plugin_for_the_payload(site: Path) -> None:
    add_reader(site, "one", JSON_READER)
    assert flipped('{"01": 3, "10": 1}').counts() == [{"01": 3, "10": 1}]


def test_without_a_plugin_counts_are_unsupported() -> None:
    with pytest.raises(UnsupportedFunctionError, match="reads results of Flip as counts"):
        flipped("{}").counts()


def test_several_readers_are_tried_until_one_can_read_it(site: Path) -> None:
    add_reader(site, "one", JSON_READER)
    add_reader(site, "two", SPLITTING_READER)
    assert flipped('{"01": 3}').counts() == [{"01": 3}]
    assert flipped("01 00 01").counts() == [{"01": 2, "00": 1}]
    with pytest.raises(InvalidResponseError, match="Expecting value.*'x': 1 is not a count"):
        flipped("x").counts()


def test_the_reader_that_comes_with_the_driver_is_tried_first(site: Path) -> None:
    add_reader(site, "aaa", "def counts(text):\n    return [{'0': 1}]")
    add_distribution(
        site,
        "zzz",
        drivers={"theirs": "qrmi_test_zzz:Driver"},
        groups={"qrmi.readers": {"Flip": "qrmi_test_zzz:counts"}},
        modules={"qrmi_test_zzz": f"{DRIVER}\ndef counts(text):\n    return [{{'1': 2}}]"},
    )
    assert flipped("", "theirs").counts() == [{"1": 2}]
    assert flipped("").counts() == [{"0": 1}]


def test_a_broken_reader_harms_no_other_and_is_named_when_it_is_the_only_one(site: Path) -> None:
    add_reader(site, "bad", "import sys; sys.exit(3)")
    with pytest.raises(PluginError, match=r"Flip \(qrmi_test_bad:counts of bad 1.0\).*exits"):
        flipped('{"01": 3}').counts()
    add_reader(site, "good", JSON_READER)
    assert flipped('{"01": 3}').counts() == [{"01": 3}]


def test_a_reader_that_cannot_be_called_is_named(site: Path) -> None:
    add_reader(site, "odd", "counts = 5")
    with pytest.raises(PluginError, match="is not a class or a function but int"):
        flipped("{}").counts()


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({}, "no counts"),
        ({"00": 0}, "no counts"),
        ({"00": 1.5}, "not a count of a bit string"),
        ({"00": -1}, "not a count of a bit string"),
        ({"00": True}, "not a count of a bit string"),
        ({"0x": 1}, "not a count of a bit string"),
        ({"00": 1, "1": 1}, "different lengths"),
        (None, "AttributeError"),
    ],
)
def test_what_a_reader_returns_is_checked(site: Path, counts: object, message: str) -> None:
    add_reader(site, "one", JSON_READER)
    task = flipped(json.dumps(counts))
    with pytest.raises(InvalidResponseError, match=message) as caught:
        task.counts()
    assert (caught.value.resource_id, caught.value.task_id) == ("qpu", task.id)


RAISING = """
import json

class VendorsOwnError(BaseException):
    pass

def counts(text):
    raise KeyboardInterrupt if text == "interrupt" else VendorsOwnError(text)
"""


def test_any_error_of_a_reader_leaves_the_others_but_an_interrupt_ends(site: Path) -> None:
    add_reader(site, "aaa", RAISING)
    with pytest.raises(InvalidResponseError, match="VendorsOwnError: odd"):
        flipped("odd").counts()
    with pytest.raises(KeyboardInterrupt):
        flipped("interrupt").counts()
    add_reader(site, "zzz", JSON_READER)
    assert flipped('{"01": 3}').counts() == [{"01": 3}]


def test_readers_for_other_payloads_are_not_imported(site: Path) -> None:
    add_reader(site, "one", JSON_READER)
    add_distribution(
        site,
        "other",
        groups={"qrmi.readers": {"Flap": "qrmi_test_other:counts"}},
        modules={"qrmi_test_other": "1/0"},
    )
    flipped('{"1": 1}').counts()
    assert "qrmi_test_one" in sys.modules
    assert "qrmi_test_other" not in sys.modules


def test_threads_that_read_counts_at_once_look_for_readers_once(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_reader(site, "one", JSON_READER)
    searched = []

    def slow(*of: str, **named: str) -> list[PluginInfo]:
        searched.append(of)
        time.sleep(0.01)
        return installed(*of, **named)

    monkeypatch.setattr(counts, "installed", slow)
    task = flipped('{"1": 1}')
    with ThreadPoolExecutor(4) as pool:
        assert [*pool.map(lambda _: task.counts(), range(4))] == [[{"1": 1}]] * 4
    assert sorted(searched) == [(), ("qrmi.readers",)]


def test_the_reasons_that_readers_give_are_cleaned(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Settings, "secrets", lambda _self: {"s3cr3t-key"})
    raising = "def counts(text):\n    raise ValueError('s3cr3t-key \x1b[31m\\n' + 'x' * 9000)"
    add_reader(site, "one", raising)
    with pytest.raises(InvalidResponseError) as caught:
        flipped("{}").counts()
    assert caught.value.message.isprintable()
    assert "s3cr3t-key" not in caught.value.message
    assert len(caught.value.message) < 500
