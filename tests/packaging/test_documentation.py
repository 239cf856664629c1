"""Conventions of the documentation by which its examples are run; see CONTRIBUTING.md."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from support.processes import said

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for pattern in (
        "*.md",
        "docs/*.md",
        "docs/tutorials/*.md",
        "plugins/*/README.md",
        "docs/examples/*/README.md",
    )
    for path in ROOT.glob(pattern)
)
RUN = {"python", "pycon", "console", "bash", "json", "toml"}
SHOWN = {
    *("text", "ini", "{eval-rst}", "{literalinclude}", "{toctree}", "{note}", "{warning}", "{tip}")
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_says_what_it_is(page: Path) -> None:
    fences = re.findall(r"^ *```(.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(fences) % 2 == 0
    opening, closing = fences[::2], fences[1::2]
    assert not any(closing)
    assert {fence.split()[0] for fence in opening} <= RUN | SHOWN


def test_every_page_is_in_the_table_of_contents() -> None:
    index = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    (listed,) = re.findall(r"```\{toctree\}\n(?::.*\n)*\n((?:.+\n)+)```", index)
    folders = ("docs", "docs/slurm", "docs/tutorials")
    patterns = (*(f"{folder}/*.md" for folder in folders), "docs/examples/*/README.md")
    pages = [page for pattern in patterns for page in ROOT.glob(pattern)]
    names = {str(path.relative_to(ROOT / "docs").with_suffix("")) for path in pages} - {"index"}
    assert set(listed.split()) == names


def test_links_between_the_files_lead_somewhere() -> None:
    for page in PAGES:
        text = re.sub(
            r"^ *```.*?^ *```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE
        )
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text):
            assert (page.parent / target).exists(), f"{page}: {target}"


def test_make_help_and_the_contributors_guide_name_the_same_targets() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^\.PHONY: ([a-z-]+)$", makefile, re.MULTILINE)) - {"help"}
    told = set(re.findall(r"^\t@echo 'make ([a-z-]+)", makefile, re.MULTILINE))
    assert told == targets
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert set(re.findall(r"`make ([a-z-]+)`", guide)) == targets


@pytest.mark.slow
def test_the_documentation_builds_without_a_warning(tmp_path: Path) -> None:
    sphinx = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "dummy"]
    said(*sphinx, "-d", tmp_path / "trees", "docs", tmp_path / "out", cwd=ROOT)
