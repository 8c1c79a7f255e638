"""NumPy reference of the color family: YUV planes to BGR or RGB pixels.

The arithmetic is that of cpp_ext/include/ev/color.h, integer for integer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.ops.reference.image import write_image

__all__ = ["YUV_BITS", "convert_yuv", "write_yuv"]

YUV_BITS = 20


def convert_yuv(
    y: NDArray[np.uint8],
    u: NDArray[np.uint8],
    v: NDArray[np.uint8],
    out: NDArray[np.uint8],
    luma_offset: int,
    luma: int,
    red_v: int,
    green_u: int,
    green_v: int,
    blue_u: int,
    rgb: bool,
) -> None:
    """Nothing; writes the pixels of `y` (H, W), `u` and `v` (H or H/2, W/2) to all of `out`, (H, W, 3).

    luma_offset: code of black. The other five: a matrix in 20-bit fixed point. rgb: red first, else blue.
    """
    du, dv = u.astype(np.int32) - 128, v.astype(np.int32) - 128
    half = 1 << (YUV_BITS - 1)
    blue_green_red = (blue_u * du + half, green_u * du + green_v * dv + half, red_v * dv + half)
    bright = np.maximum(y.astype(np.int32) - luma_offset, 0) * luma
    rows = y.shape[0] // u.shape[0]
    for channel, chroma in enumerate(blue_green_red[::-1] if rgb else blue_green_red):
        total = bright + chroma.repeat(rows, axis=0).repeat(2, axis=1)
        out[:, :, channel] = np.clip(total >> YUV_BITS, 0, 255)


def write_yuv(
    y: NDArray[np.uint8],
    u: NDArray[np.uint8],
    v: NDArray[np.uint8],
    luma_offset: int,
    luma: int,
    red_v: int,
    green_u: int,
    green_v: int,
    blue_u: int,
    out: NDArray[Any],
    *placed: Any,
) -> None:
    """Nothing; writes the planes as a BGR image through a placement into all of `out`.

    The planes and the matrix: as for convert_yuv. out, placed: as for image.write_image, `out` and all that
        follows it there.
    """
    image = np.empty((*y.shape, 3), np.uint8)
    convert_yuv(y, u, v, image, luma_offset, luma, red_v, green_u, green_v, blue_u, False)
    write_image(image, out, *placed)
