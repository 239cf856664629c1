"""The contract tests: the example's driver passes, and faulty drivers are detected."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.wrong_coins import CAUGHT_BY

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).parents[2] / "docs/examples/qrmi-example/tests"
TESTS = """
import time

import pytest

from coin_service import TOKEN, CoinService
from qrmi_core import PollingPolicy, QuantumResource
from qrmi_core.testing import DriverContract
from qrmi_example.driver import CoinDriver
from support.plain_coin import PlainCoin
from support.wrong_coins import WRONG
from test_coin import CoinHooks


@pytest.fixture
def service():
    with CoinService() as service:
        yield service


@pytest.fixture
def coin(service):
    def make(token=TOKEN):
        settings = {"QRMI_COIN_ENDPOINT": service.url, "QRMI_COIN_TOKEN": token}
        driver = {**WRONG, "plain": PlainCoin}.get("{name}", CoinDriver)
        quick = PollingPolicy(min_pause_seconds=0.01)
        return QuantumResource("heads", "coin", settings, polling=quick, driver_class=driver)

    return make


class TestCoin(CoinHooks, DriverContract):
    timeout_seconds = 2.0
    type_strings = () if "{name}" == "plain" else CoinHooks.type_strings

    def slow_payload(self):
        return None if "{name}" == "plain" else super().slow_payload()

    def received(self, task_id):
        return super().received(task_id.removeprefix("heads/"))

    def task_ids(self):
        return ["heads/" * ("{name}" == "plain") + id for id in super().task_ids()]
"""


@pytest.fixture
def outcomes(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> object:
    """Return a function that runs the contract tests on a driver."""
    monkeypatch.syspath_prepend(EXAMPLE)

    def run(name: str, *arguments: str) -> list[pytest.TestReport]:
        pytester.makepyfile(TESTS.replace("{name}", name))
        done = pytester.inline_run("-p", "no:cacheprovider", "-n", "0", *arguments)
        return [report for report in done.getreports() if isinstance(report, pytest.TestReport)]

    return run


@pytest.mark.parametrize(("name", "least"), [("right", 65), ("plain", 50)])
def test_a_right_driver_passes(name: str, least: int, outcomes) -> None:  # type: ignore[no-untyped-def]
    reports = outcomes(name)
    assert not [report.nodeid for report in reports if report.failed]
    called = {report.nodeid for report in reports if report.when == "call" and report.passed}
    assert len(called) >= least


@pytest.mark.parametrize("name", CAUGHT_BY)
def test_a_wrong_driver_is_caught(name: str, outcomes) -> None:  # type: ignore[no-untyped-def]
    reports = outcomes(name, "-x", "-k", CAUGHT_BY[name])
    assert [report.when for report in reports if report.failed] == ["call"]
