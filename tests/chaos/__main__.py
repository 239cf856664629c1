"""Run clients of every driver under random faults: ``python -m chaos --seconds 600 --seed 7``.

Processes are killed, stopped and interrupted, disks filled, responses lost. At the end the clients'
journals are compared with the contents of the emulator and of the local store. The exit status is 1
if anything was lost, doubled or hung, if a session was left open, or an exception outside the tree
of errors was seen. The same seed gives the same plan of clients and faults.
"""

from __future__ import annotations

import argparse
import secrets
import signal
import sys
from collections import Counter
from pathlib import Path

from chaos.audit import Findings
from chaos.processes import confine
from chaos.run import Run, keep

_SHOWN = 8
_SHOWN_CHARACTERS = 1500


def report(run: Run, found: Findings) -> int:
    """Print the figures; return the exit status."""
    print(f"seed {run.seed}, {run.seconds:g} s of faults\n")
    for title, counts in (
        ("done", run.done),
        ("outcomes", found.outcomes),
        ("accounted for", found.allowed),
    ):
        print(f"{title}:")
        for what, times in sorted(counts.items()):
            print(f"  {times:6} {what}")
    print("\nwrong, each of which must be 0:")
    for kind, texts in found.figures().items():
        print(f"  {len(texts):6} {kind}")
    for kind, texts in found.figures().items():
        counted = Counter(texts).most_common()
        for text, times in counted[:_SHOWN]:
            print(f"\n{kind} ({times}): {text[-_SHOWN_CHARACTERS:]}")
        if len(counted) > _SHOWN:
            print(f"\n{kind}: and {len(counted) - _SHOWN} more")
    return int(any(found.figures().values()))


def main() -> int:
    """Run by the arguments of the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=600.0, help="how long faults occur")
    parser.add_argument("--seed", type=int, help="seed of the plan; a random one by default")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="copy the run's folder there")
    given = parser.parse_args()
    seed = secrets.randbelow(10**6) if given.seed is None else given.seed
    arguments = ["--seconds", str(given.seconds), "--seed", str(seed)]
    if given.keep:
        arguments += ["--keep", str(given.keep.absolute())]
    # Also where SIGINT is ignored, as in the background of a shell: clients would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    confine([sys.executable, "-m", "chaos", *arguments])
    try:
        with Run(seed, given.seconds) as run:
            found = run.go()
            if given.keep:
                keep(run, given.keep)
            return report(run, found)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
