"""A source's own preprocessing beside the spec that is to say the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgevision.errors import InputError
from edgevision.export.random_convolutions import leaves_images
from edgevision.spec import ImageInput
from edgevision.tasks.preparation import ImagePreparation

__all__ = ["Preprocess", "check_preprocess", "pillow_filter", "pixel_gap", "spec_tensor"]

Preprocess: TypeAlias = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""uint8 (H, W, 3) BGR frame to the float32 tensor (1, C, H, W) that the source would feed."""

_FILTERS = {"bilinear": "bilinear_antialias", "bicubic": "bicubic_antialias"}
_CHECK_PIXELS = 2.01
"""Largest difference, of 255, between a source's preprocessing and the spec's on the pictures of the check. Pillow's
resizes are met exactly; torch's round to whole pixels in their own way and lie 1 off on photographs, now and then 2 on
these noisy pictures. A wrong filter, offset or channel order shows 20 and more."""


def pillow_filter(interpolation: str, source: str) -> str:
    """The spec's filter for the name of one of Pillow's; InputError for those the spec does not have."""
    if interpolation not in _FILTERS:
        raise InputError(
            f"{source} resizes with {interpolation!r}, which the runtime does not have; accepted: {', '.join(_FILTERS)}"
        )
    return _FILTERS[interpolation]


def spec_tensor(image: ImageInput, frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The tensor (1, C, H, W) that the spec makes of a BGR frame, as the runtime does."""
    made: list[NDArray[np.float32]] = []

    def buffer(_: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        made.append(np.zeros(shape, np.float32))
        return made[0]

    ImagePreparation(image).write([frame], buffer, 1)
    return made[0]


def pixel_gap(image: ImageInput, preprocess: Preprocess, frame: NDArray[np.uint8]) -> float:
    """The largest difference between the tensors that the spec and the source make of a frame, of 255.

    It is taken before both are normalised, so that it means the same for every mean and std; infinity when the
    tensors differ in shape.
    """
    want, have = preprocess(frame), spec_tensor(image, frame)
    if want.shape != have.shape:
        return float("inf")
    std = np.asarray(image.std, np.float64)[:, None, None]
    gap = np.abs(want.astype(np.float64) - have) * np.abs(std) / image.scale
    return float(gap.max())


def check_preprocess(image: ImageInput, preprocess: Preprocess, source: str) -> None:
    """Raises InputError when the spec does not say what the source does: it has a step that no spec can express.

    source: what to call it, e.g. "ViTImageProcessor".
    """
    height, width = image.size_hw
    # Wide, tall, and smaller than the tensor; odd sides, so that halves are rounded.
    for size in (
        (height * 5 // 4 | 1, width * 2),
        (height * 2, width * 4 // 3 | 1),
        (height // 2 | 1, width * 3 // 4),
    ):
        # Soft contrast: where a bicubic overshoots black or white, the order of its two passes tells, and Pillow from
        # 13 on takes the cheaper one first.
        rgb = 64 + 127 * leaves_images(1, size)[0].permute(1, 2, 0).numpy()
        frame = np.ascontiguousarray(np.rint(rgb[:, :, ::-1]).astype(np.uint8))
        gap = pixel_gap(image, preprocess, frame)
        if not gap <= _CHECK_PIXELS:
            raise InputError(
                f"{source} does something to a picture that a spec cannot express: on one of {size[0]}x{size[1]} the "
                f"tensors differ by {gap:.0f} of 255; what a spec has: resize modes, filters, a centre crop, channel "
                f"order, scale, mean and std"
            )
