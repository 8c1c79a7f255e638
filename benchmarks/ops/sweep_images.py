"""The sweep's lines of images: copied, resized, letterboxed, beside cv2 and, antialiased, Pillow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from case import Case, Contender
from image_peers import cv2_blob, cv2_letterbox, cv2_split, numpy_tensor
from inputs import photograph
from PIL import Image
from sweep_line import FEW_SIZES, Line
from tolerance import SAME_PIXELS, SCALED_PIXELS, apart, apart_on_average

from edgevision.geometry import Placement, place_image
from edgevision.ops.image import PixelMap, image_to_tensor

__all__ = ["LINES"]

SIDE = 640
TURNED = {
    "bilinear_antialias": apart(1.0, "Pillow 13 resizes the height of tall images first: 1 of 255"),
    # Between the passes, what overshoots is cut to 0-255: of 24x1500, 3 pixels in 10,000 are up to 6 apart.
    "bicubic_antialias": apart_on_average(0.2, "Pillow 13 resizes the height of tall images first"),
}

Call = Callable[[], np.ndarray]
SizeOf = Callable[[int, int], tuple[int, int]]


def picture(height: int, width: int, source: str) -> np.ndarray:
    """A photograph, in BGR, BGRA or gray."""
    image = photograph(height, width)
    if source == "bgr":
        return image
    return cv2.cvtColor(image, cv2.COLOR_BGR2BGRA if source == "bgra" else cv2.COLOR_BGR2GRAY)


def case(
    image: np.ndarray,
    placement: Placement,
    pixels: PixelMap,
    dtype: Any,
    others: dict[str, Call],
    source: str,
    out: np.ndarray | None = None,
) -> Case:
    """Ours into an array that is there, and the others, which give the same pixels."""
    canvas = placement.canvas_hw
    shape = (*canvas, pixels.channels) if pixels.layout == "nhwc" else (pixels.channels, *canvas)
    out = np.empty(shape, dtype) if out is None else out
    same = SAME_PIXELS if dtype == np.uint8 else SCALED_PIXELS

    def call() -> np.ndarray:
        return image_to_tensor(image, placement, out, source=source, pixels=pixels)

    contenders = tuple(Contender(name, other, same) for name, other in others.items())
    return Case(call, contenders, image.nbytes + out.nbytes)


def same_size(
    source: str, color: str, layout: str, peer: Callable[[np.ndarray, np.ndarray], Any]
) -> Callable[[int, int], Case]:
    """To uint8 of the same size. peer: of the image and of the tensor's memory.

    Both write the same memory: where a result lies decides between two that only copy.
    """
    pixels = PixelMap(color=color, scale=1.0, layout=layout)

    def make(height: int, width: int) -> Case:
        image = picture(height, width, source)
        shape = (height, width, pixels.channels) if layout == "nhwc" else (pixels.channels, height, width)
        result = np.empty(shape, np.uint8)

        def call() -> np.ndarray:
            peer(image, result)
            return result

        placement = place_image((height, width), (height, width), mode="stretch")
        return case(image, placement, pixels, np.uint8, {"cv2": call}, source, result)

    return make


def same_size_float(height: int, width: int) -> Case:
    """To float32 NCHW of the same size."""
    image, placement = (
        picture(height, width, "bgr"),
        place_image((height, width), (height, width), mode="stretch"),
    )
    others = {
        "cv2.split + NumPy": cv2_split(lambda: image, np.empty((3, height, width), np.float32)),
        "cv2.dnn.blobFromImage": cv2_blob(lambda: image),
        "NumPy": numpy_tensor(lambda: image),
    }
    return case(image, placement, PixelMap(), np.float32, others, "bgr")


def letterbox(source: str, color: str, layout: str, dtype: Any) -> Callable[[int, int], Case]:
    """Into 640x640, INTER_LINEAR. uint8 is pixels as they are; float32 is divided by 255."""
    pixels = PixelMap(color=color, layout=layout, scale=1.0 if dtype == np.uint8 else 1 / 255)
    gray = color == "gray"

    def prepare(image: np.ndarray, placement: Placement) -> dict[str, Call]:
        if source == "bgra":
            return {
                "cv2, alpha dropped last": cv2_letterbox(image, placement, cv2.COLOR_BGRA2BGR),
                "cv2, alpha dropped first": cv2_letterbox(
                    lambda: cv2.cvtColor(image, cv2.COLOR_BGRA2BGR), placement
                ),
            }
        if gray and source != "gray":
            return {"cv2": cv2_letterbox(lambda: cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), placement)}
        return {"cv2": cv2_letterbox(image, placement, cv2.COLOR_BGR2RGB if dtype == np.uint8 else None)}

    def make(height: int, width: int) -> Case:
        image, placement = picture(height, width, source), place_image((height, width), (SIDE, SIDE))
        others: dict[str, Call] = {}
        for name, call in prepare(image, placement).items():
            if dtype == np.uint8:
                others[name] = call
                continue
            others[f"{name} + NumPy"] = numpy_tensor(call, nhwc=layout == "nhwc")
            if layout == "nchw":
                others[f"{name} + blobFromImage"] = cv2_blob(call, swap=not gray)
            if layout == "nchw" and not gray:
                others[f"{name} + split + NumPy"] = cv2_split(call, np.empty((3, SIDE, SIDE), np.float32))
        return case(image, placement, pixels, dtype, others, source)

    return make


def stretch(filter: str, size_of: SizeOf, source: str = "bgr") -> Callable[[int, int], Case]:
    """To uint8 pixels of another size by one of cv2's filters, BGR to RGB or gray."""
    gray = source == "gray"
    pixels = PixelMap(
        filter=filter, scale=1.0, color="gray" if gray else "rgb", layout="nchw" if gray else "nhwc"
    )
    code = cv2.INTER_NEAREST if filter == "nearest" else cv2.INTER_LINEAR

    def make(height: int, width: int) -> Case:
        image, size = picture(height, width, source), size_of(height, width)
        resized = np.empty((*size, *image.shape[2:]), np.uint8)
        rgb = np.empty_like(resized)

        def with_cv2() -> np.ndarray:
            cv2.resize(image, size[::-1], resized, interpolation=code)
            return resized[None] if gray else cv2.cvtColor(resized, cv2.COLOR_BGR2RGB, rgb)

        placement = place_image((height, width), size, mode="stretch")
        return case(image, placement, pixels, np.uint8, {"cv2": with_cv2}, source)

    return make


def antialias(filter: str) -> Callable[[int, int], Case]:
    """Stretched to 640x640, as Pillow does it."""
    pixels = PixelMap(filter=filter, scale=1.0, layout="nhwc")
    resampling = Image.Resampling[filter.split("_")[0].upper()]

    def make(height: int, width: int) -> Case:
        image, out = photograph(height, width), np.empty((SIDE, SIDE, 3), np.uint8)
        placement, rgb = place_image((height, width), (SIDE, SIDE), mode="stretch"), np.empty_like(out)

        def with_pillow() -> np.ndarray:
            small = Image.fromarray(image).resize((SIDE, SIDE), resampling)
            return cv2.cvtColor(np.asarray(small), cv2.COLOR_BGR2RGB, rgb)

        others = (Contender("Pillow", with_pillow, TURNED[filter]),)
        return Case(
            lambda: image_to_tensor(image, placement, out, pixels=pixels), others, image.nbytes + out.nbytes
        )

    return make


def _times(factor: float) -> SizeOf:
    return lambda height, width: (max(1, round(height * factor)), max(1, round(width * factor)))


def _square(height: int, width: int) -> tuple[int, int]:
    return SIDE, SIDE


def _more(size_of: SizeOf) -> Callable[[int, int], int]:
    return lambda height, width: max(height * width, size_of(height, width)[0] * size_of(height, width)[1])


def _stretched(
    name: str, what: str, filter: str, factor: float | None, source: str = "bgr", **options: Any
) -> Line:
    size_of = _square if factor is None else _times(factor)
    return Line(name, f"{what}; cv2", stretch(filter, size_of, source), _more(size_of), **options)


def _split(image: np.ndarray, planes: np.ndarray) -> Sequence[np.ndarray]:
    return cv2.split(image, [planes[2], planes[1], planes[0]])


FEW: dict[str, Any] = {"sizes": FEW_SIZES}
LINES: tuple[Line, ...] = (
    # Nothing is resized: reading, reordering and writing.
    Line(
        "same_rgb", "same size, BGR to RGB, uint8 NHWC; cv2.cvtColor",
        same_size("bgr", "rgb", "nhwc", lambda image, out: cv2.cvtColor(image, cv2.COLOR_BGR2RGB, out)), copies=True,
    ),
    Line(
        "same_bgra", "same size, BGRA to RGB, uint8 NHWC; cv2.cvtColor",
        same_size("bgra", "rgb", "nhwc", lambda image, out: cv2.cvtColor(image, cv2.COLOR_BGRA2RGB, out)), copies=True,
    ),
    Line("same_planes", "same size, BGR to uint8 NCHW; cv2.split", same_size("bgr", "rgb", "nchw", _split), copies=True),
    Line(
        "same_bgr", "same size, BGR as it is, uint8 NHWC; cv2.copyTo",
        same_size("bgr", "bgr", "nhwc", lambda image, out: cv2.copyTo(image, None, out)), copies=True, **FEW,
    ),
    Line(
        "same_gray", "same size, gray as it is, uint8; cv2.copyTo",
        same_size("gray", "gray", "nchw", lambda image, out: cv2.copyTo(image, None, out[0])), copies=True, **FEW,
    ),
    Line(
        "same_luma", "same size, BGR to gray, uint8; cv2.cvtColor",
        same_size("bgr", "gray", "nchw", lambda image, out: cv2.cvtColor(image, cv2.COLOR_BGR2GRAY, out[0])), **FEW,
    ),
    Line("same_float", "same size, BGR to float32 NCHW; cv2 and NumPy", same_size_float, largest=9_000_000, **FEW),
    Line("letterbox", "letterbox to 640x640, linear, float32 NCHW; cv2", letterbox("bgr", "rgb", "nchw", np.float32)),
    Line(
        "letterbox_bgra", "BGRA, letterbox to 640x640, float32 NCHW; cv2",
        letterbox("bgra", "rgb", "nchw", np.float32), **FEW,
    ),
    Line("letterbox_gray", "gray, letterbox to 640x640, float32; cv2", letterbox("gray", "gray", "nchw", np.float32), **FEW),
    Line(
        "letterbox_luma", "BGR to gray, letterbox to 640x640, float32; cv2",
        letterbox("bgr", "gray", "nchw", np.float32), **FEW,
    ),
    Line("letterbox_uint8", "letterbox to 640x640, linear, uint8 NHWC; cv2", letterbox("bgr", "rgb", "nhwc", np.uint8)),
    Line(
        "letterbox_nhwc", "letterbox to 640x640, linear, float32 NHWC; cv2",
        letterbox("bgr", "rgb", "nhwc", np.float32), **FEW,
    ),
    _stretched("nearest", "stretch to 640x640, nearest, uint8 NHWC", "nearest", None),
    _stretched("nearest_gray", "gray, stretch to 640x640, nearest, uint8", "nearest", None, "gray", **FEW),
    _stretched("half", "half the size, linear, uint8 NHWC", "linear", 0.5),
    _stretched("third", "a third of the size, linear, uint8 NHWC", "linear", 1 / 3, **FEW),
    _stretched("shrunk", "0.37 of the size, linear, uint8 NHWC", "linear", 0.37, **FEW),
    _stretched("shrunk_gray", "gray, 0.37 of the size, linear, uint8", "linear", 0.37, "gray", **FEW),
    _stretched("grown", "1.37 times the size, linear, uint8 NHWC", "linear", 1.37, **FEW),
    _stretched("grown_gray", "gray, 1.37 times the size, linear, uint8", "linear", 1.37, "gray", **FEW),
    _stretched("twice", "twice the size, linear, uint8 NHWC", "linear", 2.0),
    _stretched("twice_nearest", "twice the size, nearest, uint8 NHWC", "nearest", 2.0, **FEW),
    Line("antialias", "stretch to 640x640, bilinear antialiased, uint8 NHWC; Pillow", antialias("bilinear_antialias")),
    Line(
        "antialias_bicubic", "stretch to 640x640, bicubic antialiased, uint8 NHWC; Pillow",
        antialias("bicubic_antialias"), **FEW,
    ),
)  # fmt: skip
