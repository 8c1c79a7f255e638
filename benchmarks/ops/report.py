"""The figures as lines of text, as JSON, and as a page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from entry import Entry, Other, Percentiles, Run

from edgevision.spec.files import atomic_writer

__all__ = ["name_run", "row_lines", "table_head", "write_json"]

_COLUMNS = "{:<36} {:>9} {:>9} {:>9} {:>7} {:>8} {:>13} {:>9} {:>7} {:>9} {:>6}"


def table_head(run: Run) -> str:
    """Title and column names of the printed table."""
    speeds = ", ".join(f"{name} {speed:.1f}" for name, speed in run["bandwidth_gb_s"].items())
    title = f"{name_run(run)}; memory in GB/s: {speeds}"
    names = ("", "min us", "p50 us", "p90 us", "n", "ratio", "goal", "cold us", "ratio", "limit us", "share")
    return f"\n{title}\n{_COLUMNS.format(*names)}"


def name_run(run: Run) -> str:
    """What a run computed with: "avx2, 1 thread"."""
    return f"{run['isa']}, {run['threads']} thread{'s' if run['threads'] > 1 else ''}"


def row_lines(case: Entry) -> list[str]:
    """A row's lines: ours beside the fastest peer alone, then ours and the others while all ran in turn.

    Of the first: the ratio to the fastest peer; what was reached of the goal, which may name another rival; the same out
    of memory, where it was timed; the limit and how much of it is reached there. Marked: * the fastest peer, > another
    rival, ~ what computes something a little different.
    """
    ours = case["ours"]
    goal = "" if case["goal"] is None else f"{case['reached']:.2f} / {case['goal']:g}"
    cold, limit = case["cold"], f"{case['limit_us']:.1f}"
    out_of_memory = ("", "", limit, "")
    if cold is not None:
        out_of_memory = (
            _us(cold["ours"]["p50_us"]),
            f"{cold['ratio']:.2f}",
            limit,
            f"{case['share_of_limit']:.0%}",
        )
    cells = (case["name"], *_times(ours), f"{case['ratio']:.2f}", goal, *out_of_memory)
    lines = [_COLUMNS.format(*cells), _in_turn("  . edgevision", case["in_turn"], "")]
    for other in case["others"]:
        lines.append(_in_turn(f"  {_mark(case, other)} {other['name']}", other, f"{other['ratio']:.2f}"))
    return [line.rstrip() for line in lines]


def _in_turn(name: str, entry: Percentiles, ratio: str) -> str:
    return _COLUMNS.format(name, *_times(entry), ratio, *[""] * 5)


def _mark(case: Entry, other: Other) -> str:
    if other["name"] == case["fastest"]:
        return "*"
    if other["name"] == case["rival"]:
        return ">"
    return "~" if other["kind"] == "variant" else " "


def _times(entry: Percentiles) -> tuple[str, str, str, str]:
    return _us(entry["min_us"]), _us(entry["p50_us"]), _us(entry["p90_us"]), str(entry["n"])


def _us(value: float) -> str:
    return f"{value:.1f}" if value < 1000 else f"{value:.0f}"


def write_json(path: Path, found: Mapping[str, Any]) -> None:
    """All figures, floats to six digits, so that a file of them can be read. Whole or not at all."""
    with atomic_writer(path) as file:
        file.write((json.dumps(_rounded(found), indent=1) + "\n").encode("ascii"))


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(one) for one in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value
