"""Masks of low-resolution logits in NumPy: the oracle of the native kernels, and the fallback without a compiler.

The arithmetic is that of cpp_ext/include/ev/masks_binary.h, operation for operation.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["assemble_masks", "bilinear_taps", "upsample_masks"]

Floats = NDArray[np.float32]


class _Taps(NamedTuple):
    """What each pixel of one axis reads: source indices and their weights, (K, size)."""

    indices: NDArray[np.intp]
    weights: Floats


def upsample_masks(
    logits: NDArray[Any],
    roi_y: float,
    roi_x: float,
    roi_height: float,
    roi_width: float,
    via_height: int,
    via_width: int,
    threshold: float,
    out: NDArray[np.uint8],
) -> None:
    """Writes to `out` (K, H, W) 1 where a mask's interpolated logit is above the threshold, else 0.

    via_height 0: the roi is one of the logits; else of a canvas of that size that the logits are first
    resized to, in whole pixels.
    """
    rows = _taps(out.shape[1], roi_y, roi_height, via_height, logits.shape[1])
    columns = _taps(out.shape[2], roi_x, roi_width, via_width, logits.shape[2])
    for values, mask in zip(logits, out, strict=True):
        mask[...] = _above(values.astype(np.float32), rows, columns, np.float32(threshold))


def assemble_masks(
    coefficients: Floats,
    prototypes: NDArray[Any],
    boxes: Floats,
    crop_prototypes: bool,
    gain_y: float,
    gain_x: float,
    offset_y: float,
    offset_x: float,
    scale_y: float,
    scale_x: float,
    roi_y: float,
    roi_x: float,
    roi_height: float,
    roi_width: float,
    via_height: int,
    via_width: int,
    image_height: int,
    image_width: int,
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.uint8]]:
    """(windows, offsets, data) of edgevision.ops.instance_masks.MaskCrops.

    crop_prototypes: logits outside the box, times gain, plus offset, times scale, are 0; else the pixels
    outside the box are. The roi and via_height, via_width are those of upsample_masks; these are 0 with
    crop_prototypes.
    """
    _, height, width = prototypes.shape
    rows = _taps(image_height, roi_y, roi_height, via_height, height)
    columns = _taps(image_width, roi_x, roi_width, via_width, width)
    windows = np.zeros((len(boxes), 4), np.int32)
    crops = [np.zeros(0, np.uint8)]
    for box, weights, window in zip(boxes, coefficients, windows, strict=True):
        if crop_prototypes:
            top, bottom = _cells(box[1::2], gain_y, offset_y, scale_y, height)
            left, right = _cells(box[0::2], gain_x, offset_x, scale_x, width)
            y1, y2 = _reach(rows, top, bottom)
            x1, x2 = _reach(columns, left, right)
        else:
            top, bottom, left, right = 0, height, 0, width
            y1, y2 = _covered(box[1::2], image_height)
            x1, x2 = _covered(box[0::2], image_width)
        if y1 == y2 or x1 == x2:
            continue
        window[:] = x1, y1, x2, y2
        logits = np.zeros((height, width), np.float32)
        with np.errstate(all="ignore"):
            for weight, prototype in zip(weights, prototypes, strict=True):
                part = weight * prototype[top:bottom, left:right].astype(np.float32)
                logits[top:bottom, left:right] += part
        inside = _Taps(rows.indices[:, y1:y2], rows.weights[:, y1:y2])
        across = _Taps(columns.indices[:, x1:x2], columns.weights[:, x1:x2])
        crops.append(_above(logits, inside, across, np.float32(0.0)).astype(np.uint8).ravel())
    sizes = (windows[:, 2:] - windows[:, :2]).astype(np.int64)
    offsets = np.zeros(len(boxes) + 1, np.int64)
    np.cumsum(sizes[:, 0] * sizes[:, 1], out=offsets[1:])
    return windows, offsets, np.concatenate(crops)


def bilinear_taps(
    size: int, origin: float, extent: float, source_size: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """What each of `size` pixels reads: two source indices, and the weight of the second; (size,) each."""
    position = origin + (np.arange(size) + 0.5) * extent / size - 0.5
    bounded = np.clip(position, 0.0, source_size - 1)
    base = np.floor(bounded)
    first = base.astype(np.intp)
    return first, np.minimum(first + 1, source_size - 1), bounded - base


def _taps(size: int, origin: float, extent: float, via_size: int, source_size: int) -> _Taps:
    """Of a bilinear resize of the source's part to `size`, or by way of `via_size` pixels where that is not 0."""
    if via_size:
        return _composed(size, int(origin), int(extent), via_size, source_size)
    first, second, exact = bilinear_taps(size, origin, extent, source_size)
    weight = exact.astype(np.float32)
    return _Taps(np.stack([first, second]), np.stack([np.float32(1.0) - weight, weight]))


def _composed(size: int, origin: int, extent: int, via_size: int, source_size: int) -> _Taps:
    """Of a resize of `source_size` to `via_size`, then of `extent` pixels of that, from `origin`, to `size`."""
    before, after, outer = bilinear_taps(size, 0.0, float(extent), extent)
    via = bilinear_taps(via_size, 0.0, float(source_size), source_size)
    indices, weights = [], []
    for pixel, share in ((before, 1.0 - outer), (after, outer)):
        first, second, inner = (part[origin + pixel] for part in via)
        indices += [first, second]
        weights += [share * (1.0 - inner), share * inner]
    return _Taps(np.stack(indices), np.stack(weights).astype(np.float32))


def _above(values: Floats, rows: _Taps, columns: _Taps, threshold: np.float32) -> NDArray[np.bool_]:
    """Whether each pixel's weighted mean is above the threshold.

    Where all values it reads are above it, or none is, that decides without computing.
    """
    with np.errstate(all="ignore"):
        blended = _weighted(values[rows.indices], rows.weights[:, :, None])
        means = _weighted(blended[:, columns.indices].swapaxes(0, 1), columns.weights[:, None, :])
    read = (values > threshold)[rows.indices]  # (K, height, source width)
    everywhere = np.logical_and.reduce(np.logical_and.reduce(read)[:, columns.indices], axis=1)
    somewhere = np.logical_or.reduce(np.logical_or.reduce(read)[:, columns.indices], axis=1)
    return np.asarray(everywhere | (somewhere & (means > threshold)), np.bool_)


def _weighted(values: Floats, weights: Floats) -> Floats:
    """The sum over the first axis, one after another: float32, as the kernel adds."""
    total = np.asarray(weights[0] * values[0], np.float32)
    for weight, value in zip(weights[1:], values[1:], strict=True):
        total = total + weight * value
    return total


def _covered(ends: Floats, size: int) -> tuple[int, int]:
    """The pixels p with ends[0] <= p < ends[1], as a range inside [0, size); (0, 0) when there are none."""
    first, last = (int(np.clip(np.ceil(end), 0, size)) for end in ends)
    return (first, last) if first < last else (0, 0)


def _cells(ends: Floats, gain: float, offset: float, scale: float, size: int) -> tuple[int, int]:
    """The prototype pixels that a box's side covers: `_covered` after image to model to prototype pixels."""
    model = (ends.astype(np.float64) * gain + offset).astype(np.float32)
    return _covered(model * np.float32(scale), size)


def _reach(taps: _Taps, first: int, last: int) -> tuple[int, int]:
    """The range of the axis's pixels that read one of the source indices [first, last) with some weight."""
    read = ((taps.indices >= first) & (taps.indices < last) & (taps.weights > 0)).any(axis=0)
    pixels = np.flatnonzero(read)
    return (int(pixels[0]), int(pixels[-1]) + 1) if pixels.size else (0, 0)
