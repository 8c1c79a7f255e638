"""report.md: the report as people read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["report_markdown"]


def report_markdown(report: Mapping[str, Any]) -> str:
    """Markdown of the content of report.json."""
    source = report["source"]
    title = source["model"] or report["task"]
    lines = [f"# {title}", ""]
    about = [f"Task: {report['task']}."]
    if source["framework"]:
        about.append(f"From {source['framework']} {source['framework_version']}.".replace(" .", "."))
    if source["license"]:
        about.append(f"Licence of the weights: {source['license']}.")
    if source["random_weights"]:
        about.append("**Random weights: results mean nothing.**")
    lines += [" ".join(about), ""]
    lines += ["## Forms", ""] + _forms(report["forms"]) + [""]
    lines += ["## Beside PyTorch", ""]
    lines += [f"On {len(report['frames'])} golden frames: {_frames(report['frames'])}.", ""]
    if report["preprocessing"]:
        row = report["preprocessing"]
        lines += [
            f"The spec's preprocessing lies {row['mean_levels']:.3f} grey levels (of 255) from the source's own in the "
            f"mean, {row['max_levels']:.1f} at most ({row['frame']}).",
            "",
        ]
    lines += ["### Tensors", ""] + _tensors(report["forms"]) + [""]
    results = _results(report["forms"])
    if results:
        lines += ["### Results", "", *results, ""]
    notes = [
        *report["notes"],
        *(f"{one['file']}: {note}" for one in report["forms"] for note in one["notes"]),
    ]
    notes += [_left_out(one) for one in report["forms"] if one["left_out"]]
    notes += [
        f"{one['file']} was traced with torch's legacy exporter, as its newer one cannot trace this network."
        for one in report["forms"]
        if one["tracer"] == "legacy"
    ]
    if report["calibration"]:
        notes.append(
            f"int8 is calibrated on {report['calibration']['pictures']} pictures, by min-max ranges."
        )
    if notes:
        lines += ["## Notes", "", *(f"- {note}" for note in notes), ""]
    if report.get("pictures"):
        lines += ["## Pictures", "", "PyTorch, then each form.", ""]
        lines += [f"![{name}]({name})\n" for name in report["pictures"]]
    lines += ["## Made with", "", ", ".join(f"{k} {v}" for k, v in report["versions"].items()) + ".", ""]
    return "\n".join(lines)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
        *("| " + " | ".join(row) + " |" for row in rows),
    ]


def _forms(forms: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [
        [
            one["file"],
            one["form"],
            f"{one['bytes'] / 1e6:.2f}",
            str(one["nodes"]),
            str(one["opset"]),
            f"{one['seconds'].get('total', 0):.1f}",
            ", ".join(one["runtimes"]),
        ]
        for one in forms
    ]
    return _table(["file", "form", "MB", "nodes", "opset", "seconds", "runtimes"], rows)


def _frames(frames: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"{one['name']} ({one['image_hw'][1]}x{one['image_hw'][0]})" for one in frames)


def _tensors(forms: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [
        [
            one["file"],
            parity["runtime"],
            tensor["name"],
            "x".join(map(str, tensor["shape"])),
            *(_number(tensor[key]) for key in ("max_abs", "mean_abs", "relative")),
            f"{tensor['cosine']:.6f}" if tensor["cosine"] is not None else "nan",
            _number(tensor["noise"]),
            tensor["frame"],
        ]
        for one in forms
        for parity in one["parity"]
        for tensor in parity["tensors"]
    ]
    head = ["file", "runtime", "tensor", "shape", "max", "mean", "relative", "cosine", "noise", "worst frame"]
    return _table(head, rows)


def _results(forms: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = []
    for one in forms:
        bounds = {limit["what"]: limit for limit in one["limits"]}
        for parity in one["parity"]:
            for result in parity["results"]:
                limit = bounds.get(result["name"])
                held = "" if limit is None else f"{'>=' if limit['least'] else '<='} {limit['bound']:g}"
                rows.append(
                    [
                        one["file"],
                        parity["runtime"],
                        result["name"],
                        _number(result["value"]),
                        held,
                        str(result["count"]),
                        result["frame"],
                    ]
                )
    if not rows:
        return []
    return _table(["file", "runtime", "figure", "value", "limit", "of", "worst frame"], rows)


def _left_out(form: Mapping[str, Any]) -> str:
    layers = "; ".join(f"{one['nodes'][0]} (error {one['error']:.2g})" for one in form["left_out"])
    return f"{form['file']}: {len(form['left_out'])} of {form['layers']} layers stay in float: {layers}."


def _number(value: float | None) -> str:
    return "nan" if value is None else f"{value:.3g}"
