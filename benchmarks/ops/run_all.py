"""Every kernel beside the libraries it stands in for: figures, a page and a chart.

    python benchmarks/ops/run_all.py [--family NAME ...] [--only NAME ...] [--seconds S] [--threads N ...]
                                     [--isa NAME ...] [--json FILE] [--page FILE] [--chart FILE] [--redraw]

Without --json, --page and --chart it writes benchmarks/ops/figures.json, docs/ops_benchmark.md and
docs/ops_benchmark.svg, unless only some rows were asked for: then nothing is written that was not named. --redraw
measures nothing and makes page and chart again from the figures there are. The page shows the sweep over sizes too,
of each instruction set of which sweep.py has left figures.
"""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import boxes
import color
import image
import masks
import scores
from chart import draw_ratios
from command import Families, add_options, measure
from page import write_page
from report import write_json
from sweep import chart_of

__all__ = ["FAMILIES"]

HERE = Path(__file__).parent
FIGURES = HERE / "figures.json"
PAGE = HERE.parents[1] / "docs" / "ops_benchmark.md"
CHART = PAGE.with_suffix(".svg")

FAMILIES: Families = {
    "image": image.ROWS,
    "color": color.ROWS,
    "boxes": boxes.ROWS,
    "masks": masks.ROWS,
    "scores": scores.ROWS,
}


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--family", nargs="+", choices=FAMILIES, help="these families alone")
    add_options(parser, [row for rows in FAMILIES.values() for row in rows])
    parser.add_argument("--json", type=Path, help="file for all figures")
    parser.add_argument("--page", type=Path, help="file for the page (Markdown)")
    parser.add_argument("--chart", type=Path, help="file for the chart (SVG), beside the page")
    parser.add_argument("--redraw", action="store_true", help="measure nothing: page and chart anew")
    return parser.parse_args()


def _read(figures: Path) -> Any:
    return json.loads(figures.read_text(encoding="ascii"))


def main() -> None:
    """Measure or read, print, write."""
    options = parse_arguments()
    everything = options.redraw or not (options.only or options.family)
    figures = options.json or (FIGURES if everything else None)
    page = options.page or (PAGE if everything else None)
    chart = options.chart or (CHART if everything else None)
    if options.redraw:
        found = _read(figures)
    else:
        chosen = {name: FAMILIES[name] for name in options.family or FAMILIES}
        found = measure(chosen, options, show=partial(print, flush=True))
    if figures and not options.redraw:
        write_json(figures, found)
    if chart:
        draw_ratios(found["runs"][0]["cases"], chart)
    if page:
        write_page(
            page, found, chart, {chart_of(one): _read(one) for one in sorted(HERE.glob("sweep*.json"))}
        )
    for path in (figures, chart, page):
        if path:
            print(f"{'read' if options.redraw and path == figures else 'wrote'} {path}", file=sys.stderr)


if __name__ == "__main__":
    main()
