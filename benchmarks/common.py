"""Rows of the table, the programs of both sides, and measurements in turns."""

from __future__ import annotations

import argparse
import functools
import importlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import attrs
from mocks import Account

K = TypeVar("K")
Rows = Callable[[bool], "list[Row]"]
"""A benchmark, whose argument is True for few and small measurements."""
Medians = Mapping[str, Mapping[str, float]]
"""The figures of each side: `ours`, `published` and `bare`."""
CLIENT = """
import json, os, sys, time
side, kind, name, *arguments = sys.argv[1:]
def resource():
    if side == "ours":
        from qrmi_core import QuantumResource
        return QuantumResource(name, kind)
    from qrmi import QuantumResource, ResourceType
    types = {
        "ibm-quantum-compute-service": ResourceType.IBMQuantumComputeService,
        "pasqal-cloud": ResourceType.PasqalCloud,
    }
    return QuantumResource(name, types[kind])
primitive = '{"pubs": [["OPENQASM 3.0; bit c; qubit q; c = measure q;", null, 9]], "version": 2}'
"""
"""The beginning of a client: its arguments are the side, the type and name of a resource, more."""


@attrs.frozen
class Goal:
    """The most or the least that a figure may be.

    Args:
        limit: The figure, or the factor to another side's figure.
        of: ``published`` or ``bare``, if it is relative to that side.
        least: True if the figure must not be smaller.
    """

    limit: float
    of: str = ""
    least: bool = False

    def __str__(self) -> str:
        return f"{'≥' if self.least else '≤'} {number(self.limit)}{self.of and f' x {self.of}'}"


@attrs.frozen
class Row:
    """One figure.

    Args:
        name: The thing measured.
        unit: The unit of all figures.
        ours: This library's figure.
        published: The published library's figure, if it can be measured.
        bare: The figure of a program that does the same without such a library.
        goal: The goal for ours.
    """

    name: str
    unit: str
    ours: float
    published: float | None = None
    bare: float | None = None
    goal: Goal | None = None

    @classmethod
    def of(
        cls, name: str, unit: str, medians: Medians, key: str = "", goal: Goal | None = None
    ) -> Row:
        """Make a row of one figure of each side."""
        figures = {side: found[key or unit] for side, found in medians.items()}
        return cls(name, unit, goal=goal, **figures)

    def cells(self) -> list[str]:
        """Return the cells of the table."""
        others = {"published": self.published, "bare": self.bare}
        beside = [
            f"{number(other)} (x {number(self.ours / other)})" if other else ""
            for other in others.values()
        ]
        return [self.name, f"{number(self.ours)} {self.unit}".strip(), *beside, self._goal(others)]

    def _goal(self, others: Mapping[str, float | None]) -> str:
        if self.goal is None:
            return ""
        base = others[self.goal.of] if self.goal.of else 1.0
        if base is None:
            return str(self.goal)
        excess = self.ours - self.goal.limit * base
        met = excess >= 0 if self.goal.least else excess <= 0
        return f"{self.goal}{'' if met else ' MISSED'}"


def number(value: float) -> str:
    """Return a number with three digits or more."""
    return f"{value:,.0f}" if abs(value) >= 99.95 else f"{value:.3g}"


def print_table(rows: Iterable[Row]) -> None:
    """Print the rows, in the width of the terminal."""
    head = ["measured", "ours", "published", "bare", "goal"]
    cells = [row.cells() for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    spare = shutil.get_terminal_size((120, 0)).columns - sum(widths) - 3 * len(widths) - 1
    widths[0] = max(widths[0] + min(spare, 0), 20)
    for line in [head, ["-" * width for width in widths], *cells]:
        first, *more = textwrap.wrap(line[0], widths[0])
        for each in [[first, *line[1:]], *([text, "", "", "", ""] for text in more)]:
            aligned = zip(each, "<>>><", widths, strict=True)
            print("|", " | ".join(f"{text:{way}{width}}" for text, way, width in aligned), "|")
    print("Medians of runs in turns. (x n): ours is n times as much.")
    if "published" not in pythons():
        print("The published library is left out: its environment is missing (make bench).")
    if pythons()["ours"] == sys.executable:
        print("Ours is this checkout, not the wheels: starts and imports take longer.")


@functools.cache
def prepared(name: str) -> Path | None:
    """Return the folder of an environment that `make` prepares, or None without it."""
    folder = Path(os.environ.get("QRMI_TEST_PREPARED", Path(__file__).parents[1] / ".make"), name)
    return folder if (folder / ".ready").exists() else None


@functools.cache
def pythons() -> Mapping[str, str]:
    """Return the interpreter of each library that is there, ``ours`` and ``published``."""
    folders = {"ours": prepared("smoke"), "published": prepared("peers")}
    found = {side: f"{folder}/bin/python" for side, folder in folders.items() if folder}
    return {"ours": sys.executable} | found


@attrs.frozen
class Ended:
    """A program that has ended.

    Args:
        output: Its output.
        seconds: From its start to its end.
        processor_seconds: The time of all its threads on a processor.
    """

    output: str
    seconds: float
    processor_seconds: float


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Ended:
    """Run a program, and raise RuntimeError with its messages if it fails."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    env = {**os.environ, **(environment or {})}
    ended = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if ended.returncode:
        raise RuntimeError(f"{command[0]}: {ended.stderr[-1000:]}")
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = usage.ru_utime + usage.ru_stime - used.ru_utime - used.ru_stime
    return Ended(ended.stdout, seconds, processor)


def run_client(side: str, program: str, account: Account, *arguments: str) -> Ended:
    """Run a client of a side."""
    python = pythons().get(side, pythons()["ours"])
    # Not from the checkout, whose package would be imported instead of the wheel's.
    command = [python, "-Pc", program, side, account.kind, account.resource_id, *arguments]
    return run(command, account.environment)


def figures(side: str, program: str, account: Account, *arguments: str) -> dict[str, Any]:
    """Run a client of a side, and return the figures that it prints."""
    return dict(json.loads(run_client(side, program, account, *arguments).output))


def in_turns(
    keys: Iterable[K],
    measure: Callable[[K], Mapping[str, float]],
    runs: int,
    *,
    warm_up: bool = True,
) -> dict[K, dict[str, float]]:
    """Measure in turns, so that noise falls on all alike, and return the medians.

    Args:
        keys: The sides, or whatever is compared.
        measure: Returns the figures of one.
        runs: The number of runs of each.
        warm_up: Run each once before, to fill caches.
    """
    found: dict[K, list[Mapping[str, float]]] = {key: [] for key in keys}
    for turn in range(-int(warm_up), runs):
        for key, measured in found.items():
            each = measure(key)
            if turn >= 0:
                measured.append(each)
    return {
        key: {name: statistics.median(each[name] for each in measured) for name in measured[0]}
        for key, measured in found.items()
    }


def peak_megabytes() -> float:
    """Return the most memory that this process has had."""
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1000


def rows_of(name: str, quick: bool) -> list[Row]:
    """Run one benchmark."""
    rows: list[Row] = importlib.import_module(name).rows(quick)
    return rows


def main(rows: Rows, description: str | None) -> None:
    """Run one benchmark as a program."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="few and small measurements")
    print_table(rows(parser.parse_args().quick))
