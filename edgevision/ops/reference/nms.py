"""Non-maximum suppression in NumPy: the oracle of the native kernels, and the fallback without a compiler."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edgevision.ops.reference.arith import descending_order

__all__ = ["nms"]

_EPSILON = 1e-7

Floats = NDArray[np.float32]
Gaussians = NDArray[np.float64]
# (one, others) -> whether each of the others overlaps the one too much
Test = Callable[[int, NDArray[np.intp]], NDArray[np.bool_]]


def nms(
    boxes: Floats,
    scores: Floats,
    class_ids: NDArray[np.int64] | None,
    iou: float,
    max_detections: int,
    class_offset: float,
    max_candidates: int,
    rotated: bool,
    greedy: bool,
) -> NDArray[np.int64]:
    """Kept indices, int64 (K,), best first. Raises ValueError for a class id outside 0 to 2^31 - 1."""
    if class_ids is not None and class_ids.size and not (class_ids.min() >= 0 and class_ids.max() < 2**31):
        raise ValueError("class_ids must be 0 to 2147483647")
    finite = np.flatnonzero(np.isfinite(boxes).all(axis=1) & np.isfinite(scores))
    order = finite[descending_order(scores[finite])][:max_candidates]
    boxes = boxes[order]
    classes = None if class_ids is None else class_ids[order]
    if classes is not None and class_offset > 0:
        # In float32, as the trick is done: what the shift rounds away from a box is part of the result.
        shift = (classes.astype(np.float32) * np.float32(class_offset))[:, None]
        columns = 2 if rotated else 4
        boxes = np.concatenate([boxes[:, :columns] + shift, boxes[:, columns:]], axis=1)
        classes = None
    test = _rotated_test(boxes, iou) if rotated else _axis_aligned_test(boxes, iou)
    kept = _suppress(test, len(order), classes, max_detections, greedy or not rotated)
    return np.asarray(order[kept], np.int64)


def _suppress(
    test: Test, count: int, classes: NDArray[np.int64] | None, max_detections: int, greedy: bool
) -> list[int]:
    suppressed = np.zeros(count, np.bool_)
    kept: list[int] = []
    for one in range(count):
        if len(kept) == max_detections:
            break
        if not suppressed[one]:
            kept.append(one)
        elif greedy:
            continue
        others = np.arange(one + 1, count)
        others = others[~suppressed[one + 1 :]]
        if classes is not None:
            others = others[classes[others] == classes[one]]
        suppressed[others[test(one, others)]] = True
    return kept


def _axis_aligned_test(boxes: Floats, iou: float) -> Test:
    with np.errstate(all="ignore"):
        areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])

    def overlaps(one: int, others: NDArray[np.intp]) -> NDArray[np.bool_]:
        with np.errstate(all="ignore"):
            sizes = np.minimum(boxes[one, 2:], boxes[others, 2:]) - np.maximum(
                boxes[one, :2], boxes[others, :2]
            )
            # NaN, where infinite shifted boxes meet, counts as no overlap.
            sizes = np.where(sizes > 0, sizes, np.float32(0.0))
            intersection = sizes[:, 0] * sizes[:, 1]
            overlap = intersection / (areas[one] + areas[others] - intersection)
            # float32 against the double threshold, as torchvision compares.
            return np.asarray(overlap.astype(np.float64) > iou)

    return overlaps


def _rotated_test(boxes: Floats, iou: float) -> Test:
    x, y, a, b, c, determinant = _gaussians(boxes)

    def overlaps(one: int, others: NDArray[np.intp]) -> NDArray[np.bool_]:
        with np.errstate(all="ignore"):
            sum_a, sum_b, sum_c = a[one] + a[others], b[one] + b[others], c[one] + c[others]
            dx, dy = x[one] - x[others], y[one] - y[others]
            joint = sum_a * sum_b - sum_c * sum_c
            divisor = joint + _EPSILON
            centers = 0.25 * ((sum_a * (dy * dy) + sum_b * (dx * dx)) / divisor)
            centers -= 0.5 * (sum_c * dx * dy / divisor)
            shapes = 4.0 * np.sqrt(determinant[one] * determinant[others]) + _EPSILON
            distance = np.clip(centers + 0.5 * np.log(joint / shapes + _EPSILON), _EPSILON, 100.0)
            return np.asarray(1.0 - np.sqrt(1.0 - np.exp(-distance) + _EPSILON) > iou)

    return overlaps


def _gaussians(boxes: Floats) -> tuple[Gaussians, ...]:
    """(x, y, a, b, c, determinant) of each box as a Gaussian: its mean, its covariance [[a, c], [c, b]].

    Those of a uniform density over the box: Llerena et al., "Gaussian Bounding Boxes and Probabilistic
    Intersection-over-Union", 2021.
    """
    x, y, width, height, angle = boxes.astype(np.float64).T
    variance_w, variance_h = width * width / 12.0, height * height / 12.0
    cosine, sine = np.cos(angle), np.sin(angle)
    a = variance_w * (cosine * cosine) + variance_h * (sine * sine)
    b = variance_w * (sine * sine) + variance_h * (cosine * cosine)
    c = (variance_w - variance_h) * (cosine * sine)
    return x, y, a, b, c, np.maximum(a * b - c * c, 0.0)
