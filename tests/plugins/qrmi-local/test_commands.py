"""The command `qrmi local`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from qrmi_core.errors import InvalidInputError
from qrmi_local.commands import local
from qrmi_local.store import TaskStore


@pytest.fixture
def filled(home: Path, monkeypatch: pytest.MonkeyPatch) -> TaskStore:
    """A store with one task that has ended and one that has not."""
    monkeypatch.setenv("QRMI_LOCAL_HOME", str(home))
    monkeypatch.setenv("QRMI_LOCAL_SLOTS", "3")
    store = TaskStore(home)
    for name in ("ended", "queued"):
        store.submit(name, "aer", "sampler", b"{}")
    task = store.claim(0, 2**22 + 1, ["aer"])
    assert task
    store.complete(task, b"output")
    return store


def run(*arguments: str) -> Result:
    return CliRunner().invoke(local, arguments, catch_exceptions=False)


def test_info_tells_where_the_store_is_and_what_is_in_it(filled: TaskStore) -> None:
    facts: dict[str, Any] = json.loads(run("info", "--json").stdout)
    assert facts["home"] == str(filled.home)
    assert facts["slots"] == 3
    assert facts["workers"] == 0
    assert facts["bytes"] > 1000
    tasks = {"queued": 1, "running": 0, "completed": 1, "failed": 0, "cancelled": 0}
    assert facts["tasks"] == tasks
    text = run("info").stdout
    assert str(filled.home) in text
    assert "1 queued, 0 running, 1 completed" in text


def test_prune_keeps_what_is_young_and_what_has_not_ended(filled: TaskStore) -> None:
    assert run("prune").stdout == "0 tasks deleted\n"
    assert run("prune", "--older-than", "7d").stdout == "0 tasks deleted\n"
    assert json.loads(run("prune", "--all", "--json").stdout) == {"deleted": 1}
    assert [task.id for task in filled.tasks_of("aer")] == ["queued"]


@pytest.mark.parametrize(
    "arguments", [["--older-than", "a week"], ["--all", "--older-than", "7d"]], ids=["word", "both"]
)
def test_prune_refuses_what_it_does_not_understand(filled: TaskStore, arguments: list[str]) -> None:
    with pytest.raises(InvalidInputError, match="--older-than"):
        run("prune", *arguments)
    assert len(filled.tasks_of("aer")) == 2
