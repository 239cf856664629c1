"""Measure the time of imports and of the command's start, beside a bare start of Python.

The wheels are used, since an editable install slows every start of the interpreter.
"""

from __future__ import annotations

from pathlib import Path

from common import Goal, Row, in_turns, main, pythons, run

RUNS = 41
IMPORT_GOAL_MS = 10.0
"""The most that `import qrmi_core` may add to a bare start."""
COMMAND_GOAL_RATIO = 10.0
"""The most bare starts that `qrmi --version` may take: 150 ms where one takes 15 ms."""


def rows(quick: bool) -> list[Row]:
    """Time each command."""
    sides = pythons()
    command = str(Path(sides["ours"]).with_name("qrmi"))

    def program(text: str) -> dict[str, list[str]]:
        modules = {"ours": "qrmi_core", "published": "qrmi"}
        return {side: [python, "-Pc", text.format(modules[side])] for side, python in sides.items()}

    commands = {
        "python -c pass": program("pass"),
        "import qrmi_core": program("import {}"),
        "import of QuantumResource": program("from {} import QuantumResource"),
        "qrmi --version": {"ours": [command, "--version"]},
        "qrmi --help": {"ours": [command, "--help"]},
        "qrmi plugins": {"ours": [command, "plugins"]},
    }

    def measure(key: tuple[str, str]) -> dict[str, float]:
        name, side = key
        return {"ms": 1000 * run(commands[name][side]).seconds}

    keys = [(name, side) for name, lines in commands.items() for side in lines]
    found = in_turns(keys, measure, 1 if quick else RUNS)
    start = {side: found["python -c pass", side]["ms"] for side in sides}
    goals = {"qrmi --version": Goal(COMMAND_GOAL_RATIO, "bare")}
    added = {side: {"ms": found["import qrmi_core", side]["ms"] - start[side]} for side in sides}
    table = [Row.of("import qrmi_core, without the start", "ms", added, goal=Goal(IMPORT_GOAL_MS))]
    for name, lines in list(commands.items())[1:]:
        medians = {side: found[name, side] for side in lines} | {"bare": {"ms": start["ours"]}}
        table.append(Row.of(name, "ms", medians, goal=goals.get(name)))
    return table


if __name__ == "__main__":
    main(rows, __doc__)
