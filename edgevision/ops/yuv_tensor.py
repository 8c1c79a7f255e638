"""Writes camera frames in YUV straight into a network's input tensor, with no image of BGR pixels in between."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.errors import InputError
from edgevision.geometry import Placement
from edgevision.ops._dispatch import native
from edgevision.ops.color import split_frame
from edgevision.ops.image import channel_order, check_out, check_placement, dtype_of
from edgevision.ops.pixel_map import FILTERS, PixelMap, pixel_table
from edgevision.ops.reference import color as reference

__all__ = ["yuv_to_tensor"]

_DEFAULT = PixelMap()
_write = reference.write_yuv if native is None else native.write_yuv


def yuv_to_tensor(
    frame: NDArray[np.uint8] | Sequence[NDArray[np.uint8]],
    format: str,
    placement: Placement,
    out: NDArray[Any],
    *,
    matrix: str = "bt601",
    range: str = "limited",
    pixels: PixelMap = _DEFAULT,
) -> NDArray[Any]:
    """`out`, every element of which is written: the frame converted, resized, placed and normalised.

    Equal, bit for bit, to color.yuv_to_bgr followed by image.image_to_tensor; only the rows and columns that the
    resize reads are converted, a row at a time.

    frame, format, matrix, range: as for color.yuv_to_bgr.
    placement: from geometry.place_image; image_hw must be the size (H, W) of the frame's luma, canvas_hw that of
        `out`.
    out, pixels: as for image.image_to_tensor; the bytes of `out` must not overlap the frame's.

    Safe to call from several threads on different `out`. Raises InputError for whatever does not fit the above.
    """
    table, pad = pixel_table(pixels, dtype_of(out))
    y, u, v, coefficients, arrays = split_frame(frame, format, matrix, range)
    check_placement(placement, *y.shape)
    check_out(out, placement, pixels)
    if any(np.may_share_memory(array, out) for array in arrays):
        raise InputError(
            "frame and out share memory: writing out would change the frame; pass a copy of the frame"
        )
    resized, offset = placement.resized_hw, placement.offset_yx
    _write(
        y, u, v, *coefficients, out, table, pad, resized[0], resized[1], offset[0], offset[1], FILTERS[pixels.filter],
        *channel_order("bgr", pixels.color), pixels.color == "gray", pixels.layout == "nhwc",
    )  # fmt: skip
    return out
