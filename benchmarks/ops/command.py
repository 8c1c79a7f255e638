"""The command line that every file of benchmarks here has."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from case import Row
from harness import run_row
from machine import describe_machine, measure_bandwidth, set_threads
from report import row_lines, table_head, write_json

__all__ = ["add_options", "main", "measure"]


def add_options(parser: argparse.ArgumentParser, rows: Sequence[Row]) -> None:
    """--only, --seconds, --threads, --json."""
    names = [row.name for row in rows]
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=f"of {', '.join(names)}")
    parser.add_argument(
        "--seconds", type=float, default=3.0, help="to time each row for (default: %(default)s)"
    )
    parser.add_argument(
        "--threads", type=int, nargs="+", default=[1], metavar="N", help="a run for each (default: 1)"
    )
    parser.add_argument("--json", type=Path, help="file to write all figures to")


def measure(
    rows: Sequence[Row], seconds: float, threads: Sequence[int], *, small: bool = False
) -> dict[str, Any]:
    """What the JSON holds: the machine, and for each number of threads the memory's speed and the rows.

    Prints each row as soon as it is done. Raises MismatchError where a contender computes something else.
    """
    runs = []
    for count in threads:
        set_threads(count)
        bandwidth = measure_bandwidth(count)
        print(table_head(count, bandwidth), flush=True)
        cases = []
        for row in rows:
            cases.append(run_row(row, seconds, bandwidth["copy"], small=small))
            print("\n".join(row_lines(cases[-1])), flush=True)
        runs.append({"threads": count, "bandwidth_gb_s": bandwidth, "cases": cases})
    return {"benchmark": "ops", "machine": describe_machine(), "seconds_a_row": seconds, "runs": runs}


def main(doc: str | None, rows: Sequence[Row]) -> None:
    """Parse arguments, measure, print, write."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, rows)
    options = parser.parse_args()
    chosen = [row for row in rows if options.only is None or row.name in options.only]
    found = measure(chosen, options.seconds, options.threads)
    if options.json:
        write_json(options.json, found)
        print(f"wrote {options.json}", file=sys.stderr)
