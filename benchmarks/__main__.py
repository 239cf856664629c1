"""Run benchmarks, and print one table with the goals."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from common import Row, print_table, rows_of

NAMES = sorted({path.stem for path in Path(__file__).parent.glob("[!_]*.py")} - {"common"})


def main() -> int:
    """Run each in a new process, which inherits no threads or memory of another."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--quick", action="store_true", help="few and small measurements")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(NAMES):
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}")
    rows: list[Row] = []
    failed = False
    for name in arguments.names or NAMES:
        start = time.perf_counter()
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            try:
                rows += pool.submit(rows_of, name, arguments.quick).result()
                outcome = "done"
            except Exception as error:
                failed, outcome = True, f"FAILED: {type(error).__name__}: {error}"
        print(f"{name}: {outcome} after {time.perf_counter() - start:.0f} s", file=sys.stderr)
    print_table(rows)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
