"""Label maps and masks of the image's size, from logits or from smaller label maps.

A `roi_yxhw` says where the image lies in the smaller map: (y, x, height, width) in the map's pixels,
fractions allowed; None is the whole map. It undoes a letterbox, a crop or a stretch in the same step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.errors import InputError
from edgevision.ops._checks import check_apart, check_output, describe
from edgevision.ops._dispatch import native
from edgevision.ops.reference import masks as reference

__all__ = ["label_map_to_image", "upsample_argmax", "upsample_masks"]

_kernels: ModuleType = reference if native is None else native
_Array = np.ndarray
_LABELS = (np.dtype(np.uint8), np.dtype(np.int32), np.dtype(np.int64))
_FLOAT32_MAX = float(np.finfo(np.float32).max)
_MAX_SIDE = 1 << 24  # what the kernels' 32-bit indices hold with room to spare


def upsample_argmax(
    logits: NDArray[Any],
    image_hw: Sequence[int],
    roi_yxhw: Sequence[float] | None = None,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Class of each image pixel: uint8 (H, W) for up to 256 classes, else int32 (H, W).

    The class whose logit, interpolated bilinearly (half-pixel centres, align_corners=False), is greatest; the
    first of equals. With one class: 1 where the logit is above 0. The logit of pixel (y, x) is read at row
    roi_y + (y + 0.5) * roi_height / H - 0.5, clamped to the map; columns likewise. Where the four neighbours
    have the same best class, that class is taken without interpolating: up to rounding it is what
    interpolation gives. Against interpolation and argmax of full-size tensors, labels differ only where the
    two best logits are closer than the rounding of either (1e-4 of the logits' magnitude covers it).

    A NaN never wins, and neither does an infinite logit where interpolation makes it NaN (infinity times a
    weight of 0); a pixel where nothing wins is 0.

    logits: float32 or float16 (C, h, w); copied first when its rows are not contiguous.
    out: label map to write to and return, rows contiguous, of the dtype above. It must not overlap `logits`.
    Raises InputError for a wrong dtype, shape or roi.
    """
    values = check_output("logits", logits, 3, "(classes, height, width)")
    if 0 in values.shape:
        raise InputError(f"logits must have at least one class, row and column, got {values.shape}")
    if values.strides[2] != values.itemsize and values.shape[2] > 1:
        values = np.ascontiguousarray(values)
    labels = _check_out(out, logits, _size(image_hw), np.dtype(np.uint8 if len(values) <= 256 else np.int32))
    _kernels.upsample_argmax(values, *_check_roi(roi_yxhw, values.shape[1:]), labels)
    return labels


def label_map_to_image(
    label_map: NDArray[Any],
    image_hw: Sequence[int],
    roi_yxhw: Sequence[float] | None = None,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """`label_map` at the image's size, nearest pixel: label_map's dtype, (H, W).

    Each pixel takes the label of the map's pixel that holds its centre: floor(roi_y + (y + 0.5) * roi_height
    / H), clamped to the map ("nearest-exact" elsewhere).

    label_map: uint8, int32 or int64 (h, w), any strides. out: as for upsample_argmax, of label_map's dtype; it
        must not overlap `label_map`.
    Raises InputError for a wrong dtype, shape or roi.
    """
    if roi_yxhw is None and type(label_map) is _Array and type(out) is _Array and _kernels is native:
        # The native function checks all but the image's size, in a third of the time. What it refuses is told below.
        try:
            height, width = label_map.shape
            if out.shape == image_hw:
                _kernels.resize_labels(label_map, 0.0, 0.0, height, width, out)
                return out
        except (TypeError, ValueError):
            pass
    if not isinstance(label_map, np.ndarray) or label_map.ndim != 2 or label_map.dtype not in _LABELS:
        raise InputError(
            f"label_map must be uint8, int32 or int64 (height, width), got {describe(label_map)}"
        )
    if 0 in label_map.shape:
        raise InputError(f"label_map must have at least one row and column, got {label_map.shape}")
    labels = _check_out(out, label_map, _size(image_hw), label_map.dtype, "label_map")
    aligned = label_map if label_map.flags.aligned else label_map.copy()
    _kernels.resize_labels(aligned, *_check_roi(roi_yxhw, label_map.shape), labels)
    return labels


def upsample_masks(
    logits: NDArray[Any],
    image_hw: Sequence[int],
    roi_yxhw: Sequence[float] | None = None,
    *,
    via_hw: Sequence[int] | None = None,
    threshold: float = 0.0,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Masks of the image's size: bool (K, H, W), where a mask's logit, interpolated bilinearly, is above `threshold`.

    Half-pixel centres (align_corners=False), in float32, read as by upsample_argmax. Where all logits that a
    pixel reads are above the threshold, or none is, that decides without interpolating. A NaN is not above.

    via_hw: (H1, W1) makes the value that of two resizes: of the logits to a canvas of this size, then of the
        canvas's part `roi_yxhw`, here in whole *canvas* pixels, to the image. So Segment Anything's own
        postprocessing works: 256x256 logits to 1024x1024, the pad cut off, the rest to the image. It is done
        in one pass, with the at most four logits a pixel needs on each axis, and differs from two passes only
        by rounding: where a logit is within 1e-4 of the greatest magnitude of the threshold.
    logits: float32 or float16 (K, h, w); copied first when rows are not contiguous.
    threshold: rounded to float32. out: bool or uint8 (K, H, W) to write 0 and 1 to and return, C-contiguous. It
        must not overlap `logits`.
    Raises InputError for a wrong dtype, shape, roi or threshold.
    """
    if (
        roi_yxhw is None
        and via_hw is None
        and type(logits) is _Array
        and type(out) is _Array
        and _kernels is native
    ):
        try:  # as in label_map_to_image
            _, height, width = logits.shape
            if out.shape[1:] == image_hw and abs(threshold) <= _FLOAT32_MAX:
                _kernels.upsample_masks(logits, 0.0, 0.0, height, width, 0, 0, threshold, out)
                return out
        except (TypeError, ValueError):
            pass
    values = check_output("logits", logits, 3, "(masks, height, width)")
    if 0 in values.shape[1:]:
        raise InputError(f"logits must have at least one row and column, got {values.shape}")
    if values.strides[2] != values.itemsize and values.shape[2] > 1:
        values = np.ascontiguousarray(values)
    if not abs(threshold) <= _FLOAT32_MAX:
        raise InputError(f"threshold must be a number that float32 holds, got {threshold!r}")
    size = _size(image_hw)
    via = (0, 0) if via_hw is None else _size(via_hw, "via_hw")
    roi = _check_roi(roi_yxhw, values.shape[1:] if via_hw is None else via)
    if via_hw is not None and not _inside(roi, via):
        raise InputError(
            f"with via_hw={via}, roi_yxhw must be whole pixels inside that canvas, got {roi}; "
            f"round the size and offset as they were applied to the image"
        )
    masks = np.empty((len(values), *size), np.bool_) if out is None else _check_mask_out(out, logits, size)
    _kernels.upsample_masks(values, *roi, *via, threshold, masks)
    return masks


def _inside(roi: tuple[float, float, float, float], canvas_hw: tuple[int, int]) -> bool:
    y, x, height, width = roi
    whole = all(value == int(value) for value in roi)
    return whole and y >= 0 and x >= 0 and y + height <= canvas_hw[0] and x + width <= canvas_hw[1]


def _check_mask_out(out: NDArray[Any], logits: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    shape = (len(logits), *size)
    if (
        not isinstance(out, np.ndarray)
        or out.dtype not in (np.bool_, np.uint8)
        or out.shape != shape
        or not (out.flags.writeable and out.flags.c_contiguous)
    ):
        raise InputError(f"out must be writeable C-contiguous bool or uint8 {shape}, got {describe(out)}")
    check_apart("logits", logits, out)
    return out


def _check_roi(roi_yxhw: Sequence[float] | None, shape: Sequence[int]) -> tuple[float, float, float, float]:
    if roi_yxhw is None:
        return 0.0, 0.0, float(shape[0]), float(shape[1])
    y, x, height, width = (float(value) for value in roi_yxhw)
    if not (math.isfinite(y + x + height + width) and height > 0 and width > 0):
        raise InputError(
            f"roi_yxhw must be finite (y, x, height, width) with sizes above 0, got {tuple(roi_yxhw)}"
        )
    return y, x, height, width


def _size(image_hw: Sequence[int], name: str = "image_hw") -> tuple[int, int]:
    height, width = image_hw
    if not (1 <= height <= _MAX_SIDE and 1 <= width <= _MAX_SIDE):
        raise InputError(f"{name} must be (H, W), each 1 to {_MAX_SIDE}, got {tuple(image_hw)}")
    return int(height), int(width)


def _check_out(
    out: NDArray[Any] | None,
    values: NDArray[Any],
    shape: tuple[int, int],
    dtype: np.dtype[Any],
    name: str = "logits",
) -> NDArray[Any]:
    """`out`, or a new array, checked to be fit for what is read from `values`, an argument called `name`."""
    if out is None:
        return np.empty(shape, dtype)
    if (
        not isinstance(out, np.ndarray)
        or out.dtype != dtype
        or out.shape != shape
        or not (out.flags.writeable and out.flags.aligned)
        or (out.strides[1] != out.itemsize and shape[1] > 1)
    ):
        raise InputError(f"out must be writeable {dtype} {shape} with contiguous rows, got {describe(out)}")
    check_apart(name, values, out)
    return out
