"""The command line that every family's file has."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path

from case import Row
from cold import make_eviction
from entry import Figures, Run
from harness import run_row
from machine import describe_machine, measure_bandwidth, select_isa, set_threads
from report import row_lines, table_head, write_json

__all__ = ["Families", "add_options", "main", "measure"]

Families = Mapping[str, Sequence[Row]]


def add_options(parser: argparse.ArgumentParser, rows: Sequence[Row]) -> None:
    """--only, --seconds, --threads, --isa."""
    names = [row.name for row in rows]
    listed = f"these rows alone; of {', '.join(names)}"
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=listed)
    parser.add_argument(
        "--seconds", type=float, default=2.0, help="to time each row for (default: %(default)s)"
    )
    parser.add_argument(
        "--threads", type=int, nargs="+", default=[1], metavar="N", help="a run for each (default: 1)"
    )
    help = "a run for each instruction set, of edgevision._native.available_isas() (default: the one in use)"
    parser.add_argument("--isa", nargs="+", default=[None], metavar="NAME", help=help)


def measure(families: Families, options: argparse.Namespace, show: Callable[[str], None] = print) -> Figures:
    """What the JSON holds: the machine, and for each instruction set and number of threads a run of the rows.

    options: what add_options adds. Shows each row as soon as it is done. Raises MismatchError where a contender
    computes something else.
    """
    chosen = [
        (family, row)
        for family, rows in families.items()
        for row in rows
        if options.only is None or row.name in options.only
    ]
    runs: list[Run] = []
    for isa, threads in product(options.isa, options.threads):
        chosen_isa, eviction = select_isa(isa), make_eviction(threads)
        set_threads(threads)
        run: Run = {
            "isa": chosen_isa,
            "threads": threads,
            "bandwidth_gb_s": measure_bandwidth(threads),
            "evicted_bytes": eviction.nbytes,
            "cases": [],
        }
        show(table_head(run))
        for family, row in chosen:
            case = run_row(row, options.seconds, run["bandwidth_gb_s"]["copy"], evict=eviction.call)
            run["cases"].append({"family": family, **case})
            show("\n".join(row_lines(case)))
        runs.append(run)
    return {"benchmark": "ops", "machine": describe_machine(), "seconds_a_row": options.seconds, "runs": runs}


def main(family: str, doc: str | None, rows: Sequence[Row]) -> None:
    """Parse arguments, measure, print, write."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, rows)
    parser.add_argument("--json", type=Path, help="file to write all figures to")
    options = parser.parse_args()
    found = measure({family: rows}, options, show=partial(print, flush=True))
    if options.json:
        write_json(options.json, found)
        print(f"wrote {options.json}", file=sys.stderr)
