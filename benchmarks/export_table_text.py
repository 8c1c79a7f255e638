"""docs/export_table.md out of benchmarks/export_table.json."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["table_markdown"]

_HEAD = """# Every family in every form

Made by `benchmarks/export_table.py`, which writes this page from `benchmarks/export_table.json`. Random weights: what is
measured is that each form computes what PyTorch computes, its size, and that it builds. Parity is of the worst output on the
golden frames: the largest difference over the largest value, the cosine, and the noise (squared error over variance, a
channel at a time), in ONNX Runtime. Seconds of an engine are of its build alone, on the processor below, without a GPU;
other work may have run beside it.
"""


def table_markdown(rows: Sequence[dict[str, Any]], targets: Sequence[str]) -> str:
    """The page: one line a file, under one of its PyTorch module."""
    head = ["network", "form", "MB", "nodes", "relative", "cosine", "noise", "in float"]
    head += [f"engine {name}: s / MB" for name in targets]
    lines = [_HEAD, "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        for role, parameters in row["parameters"].items():
            name = f"{row['name']}, {_sides(row)}" if role == "model" else f"{row['name']}: {role}"
            # Float32 parameters: what the checkpoint weighs.
            lines.append(
                _line([f"**{name}**", "PyTorch", f"{parameters * 4 / 1e6:.1f}", *[""] * (len(head) - 3)])
            )
            forms = [form for form in row["report"]["forms"] if form["role"] == role]
            lines += [_line(_form(row, form, targets)) for form in forms]
    lines += ["", *_refusals(rows), *_made_with(rows)]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _sides(row: dict[str, Any]) -> str:
    return ", ".join("x".join(map(str, size)) for _, size in row["inputs"])


def _form(row: dict[str, Any], form: dict[str, Any], targets: Sequence[str]) -> list[str]:
    tensors = form["parity"][0]["tensors"]
    islands = sum(form["float_operators"].values())
    left = f"{len(form['left_out'])} of {form['layers']} layers" if form["left_out"] else ""
    cells = [
        "",
        form["form"],
        f"{form['bytes'] / 1e6:.1f}",
        str(form["nodes"]),
        f"{max(one['relative'] for one in tensors):.1e}",
        f"{min(one['cosine'] for one in tensors):.6f}",
        f"{max(one['noise'] for one in tensors):.1e}",
        left or (f"{islands} operators" if islands else ""),
    ]
    for target in targets:
        found = [one for one in row["engines"] if one["file"] == form["file"] and one["targets"] == target]
        if not found:
            cells.append("")
        elif "error" in found[0]:
            cells.append("refused")
        else:
            cells.append(f"{found[0]['seconds']:.1f} / {found[0]['bytes'] / 1e6:.1f}")
    return cells


def _refusals(rows: Sequence[dict[str, Any]]) -> list[str]:
    lines = [
        f"- {row['name']}, {one['file']}, {one['targets']}: {one['error']}"
        for row in rows
        for one in row["engines"]
        if "error" in one
    ]
    return ["## Refused by the builder", "", *lines, ""] if lines else []


def _made_with(rows: Sequence[dict[str, Any]]) -> list[str]:
    versions: dict[str, set[str]] = {}
    for row in rows:
        for name, version in row["report"]["versions"].items():
            versions.setdefault(name, set()).add(version)
        for one in row["engines"]:
            if "backend" in one:
                name, version = one["backend"].split(" ", 1)
                versions.setdefault(name, set()).add(version)
    machines = sorted({f"{row['processor']}, {row['cores']} cores" for row in rows})
    listed = ", ".join(f"{name} {' and '.join(sorted(found))}" for name, found in versions.items())
    return ["## Made with", "", f"{listed}. On {'; '.join(machines)}.", ""]
