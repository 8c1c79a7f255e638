"""docs/ops_benchmark.md out of the figures."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from entry import Entry, Figures, Run
from harness import WORTH_COLD_US
from report import name_run
from sweep_line import TIE, find_slower

__all__ = ["page_markdown", "write_page"]

_HEAD = f"""# Kernels beside the libraries they stand in for

Made by `benchmarks/ops/run_all.py`, which writes this page from `benchmarks/ops/figures.json`. Nothing in it is typed by
hand. Before a row is timed, every contender's result is compared with ours; the table at the end says how near it came.

- All contenders run in turn, in another order each round, in one process: so the fastest peer is found, and the tables at
  the end show that. But each of them leaves the caches full of its own data to the next, so that a ratio would depend on
  how many there are. So ours and the fastest peer then alternate alone; p50, p90 and ratio are of this pair. A
  rival that the goal names, where it is another, has such a pair of its own.
- Times are of one call, Python included. Ours writes into buffers that are there, as a model's input buffers are; so does
  a peer that can be given one.
- **Ratio**: the fastest peer's median over ours. **Goal**: what was set before the work was done, and what was reached of
  it; where it names a rival that is not the fastest peer, the rival is given.
- **Cold**: the same pair, each sample a single call after more bytes than the last cache holds have been read and written,
  so that frame and output come from memory, as when a network runs between two frames. Calls of less than
  {WORTH_COLD_US:.0f} us are not timed so.
- **Limit**: the bytes that must be read and written once, over the speed of a long copy measured in the same run; **of
  it** is the limit over our cold p50.
"""

_SWEEP = f"""## Every size

Made by `benchmarks/ops/sweep.py`: the same work from 64x64 to 8K, on one thread, beside the fastest peer. A step in a curve
would be a size that falls off the fast path. Of work that moves bytes and computes nothing, ours counts as slower where
it takes more than {TIE:.0%} longer, of other work where it takes longer at all.
"""


def write_page(path: Path, found: Figures, chart: Path | None, sweeps: Mapping[Path, dict[str, Any]]) -> None:
    """The page, with links to the charts relative to it. sweeps: the sweep's figures by their chart."""
    link = os.path.relpath(chart, path.parent) if chart else None
    links = {os.path.relpath(one, path.parent): sweep for one, sweep in sweeps.items()}
    path.write_text(page_markdown(found, link, links), encoding="ascii")


def page_markdown(
    found: Figures,
    chart: str | None = None,
    sweeps: Mapping[str, dict[str, Any]] | None = None,
) -> str:
    """The page: the machine, a table for each run, the sweeps by their charts, every contender."""
    runs = found["runs"]
    lines = [_HEAD, *_machine(found), ""]
    if chart:
        lines += [f"![How many times faster than the fastest peer]({chart})", ""]
    for run in runs:
        lines += _run_table(run, runs[0])
    if sweeps:
        lines += [_SWEEP]
        for link, sweep in sweeps.items():
            lines += _sweep(sweep, link)
    for run in runs:
        lines += _contenders(run)
    return "\n".join(lines) + "\n"


def _machine(found: Figures) -> list[str]:
    machine = found["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    kernels = machine["kernels"] + (f", for {', '.join(machine['isas'])}" if machine["isas"] else "")
    return [
        f"{machine['processor']}, {machine['cpus']} logical processors, {machine['system']}. Kernels: {kernels}. "
        f"Python {machine['python']}, {versions}."
    ]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _run_table(run: Run, first: Run) -> list[str]:
    """The rows of a run; first: the page's first run, which the others are compared with."""
    speeds = ", ".join(f"{name} {speed:.1f}" for name, speed in run["bandwidth_gb_s"].items())
    head = [
        "row",
        "work",
        "p50 ms",
        "p90 ms",
        "fastest peer",
        "its p50 ms",
        "ratio",
        "goal",
        "cold p50 ms",
        "cold ratio",
        "limit ms",
        "of it",
    ]
    if run is not first:
        head.append(f"p50 of {name_run(first)} over it")
    before = {case["name"]: case["ours"]["p50_us"] for case in first["cases"]}
    memory = f"Memory, GB/s: {speeds}. Ahead of a cold call {run['evicted_bytes'] >> 20} MiB were read and written."
    lines = [f"## {name_run(run)}", "", memory, "", _line(head), "|" + "---|" * len(head)]
    for case in run["cases"]:
        ours = case["ours"]
        cells = [
            f"`{case['name']}`",
            case["what"],
            _ms(ours["p50_us"]),
            _ms(ours["p90_us"]),
            case["fastest"],
            _ms(case["peer"]["p50_us"]),
            f"**{case['ratio']:.2f}**",
            _goal(case),
            *_cold(case),
        ]
        if run is not first:
            cells.append(f"{before[case['name']] / ours['p50_us']:.2f}")
        lines.append(_line(cells))
    return [*lines, ""]


def _cold(case: Entry) -> list[str]:
    cold, limit = case["cold"], _ms(case["limit_us"])
    if cold is None:
        return ["", "", limit, ""]
    return [_ms(cold["ours"]["p50_us"]), f"{cold['ratio']:.2f}", limit, f"{case['share_of_limit']:.0%}"]


def _goal(case: Entry) -> str:
    if case["goal"] is None:
        return ""
    rival = "" if case["rival"] == case["fastest"] else f" ({case['rival']})"
    return f"{case['reached']:.2f} of {case['goal']:g}{rival}"


def _ms(microseconds: float) -> str:
    """Milliseconds to three digits."""
    value = microseconds / 1e3
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}" if value >= 0.1 else f"{value:.4f}"


def _sweep(sweep: dict[str, Any], chart: str) -> list[str]:
    slower = find_slower(sweep["lines"])
    points = [point for line in sweep["lines"] for point in line["points"]]
    least, middle = min(point["ratio"] for point in points), median(point["ratio"] for point in points)
    sentence = (
        f"{len(sweep['lines'])} kinds of work, {len(points)} points; ratios from {least:.2f}, half of them above "
        f"{middle:.2f}. "
    )
    sentence += "Ours is slower at:" if slower else "Ours is nowhere slower."
    lines = [f"### {sweep['isa']}", "", f"![Nanoseconds a pixel from 64x64 to 8K]({chart})", "", sentence, ""]
    return [*lines, *(f"- {one}" for one in slower), *([""] if slower else [])]


def _contenders(run: Run) -> list[str]:
    head = ["row", "contender", "p50 ms", "p90 ms", "n", "ratio", "away", "accepted", "because"]
    lines = [f"## Every contender in turn, {name_run(run)}", "", _line(head), "|" + "---|" * len(head)]
    for case in run["cases"]:
        ours = case["in_turn"]
        cells = [
            f"`{case['name']}`",
            "**edgevision**",
            _ms(ours["p50_us"]),
            _ms(ours["p90_us"]),
            str(ours["n"]),
        ]
        lines.append(_line([*cells, "", "", "", ""]))
        for other in case["others"]:
            name = f"{other['name']} (a variant)" if other["kind"] == "variant" else other["name"]
            cells = ["", name, _ms(other["p50_us"]), _ms(other["p90_us"]), str(other["n"])]
            cells += [
                f"{other['ratio']:.2f}",
                f"{other['distance']:.2g}",
                f"{other['accepted']:.2g}",
                other["why"],
            ]
            lines.append(_line(cells))
    return [*lines, ""]
