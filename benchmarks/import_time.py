"""The cost of importing the core and starting the command, measured on the installed wheels.

An editable install would slow every start of the interpreter, so `make bench` prepares a clean
environment with the wheels in the folder QRMI_TEST_PREPARED.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS = 41
"""How often each command is timed."""
IMPORT_LIMIT_MS = 10.0
"""Limit for the time that `import qrmi_core` adds to the bare interpreter's."""
COMMAND_LIMIT_RATIO = 10.0
"""How many bare starts `qrmi --version` may take: 150 ms where one takes 15 ms."""


def milliseconds(command: list[str], folder: str) -> float:
    """Run a command once and give the time it took."""
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - start) * 1000


def main() -> int:
    """Time each command and print the medians."""
    prepared = os.environ.get("QRMI_TEST_PREPARED")
    if not prepared:
        print("QRMI_TEST_PREPARED is not set; use `make bench`", file=sys.stderr)
        return 2
    python, qrmi = (str(Path(prepared, "smoke", "bin", name)) for name in ("python", "qrmi"))
    commands = {
        "python -c pass": [python, "-c", "pass"],
        "import qrmi_core": [python, "-c", "import qrmi_core"],
        "import QuantumResource": [python, "-c", "from qrmi_core import QuantumResource"],
        "qrmi --version": [qrmi, "--version"],
        "qrmi --help": [qrmi, "--help"],
        "qrmi plugins": [qrmi, "plugins"],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    # Elsewhere than in the checkout, whose package would be imported instead of the wheel's.
    with tempfile.TemporaryDirectory() as folder:
        for command in commands.values():
            milliseconds(command, folder)
        # In turns, so that whatever else the machine does falls on all alike.
        for _ in range(RUNS):
            for name, command in commands.items():
                times[name].append(milliseconds(command, folder))
    bare = statistics.median(times["python -c pass"])
    print(f"medians of {RUNS} runs")
    print(f"{'':24}{'ms':>8}{'over bare':>11}{'ratio':>7}")
    for name in commands:
        median = statistics.median(times[name])
        print(f"{name:24}{median:8.1f}{median - bare:+11.1f}{median / bare:7.1f}")
    added = statistics.median(times["import qrmi_core"]) - bare
    ratio = statistics.median(times["qrmi --version"]) / bare
    print(f"import qrmi_core adds {added:.1f} ms (limit {IMPORT_LIMIT_MS:.0f} ms)")
    print(f"qrmi --version takes {ratio:.1f} bare starts (limit {COMMAND_LIMIT_RATIO:.0f})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
