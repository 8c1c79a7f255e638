"""Decoders of detector outputs in NumPy: the oracle of the native kernels, and the fallback without one.

Outputs are (anchors, channels) of any strides, float32 or float16. Each decoder returns (boxes, scores,
class_ids, extra) as edgevision.ops.boxes describes them, and takes the arguments of the native function of
its name.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.ops.reference.arith import descending_order, exp_f32, sigmoid_f32, sum_in_order
from edgevision.ops.reference.nms import nms

__all__ = ["decode_dense", "decode_grid", "decode_queries", "decode_rows", "detect_dense", "nms"]

Floats = NDArray[np.float32]
Indices = NDArray[np.intp]
Output = NDArray[Any]
Allowed = NDArray[np.uint8] | None
Arrays = tuple[Floats, Floats, NDArray[np.int64], Floats]
Hits = tuple[Indices, Indices, Floats]
"""(anchors, class ids, scores), one entry a hit."""


def decode_dense(
    output: Output,
    num_classes: int,
    objectness: int,
    multi_label: bool,
    confidence: float,
    allowed: Allowed,
    rotated: bool,
    scale_x: float,
    scale_y: float,
) -> Arrays:
    """Candidates of cx, cy, w, h, scores, extra. objectness: 0 none, 1 product decides, 2 class decides."""
    anchors, ids, scores = _scan_dense(output, num_classes, objectness, multi_label, confidence, allowed)
    rows = _rows(output, anchors)
    extra = rows[:, (5 if objectness else 4) + num_classes :]
    if rotated:
        return _finite(np.concatenate([rows[:, :4], extra[:, -1:]], axis=1), scores, ids, extra[:, :-1])
    return _finite(_scale(_corners(rows[:, :4]), scale_x, scale_y), scores, ids, extra)


def decode_grid(
    output: Output,
    num_classes: int,
    multi_label: bool,
    confidence: float,
    allowed: Allowed,
    strides: tuple[int, ...],
    height: int,
    width: int,
) -> Arrays:
    """Candidates of x, y offsets in a cell, logarithms of w, h in cells, objectness, scores, extra rows."""
    anchors, ids, scores = _scan_dense(output, num_classes, 2, multi_label, confidence, allowed)
    columns = [np.tile(np.arange(width // s), height // s) for s in strides]
    rows_of_cells = [np.repeat(np.arange(height // s), width // s) for s in strides]
    cells = np.stack([np.concatenate(columns), np.concatenate(rows_of_cells)], axis=1).astype(np.float32)
    stride = np.concatenate([np.full(len(c), s, np.float32) for c, s in zip(columns, strides, strict=True)])
    rows = _rows(output, anchors)
    with np.errstate(all="ignore"):
        centers = (rows[:, :2] + cells[anchors]) * stride[anchors, None]
        sizes = exp_f32(rows[:, 2:4]) * stride[anchors, None]
    boxes = _corners(np.concatenate([centers, sizes], axis=1))
    return _finite(boxes, scores, ids, rows[:, 5 + num_classes :])


def decode_rows(output: Output, confidence: float, allowed: Allowed, rotated: bool) -> Arrays:
    """Candidates of an end-to-end output: a box, a score, a class id and extra channels a row."""
    known = 7 if rotated else 6
    scores, ids = output[:, 4].astype(np.float32), output[:, 5].astype(np.float32)
    valid = (scores > np.float32(confidence)) & (ids >= 0) & (ids < 2.0**31)
    hits = _filtered(np.flatnonzero(valid), ids[valid].astype(np.intp), scores[valid], allowed)
    rows = _rows(output, hits[0])
    boxes = np.concatenate([rows[:, :4], rows[:, 6:7]], axis=1) if rotated else rows[:, :4]
    return _finite(boxes, hits[2], hits[1], rows[:, known:])


def decode_queries(
    logits: Output,
    boxes: Output,
    top_k: int,
    confidence: float,
    allowed: Allowed,
    scale_x: float,
    scale_y: float,
) -> Arrays:
    """Candidates of class logits and normalised boxes; top_k 0: softmax with a last class "no object"."""
    values = logits.astype(np.float32)
    if top_k == 0:
        queries, ids, scores = _softmax_scores(values)
    else:
        flat = values.reshape(-1)
        best = descending_order(flat)[: min(top_k, int(np.count_nonzero(~np.isnan(flat))))]
        queries, ids, scores = best // values.shape[1], best % values.shape[1], sigmoid_f32(flat[best])
    above = scores > np.float32(confidence)
    queries, ids, scores = _filtered(queries[above], ids[above], scores[above], allowed)
    rows = _rows(boxes, queries)
    return _finite(_scale(_corners(rows), scale_x, scale_y), scores, ids, rows[:, 4:])


def detect_dense(
    output: Output,
    num_classes: int,
    multi_label: bool,
    confidence: float,
    allowed: Allowed,
    class_agnostic: bool,
    iou: float,
    max_detections: int,
    class_offset: float,
    max_candidates: int,
    left: float,
    top: float,
    gain_x: float,
    gain_y: float,
    width: float,
    height: float,
) -> Arrays:
    """Kept candidates of decode_dense, best first, in image pixels."""
    candidates = decode_dense(output, num_classes, 0, multi_label, confidence, allowed, False, 1.0, 1.0)
    boxes, scores, ids, extra = candidates
    classes = None if class_agnostic else ids
    kept = nms(boxes, scores, classes, iou, max_detections, class_offset, max_candidates, False, True)
    with np.errstate(all="ignore"):
        moved = (boxes[kept] - np.array([left, top] * 2, np.float32)) / np.array(
            [gain_x, gain_y] * 2, np.float32
        )
    limits = np.array([width, height] * 2, np.float32)
    return np.minimum(np.maximum(moved, np.float32(0.0)), limits), scores[kept], ids[kept], extra[kept]


def _scan_dense(
    output: Output, num_classes: int, objectness: int, multi_label: bool, confidence: float, allowed: Allowed
) -> Hits:
    limit = np.float32(confidence)
    first = 5 if objectness else 4
    values = output[:, first : first + num_classes].astype(np.float32)
    present = np.arange(len(output))
    if objectness:
        present = np.flatnonzero(output[:, 4].astype(np.float32) > limit)
        values = values[present]
    weights = output[present, 4].astype(np.float32)[:, None] if objectness else np.float32(1.0)
    with np.errstate(all="ignore"):
        scores = values * weights
    if multi_label:
        rows, ids = np.nonzero(scores > limit)
    else:
        deciding = values if objectness == 2 else scores
        ids = np.where(np.isnan(deciding), np.float32(-np.inf), deciding).argmax(axis=1)
        rows = np.flatnonzero(scores[np.arange(len(scores)), ids] > limit)
        ids = ids[rows]
    return _filtered(present[rows], ids, scores[rows, ids], allowed)


def _softmax_scores(logits: Floats) -> Hits:
    highest = np.fmax.reduce(logits, axis=1, initial=np.float32(-np.inf))
    known = np.where(np.isnan(logits), np.float32(-np.inf), logits)[:, :-1]
    ids = known.argmax(axis=1)
    with np.errstate(all="ignore"):
        exponentials = exp_f32(logits - highest[:, None]).astype(np.float64)
        total = sum_in_order(exponentials[:, :, None])[:, 0, 0]
        best = exp_f32(known[np.arange(len(ids)), ids] - highest).astype(np.float64)
        return np.arange(len(ids)), ids, (best / total).astype(np.float32)


def _filtered(anchors: Indices, ids: Indices, scores: Floats, allowed: Allowed) -> Hits:
    keep = np.isfinite(scores)
    if allowed is not None:
        inside = ids < len(allowed)
        keep &= inside
        keep[inside] &= allowed[ids[inside]] != 0
    return anchors[keep], ids[keep], scores[keep]


def _rows(output: Output, anchors: Indices) -> Floats:
    return np.ascontiguousarray(output[anchors], dtype=np.float32)


def _corners(boxes_cxcywh: Floats) -> Floats:
    with np.errstate(all="ignore"):
        half = boxes_cxcywh[:, 2:] * np.float32(0.5)
        return np.concatenate([boxes_cxcywh[:, :2] - half, boxes_cxcywh[:, :2] + half], axis=1)


def _scale(boxes: Floats, scale_x: float, scale_y: float) -> Floats:
    with np.errstate(all="ignore"):
        return boxes * np.array([scale_x, scale_y] * 2, np.float32)


def _finite(boxes: Floats, scores: Floats, ids: Indices, extra: Floats) -> Arrays:
    keep = np.isfinite(boxes).all(axis=1)
    return boxes[keep], scores[keep], ids[keep].astype(np.int64), np.ascontiguousarray(extra[keep])
