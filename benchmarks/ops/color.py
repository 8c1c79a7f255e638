"""Camera YUV to pixels and to input tensors, beside cv2.

    python benchmarks/ops/color.py [--only NAME ...] [--seconds S] [--threads N ...] [--isa NAME ...] [--json FILE]

Every row is checked before it is timed. run_all.py measures all families and writes a page and a chart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from case import Case, Contender, Row
from command import main
from image_peers import as_half, cv2_blob, cv2_letterbox, cv2_split, numpy_tensor
from inputs import nv12, photograph
from moved import rows_read
from tolerance import AS_FLOAT16, HALF, SAME_PIXELS, SCALED_PIXELS, apart_on_average

from edgevision.geometry import Placement, place_image
from edgevision.ops.color import yuv_to_bgr
from edgevision.ops.yuv_tensor import yuv_to_tensor

__all__ = ["ROWS"]

OWN = "edgevision, float32"
CODES = {
    "nv12": cv2.COLOR_YUV2BGR_NV12,
    "i420": cv2.COLOR_YUV2BGR_I420,
    "yuyv": cv2.COLOR_YUV2BGR_YUY2,
}
"""cv2's codes of the formats."""

SMALL_FIRST = apart_on_average(
    0.02, "chroma interpolated, and clipped to 0-255 after the resize instead of before"
)


def _sizes(small: bool, *sides: int) -> tuple[int, ...]:
    # Even sizes, as the formats need.
    return tuple(side // 20 * 2 if small else side for side in sides)


def _ours(
    frame: np.ndarray, format: str, placement: Placement, dtype: Any
) -> tuple[Callable[[], np.ndarray], np.ndarray]:
    """Our call and the tensor that it writes."""
    out = np.empty((3, *placement.canvas_hw), dtype)
    return lambda: yuv_to_tensor(frame, format, placement, out), out


def tensor(
    format: str, dtype: Any = np.float32, height: int = 1080, width: int = 1920
) -> Callable[[bool], Case]:
    """A frame letterboxed into 640x640 NCHW RGB, 0-1."""

    def make(small: bool) -> Case:
        rows, columns, side = _sizes(small, height, width, 640)
        frame = _frame(photograph(rows, columns), format)
        placement = place_image((rows, columns), (side, side))
        ours, out = _ours(frame, format, placement, dtype)
        bgr = np.empty((rows, columns, 3), np.uint8)
        letterboxed = cv2_letterbox(lambda: cv2.cvtColor(frame, CODES[format], bgr), placement)
        blob, arrays = cv2_blob(letterboxed), numpy_tensor(letterboxed)
        planes = cv2_split(letterboxed, np.empty(out.shape, np.float32))
        moved = _bytes_to_move(placement, format) + out.nbytes
        if dtype == np.float16:
            others = [
                Contender(OWN, _ours(frame, format, placement, np.float32)[0], AS_FLOAT16, "own"),
                Contender("cvtColor + blobFromImage + torch", as_half(blob), HALF),
                Contender("cvtColor + cv2.split + torch", as_half(planes), HALF),
            ]
        else:
            others = [
                Contender("cvtColor + blobFromImage", blob, SCALED_PIXELS),
                Contender("cvtColor + NumPy", arrays, SCALED_PIXELS),
                Contender("cvtColor + cv2.split + NumPy", planes, SCALED_PIXELS),
            ]
        if dtype == np.float32 and format == "nv12":
            small_first = _planes_first(frame, placement)
            others.append(Contender("planes resized, then cvtColor", small_first, SMALL_FIRST, "variant"))
        return Case(ours, tuple(others), moved)

    return make


def _bytes_to_move(placement: Placement, format: str) -> int:
    """The frame's bytes that the tensor depends on."""
    luma = rows_read(placement.image_hw[0], placement.resized_hw[0])
    columns = placement.image_hw[1]
    if format == "yuyv":
        return 2 * columns * len(luma)
    return columns * (len(luma) + len({row // 2 for row in luma}))


def _planes_first(frame: np.ndarray, placement: Placement) -> Callable[[], np.ndarray]:
    """Luma and chroma resized each, and only the small picture converted."""
    rows, columns = placement.image_hw
    height, width = placement.resized_hw
    luma, chroma = frame[:rows], frame[rows:].reshape(rows // 2, columns // 2, 2)
    unchanged = Placement((height, width), (height, width), placement.offset_yx, placement.canvas_hw)

    def small() -> np.ndarray:
        y = cv2.resize(luma, (width, height), interpolation=cv2.INTER_LINEAR)
        uv = cv2.resize(chroma, (width // 2, height // 2), interpolation=cv2.INTER_LINEAR)
        return cv2.cvtColorTwoPlane(y, uv, cv2.COLOR_YUV2BGR_NV12)

    return cv2_blob(cv2_letterbox(small, unchanged))


def pixels(format: str) -> Callable[[bool], Case]:
    """A 1080p frame to BGR pixels."""

    def make(small: bool) -> Case:
        rows, columns = _sizes(small, 1080, 1920)
        frame = _frame(photograph(rows, columns), format)
        out, other = np.empty((rows, columns, 3), np.uint8), np.empty((rows, columns, 3), np.uint8)
        peer = Contender("cv2.cvtColor", lambda: cv2.cvtColor(frame, CODES[format], other), SAME_PIXELS)
        return Case(lambda: yuv_to_bgr(frame, format, out=out), (peer,), frame.nbytes + out.nbytes)

    return make


def _frame(bgr: np.ndarray, format: str) -> np.ndarray:
    if format == "nv12":
        return nv12(bgr)
    code = cv2.COLOR_BGR2YUV_I420 if format == "i420" else cv2.COLOR_BGR2YUV_YUY2
    return cv2.cvtColor(bgr, code)


ROWS = (
    # What a Jetson's decoder and most camera pipelines deliver.
    Row("nv12_1080p_tensor", "NV12 1080p -> 640x640 float32 NCHW", 5, tensor("nv12")),
    Row("nv12_1080p_tensor_float16", "NV12 1080p -> 640x640 float16", 1, tensor("nv12", np.float16), OWN),
    Row("nv12_720p_tensor", "NV12 720p -> 640x640 float32 NCHW", None, tensor("nv12", np.float32, 720, 1280)),
    # Software decoders.
    Row("i420_1080p_tensor", "I420 1080p -> 640x640 float32 NCHW", None, tensor("i420")),
    # USB cameras.
    Row("yuyv_1080p_tensor", "YUYV 1080p -> 640x640 float32 NCHW", None, tensor("yuyv")),
    # For whoever draws on the frame, too.
    Row("nv12_1080p_bgr", "NV12 1080p -> BGR", None, pixels("nv12")),
    Row("i420_1080p_bgr", "I420 1080p -> BGR", None, pixels("i420")),
    Row("yuyv_1080p_bgr", "YUYV 1080p -> BGR", None, pixels("yuyv")),
)


if __name__ == "__main__":
    main("color", __doc__, ROWS)
