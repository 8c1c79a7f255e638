"""Writes camera frames in YUV straight into a network's input tensor, with no image of BGR pixels in between."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.geometry import Placement
from edgevision.ops.color import split_frame
from edgevision.ops.image_plan import dtype_of, explain_refusal, plan_image
from edgevision.ops.pixel_map import PixelMap

__all__ = ["yuv_to_tensor"]

_DEFAULT = PixelMap()


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
    dtype = dtype_of(out)
    y, u, v, coefficients, _ = split_frame(frame, format, matrix, range)
    plan = plan_image(placement, pixels, "bgr", dtype)
    if not plan.write_yuv(y, u, v, *coefficients, out):
        raise explain_refusal(y.shape, out, placement, pixels, "frame")
    return out
