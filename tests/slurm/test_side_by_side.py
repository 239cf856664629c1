"""Concurrent tests, which obey pytest's options like others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

CONFTEST = """
import pytest
from support.side_by_side import pytest_pyfunc_call, side_by_side

@pytest.fixture(scope="module", params=["first", "second"])
def site(request):
    value = {"name": request.param, "barrier": __import__("threading").Barrier(2)}
    with side_by_side(request, value, at_once=AT_ONCE, leave_seconds=0.1):
        yield value
"""


class Run:
    """A run of pytest on a file of tests, whose functions call `ran(name)` to be listed."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self._pytester = pytester
        self.ran: list[str] = []

    def __call__(
        self, tests: str, *options: str, at_once: int = 10, **outcomes: int
    ) -> pytest.RunResult:
        """Run the tests, and assert the numbers of outcomes."""
        folder = self._pytester.path
        self._pytester.makeini("[pytest]\nmarkers = side_by_side: of the test\n")
        self._pytester.makeconftest(CONFTEST.replace("AT_ONCE", str(at_once)))
        log = folder / "ran"
        self._pytester.makepyfile(
            "import threading\n"
            "import pytest\n"
            "beside = pytest.mark.side_by_side\n"
            "def ran(name):\n"
            f"    with open({str(log)!r}, 'a') as file:\n"
            "        print(name, file=file)\n" + tests
        )
        done = self._pytester.runpytest_subprocess("-p", "no:cacheprovider", *options, timeout=60)
        done.assert_outcomes(**outcomes)
        self.ran = log.read_text().splitlines() if log.exists() else []
        return done


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    folder = str(Path(__file__).parents[1])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([folder, os.environ.get("PYTHONPATH", "")]))
    return Run(pytester)


def test_marked_tests_run_at_the_same_time_and_others_after_those_before_them(run: Run) -> None:
    run(
        """
@beside
def test_one(site):
    site["barrier"].wait(20)
    ran("one " + site["name"])

@beside
def test_two(site):
    site["barrier"].wait(20)
    ran("two " + site["name"])

def test_after(site):
    ran("after " + site["name"])
""",
        passed=6,
    )
    assert [sorted(run.ran[:2]), run.ran[2]] == [["one first", "two first"], "after first"]
    assert [sorted(run.ran[3:5]), run.ran[5]] == [["one second", "two second"], "after second"]


THREE = """
@beside
def test_one(site):
    ran("one")
    expected = {"a": 1}
    assert expected == {"a": site["name"]}

@beside
def test_two(site):
    ran("two")
    pytest.skip("not here")

@beside
def test_three(site):
    ran("three")
"""


def test_a_failure_and_a_skip_are_those_of_their_test(run: Run) -> None:
    done = run(THREE, "-k", "first", "-rs", passed=1, failed=1, skipped=1)
    done.stdout.fnmatch_lines(["*assert {'a': 1} == {'a': 'first'}*", "SKIPPED*: not here"])
    done.stdout.no_fnmatch_line("*side_by_side.py*")


def test_only_selected_tests_start(run: Run) -> None:
    run(THREE, "-k", "three and second", passed=1, deselected=5)
    assert run.ran == ["three"]


def test_after_the_first_failure_no_test_starts_if_pytest_stops_there(run: Run) -> None:
    run(THREE, "-x", at_once=1, failed=1)
    assert run.ran == ["one"]


def test_a_test_that_never_ends_times_out_alone(run: Run) -> None:
    endless = THREE.replace('    ran("two")\n', "    threading.Event().wait()\n")
    done = run(endless, "-k", "first", "--timeout=2", passed=1, failed=2)
    done.stdout.fnmatch_lines(["*Failed: Timeout (>2.0s)*"])
    assert sorted(run.ran) == ["one", "three"]
