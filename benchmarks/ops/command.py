"""The command line that every family's file has."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from case import Row
from harness import run_row
from machine import describe_machine, measure_bandwidth, set_threads
from report import row_lines, table_head, write_json

__all__ = ["Families", "add_options", "main", "measure"]

Families = Mapping[str, Sequence[Row]]


def add_options(parser: argparse.ArgumentParser, rows: Sequence[Row]) -> None:
    """--only, --seconds, --threads."""
    names = [row.name for row in rows]
    listed = f"these rows alone; of {', '.join(names)}"
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=listed)
    parser.add_argument(
        "--seconds", type=float, default=3.0, help="to time each row for (default: %(default)s)"
    )
    parser.add_argument(
        "--threads", type=int, nargs="+", default=[1], metavar="N", help="a run for each (default: 1)"
    )


def measure(
    families: Families,
    seconds: float,
    threads: Sequence[int],
    *,
    only: Sequence[str] | None = None,
    small: bool = False,
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
        for family, rows in families.items():
            for row in rows:
                if only is None or row.name in only:
                    case = run_row(row, seconds, bandwidth["copy"], small=small)
                    cases.append({"family": family, **case})
                    print("\n".join(row_lines(case)), flush=True)
        runs.append({"threads": count, "bandwidth_gb_s": bandwidth, "cases": cases})
    return {"benchmark": "ops", "machine": describe_machine(), "seconds_a_row": seconds, "runs": runs}


def main(family: str, doc: str | None, rows: Sequence[Row]) -> None:
    """Parse arguments, measure, print, write."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, rows)
    parser.add_argument("--json", type=Path, help="file to write all figures to")
    options = parser.parse_args()
    found = measure({family: rows}, options.seconds, options.threads, only=options.only)
    if options.json:
        write_json(options.json, found)
        print(f"wrote {options.json}", file=sys.stderr)
