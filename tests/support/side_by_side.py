"""Concurrent tests, for tests that wait most of the time.

The tests of a module that are marked `side_by_side` start together, each in a thread, and pytest
waits for each of them in turn. A test without the mark runs alone if all marked tests of its module
come before it, or all after it. A marked test has one argument: a parametrized fixture whose scope
is the module and which uses `side_by_side`. The folder's conftest.py imports `pytest_pyfunc_call`
from here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import Future, wait
from threading import BoundedSemaphore, Thread

import pytest


class SideBySide:
    """The selected tests that run at the same time on one value of a fixture.

    Args:
        request: The request of the fixture.
        value: The value of the fixture.
        at_once: Number of tests that run at the same time.
    """

    def __init__(self, request: pytest.FixtureRequest, value: object, at_once: int) -> None:
        name = str(request.fixturename)
        self._arguments = {name: value}
        self._tests = [
            item
            for item in request.session.items
            if isinstance(item, pytest.Function)
            and item.getparent(pytest.Module) is request.node
            and item.get_closest_marker("side_by_side")
            and item.callspec.params[name] == request.param
        ]
        self._slots = BoundedSemaphore(at_once)
        self._maxfail: int = request.config.getoption("maxfail") or 0
        self._failures = 0
        self._stopped = False
        self._outcomes: dict[pytest.Function, Future[None]] = {}

    def result(self, test: pytest.Function) -> None:
        """Wait until a test has ended, and raise its exception; the first call starts all tests."""
        if not self._outcomes:
            self._outcomes = {each: Future() for each in self._tests}
            for each in self._tests:
                # As a daemon, a test that never ends cannot keep pytest from ending.
                Thread(target=self._run, args=(each,), name=each.name, daemon=True).start()
        self._outcomes[test].result()

    def stop(self, seconds: float) -> None:
        """Start no further test, and wait a while for the running ones."""
        self._stopped = True
        wait(self._outcomes.values(), seconds)

    def _run(self, test: pytest.Function) -> None:
        with self._slots:
            try:
                if self._stopped:
                    pytest.skip("not started, since pytest stops after the failures so far")
                test.obj(**self._arguments)
            except BaseException as error:  # pytest.skip and pytest.fail raise no `Exception`
                if not isinstance(error, pytest.skip.Exception):
                    self._failures += 1
                    self._stopped |= 0 < self._maxfail <= self._failures
                self._outcomes[test].set_exception(error)
            else:
                self._outcomes[test].set_result(None)


_KEY = pytest.StashKey[SideBySide]()


@contextlib.contextmanager
def side_by_side(
    request: pytest.FixtureRequest,
    value: object,
    *,
    at_once: int = 10,
    leave_seconds: float = 60.0,
) -> Iterator[None]:
    """Let the marked tests of a module run at the same time, until the block ends.

    Args:
        request: The request of the fixture, whose scope is the module.
        value: The value of the fixture.
        at_once: Number of tests that run at the same time.
        leave_seconds: Time for the running tests when pytest leaves the module early.
    """
    tests = SideBySide(request, value, at_once)
    request.node.stash[_KEY] = tests
    try:
        yield
    finally:
        tests.stop(leave_seconds)


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Let a marked test run in its thread."""
    if not pyfuncitem.get_closest_marker("side_by_side"):
        return None
    module = pyfuncitem.getparent(pytest.Module)
    assert module
    module.stash[_KEY].result(pyfuncitem)
    return True
