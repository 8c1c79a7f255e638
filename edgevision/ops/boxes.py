"""Raw detector outputs to candidates, and candidates to what the caller asked for.

Each decoder turns one image's output into the candidates above a confidence, in anchor order, reading every
score once and making no float copy of the tensor. Outputs may be float32 or float16 (compared and returned as
the float32 of the same value) and of any strides. Neither NaN nor infinity ever comes out: a NaN score loses
to every other, and a candidate whose score or box is not finite is dropped.

`confidence` is rounded to float32, and a score must be strictly greater. `classes` keeps candidates of these
class ids only, after the best class was chosen. `multi_label` makes a candidate of every class of an anchor
that is above the confidence, else of its best one (the first of equals). All decoders raise InputError for a
wrong dtype, shape or range. They keep no state that threads share.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Any

from numpy.typing import NDArray

from edgevision.errors import InputError
from edgevision.geometry import Placement
from edgevision.ops._checks import allowed_classes, check_count, check_fraction
from edgevision.ops._dispatch import native
from edgevision.ops.candidates import (
    CLASS_DECIDES,
    NO_OBJECTNESS,
    PRODUCT_DECIDES,
    Candidates,
    check_dense,
    check_input_size,
    decode_dense,
)
from edgevision.ops.nms import nms, nms_rotated
from edgevision.ops.queries import decode_detr, decode_end2end, decode_end2end_rotated, decode_rtdetr
from edgevision.ops.reference import boxes as reference

__all__ = [
    "Candidates",
    "decode_detr",
    "decode_end2end",
    "decode_end2end_rotated",
    "decode_rtdetr",
    "decode_yolo",
    "decode_yolo_rotated",
    "decode_yolov5",
    "decode_yolox",
    "detect_yolo",
    "nms",
    "nms_rotated",
]

_kernels: ModuleType = reference if native is None else native


def decode_yolo(
    output: NDArray[Any],
    *,
    num_classes: int,
    confidence: float,
    classes: Iterable[int] | None = None,
    multi_label: bool = False,
) -> Candidates:
    """Candidates of a (4 + num_classes + E, A) output: cx, cy, w, h in model pixels, scores 0-1, extra rows.

    The heads of YOLOv8, v9, 11, 12 and "u" models. E: 32 mask coefficients (segment), K * d keypoint values
    (pose).
    """
    view = _transposed(output, num_classes, 4)
    return decode_dense(view, num_classes, NO_OBJECTNESS, confidence, classes, multi_label)


def decode_yolo_rotated(
    output: NDArray[Any],
    *,
    num_classes: int,
    confidence: float,
    classes: Iterable[int] | None = None,
    multi_label: bool = False,
) -> Candidates:
    """Candidates with boxes (N, 5) of a (4 + num_classes + E + 1, A) output: the last row is the angle.

    In radians. The layout is decode_yolo's but for that row.
    """
    view = _transposed(output, num_classes, 5)
    return decode_dense(view, num_classes, NO_OBJECTNESS, confidence, classes, multi_label, rotated=True)


def decode_yolov5(
    output: NDArray[Any],
    *,
    num_classes: int,
    confidence: float,
    classes: Iterable[int] | None = None,
    multi_label: bool = False,
) -> Candidates:
    """Candidates of a (A, 5 + num_classes + E) output: cx, cy, w, h, objectness, class scores, extra.

    The original YOLOv5, boxes in model pixels. Score = objectness * class score in float32; the objectness
    alone must be above the confidence.
    """
    view = check_dense(output, num_classes, 5, "(anchors, 5 + num_classes + extra)")
    return decode_dense(view, num_classes, PRODUCT_DECIDES, confidence, classes, multi_label)


def decode_yolox(
    output: NDArray[Any],
    *,
    num_classes: int,
    confidence: float,
    input_hw: Sequence[int],
    strides: Sequence[int] = (8, 16, 32),
    decoded: bool = False,
    classes: Iterable[int] | None = None,
    multi_label: bool = False,
) -> Candidates:
    """Candidates of a (A, 5 + num_classes + E) output of YOLOX: x, y, w, h, objectness, class scores.

    Of cell (column, row) at a stride, the centre is ((x + column) * stride, (y + row) * stride) and the size
    (exp(w) * stride, exp(h) * stride); with `decoded` the graph has done so. Score = objectness * class
    score; the best class is that of the best class score. The objectness alone must be above the confidence,
    which follows for scores up to 1.

    input_hw: (H, W) of the model's input. Raises InputError when the strides' cells are not A.
    """
    view = check_dense(output, num_classes, 5, "(anchors, 5 + num_classes + extra)")
    height, width = check_input_size(input_hw)
    if decoded:
        return decode_dense(view, num_classes, CLASS_DECIDES, confidence, classes, multi_label)
    levels = tuple(int(stride) for stride in strides)
    valid = 1 <= len(levels) <= 8 and all(0 < stride <= min(height, width) for stride in levels)
    cells = sum((height // stride) * (width // stride) for stride in levels) if valid else 0
    if not valid or cells != len(view):
        raise InputError(
            f"strides {levels} on an input of {height}x{width} give {cells} anchors, but output has "
            f"{len(view)}; pass the model's strides (1 to 8 of them) and input_hw, or decoded=True"
        )
    limit, allowed = check_fraction("confidence", confidence), allowed_classes(classes, num_classes)
    return Candidates(
        *_kernels.decode_grid(view, num_classes, multi_label, limit, allowed, levels, height, width)
    )


def detect_yolo(
    output: NDArray[Any],
    placement: Placement,
    *,
    num_classes: int,
    confidence: float,
    iou: float,
    max_detections: int = 300,
    classes: Iterable[int] | None = None,
    multi_label: bool = False,
    class_agnostic: bool = False,
    class_offset: float = 0.0,
    max_candidates: int = 30000,
) -> Candidates:
    """Kept candidates, best first, with boxes (N, 4) in *image* pixels, clipped to the image.

    The same numbers as decode_yolo, nms and placement.boxes_to_image one after another, in one call that
    writes only what is kept. `extra` stays as the model gives it, in model pixels where it holds points.
    """
    view = _transposed(output, num_classes, 4)
    if not 0.0 <= class_offset <= 1e6:
        raise InputError(f"class_offset must be a number from 0 to 1e6, got {class_offset!r}")
    (top, left), (gain_y, gain_x), (height, width) = (
        placement.offset_yx,
        placement.gain_yx,
        placement.image_hw,
    )
    return Candidates(
        *_kernels.detect_dense(
            view,
            num_classes,
            multi_label,
            check_fraction("confidence", confidence),
            allowed_classes(classes, num_classes),
            class_agnostic,
            check_fraction("iou", iou),
            check_count("max_detections", max_detections),
            class_offset,
            check_count("max_candidates", max_candidates),
            *(left, top, gain_x, gain_y, width, height),
        )
    )


def _transposed(output: NDArray[Any], num_classes: int, known: int) -> NDArray[Any]:
    """A (channels, anchors) output as (anchors, channels), without a copy."""
    layout = f"(4 + num_classes + extra{' + 1' if known == 5 else ''}, anchors)"
    return check_dense(output, num_classes, known, layout, axis=0).T
