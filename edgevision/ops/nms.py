"""Non-maximum suppression: the best of each group of overlapping boxes."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.errors import InputError
from edgevision.ops._checks import as_contiguous, check_count, check_fraction, describe
from edgevision.ops._dispatch import native
from edgevision.ops.reference import nms as reference

__all__ = ["nms", "nms_rotated"]

_kernels: ModuleType = reference if native is None else native
_FLOAT32 = np.dtype(np.float32)
_INT64 = np.dtype(np.int64)


def nms(
    boxes_xyxy: NDArray[np.float32],
    scores: NDArray[np.float32],
    class_ids: NDArray[Any] | None = None,
    *,
    iou: float,
    max_detections: int = 300,
    class_offset: float = 0.0,
    max_candidates: int = 30000,
) -> NDArray[np.int64]:
    """Indices of the kept boxes, int64 (K,), best first; the lower index first among equal scores.

    Greedy: a box is dropped when a kept one of its class overlaps it by strictly more than `iou`. The overlap
        is computed
    in float32 and compared with `iou` in double, as torchvision.ops.nms does on the CPU; without class ids
    the result is torchvision's, bit for bit. Boxes with a coordinate or a score that is NaN or infinite are
    never kept.

    boxes_xyxy: float32 (N, 4), any scale. scores: float32 (N,). class_ids: integers (N,) from 0 to 2^31 - 1;
        None compares all boxes with each other.
    class_offset: 0 compares boxes of one class only, at their exact coordinates. c > 0 adds class_id * c to
        all coordinates in float32 and compares all boxes, a common trick whose rounding moves overlaps a
        little; what was trained and evaluated with it (Ultralytics: 7680) is reproduced exactly that way.
    max_candidates: only so many best-scoring boxes take part.
    Raises InputError for a wrong dtype, shape or range.
    """
    _check(boxes_xyxy, "boxes_xyxy", 4, scores)
    return _call(
        boxes_xyxy, scores, class_ids, iou, max_detections, class_offset, max_candidates, False, True
    )


def nms_rotated(
    boxes_xywhr: NDArray[np.float32],
    scores: NDArray[np.float32],
    class_ids: NDArray[Any] | None = None,
    *,
    iou: float,
    max_detections: int = 300,
    class_offset: float = 0.0,
    max_candidates: int = 30000,
    greedy: bool = True,
) -> NDArray[np.int64]:
    """Indices of the kept rotated boxes, int64 (K,), best first; the lower index first among equal scores.

    The overlap is the probabilistic IoU: 1 - the Hellinger distance of the Gaussians that stand for the boxes
    (Llerena et al., "Gaussian Bounding Boxes and Probabilistic Intersection-over-Union", 2021), in double. A
    box with itself gives 0.9997 rather than 1: an epsilon of 1e-7 inside the root is part of the definition
    that models are evaluated with.

    boxes_xywhr: float32 (N, 5): centre x, y, width, height, angle in radians. class_offset shifts the
        centres.
    greedy: True lets only kept boxes suppress. False lets a box that was itself suppressed suppress others
        too: fewer boxes are left in chains of overlaps, and that is what Ultralytics' predictor does
            (measured with 8.4.190).
    The other arguments, and the errors, are those of `nms`.
    """
    _check(boxes_xywhr, "boxes_xywhr", 5, scores)
    return _call(
        boxes_xywhr, scores, class_ids, iou, max_detections, class_offset, max_candidates, True, greedy
    )


def _check(boxes: NDArray[Any], name: str, columns: int, scores: NDArray[Any]) -> None:
    if (
        not isinstance(boxes, np.ndarray)
        or boxes.dtype != _FLOAT32
        or boxes.ndim != 2
        or boxes.shape[1] != columns
    ):
        hint = f"; pass {name}[None]" if getattr(boxes, "shape", None) == (columns,) else ""
        raise InputError(f"{name} must be float32 (N, {columns}), got {describe(boxes)}{hint}")
    if not isinstance(scores, np.ndarray) or scores.dtype != _FLOAT32 or scores.shape != (len(boxes),):
        raise InputError(f"scores must be float32 ({len(boxes)},), one a box, got {describe(scores)}")


def _check_classes(class_ids: NDArray[Any], count: int) -> NDArray[np.int64]:
    if (
        not isinstance(class_ids, np.ndarray)
        or class_ids.dtype.kind not in "iu"
        or class_ids.shape != (count,)
    ):
        raise InputError(f"class_ids must be integers ({count},), one a box, got {describe(class_ids)}")
    return as_contiguous(class_ids.astype(_INT64, copy=False))


def _call(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    class_ids: NDArray[Any] | None,
    iou: float,
    max_detections: int,
    class_offset: float,
    max_candidates: int,
    rotated: bool,
    greedy: bool,
) -> NDArray[np.int64]:
    if not 0.0 <= class_offset <= 1e6:
        raise InputError(f"class_offset must be a number from 0 to 1e6, got {class_offset!r}")
    ids = None if class_ids is None else _check_classes(class_ids, len(boxes))
    try:
        kept: NDArray[np.int64] = _kernels.nms(
            as_contiguous(boxes),
            as_contiguous(scores),
            ids,
            check_fraction("iou", iou),
            check_count("max_detections", max_detections),
            class_offset,
            check_count("max_candidates", max_candidates),
            rotated,
            greedy,
        )
    except ValueError as error:  # only the kernel looks at every class id
        raise InputError(str(error)) from None
    return kept
