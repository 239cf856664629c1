"""A pytest plugin that marks tests, distributes them over processes and sets up hypothesis.

`make check` leaves out marked tests. A test that needs a prepared environment is marked
automatically if it uses the fixture that provides the environment.
"""

from __future__ import annotations

from collections import Counter

import hypothesis
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# No deadline: examples are slow on busy machines, and benchmarks measure time.
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
"""Folders whose tests share one server; elsewhere each file has its own."""


@pytest.hookimpl(tryfirst=True)  # before -m is applied
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for name in MARKS.keys() & set(getattr(item, "fixturenames", ())):
            item.add_marker(MARKS[name])
        for folder, mark in MARKED_FOLDERS.items():
            if item.nodeid.startswith(folder):
                item.add_marker(mark)
    # Start the slow tests first: started last, one would run beside an idle process.
    slow = {_scope(item.nodeid) for item in items if item.get_closest_marker("slow")}
    sizes = Counter(_scope(item.nodeid) for item in items)

    def order(item: pytest.Item) -> tuple[bool, int]:
        scope = _scope(item.nodeid)
        return scope not in slow, -sizes[scope]

    items.sort(key=order)


def _scope(nodeid: str) -> str:
    """Return the file, or the folder with its own server, that a test belongs to."""
    shared = (folder for folder in SERVER_OF_A_FOLDER if nodeid.startswith(folder))
    return next(shared, nodeid.partition("::")[0])


class ServerScheduling(LoadScopeScheduling):
    """A scheduler that gives each process whole files, or whole folders if they share a server."""

    def __init__(self, config: pytest.Config, log: Producer) -> None:
        config.option.loadscopereorder = False  # already in order
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return _scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ServerScheduling:
    return ServerScheduling(config, log)
