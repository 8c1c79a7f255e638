"""The figures as lines of text, as JSON, and as a page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["name_run", "row_lines", "table_head", "write_json"]

_COLUMNS = "{:<36} {:>9} {:>9} {:>9} {:>7} {:>8} {:>13} {:>9} {:>6}"


def table_head(run: dict[str, Any]) -> str:
    """Title and column names of the printed table."""
    speeds = ", ".join(f"{name} {speed:.1f}" for name, speed in run["bandwidth_gb_s"].items())
    title = f"{name_run(run)}; memory in GB/s: {speeds}"
    names = ("", "min us", "p50 us", "p90 us", "n", "ratio", "goal", "limit us", "share")
    return f"\n{title}\n{_COLUMNS.format(*names)}"


def name_run(run: dict[str, Any]) -> str:
    """What a run computed with: "avx2, 1 thread"."""
    return f"{run['isa']}, {run['threads']} thread{'s' if run['threads'] > 1 else ''}"


def row_lines(case: dict[str, Any]) -> list[str]:
    """A row's lines: ours, then the others.

    Of ours: the ratio to the fastest peer; what was reached of the goal, which may name another rival; the limit and
    the share of it. Marked: * the fastest peer, > another rival, ~ what computes something a little different.
    """
    ours = case["ours"]
    goal = "" if case["goal"] is None else f"{case['reached']:.2f} / {case['goal']:g}"
    limit, share = f"{case['limit_us']:.1f}", f"{case['share_of_limit']:.0%}"
    times = _times(ours)
    lines = [_COLUMNS.format(case["name"], *times, f"{case['ratio']:.2f}", goal, limit, share)]
    for other in case["others"]:
        times = _times(other)
        cells = (f"  {_mark(case, other)} {other['name']}", *times, f"{other['ratio']:.2f}", "", "", "")
        lines.append(_COLUMNS.format(*cells).rstrip())
    return lines


def _mark(case: dict[str, Any], other: dict[str, Any]) -> str:
    if other["name"] == case["fastest"]:
        return "*"
    if other["name"] == case["rival"]:
        return ">"
    return "~" if other["kind"] == "variant" else " "


def _times(entry: dict[str, Any]) -> tuple[str, str, str, str]:
    return _us(entry["min_us"]), _us(entry["p50_us"]), _us(entry["p90_us"]), str(entry["n"])


def _us(value: float) -> str:
    return f"{value:.1f}" if value < 1000 else f"{value:.0f}"


def write_json(path: Path, found: dict[str, Any]) -> None:
    """All figures, floats to six digits, so that a file of them can be read. Whole or not at all."""
    partial = path.with_name(f"{path.name}.part")
    partial.write_text(json.dumps(_rounded(found), indent=1) + "\n", encoding="ascii")
    partial.replace(path)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(one) for one in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value
