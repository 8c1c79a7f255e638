"""Label maps in NumPy: the oracle of the native kernels, and the fallback without a compiler."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.ops.reference.masks_binary import bilinear_taps, upsample_masks

__all__ = ["resize_labels", "upsample_argmax", "upsample_masks"]

# Interpolated logits of so many elements at a time: 16 MiB, and its few temporaries.
_BLOCK = 1 << 22


def upsample_argmax(
    logits: NDArray[Any], roi_y: float, roi_x: float, roi_height: float, roi_width: float, out: NDArray[Any]
) -> None:
    """Writes the label of each pixel of `out` (H, W); the rule is in edgevision.ops.masks."""
    classes, height, width = logits.shape
    top, bottom, weight_y = bilinear_taps(out.shape[0], roi_y, roi_height, height)
    left, right, weight_x = bilinear_taps(out.shape[1], roi_x, roi_width, width)
    values = logits.astype(np.float32)
    source = _argmax(values)
    rows = max(1, _BLOCK // (classes * out.shape[1]))
    for start in range(0, out.shape[0], rows):
        block = slice(start, start + rows)
        above, below = top[block, None], bottom[block, None]
        with np.errstate(all="ignore"):
            blended = _blend(values[:, top[block]], values[:, bottom[block]], weight_y[block, None])
            labels = _argmax(_blend(blended[:, :, left], blended[:, :, right], weight_x))
        corner = source[above, left]
        same = (
            (source[above, right] == corner)
            & (source[below, left] == corner)
            & (source[below, right] == corner)
        )
        out[block] = np.where(same, corner, labels)


def resize_labels(
    label_map: NDArray[Any],
    roi_y: float,
    roi_x: float,
    roi_height: float,
    roi_width: float,
    out: NDArray[Any],
) -> None:
    """Writes to `out` (H, W) the label of the source pixel that holds each pixel's centre."""
    rows = _nearest(out.shape[0], roi_y, roi_height, label_map.shape[0])
    columns = _nearest(out.shape[1], roi_x, roi_width, label_map.shape[1])
    out[...] = label_map[rows[:, None], columns]


def _argmax(values: NDArray[np.float32]) -> NDArray[np.intp]:
    if len(values) == 1:
        return np.asarray(values[0] > 0, np.intp)
    return np.asarray(np.where(np.isnan(values), np.float32(-np.inf), values).argmax(axis=0), np.intp)


def _blend(
    first: NDArray[np.float32], second: NDArray[np.float32], weight: NDArray[np.float64]
) -> NDArray[np.float32]:
    share = weight.astype(np.float32)
    return (np.float32(1.0) - share) * first + share * second


def _nearest(size: int, origin: float, extent: float, source_size: int) -> NDArray[np.intp]:
    position = np.floor(origin + (np.arange(size) + 0.5) * extent / size)
    return np.clip(position, 0, source_size - 1).astype(np.intp)
