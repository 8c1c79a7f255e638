"""Writes camera images straight into a network's input tensor: resize, place, reorder, normalise, in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.errors import InputError
from edgevision.geometry import Placement
from edgevision.ops._dispatch import native
from edgevision.ops.pixel_map import COLORS, DTYPES, FILTERS, LAYOUTS, PixelMap, pixel_table
from edgevision.ops.reference import image as reference

__all__ = [
    "COLORS",
    "DTYPES",
    "FILTERS",
    "LAYOUTS",
    "SOURCES",
    "PixelMap",
    "image_to_tensor",
    "images_to_tensor",
]

SOURCES = {"bgr": 3, "rgb": 3, "bgra": 4, "rgba": 4, "gray": 1}
"""Channels of each kind of image."""

_MAX_SIDE = 1 << 24
_DEFAULT = PixelMap()
_write = reference.write_image if native is None else native.write_image


def image_to_tensor(
    image: NDArray[np.uint8],
    placement: Placement,
    out: NDArray[Any],
    *,
    source: str = "bgr",
    pixels: PixelMap = _DEFAULT,
) -> NDArray[Any]:
    """`out`, every element of which is written: the image resized, placed and normalised as `pixels` says.

    image: uint8 (H, W, 3) for source "bgr" and "rgb", (H, W, 4) for "bgra" and "rgba" (alpha is dropped), (H, W)
        or (H, W, 1) for "gray". Any strides; read-only arrays are accepted.
    placement: from geometry.place_image; image_hw must be the image's size, canvas_hw that of `out`.
    out: float32, float16 or uint8, (C, H, W) for layout "nchw", (H, W, C) for "nhwc"; C is 3, or 1 for color
        "gray". Any strides, so a slice of a batch will do; its bytes must not overlap the image's.

    Safe to call from several threads on different `out`. Raises InputError for whatever does not fit the above.
    """
    channels = SOURCES.get(source)
    if channels is None:
        raise InputError(f"unknown source {source!r}; accepted: {', '.join(SOURCES)}")
    table, pad = pixel_table(pixels, dtype_of(out))
    _check_image(image, placement, source, channels)
    check_out(out, placement, pixels)
    # Bounds are enough: no sensible caller interleaves an image with its tensor, and an exact answer may take long.
    if np.may_share_memory(image, out):
        raise InputError(
            "image and out share memory: writing out would change the image; pass a copy of the image"
        )
    to_gray = pixels.color == "gray" and source != "gray"
    first, second, third = channel_order(source, pixels.color)
    resized, offset = placement.resized_hw, placement.offset_yx
    _write(
        image, out, table, pad, resized[0], resized[1], offset[0], offset[1], FILTERS[pixels.filter],
        first, second, third, to_gray, pixels.layout == "nhwc",
    )  # fmt: skip
    return out


def images_to_tensor(
    images: Sequence[NDArray[np.uint8]],
    placements: Sequence[Placement],
    out: NDArray[Any],
    *,
    source: str = "bgr",
    pixels: PixelMap = _DEFAULT,
) -> NDArray[Any]:
    """`out`, a batch (B, C, H, W) or (B, H, W, C): image i, by placement i, in out[i]. Sizes may differ.

    Raises InputError as image_to_tensor does, and where images, placements and `out` do not agree on B.
    """
    if not isinstance(out, np.ndarray) or out.ndim != 4:
        raise InputError(f"out must be a NumPy array (B, C, H, W) or (B, H, W, C), got {_describe(out)}")
    if not len(images) == len(placements) == out.shape[0]:
        raise InputError(
            f"images, placements and out must agree on the batch, got {len(images)} images, {len(placements)} "
            f"placements and an out for {out.shape[0]}; pass out[:{len(images)}] for a smaller batch"
        )
    for image, placement, tensor in zip(images, placements, out, strict=True):
        image_to_tensor(image, placement, tensor, source=source, pixels=pixels)
    return out


def channel_order(source: str, color: str) -> tuple[int, int, int]:
    """The image's channel behind each of the tensor's; for a gray tensor, where blue, green and red are."""
    if source == "gray":
        return 0, 0, 0
    blue_first = source in ("bgr", "bgra")
    return (0, 1, 2) if blue_first == (color != "rgb") else (2, 1, 0)


def _describe(array: object) -> str:
    return f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__


def dtype_of(out: object) -> str:
    """The name of an array's dtype. Raises InputError for anything but an array in native byte order."""
    # A big-endian float32 is named "float32" too: the byte order needs a look of its own.
    if isinstance(out, np.ndarray) and out.dtype.isnative:
        return str(out.dtype.name)
    raise InputError(f"out must be a NumPy array in native byte order, got {_describe(out)}")


def _check_image(image: NDArray[np.uint8], placement: Placement, source: str, channels: int) -> None:
    is_bytes = isinstance(image, np.ndarray) and image.dtype == np.uint8
    shape: tuple[int, ...] = image.shape if is_bytes else ()
    if not (len(shape) == 3 and shape[2] == channels) and not (len(shape) == 2 and channels == 1):
        accepted = "(H, W) or (H, W, 1)" if channels == 1 else f"(H, W, {channels})"
        raise InputError(f"a {source!r} image must be uint8 {accepted}, got {_describe(image)}")
    check_placement(placement, shape[0], shape[1])


def check_placement(placement: Placement, height: int, width: int) -> None:
    """Raises InputError unless `placement` is for an image of height x width, and its numbers are in range."""
    if min(height, width) < 1 or max(height, width) > _MAX_SIDE:
        raise InputError(f"image sides must be from 1 to {_MAX_SIDE}, got {height}x{width}")
    if placement.image_hw != (height, width):
        raise InputError(
            f"the placement is for an image of {placement.image_hw}, got one of {(height, width)} (height, width); "
            f"compute a placement for each image size"
        )
    sides, offset = placement.resized_hw, placement.offset_yx
    if min(sides) < 1 or max(sides) > _MAX_SIDE or max(abs(offset[0]), abs(offset[1])) > _MAX_SIDE:
        raise InputError(
            f"a placement's resized sides must be from 1 to {_MAX_SIDE} and its offsets no larger, "
            f"got {sides} at {offset}"
        )


def check_out(out: NDArray[Any], placement: Placement, pixels: PixelMap) -> None:
    """Raises InputError unless `out` is a tensor of the placement's canvas, as `pixels` lays it out."""
    canvas = placement.canvas_hw
    wanted = (*canvas, pixels.channels) if pixels.layout == "nhwc" else (pixels.channels, *canvas)
    if out.shape != wanted:
        raise InputError(
            f"out must be {wanted} for layout {pixels.layout!r}, color {pixels.color!r} and a canvas of {canvas} "
            f"(height, width), got {out.shape}"
        )
    if min(canvas) < 1 or max(canvas) > _MAX_SIDE:
        raise InputError(f"canvas sides must be from 1 to {_MAX_SIDE}, got {canvas}")
    if not out.flags.writeable:
        raise InputError("out is read-only; pass an array that can be written to")
