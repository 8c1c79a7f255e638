"""NumPy reference of the image family: an image written through a placement into a tensor.

The arithmetic is the same as in cpp_ext/include/ev/image.h, integer for integer; that header says where each
formula comes from. Here whole arrays are computed where the kernel keeps a few rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["BICUBIC_ANTIALIAS", "BILINEAR_ANTIALIAS", "LINEAR", "NEAREST", "write_image"]

NEAREST, LINEAR, BILINEAR_ANTIALIAS, BICUBIC_ANTIALIAS = range(4)

Indices = NDArray[np.int64]
Pixels = NDArray[np.uint8]

ANTIALIAS_BITS = 22


def write_image(
    image: Pixels,
    out: NDArray[Any],
    table: NDArray[Any],
    pad: NDArray[Any],
    resized_height: int,
    resized_width: int,
    offset_y: int,
    offset_x: int,
    filter: int,
    order_0: int,
    order_1: int,
    order_2: int,
    to_gray: bool,
    nhwc: bool,
) -> None:
    """Nothing; writes `image`, uint8 (H, W) or (H, W, channels), through a placement into all of `out`.

    out: (C, H, W), or (H, W, C) with `nhwc`; C is 1 or 3. table: (C, 256), pad: (C,), both of out's dtype.
    order_0..2: the image's channel behind each channel of `out`; with `to_gray`, where blue, green and red
        are.
    """
    target = out if nhwc else out.transpose(1, 2, 0)
    target[...] = pad
    rows = np.arange(max(0, offset_y), min(target.shape[0], offset_y + resized_height))
    columns = np.arange(max(0, offset_x), min(target.shape[1], offset_x + resized_width))
    if rows.size == 0 or columns.size == 0:
        return
    source = image[:, :, None] if image.ndim == 2 else image
    if to_gray:
        source = _luma_bt601(source[:, :, order_0], source[:, :, order_1], source[:, :, order_2])[:, :, None]
    else:
        source = source[:, :, [order_0, order_1, order_2][: target.shape[2]]]
    resize = _RESIZERS[filter]
    pixels = resize(source, (resized_height, resized_width), rows - offset_y, columns - offset_x, filter)
    covered = target[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    for channel in range(target.shape[2]):
        covered[:, :, channel] = table[channel][pixels[:, :, channel]]


def _luma_bt601(blue: Pixels, green: Pixels, red: Pixels) -> Pixels:
    """The luma of OpenCV's BGR2GRAY: uint8 (H, W)."""
    weighted = blue.astype(np.int32) * 3735 + green.astype(np.int32) * 19235 + red.astype(np.int32) * 9798
    return ((weighted + (1 << 14)) >> 15).astype(np.uint8)


def _resize_nearest(
    source: Pixels, size_hw: tuple[int, int], rows: Indices, columns: Indices, _: int
) -> Pixels:
    """The given rows and columns of cv2.INTER_NEAREST's result."""

    def indices(source_size: int, resized_size: int, wanted: Indices) -> Indices:
        step = 1.0 / (resized_size / source_size)
        return np.asarray(np.minimum(np.floor(wanted * step), source_size - 1), np.int64)

    kept = indices(source.shape[0], size_hw[0], rows)
    picked = source[kept[:, None], indices(source.shape[1], size_hw[1], columns)]
    return np.asarray(picked, np.uint8)


def _linear_taps(
    source_size: int, resized_size: int, wanted: Indices, exact_edge: bool
) -> tuple[Indices, Indices, NDArray[np.int32], NDArray[np.int32]]:
    """The two source indices of each wanted index, and their weights in 11-bit fixed point."""
    step = 1.0 / (resized_size / source_size)
    position = ((wanted + 0.5) * step - 0.5).astype(np.float32)
    base = np.floor(position).astype(np.int64)
    fraction = position - base.astype(np.float32)
    last = source_size - 1
    if exact_edge:
        fraction[(base < 0) | (base >= last)] = 0.0
        base = np.clip(base, 0, last)
    weight_first = np.rint((np.float32(1) - fraction) * np.float32(2048)).astype(np.int32)
    weight_second = np.rint(fraction * np.float32(2048)).astype(np.int32)
    return np.clip(base, 0, last), np.clip(base + 1, 0, last), weight_first, weight_second


def _resize_linear(
    source: Pixels, size_hw: tuple[int, int], rows: Indices, columns: Indices, _: int
) -> Pixels:
    """The given rows and columns of cv2.INTER_LINEAR's result."""
    left, right, weight_left, weight_right = _linear_taps(source.shape[1], size_hw[1], columns, True)
    above, below, weight_above, weight_below = _linear_taps(source.shape[0], size_hw[0], rows, False)
    wide = source[: int(below.max()) + 1].astype(np.int32)
    sums = (wide[:, left] * weight_left[:, None] + wide[:, right] * weight_right[:, None]) >> 4
    top = (sums[above] * weight_above[:, None, None]) >> 16
    bottom = (sums[below] * weight_below[:, None, None]) >> 16
    return ((top + bottom + 2) >> 2).astype(np.uint8)


def _antialias_kernel(x: NDArray[np.float64], bicubic: bool) -> NDArray[np.float64]:
    x = np.abs(x)
    if not bicubic:
        return np.where(x < 1.0, 1.0 - x, 0.0)
    a = -0.5
    near = ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    far = (((x - 5.0) * x + 8.0) * x - 4.0) * a
    return np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))


def _antialias_taps(
    source_size: int, resized_size: int, wanted: Indices, bicubic: bool
) -> tuple[Indices, NDArray[np.int64]]:
    """The first source index of each wanted index, and its weights (wanted, taps) in 22-bit fixed point."""
    step = source_size / resized_size
    stretch = max(step, 1.0)
    support = (2.0 if bicubic else 1.0) * stretch
    center = (wanted + 0.5) * step
    first = np.maximum((center - support + 0.5).astype(np.int64), 0)
    count = np.minimum((center + support + 0.5).astype(np.int64), source_size) - first
    taps = np.arange(int(count.max()))
    x = ((first[:, None] + taps) - center[:, None] + 0.5) * (1.0 / stretch)
    weights = np.where(taps < count[:, None], _antialias_kernel(x, bicubic), 0.0)
    # The sum runs in the order of the taps, as the kernel's does; np.sum would pair its terms.
    total = np.zeros(wanted.size)
    for tap in range(taps.size):
        total = total + weights[:, tap]
    weights /= np.where(total != 0.0, total, 1.0)[:, None]
    scaled = weights * (1 << ANTIALIAS_BITS)
    return first, np.where(weights < 0.0, scaled - 0.5, scaled + 0.5).astype(np.int64)


def _antialias_pass(source: Pixels, resized_size: int, wanted: Indices, bicubic: bool) -> Pixels:
    """The wanted rows of `source` resized along its first axis."""
    if source.shape[0] == resized_size:
        return source[wanted]
    first, weights = _antialias_taps(source.shape[0], resized_size, wanted, bicubic)
    sums = np.full((wanted.size, *source.shape[1:]), 1 << (ANTIALIAS_BITS - 1), np.int32)
    for tap in range(weights.shape[1]):
        # A row past the end has weight 0.
        rows = source[np.minimum(first + tap, source.shape[0] - 1)]
        sums += rows.astype(np.int32) * weights[:, tap, None, None].astype(np.int32)
    return np.asarray(np.clip(sums >> ANTIALIAS_BITS, 0, 255), np.uint8)


def _resize_antialias(
    source: Pixels, size_hw: tuple[int, int], rows: Indices, columns: Indices, filter: int
) -> Pixels:
    """The given rows and columns of Pillow's result; the horizontal pass comes first."""
    bicubic = filter == BICUBIC_ANTIALIAS
    narrow = _antialias_pass(source.transpose(1, 0, 2), size_hw[1], columns, bicubic).transpose(1, 0, 2)
    return _antialias_pass(narrow, size_hw[0], rows, bicubic)


_RESIZERS = {
    NEAREST: _resize_nearest,
    LINEAR: _resize_linear,
    BILINEAR_ANTIALIAS: _resize_antialias,
    BICUBIC_ANTIALIAS: _resize_antialias,
}
