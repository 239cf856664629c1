"""The wording of docstrings: summaries are direct; see CONTRIBUTING.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("qrmi_core", "plugins", "docs/examples", "tests", "benchmarks")
SUMMARY = re.compile(r'^ *r?"""([A-Z].*)', re.MULTILINE)
ROUNDABOUT = re.compile(r"(What|Whether|That)\b|.* (is|are|was|were) (no|none)\b(?! longer)")


def roundabout_summaries(source: str) -> list[str]:
    """Return the summaries that begin with a clause, or negate a noun instead of the verb."""
    return [summary for summary in SUMMARY.findall(source) if ROUNDABOUT.match(summary)]


@pytest.mark.parametrize("folder", FOLDERS)
def test_summaries_are_direct(folder: str) -> None:
    files = [path for path in (ROOT / folder).rglob("*.py") if "build" not in path.parts]
    found = {
        str(path.relative_to(ROOT)): roundabout_summaries(path.read_text(encoding="utf-8"))
        for path in files
    }
    assert {path: summaries for path, summaries in found.items() if summaries} == {}


@pytest.mark.parametrize(
    ("summary", "direct"),
    [
        ("Return the state of the task.", True),
        ("Return what the file contains.", True),
        ("Remove the tasks of jobs that are no longer there.", True),
        ("What the file contains.", False),
        ("Whether the task has ended.", False),
        ("That the task has ended.", False),
        ("Raise if the id is no number.", False),
        ("Return the name, None if there is none.", False),
    ],
)
def test_roundabout_summaries_are_found(summary: str, direct: bool) -> None:
    found = roundabout_summaries(f'def function():\n    """{summary}"""\n')
    assert (found == []) is direct
