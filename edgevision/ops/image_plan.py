"""How images of one size go into tensors of one kind: worked out and checked once for all of them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgevision.errors import InputError
from edgevision.geometry import Placement
from edgevision.ops._checks import describe
from edgevision.ops._dispatch import native
from edgevision.ops.pixel_map import FILTERS, PixelMap, pixel_table
from edgevision.ops.reference import image_plan as reference

__all__ = ["SOURCES", "ImagePlan", "channel_order", "dtype_of", "explain_refusal", "plan_image"]

SOURCES = {"bgr": 3, "rgb": 3, "bgra": 4, "rgba": 4, "gray": 1}
"""Channels of each kind of image."""

_MAX_SIDE = 1 << 24


class ImagePlan(Protocol):
    """What writes images into tensors, native or in NumPy. Both methods write nothing and return False where `out` or
    `image` is not an array as planned, or they overlap.
    """

    def write(self, image: NDArray[np.uint8], out: NDArray[Any]) -> bool:
        """Write a uint8 image (H, W) or (H, W, channels) into all of `out`."""

    def write_yuv(self, *frame: Any) -> bool:
        """Write planes y, u, v by six coefficients (ops.color) into all of `out`, the last argument."""


_Plan: Any = reference.ImagePlan if native is None else native.ImagePlan


def plan_image(placement: Placement, pixels: PixelMap, source: str, dtype: np.dtype[Any]) -> ImagePlan:
    """The plan for images of `source` and placement.image_hw, and tensors of `dtype` and placement.canvas_hw.

    Raises InputError for numbers out of range, and where `dtype` cannot hold what `pixels` gives.
    """
    return _plan(_Plan, placement, pixels, source, dtype)


@lru_cache(maxsize=256)
def _plan(kind: Any, placement: Placement, pixels: PixelMap, source: str, dtype: np.dtype[Any]) -> ImagePlan:
    table, pad = pixel_table(pixels, dtype.name)
    _check_placement(placement)
    plan: ImagePlan = kind(
        *placement.image_hw, SOURCES[source], *placement.canvas_hw, table, pad,
        *placement.resized_hw, *placement.offset_yx, FILTERS[pixels.filter], *channel_order(source, pixels.color),
        pixels.color == "gray" and source != "gray", pixels.layout == "nhwc",
    )  # fmt: skip
    return plan


def channel_order(source: str, color: str) -> tuple[int, int, int]:
    """The image's channel behind each of the tensor's; for a gray tensor, where blue, green and red are."""
    if source == "gray":
        return 0, 0, 0
    blue_first = source in ("bgr", "bgra")
    return (0, 1, 2) if blue_first == (color != "rgb") else (2, 1, 0)


def _check_placement(placement: Placement) -> None:
    for what, sides in (("image", placement.image_hw), ("canvas", placement.canvas_hw)):
        if min(sides) < 1 or max(sides) > _MAX_SIDE:
            raise InputError(f"{what} sides must be from 1 to {_MAX_SIDE}, got {sides} (height, width)")
    sides, offset = placement.resized_hw, placement.offset_yx
    if min(sides) < 1 or max(sides) > _MAX_SIDE or max(abs(offset[0]), abs(offset[1])) > _MAX_SIDE:
        raise InputError(
            f"a placement's resized sides must be from 1 to {_MAX_SIDE} and its offsets no larger, "
            f"got {sides} at {offset}"
        )


def explain_refusal(
    image_hw: tuple[int, ...], out: NDArray[Any], placement: Placement, pixels: PixelMap, what: str
) -> InputError:
    """Why a plan's write returned False for an image of this size ("image" or "frame", `what`) and this `out`."""
    if placement.image_hw != image_hw:
        return InputError(
            f"the placement is for an image of {placement.image_hw}, got one of {image_hw} (height, width); "
            f"compute a placement for each image size"
        )
    canvas = placement.canvas_hw
    wanted = (*canvas, pixels.channels) if pixels.layout == "nhwc" else (pixels.channels, *canvas)
    if out.shape != wanted:
        return InputError(
            f"out must be {wanted} for layout {pixels.layout!r}, color {pixels.color!r} and a canvas of {canvas} "
            f"(height, width), got {out.shape}"
        )
    if not out.flags.writeable:
        return InputError("out is read-only; pass an array that can be written to")
    if not out.flags.aligned:
        return InputError(f"out must be aligned to its {out.dtype} elements; pass one that NumPy has made")
    return InputError(
        f"{what} and out share memory: writing out would change the {what}; pass a copy of the {what}"
    )


def dtype_of(out: object) -> np.dtype[Any]:
    """An array's dtype. Raises InputError for anything but an array in native byte order."""
    if isinstance(out, np.ndarray) and out.dtype.isnative:
        dtype: np.dtype[Any] = out.dtype
        return dtype
    raise InputError(f"out must be a NumPy array in native byte order, got {describe(out)}")
