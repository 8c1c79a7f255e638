"""What an export raises, and what the tracer's own words mean."""

from __future__ import annotations

import re

from edgevision.errors import EdgeVisionError

__all__ = ["ExportError", "explain_trace_failure"]


class ExportError(EdgeVisionError):
    """A checkpoint cannot be exported, or its export does not compute what PyTorch computes."""


# Patterns in what torch's exporters raise, the first group naming the operator -> what to do about it.
_CAUSES: tuple[tuple[str, str], ...] = (
    (
        r"No ONNX function found for <OpOverload\(op='([\w.:]+)'",
        "leave it out of the network (postprocessing belongs outside the graph), replace it by operators that ONNX "
        "has, or trace with the legacy tracer",
    ),
    (
        r"[Uu]nsupported: ONNX export of operator ([\w:.]+)",
        "replace it by operators that ONNX has, or raise the opset",
    ),
    (
        r"Exporting the operator '([\w:.]+)' to ONNX opset version \d+ is not supported",
        "replace it by operators that ONNX has, or raise the opset",
    ),
    (
        r"(?:Could not guard on|Could not extract specialized|[Dd]ata-dependent)",
        "the network decides by the values in its tensors; compute with masks (torch.where) instead of branching",
    ),
    (
        r"(?:[Cc]onstraints violated|specialized)",
        "the network fixes a dimension that should vary; export it with that dimension fixed",
    ),
)


def explain_trace_failure(error: BaseException) -> str:
    """One line: the operator that stopped the tracer where it is known, what it said, and what to do."""
    text = "\n".join(str(one) for one in _chain(error))
    for pattern, advice in _CAUSES:
        found = re.search(pattern, text)
        if found is not None:
            named = f"operator {found[1]}: " if found.groups() else ""
            return f"{named}{_first_line(error)}; {advice}"
    return _first_line(error)


def _chain(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__
    return found


def _first_line(error: BaseException) -> str:
    """The innermost error's first line: the outer ones only say that a step of the export failed."""
    for one in reversed(_chain(error)):
        lines = str(one).strip().splitlines()
        if lines:
            return lines[0][:300].rstrip(".")
    return type(error).__name__
