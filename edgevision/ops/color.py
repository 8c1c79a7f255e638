"""Camera YUV to BGR or RGB pixels.

Formats: "nv12", "nv21" (a plane of luma, then one of U and V interleaved, or V and U), "i420", "yv12" (luma,
then the U and V planes, or V and U), all three 4:2:0; "yuyv", "uyvy" (4:2:2, in one packed plane).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgevision.errors import InputError
from edgevision.ops._checks import check_apart
from edgevision.ops._dispatch import native
from edgevision.ops.reference import color as reference

__all__ = [
    "YUV_FORMATS",
    "YUV_MATRICES",
    "YUV_RANGES",
    "SplitFrame",
    "split_frame",
    "yuv_to_bgr",
    "yuv_to_rgb",
]

YUV_FORMATS = ("nv12", "nv21", "i420", "yv12", "yuyv", "uyvy")
YUV_MATRICES = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722)}
"""The weights (Kr, Kb) of red and blue in luma: ITU-R BT.601-7 section 2.5.1, ITU-R BT.709-6 section 3.2."""
YUV_RANGES = ("limited", "full")

Plane = NDArray[np.uint8]
_convert = reference.convert_yuv if native is None else native.convert_yuv


class SplitFrame(NamedTuple):
    """A checked frame as the kernels take it: views of the caller's `arrays`, and a matrix."""

    y: Plane
    """uint8 (H, W); W is even."""
    u: Plane
    """uint8 (H/2, W/2), or (H, W/2) for "yuyv" and "uyvy"; so is `v`."""
    v: Plane
    coefficients: tuple[int, int, int, int, int, int]
    """Code of black, then luma, red_v, green_u, green_v and blue_u in 20-bit fixed point."""
    arrays: tuple[Plane, ...]


def yuv_to_bgr(
    frame: Plane | Sequence[Plane],
    format: str = "nv12",
    *,
    matrix: str = "bt601",
    range: str = "limited",
    out: Plane | None = None,
) -> Plane:
    """uint8 (H, W, 3) BGR pixels of a YUV frame; `out` when it is given.

    frame: one uint8 buffer, (H * 3/2, W) for the 4:2:0 formats, (H, W, 2) for "yuyv" and "uyvy"; or, for
        4:2:0, its
        planes, whose rows may be padded: (y, uv) with uv (H/2, W/2, 2) for "nv12" and "nv21", three planes
        (H, W), (H/2, W/2), (H/2, W/2) in the format's own order for "i420" and "yv12". Any strides, except
        that an i420 or yv12 buffer must be contiguous (its chroma rows lie two to a row). Read-only arrays
        are accepted.
    matrix: "bt601" (cameras and SD video) or "bt709" (HD video). range: "limited" (luma 16-235, chroma
        16-240; luma below 16 counts as black) or "full" (0-255, as in JPEG and most MJPEG cameras).
    out: uint8 (H, W, 3), any strides, not overlapping the frame.

    A chroma sample serves its whole block, without interpolation. "bt601" with "limited" gives cv2.cvtColor's
    pixels bit for bit; the others are within 1 of the real-valued formula. Raises InputError for a shape,
    dtype or name that is none of these.
    """
    return _convert_frame(frame, format, matrix, range, out, rgb=False)


def yuv_to_rgb(
    frame: Plane | Sequence[Plane],
    format: str = "nv12",
    *,
    matrix: str = "bt601",
    range: str = "limited",
    out: Plane | None = None,
) -> Plane:
    """uint8 (H, W, 3) RGB pixels of a YUV frame; arguments and errors as for yuv_to_bgr."""
    return _convert_frame(frame, format, matrix, range, out, rgb=True)


def _coefficients(matrix: str, range: str) -> tuple[int, int, int, int, int, int]:
    """Luma offset, then luma, red_v, green_u, green_v, blue_u in 20-bit fixed point.

    Limited range spreads 219 codes of luma and 224 of chroma over 255 (ITU-R BT.601-7 section 2.5.3).
    """
    if matrix == "bt601" and range == "limited":
        # OpenCV's constants: 1.164, 1.596, 0.391, 0.813 and 2.018, the three-decimal matrix of the BT.601
        # literature.
        return 16, 1220542, 1673527, -409993, -852492, 2116026
    red, blue = YUV_MATRICES[matrix]
    green = 1.0 - red - blue
    luma, chroma = (255 / 219, 255 / 224) if range == "limited" else (1.0, 1.0)
    factors = (
        luma,
        2 * (1 - red) * chroma,
        -2 * (1 - blue) * blue / green * chroma,
        -2 * (1 - red) * red / green * chroma,
        2 * (1 - blue) * chroma,
    )
    fixed = [round(factor * (1 << reference.YUV_BITS)) for factor in factors]
    return 16 if range == "limited" else 0, fixed[0], fixed[1], fixed[2], fixed[3], fixed[4]


_COEFFICIENTS = {
    (matrix, range): _coefficients(matrix, range) for matrix in YUV_MATRICES for range in YUV_RANGES
}


def split_frame(frame: Plane | Sequence[Plane], format: str, matrix: str, range: str) -> SplitFrame:
    """The frame's planes and its matrix; arguments and errors as for yuv_to_bgr."""
    if format not in YUV_FORMATS:
        raise InputError(f"unknown YUV format {format!r}; accepted: {', '.join(YUV_FORMATS)}")
    coefficients = _COEFFICIENTS.get((matrix, range))
    if coefficients is None:
        raise InputError(
            f"unknown matrix {matrix!r} or range {range!r}; accepted: matrix {', '.join(YUV_MATRICES)}, "
            f"range {', '.join(YUV_RANGES)}"
        )
    arrays = (frame,) if isinstance(frame, np.ndarray) else tuple(frame)
    if not arrays or any(not isinstance(array, np.ndarray) or array.dtype != np.uint8 for array in arrays):
        got = _describe(arrays) or "an empty sequence"
        raise InputError(f"a {format} frame must be of uint8 NumPy arrays, got {got}")
    if format in ("yuyv", "uyvy"):
        planes = _split_packed(arrays, format)
    elif len(arrays) == 1:
        planes = _split_buffer(arrays[0], format)
    else:
        planes = _split_planes(arrays, format)
    return SplitFrame(*planes, coefficients, arrays)


def _convert_frame(
    frame: Plane | Sequence[Plane], format: str, matrix: str, range: str, out: Plane | None, *, rgb: bool
) -> Plane:
    split = split_frame(frame, format, matrix, range)
    pixels = _check_out(out, split.arrays, (*split.y.shape, 3))
    _convert(split.y, split.u, split.v, pixels, *split.coefficients, rgb)
    return pixels


def _split_packed(planes: tuple[Plane, ...], format: str) -> tuple[Plane, Plane, Plane]:
    packed = planes[0]
    even_pairs = packed.ndim == 3 and packed.shape[2] == 2 and packed.shape[1] % 2 == 0
    if len(planes) != 1 or not even_pairs or packed.size == 0:
        raise InputError(
            f"a {format} frame must be one array (H, W, 2) with an even W (4:2:2 shares chroma between two "
            f"columns), got {_describe(planes)}"
        )
    luma = 0 if format == "yuyv" else 1
    chroma = packed[:, :, 1 - luma]
    return packed[:, :, luma], chroma[:, 0::2], chroma[:, 1::2]


def _split_buffer(buffer: Plane, format: str) -> tuple[Plane, Plane, Plane]:
    if buffer.ndim != 2 or buffer.shape[0] % 3 or buffer.shape[1] % 2 or buffer.size == 0:
        raise InputError(
            f"a {format} buffer must be (H * 3/2, W) with H and W even (4:2:0 shares chroma between 2x2 "
            f"pixels), got {_describe((buffer,))}; crop the frame to even sides, or pass its planes"
        )
    height, width = buffer.shape[0] // 3 * 2, buffer.shape[1]
    if format in ("nv12", "nv21"):
        return _split_planes((buffer[:height], buffer[height:].reshape(height // 2, width // 2, 2)), format)
    if not buffer.flags.c_contiguous:
        raise InputError(
            f"the {format} buffer must be contiguous, because its chroma rows lie two to a row; "
            f"pass the planes (y, {'u, v' if format == 'i420' else 'v, u'}) instead"
        )
    chroma = buffer[height:].reshape(2, height // 2, width // 2)
    return _split_planes((buffer[:height], chroma[0], chroma[1]), format)


def _split_planes(planes: tuple[Plane, ...], format: str) -> tuple[Plane, Plane, Plane]:
    shapes = [plane.shape for plane in planes]
    luma = shapes[0]
    if len(luma) == 2 and min(luma) >= 2 and luma[0] % 2 == 0 and luma[1] % 2 == 0:
        half = (luma[0] // 2, luma[1] // 2)
        if format in ("nv12", "nv21") and shapes[1:] == [(*half, 2)]:
            first, second = planes[1][:, :, 0], planes[1][:, :, 1]
            return (planes[0], first, second) if format == "nv12" else (planes[0], second, first)
        if format in ("i420", "yv12") and shapes[1:] == [half, half]:
            first, second = planes[1], planes[2]
            return (planes[0], first, second) if format == "i420" else (planes[0], second, first)
    interleaved = format in ("nv12", "nv21")
    accepted = "(H, W) and (H/2, W/2, 2)" if interleaved else "(H, W), (H/2, W/2) and (H/2, W/2)"
    raise InputError(f"{format} planes must be {accepted} with H and W even, got {_describe(planes)}")


def _check_out(out: Any, planes: tuple[Plane, ...], shape: tuple[int, ...]) -> Plane:
    if out is None:
        return np.empty(shape, np.uint8)
    if not isinstance(out, np.ndarray) or out.dtype != np.uint8 or out.shape != shape:
        raise InputError(f"out must be uint8 {shape}, got {_describe((out,))}")
    if not out.flags.writeable:
        raise InputError("out is read-only; pass an array that can be written to")
    for plane in planes:
        check_apart("frame", plane, out)
    return out


def _describe(planes: tuple[object, ...]) -> str:
    return ", ".join(
        f"{plane.dtype} {plane.shape}" if isinstance(plane, np.ndarray) else type(plane).__name__
        for plane in planes
    )
