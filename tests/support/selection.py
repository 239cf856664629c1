"""A plugin of pytest that marks tests, spreads them over processes and sets up hypothesis.

`make check` leaves out what is marked, so a test that needs a prepared environment is marked by
the fixture that provides the environment, not by hand.
"""

from __future__ import annotations

from collections import Counter

import hypothesis
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# Busy machines make examples slow; timings belong in benchmarks.
hypothesis.settings.register_profile("qrmi", deadline=None)
hypothesis.settings.load_profile("qrmi")

MARKS = {
    "wheels": "packaging",
    "smoke_venv": "packaging",
    "outsider_venv": "packaging",
    "oldest": "packaging",
    "experiments": "packaging",
    "peers": "peers",
}
"""Fixture -> mark of the tests that use it."""

MARKED_FOLDERS = {
    "tests/slurm/": "slurm",
    "docs/slurm/": "slurm",
    "tests/system/": "slow",
    "tests/differential/": "slow",
}
"""Folder -> mark of its tests."""

SERVER_OF_A_FOLDER = ("tests/plugins/qrmi-qiskit/", "tests/plugins/qrmi-pasqal/local/")
"""Folders whose tests share one server for the whole run; elsewhere files share one."""


@pytest.hookimpl(tryfirst=True)  # before -m is applied
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for name in MARKS.keys() & set(getattr(item, "fixturenames", ())):
            item.add_marker(MARKS[name])
        for folder, mark in MARKED_FOLDERS.items():
            if item.nodeid.startswith(folder):
                item.add_marker(mark)
    # What takes long begins first: begun last, it would run beside an idle process.
    slow = {_scope(item.nodeid) for item in items if item.get_closest_marker("slow")}
    sizes = Counter(_scope(item.nodeid) for item in items)

    def order(item: pytest.Item) -> tuple[bool, int]:
        scope = _scope(item.nodeid)
        return scope not in slow, -sizes[scope]

    items.sort(key=order)


def _scope(nodeid: str) -> str:
    """Return the file, or the folder with a server of its own, that a test belongs to."""
    shared = (folder for folder in SERVER_OF_A_FOLDER if nodeid.startswith(folder))
    return next(shared, nodeid.partition("::")[0])


class ServerScheduling(LoadScopeScheduling):
    """Gives each process whole files, or whole folders where these share a server."""

    def __init__(self, config: pytest.Config, log: Producer) -> None:
        config.option.loadscopereorder = False  # they are in order
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return _scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ServerScheduling:
    return ServerScheduling(config, log)
