"""Charts of the figures, as SVG whose bytes depend on nothing but them and matplotlib's version."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import wrap
from typing import Any

__all__ = ["draw_ratios", "draw_sweep"]

_COLORS = {
    "image": "#1f77b4",
    "color": "#2ca02c",
    "boxes": "#d62728",
    "masks": "#9467bd",
    "scores": "#8c564b",
}
_OURS, _PEER = "#1f77b4", "#ff7f0e"
# Strips are of all shapes: no line leads from one to the next.
_STYLES = {"square": ".-", "16:9": ".--", "odd": ".:", "strip": "x"}


@contextmanager
def _figure(path: Path, **options: Any) -> Iterator[tuple[Any, Any]]:
    """(figure, axes) to draw on, saved to `path` at the end."""
    import matplotlib

    settings = {"svg.hashsalt": "edgevision", "svg.fonttype": "none", "font.size": 9}
    with matplotlib.rc_context(settings):
        from matplotlib.figure import Figure

        figure = Figure(figsize=options.pop("figsize"), layout="constrained")
        axes = figure.subplots(**options)
        yield figure, axes
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})


def draw_ratios(cases: Sequence[dict[str, Any]], path: Path) -> None:
    """A bar a row: how many times faster than the fastest peer; a line where the goal is, a ring at what it counts."""
    with _figure(path, figsize=(9, 0.24 * len(cases) + 1.2)) as (_, axes):
        for place, case in enumerate(cases):
            axes.barh(place, case["ratio"] - 1, left=1, height=0.7, color=_COLORS[case["family"]])
            label = f" {case['ratio']:.1f}"
            axes.text(max(case["ratio"], 1.0), place, label, va="center", fontsize=8)
            if case["goal"] is not None:
                axes.plot([case["goal"]] * 2, [place - 0.45, place + 0.45], color="black", linewidth=1.5)
                if case["rival"] != case["fastest"]:
                    axes.plot(
                        case["reached"], place, "o", color="black", markerfacecolor="white", markersize=5
                    )
        axes.axvline(1, color="gray", linewidth=0.8)
        axes.set_xscale("log")
        axes.set_yticks(range(len(cases)), [case["name"] for case in cases])
        axes.set_ylim(len(cases) - 0.4, -0.6)
        axes.xaxis.set_major_formatter("{x:g}x")
        axes.set_xlabel(
            "times faster than the fastest peer (bar); goal (line); the rival that the goal names (ring)"
        )


def draw_sweep(lines: Sequence[dict[str, Any]], path: Path) -> None:
    """A panel a kind of work: nanoseconds a pixel against the image's pixels, ours and the fastest peer's."""
    columns = 3
    rows = -(-len(lines) // columns)
    with _figure(path, figsize=(12, 2.5 * rows + 0.8), nrows=rows, ncols=columns, squeeze=False) as (
        figure,
        grid,
    ):
        panels = grid.ravel()
        for axes, line in zip(panels, lines, strict=False):
            for shape, style in _STYLES.items():
                points = [point for point in line["points"] if point["shape"] == shape]
                if points:
                    _draw_line(axes, points, shape, style)
            axes.set_title("\n".join(wrap(line["what"], 48)), fontsize=8)
            _scale_panel(axes)
        for axes in panels[len(lines) :]:
            axes.set_visible(False)
        labels = {
            label: line
            for axes in panels
            for line, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        figure.legend(labels.values(), labels, loc="outside upper center", ncols=len(labels) // 2, fontsize=8)
        figure.supxlabel("megapixels of the image")
        figure.supylabel("ns a pixel, of the image or the result, whichever has more")


def _scale_panel(axes: Any) -> None:
    """Logarithmic, with plain numbers at 1, 2 and 5 upwards, and at powers of 10 rightwards."""
    from matplotlib.ticker import LogLocator, NullLocator

    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis, steps in ((axes.xaxis, (1.0,)), (axes.yaxis, (1.0, 2.0, 5.0))):
        axis.set_major_locator(LogLocator(subs=steps, numticks=12))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter("{x:g}")
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.3)


def _draw_line(axes: Any, points: Sequence[dict[str, Any]], shape: str, style: str) -> None:
    x = [point["width"] * point["height"] / 1e6 for point in points]
    for name, key, color in (("edgevision", "ours_us", _OURS), ("fastest peer", "peer_us", _PEER)):
        y = [point[key] * 1e3 / point["pixels"] for point in points]
        axes.plot(x, y, style, color=color, markersize=4, linewidth=1.2, label=f"{name}, {shape}")
