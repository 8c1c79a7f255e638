"""Instance masks from prototypes: a mask is a weighted sum of maps that all objects share, inside the object's box."""

from __future__ import annotations

import math
from functools import lru_cache
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgevision.errors import InputError
from edgevision.geometry import Placement
from edgevision.ops._checks import as_contiguous, check_output, describe
from edgevision.ops._dispatch import native
from edgevision.ops.reference import masks_binary as reference

__all__ = ["CROPS", "MaskCrops", "PrototypeRegion", "assemble_masks", "find_region"]

_kernels: ModuleType = reference if native is None else native


class PrototypeRegion(NamedTuple):
    """The prototypes' rows and columns to read, the image's place in these, and by way of which size."""

    rows: slice
    columns: slice
    roi_yxhw: tuple[float, float, float, float]
    via_hw: tuple[int, int]


CROPS = ("image", "prototype")


class MaskCrops(NamedTuple):
    """One mask an object, each in its own window of the image.

    windows: int32 (N, 4), x1, y1, x2, y2: columns x1 to x2 - 1, rows y1 to y2 - 1 of the image; all 0 where an
        object covers no pixel.
    offsets: int64 (N + 1,), from 0 on: mask i is data[offsets[i]:offsets[i + 1]].
    data: uint8, 0 or 1: each window's pixels row by row, one window after another.
    The arrays share one block of memory, which lives as long as any of them.
    """

    windows: NDArray[np.int32]
    offsets: NDArray[np.int64]
    data: NDArray[np.uint8]


def assemble_masks(
    coefficients: NDArray[Any],
    prototypes: NDArray[Any],
    boxes_xyxy: NDArray[np.float32],
    placement: Placement,
    *,
    crop: str = "image",
) -> MaskCrops:
    """The objects' masks at the image's size, each in the window its box allows.

    An object's logits are the sum of the prototypes, each times its coefficient, in float32 and in order. A
    pixel of the image reads them bilinearly (half-pixel centres, align_corners=False) and belongs to the mask
    where they are above 0. Only the window of each object is computed.

    crop: where the box cuts.
        "image": the pixels of the image remain whose column x is x1 <= x < x2, rows likewise. With
            retina_masks=True it is what Ultralytics' predictor gives (measured with 8.4.190), and for an image
            of the model's own input size what it gives by default. Like there, the logits are first resized
            to the coarsest grid on which the pad is whole pixels, the pad is cut off, and the rest is resized
            to the image; one pass does both. Placements that crop the image are read in one step instead.
        "prototype": logits outside the box are 0, so that a mask ends softly and up to one prototype pixel
            beyond its box. The default of Ultralytics' earlier versions and of other YOLO forks, for an image
            of the model's own input size; others are read at their exact place.

    coefficients: float32 or float16 (N, M). prototypes: float32 or float16 (M, h, w), covering the model's
        input; copied first when rows are not contiguous. boxes_xyxy: float32 (N, 4) in image pixels.
    placement: where the image lies in the model's input.
    Raises InputError for a wrong dtype or shape, a box that is not finite, or an unknown crop.
    """
    if crop not in CROPS:
        raise InputError(f"unknown crop {crop!r}; accepted: {', '.join(CROPS)}")
    weights = check_output("coefficients", coefficients, 2, "(objects, prototypes)")
    maps = check_output("prototypes", prototypes, 3, "(prototypes, height, width)")
    if 0 in maps.shape or weights.shape[1] != len(maps):
        raise InputError(
            f"coefficients must be (objects, prototypes) of prototypes (prototypes, height, width), none of these 0, "
            f"got {weights.shape} and {maps.shape}"
        )
    boxes = _check_boxes(boxes_xyxy, len(weights))
    region = find_region(placement, maps.shape[1], maps.shape[2], crop)
    maps = maps[:, region.rows, region.columns]
    if maps.strides[2] != maps.itemsize and maps.shape[2] > 1:
        maps = np.ascontiguousarray(maps)
    canvas_h, canvas_w = placement.canvas_hw
    return MaskCrops(
        *_kernels.assemble_masks(
            as_contiguous(weights.astype(np.float32, copy=False)),
            maps,
            boxes,
            crop == "prototype",
            *placement.gain_yx,
            *(float(offset) for offset in placement.offset_yx),
            *(maps.shape[1] / canvas_h, maps.shape[2] / canvas_w),
            *region.roi_yxhw,
            *region.via_hw,
            *placement.image_hw,
        )
    )


@lru_cache(maxsize=64)
def find_region(placement: Placement, height: int, width: int, crop: str) -> PrototypeRegion:
    """Where the image lies in prototypes of height x width. crop: as assemble_masks takes it."""
    (canvas_h, canvas_w), (top, left) = placement.canvas_hw, placement.offset_yx
    (rows, columns), everything = placement.resized_hw, slice(None)
    inside = top >= 0 and left >= 0 and top + rows <= canvas_h and left + columns <= canvas_w
    if crop == "prototype" or not inside:
        return PrototypeRegion(everything, everything, placement.roi_in((height, width)), (0, 0))
    # The coarsest grid, a whole multiple of the prototypes' own, on which the pad is whole pixels: measured with
    # Ultralytics 8.4.190. The canvas itself is the finest, and the only one where it is no such multiple.
    factor_y, factor_x = canvas_h // height, canvas_w // width
    via, shrink = placement.canvas_hw, 1
    if (factor_y * height, factor_x * width) == via and factor_y == factor_x:
        shrink = math.gcd(factor_y, top, left, rows, columns)
        via = (canvas_h // shrink, canvas_w // shrink)
    top, left, rows, columns = (side // shrink for side in (top, left, rows, columns))
    if via != (height, width):
        return PrototypeRegion(
            everything, everything, (float(top), float(left), float(rows), float(columns)), via
        )
    roi = (0.0, 0.0, float(rows), float(columns))
    return PrototypeRegion(slice(top, top + rows), slice(left, left + columns), roi, (0, 0))


def _check_boxes(boxes_xyxy: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    if (
        not isinstance(boxes_xyxy, np.ndarray)
        or boxes_xyxy.dtype != np.float32
        or boxes_xyxy.shape != (count, 4)
    ):
        raise InputError(
            f"boxes_xyxy must be float32 ({count}, 4), one for each row of coefficients, got {describe(boxes_xyxy)}"
        )
    if not np.isfinite(boxes_xyxy).all():
        raise InputError("boxes_xyxy must be finite; drop the boxes that are not")
    return as_contiguous(boxes_xyxy)
