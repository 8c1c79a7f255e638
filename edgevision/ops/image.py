"""Writes camera images straight into a network's input tensor: resize, place, reorder, normalise, in one pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.errors import InputError
from edgevision.geometry import Placement
from edgevision.ops._checks import check_apart, describe
from edgevision.ops.image_plan import SOURCES, dtype_of, explain_refusal, plan_image
from edgevision.ops.pixel_map import COLORS, DTYPES, FILTERS, LAYOUTS, PixelMap

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

_DEFAULT = PixelMap()
_Last = tuple[Placement | None, PixelMap | None, str, Callable[[Any, Any], bool]]
# The placement, map, source and plan of the last call, told by what they are and not by what they hold: a camera's
# frames all have the same, and to look a plan up takes longer than to copy a small image.
_last: _Last = (None, None, "", lambda image, out: False)


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
    last_placement, last_pixels, last_source, write = _last
    if not (
        last_placement is placement and last_pixels is pixels and last_source == source and write(image, out)
    ):
        _write_first(image, placement, out, source, pixels)
    return out


def _write_first(
    image: NDArray[np.uint8], placement: Placement, out: NDArray[Any], source: str, pixels: PixelMap
) -> None:
    """The same where the last call was for another plan, or something is wrong."""
    global _last
    channels = SOURCES.get(source)
    if channels is None:
        raise InputError(f"unknown source {source!r}; accepted: {', '.join(SOURCES)}")
    dtype = dtype_of(out)
    size = _image_size(image, source, channels)
    plan = plan_image(placement, pixels, source, dtype)
    if not plan.write(image, out):
        raise explain_refusal(size, out, placement, pixels, "image")
    _last = (placement, pixels, source, plan.write)


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
        raise InputError(f"out must be a NumPy array (B, C, H, W) or (B, H, W, C), got {describe(out)}")
    if not len(images) == len(placements) == out.shape[0]:
        raise InputError(
            f"images, placements and out must agree on the batch, got {len(images)} images, {len(placements)} "
            f"placements and an out for {out.shape[0]}; pass out[:{len(images)}] for a smaller batch"
        )
    if len(images) > 1:  # image_to_tensor looks at each image and its own part of out
        for image in images:
            if isinstance(image, np.ndarray):
                check_apart("an image", image, out)
    for image, placement, tensor in zip(images, placements, out, strict=True):
        image_to_tensor(image, placement, tensor, source=source, pixels=pixels)
    return out


def _image_size(image: NDArray[np.uint8], source: str, channels: int) -> tuple[int, ...]:
    is_bytes = isinstance(image, np.ndarray) and image.dtype == np.uint8
    shape: tuple[int, ...] = image.shape if is_bytes else ()
    if not (len(shape) == 3 and shape[2] == channels) and not (len(shape) == 2 and channels == 1):
        accepted = "(H, W) or (H, W, 1)" if channels == 1 else f"(H, W, {channels})"
        raise InputError(f"a {source!r} image must be uint8 {accepted}, got {describe(image)}")
    if min(shape[:2]) < 1:
        raise InputError(f"an image must have at least one row and column, got {shape}")
    return shape[:2]
