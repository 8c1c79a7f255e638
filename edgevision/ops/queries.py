"""Decoders of detectors that predict a set: no anchors, no suppression afterwards.

What edgevision.ops.boxes says of all decoders holds here too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Any

from numpy.typing import NDArray

from edgevision.errors import InputError
from edgevision.ops._checks import allowed_classes, check_count, check_fraction, check_output
from edgevision.ops._dispatch import native
from edgevision.ops.candidates import (
    NO_OBJECTNESS,
    Candidates,
    check_dense,
    check_input_size,
    decode_dense,
)
from edgevision.ops.reference import boxes as reference

__all__ = ["decode_detr", "decode_end2end", "decode_end2end_rotated", "decode_rtdetr"]

_kernels: ModuleType = reference if native is None else native


def decode_rtdetr(
    output: NDArray[Any],
    *,
    num_classes: int,
    confidence: float,
    input_hw: Sequence[int],
    classes: Iterable[int] | None = None,
    multi_label: bool = False,
) -> Candidates:
    """Candidates of a (queries, 4 + num_classes + E) output: cx, cy, w, h normalised to 0-1, scores 0-1.

    RT-DETR as Ultralytics exports it. input_hw: (H, W) of the model's input.
    """
    view = check_dense(output, num_classes, 4, "(queries, 4 + num_classes + extra)")
    size = check_input_size(input_hw)
    return decode_dense(view, num_classes, NO_OBJECTNESS, confidence, classes, multi_label, size_hw=size)


def decode_end2end(
    output: NDArray[Any], *, confidence: float, classes: Iterable[int] | None = None
) -> Candidates:
    """Candidates of a (N, 6 + E) output: x1, y1, x2, y2, score, class id, extra channels.

    Boxes are in model pixels. Rows of zeros, which pad the output, drop out by the confidence. Class ids are
    cut to whole numbers; a row with a negative or NaN one is dropped.
    """
    view = _rows(output, 6)
    allowed = allowed_classes(classes, None)
    return Candidates(*_kernels.decode_rows(view, check_fraction("confidence", confidence), allowed, False))


def decode_end2end_rotated(
    output: NDArray[Any], *, confidence: float, classes: Iterable[int] | None = None
) -> Candidates:
    """Candidates with boxes (N, 5) of a (N, 7 + E) output: cx, cy, w, h, score, class, angle in radians."""
    view = _rows(output, 7)
    allowed = allowed_classes(classes, None)
    return Candidates(*_kernels.decode_rows(view, check_fraction("confidence", confidence), allowed, True))


def decode_detr(
    logits: NDArray[Any],
    boxes: NDArray[Any],
    *,
    confidence: float,
    input_hw: Sequence[int],
    activation: str = "softmax",
    top_k: int = 300,
    classes: Iterable[int] | None = None,
) -> Candidates:
    """Candidates of class logits (queries, C) and boxes (queries, 4) cx, cy, w, h normalised to 0-1.

    These need no NMS.

    activation: "softmax": the last class is "no object", the best other class counts, candidates in query
        order (DETR). "sigmoid": the `top_k` best of all queries x classes, best first; a query may appear
        with several classes (Deformable DETR, RT-DETR of transformers). Equal logits: lower query, then lower
        class first.
    input_hw: (H, W) of the model's input. `classes` applies after top_k.
    Scores are exact to what edgevision.ops.scores says. A query with a NaN or +infinity among its logits has
    no softmax.
    """
    logits = check_output("logits", logits, 2, "(queries, classes)")
    boxes = check_output("boxes", boxes, 2, "(queries, 4)")
    if activation not in ("softmax", "sigmoid"):
        raise InputError(f"unknown activation {activation!r}; accepted: softmax, sigmoid")
    softmax = activation == "softmax"
    least = 2 if softmax else 1
    if logits.shape[1] < least or boxes.shape != (len(logits), 4):
        raise InputError(
            f"logits must be (queries, {least} or more) and boxes (queries, 4) of the same queries, "
            f"got {logits.shape} and {boxes.shape}"
        )
    allowed = allowed_classes(classes, logits.shape[1] - softmax)
    height, width = check_input_size(input_hw)
    best = 0 if softmax else check_count("top_k", top_k)
    limit = check_fraction("confidence", confidence)
    return Candidates(*_kernels.decode_queries(logits, boxes, best, limit, allowed, width, height))


def _rows(output: NDArray[Any], known: int) -> NDArray[Any]:
    view = check_output("output", output, 2, f"(N, {known} or more)")
    if view.shape[1] < known:
        raise InputError(
            f"output must be float32 or float16 (N, {known} or more), got {view.dtype} {view.shape}"
        )
    return view
