"""Sites with a cluster, and tests that run side by side on one of them.

Jobs wait most of the time, so the tests marked `side_by_side` of a module start together, and
pytest waits for each of them in turn. Tests without the mark run alone if they come before all of
these or after all of these in the file. A test with the mark takes the site as its only argument.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, wait
from threading import BoundedSemaphore, Thread
from typing import Self

import pytest

from support.real_site import Site, started

AT_ONCE = 10
"""Tests that run at the same time: as many as two processors bear."""

LEAVE_SECONDS = 60.0
"""Time for the tests that still run when pytest leaves the module early."""


class SideBySide:
    """The selected tests of a module that run side by side on one site.

    A context manager; when it is left, no further test starts.

    Args:
        site: The argument of the tests.
        tests: The tests, in their order.
        maxfail: Number of failures after which no further test starts; 0 for any number.
    """

    def __init__(self, site: Site, tests: Sequence[pytest.Function], maxfail: int) -> None:
        self._site = site
        self._tests = tests
        self._maxfail = maxfail
        self._failures = 0
        self._stopped = False
        self._slots = BoundedSemaphore(AT_ONCE)
        self._outcomes: dict[pytest.Function, Future[None]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._stopped = True
        wait(self._outcomes.values(), LEAVE_SECONDS)

    def result(self, test: pytest.Function) -> None:
        """Wait until a test has ended, and raise what it raised; the first call starts them all."""
        if not self._outcomes:
            self._outcomes = {each: Future() for each in self._tests}
            for each in self._tests:
                # As a daemon, a test that never ends cannot keep pytest from ending.
                Thread(target=self._run, args=(each,), name=each.name, daemon=True).start()
        self._outcomes[test].result()

    def _run(self, test: pytest.Function) -> None:
        with self._slots:
            try:
                if self._stopped:
                    pytest.skip("not started, since pytest stops after the failures so far")
                test.obj(self._site)
            except BaseException as error:  # pytest.skip and pytest.fail do not raise Exceptions
                if not isinstance(error, pytest.skip.Exception):
                    self._failures += 1
                    self._stopped |= 0 < self._maxfail <= self._failures
                self._outcomes[test].set_exception(error)
            else:
                self._outcomes[test].set_result(None)


SIDE_BY_SIDE = pytest.StashKey[SideBySide]()


@pytest.fixture(scope="module", params=["scripts", "shim"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A site of two nodes, whose jobs get their QPUs in the mode that the parameter names.

    With `-own-records` each node has a folder of records of its own, as on separate hosts.
    """
    tests = [
        item
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and item.getparent(pytest.Module) is request.node
        and item.get_closest_marker("side_by_side")
        and item.callspec.params["site"] == request.param
    ]
    mode, _, own_records = request.param.partition("-")
    with (
        started(mode, own_state=bool(own_records)) as site,
        SideBySide(site, tests, request.config.getoption("maxfail")) as side_by_side,
    ):
        request.node.stash[SIDE_BY_SIDE] = side_by_side
        yield site


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Let a test that is marked `side_by_side` run in its thread."""
    if not pyfuncitem.get_closest_marker("side_by_side"):
        return None
    module = pyfuncitem.getparent(pytest.Module)
    assert module
    module.stash[SIDE_BY_SIDE].result(pyfuncitem)
    return True
