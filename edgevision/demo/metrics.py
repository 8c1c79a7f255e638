"""COCO's mean average precision, for boxes and for masks, in NumPy.

Follows the rules of the COCO evaluation (Lin et al. 2014, and its reference implementation): 10 IoU thresholds from
0.50 to 0.95, greedy matching by falling score, precision made monotone and read at 101 recalls, at most 100
detections of a class in a picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgevision.errors import InputError
from edgevision.results import Masks

__all__ = [
    "BoxDetections",
    "BoxTruth",
    "MaskDetections",
    "MaskTruth",
    "MeanAveragePrecision",
    "box_iou",
    "mask_iou",
    "mean_average_precision",
]

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
MAX_DETECTIONS = 100

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class BoxDetections:
    """What a detector says of one picture: boxes (N, 4) xyxy, scores (N,), class ids (N,)."""

    boxes: npt.NDArray[np.floating]
    scores: npt.NDArray[np.floating]
    class_id: npt.NDArray[np.integer]


@dataclass(frozen=True)
class BoxTruth:
    """What a picture shows: boxes (M, 4) xyxy, class ids (M,), ignored bool (M,) or None for none ignored."""

    boxes: npt.NDArray[np.floating]
    class_id: npt.NDArray[np.integer]
    ignored: npt.NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class MaskDetections:
    """What an instance segmenter says of one picture: N masks, scores (N,), class ids (N,)."""

    masks: Masks
    scores: npt.NDArray[np.floating]
    class_id: npt.NDArray[np.integer]


@dataclass(frozen=True)
class MaskTruth:
    """What a picture shows: M masks, class ids (M,), ignored bool (M,) or None for none ignored."""

    masks: Masks
    class_id: npt.NDArray[np.integer]
    ignored: npt.NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class MeanAveragePrecision:
    """map50_95, map50, map75: mean over the classes that occur, 0-1. per_class: AP over IoU 0.50-0.95 of each
    class, NaN for classes without a counted object. objects: how many objects counted."""

    map50_95: float
    map50: float
    map75: float
    per_class: tuple[float, ...]
    objects: int


def box_iou(a: npt.NDArray[np.floating], b: npt.NDArray[np.floating]) -> Floats:
    """Intersection over union of each box of a (N, 4) with each of b (M, 4), xyxy; float64 (N, M)."""
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    common = np.clip(high - low, 0, None).prod(-1)
    total = (
        (first[:, 2:] - first[:, :2]).prod(-1)[:, None] + (second[:, 2:] - second[:, :2]).prod(-1) - common
    )
    return np.asarray(np.divide(common, total, out=np.zeros_like(common), where=total > 0))


def mask_iou(a: Masks, b: Masks) -> Floats:
    """Intersection over union of each mask of a (N) with each of b (M); float64 (N, M)."""
    common = np.zeros((len(a), len(b)))
    low = np.maximum(a.windows[:, None, :2], b.windows[None, :, :2])
    high = np.minimum(a.windows[:, None, 2:], b.windows[None, :, 2:])
    meet = np.asarray((low < high).all(axis=-1))
    for i, j in zip(*np.nonzero(meet), strict=True):
        (left, top), (right, bottom) = low[i, j], high[i, j]
        parts = []
        for masks, index in ((a, i), (b, j)):
            x, y = masks.windows[index, :2]
            parts.append(masks.crop(int(index))[top - y : bottom - y, left - x : right - x])
        common[i, j] = np.count_nonzero(parts[0] & parts[1])
    total = a.area[:, None] + b.area - common
    return np.asarray(np.divide(common, total, out=np.zeros_like(common), where=total > 0))


def mean_average_precision(
    detections: Sequence[BoxDetections] | Sequence[MaskDetections],
    truths: Sequence[BoxTruth] | Sequence[MaskTruth],
    class_count: int,
) -> MeanAveragePrecision:
    """The average precisions of a set of pictures; the two sequences run in parallel, both of boxes or both of masks.

    A detection that matches an ignored object counts neither as right nor as wrong. Raises InputError when the
    sequences differ in length or a class id is outside 0 to class_count - 1.
    """
    if len(detections) != len(truths):
        raise InputError(
            f"one set of detections a picture is needed, got {len(detections)} for {len(truths)} truths"
        )
    for ids in [*(d.class_id for d in detections), *(t.class_id for t in truths)]:
        if len(ids) and not (ids.min() >= 0 and ids.max() < class_count):
            raise InputError(f"class ids must be 0 to {class_count - 1}, got {ids.min()} to {ids.max()}")
    pairs: list[tuple[BoxDetections | MaskDetections, BoxTruth | MaskTruth]]
    pairs = list(zip(detections, truths, strict=True))
    precision = np.full((class_count, len(IOU_THRESHOLDS)), np.nan)
    objects = 0
    for class_id in range(class_count):
        matched = [_match_picture(d, t, class_id) for d, t in pairs]
        counted = sum(count for _, _, _, count in matched)
        objects += counted
        if counted:
            scores, right, free = (
                np.concatenate(parts, axis=-1) for parts in list(zip(*matched, strict=True))[:3]
            )
            precision[class_id] = _average_precision(scores, right, free, counted)
    seen = ~np.isnan(precision[:, 0])
    means = precision[seen].mean(axis=0) if seen.any() else np.full(len(IOU_THRESHOLDS), np.nan)
    return MeanAveragePrecision(
        map50_95=float(means.mean()), map50=float(means[0]), map75=float(means[5]),
        per_class=tuple(float(row.mean()) for row in precision), objects=objects,
    )  # fmt: skip


def _match_picture(
    found: BoxDetections | MaskDetections, truth: BoxTruth | MaskTruth, class_id: int
) -> tuple[Floats, npt.NDArray[np.bool_], npt.NDArray[np.bool_], int]:
    # Scores (N,), whether each detection is right and whether it is left out of the count, both bool (T, N), of one
    # class in one picture; and how many objects count.
    mine = np.flatnonzero(np.asarray(found.class_id) == class_id)
    scores = np.asarray(found.scores, np.float64)[mine]
    order = np.argsort(-scores, kind="stable")[:MAX_DETECTIONS]
    mine, scores = mine[order], scores[order]
    theirs = np.flatnonzero(np.asarray(truth.class_id) == class_id)
    ignored = np.zeros(len(theirs), bool) if truth.ignored is None else np.asarray(truth.ignored)[theirs]
    # Counted objects first: an ignored one is matched only when no counted one will do.
    counted_first = np.argsort(ignored, kind="stable")
    theirs, ignored = theirs[counted_first], ignored[counted_first]
    ious = _overlaps(found, truth, mine, theirs)
    right = np.zeros((len(IOU_THRESHOLDS), len(mine)), bool)
    free = np.zeros_like(right)
    counted = int((~ignored).sum())
    if len(theirs):
        for t, threshold in enumerate(IOU_THRESHOLDS):
            open_ = np.ones(len(theirs), bool)
            for d in range(len(mine)):
                row = np.where(open_ & (ious[d] >= threshold), ious[d], -1.0)
                best = _last_best(row[:counted])
                if best < 0:
                    best = _last_best(row[counted:])
                    best = best + counted if best >= 0 else -1
                if best >= 0:
                    open_[best] = False
                    right[t, d], free[t, d] = not ignored[best], ignored[best]
    return scores, right, free, counted


def _overlaps(
    found: BoxDetections | MaskDetections, truth: BoxTruth | MaskTruth, mine: Rows, theirs: Rows
) -> Floats:
    if isinstance(found, MaskDetections) and isinstance(truth, MaskTruth):
        return mask_iou(found.masks[mine], truth.masks[theirs])
    if isinstance(found, BoxDetections) and isinstance(truth, BoxTruth):
        return box_iou(np.asarray(found.boxes)[mine], np.asarray(truth.boxes)[theirs])
    raise InputError(
        f"detections and truths must both be of boxes or both of masks, got {type(found).__name__} and "
        f"{type(truth).__name__}"
    )


def _last_best(row: Floats) -> int:
    # Index of the largest entry, the last of equal ones as in the reference implementation; -1 when none is >= 0.
    if not len(row) or row.max() < 0:
        return -1
    return len(row) - 1 - int(np.argmax(row[::-1]))


def _average_precision(
    scores: Floats, right: npt.NDArray[np.bool_], free: npt.NDArray[np.bool_], counted: int
) -> Floats:
    # Average precision at each IoU threshold, (T,).
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(right[:, order], axis=1, dtype=np.float64)
    misses = np.cumsum(~right[:, order] & ~free[:, order], axis=1, dtype=np.float64)
    out = np.zeros(len(IOU_THRESHOLDS))
    for t in range(len(IOU_THRESHOLDS)):
        recall = hits[t] / counted
        precise = hits[t] / np.maximum(hits[t] + misses[t], 1)
        envelope = np.maximum.accumulate(precise[::-1])[::-1]
        at = np.searchsorted(recall, RECALLS, side="left")
        out[t] = np.append(envelope, 0.0)[np.minimum(at, len(envelope))].mean()
    return out
