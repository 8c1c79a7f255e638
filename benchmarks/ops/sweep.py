"""No slower at any size: from 64x64 to 8K, ours beside the fastest of the others, and a chart of both.

    python benchmarks/ops/sweep.py [--only NAME ...] [--keep] [--list] [--seconds S] [--largest MEGAPIXELS]
                                   [--isa NAME] [--json FILE] [--chart FILE] [--redraw]

A step in our curves is a cliff: a size that falls off the fast path. The points at which ours is slower are printed, and
then the exit status is 1. Before a point is timed its results are compared. A point that seems slower is measured again,
twice for longer, and the last time counts: it may have been another program's doing.

Of lines that move bytes and compute nothing (the same size, other channels or none) the fastest of both sides wait for
memory, and which of two is first is chance: a point within 2 % of the peer is a tie there. Where nothing but a result's
place could decide, both write the same memory.

After each line the figures are written, whole or not at all; --keep goes on where a run was cut off, or takes only lines
that are not there. Without --only, --json and --chart the figures go to benchmarks/ops/sweep.json and the chart to
docs/ops_sweep.svg; of an instruction set that is named, to sweep_NAME.json and ops_sweep_NAME.svg beside them.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import sweep_images
import sweep_masks
from case import Row
from chart import draw_sweep
from harness import run_row
from machine import describe_machine, measure_bandwidth, select_isa, set_threads
from report import write_json
from sweep_line import Line, Size, find_slower, is_slower

__all__ = ["LINES", "chart_of", "figures_of", "run_line"]

HERE = Path(__file__).parent

SECTIONS = {"images": sweep_images.LINES, "masks": sweep_masks.LINES}
LINES: tuple[Line, ...] = tuple(line for lines in SECTIONS.values() for line in lines)

AGAIN = (3, 6)
"""How many times as long a point is measured again that seems slower."""


def figures_of(isa: str | None) -> Path:
    """Where the figures of an instruction set lie; None is the best one's."""
    return HERE / ("sweep.json" if isa is None else f"sweep_{isa}.json")


def chart_of(figures: Path) -> Path:
    """Where the chart of these figures lies."""
    return HERE.parents[1] / "docs" / f"ops_{figures.stem}.svg"


def run_line(
    line: Line,
    sizes: Iterable[Size],
    seconds: float,
    copy_gb_s: float,
    rounds: int = 9,
    show: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """The line's entry in the JSON: a point a size."""
    entry: dict[str, Any] = {"name": line.name, "what": line.what, "copies": line.copies, "points": []}
    for size in sizes:
        point = _measure(line, size, seconds, copy_gb_s, rounds)
        for times in AGAIN:
            if is_slower(entry, point):
                point = _measure(line, size, times * seconds, copy_gb_s, times * rounds)
        entry["points"].append(point)
        show(_point_line(entry, point))
    return entry


def _measure(line: Line, size: Size, seconds: float, copy_gb_s: float, rounds: int) -> dict[str, Any]:
    shape, height, width = size
    row = Row(f"{line.name} {height}x{width}", line.what, None, lambda small: line.make(height, width))
    found = run_row(row, seconds, copy_gb_s, rounds=rounds)
    return {
        "shape": shape,
        "height": height,
        "width": width,
        "pixels": line.pixels(height, width),
        "ours_us": found["ours"]["p50_us"],
        "peer_us": found["ours"]["p50_us"] * found["ratio"],
        "peer": found["fastest"],
        "ratio": found["ratio"],
        "n": found["ours"]["n"],
    }


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [*SECTIONS, *(line.name for line in LINES)]
    parser.add_argument(
        "--only", nargs="+", choices=names, metavar="NAME", help="these lines or sections alone"
    )
    parser.add_argument(
        "--keep", action="store_true", help="keep lines that the JSON file has from this machine"
    )
    parser.add_argument("--list", action="store_true", help="name sections and lines, measure nothing")
    parser.add_argument(
        "--seconds", type=float, default=0.2, help="to time a point for (default: %(default)s)"
    )
    parser.add_argument("--largest", type=float, default=40.0, help="leave larger images out, megapixels")
    parser.add_argument("--isa", metavar="NAME", help="instruction set (default: the best)")
    parser.add_argument("--json", type=Path, help="file for all figures")
    parser.add_argument("--chart", type=Path, help="file for the chart (SVG)")
    parser.add_argument("--redraw", action="store_true", help="measure nothing: the chart anew")
    return parser.parse_args()


def chosen(only: Sequence[str] | None) -> list[Line]:
    """The lines of these names and sections; all for None."""
    return [
        line
        for section, lines in SECTIONS.items()
        for line in lines
        if only is None or section in only or line.name in only
    ]


def measure(options: argparse.Namespace, figures: Path | None) -> dict[str, Any]:
    """What the JSON holds. Written to `figures` after each line."""
    set_threads(1)
    isa, bandwidth = select_isa(options.isa), measure_bandwidth()
    found = {
        "benchmark": "ops_sweep",
        "machine": describe_machine(),
        "isa": isa,
        "bandwidth_gb_s": bandwidth,
        "lines": [],
    }
    kept = _kept_lines(figures, found) if options.keep else {}
    lines, started = chosen(options.only), time.perf_counter()
    for index, line in enumerate(lines, 1):
        if line.name not in kept:
            _say(
                f"\n{line.what}   [{line.name}, {index} of {len(lines)}, {time.perf_counter() - started:.0f} s]"
            )
            _say(f"{'size':>12} {'ours us':>10} {'peer us':>10} {'ratio':>6}  peer")
            sizes = [size for size in line.kept_sizes() if size.height * size.width <= options.largest * 1e6]
            kept[line.name] = run_line(line, sizes, options.seconds, bandwidth["copy"], show=_say)
        found["lines"] = [kept[one.name] for one in LINES if one.name in kept]
        if figures:
            write_json(figures, found)
    return found


def _kept_lines(figures: Path | None, found: dict[str, Any]) -> dict[str, Any]:
    """The lines of an earlier run on this machine with this instruction set, by name."""
    if figures is None or not figures.is_file():
        return {}
    before = json.loads(figures.read_text(encoding="ascii"))
    if before["machine"] != found["machine"] or before["isa"] != found["isa"]:
        raise SystemExit(
            f"{figures} is of another machine or instruction set; leave --keep out to begin anew"
        )
    return {line["name"]: line for line in before["lines"]}


def _point_line(line: dict[str, Any], point: dict[str, Any]) -> str:
    size = f"{point['width']}x{point['height']}"
    times = f"{point['ours_us']:>10.1f} {point['peer_us']:>10.1f} {point['ratio']:>6.2f}"
    mark = "   slower" if is_slower(line, point) else "   tie" if point["ratio"] < 1 else ""
    return f"{size:>12} {times}  {point['peer']}{mark}"


def _say(text: str) -> None:
    print(text, flush=True)


def main() -> int:
    """0 where ours is nowhere slower, else 1."""
    options = parse_arguments()
    if options.list:
        for section, lines in SECTIONS.items():
            _say("\n".join([section, *(f"  {line.name:<20} {line.what}" for line in lines)]))
        return 0
    figures = options.json or (None if options.only else figures_of(options.isa))
    chart = options.chart or (None if options.only else chart_of(figures_of(options.isa)))
    if options.redraw:
        found = json.loads((figures or figures_of(options.isa)).read_text(encoding="ascii"))
    else:
        found = measure(options, figures)
    if chart:
        draw_sweep(found["lines"], chart)
    slower = find_slower(found["lines"])
    _say("\nslower than the fastest peer:" if slower else "\nnowhere slower than the fastest peer")
    _say("\n".join(slower))
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(main())
