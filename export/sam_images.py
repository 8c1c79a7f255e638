"""How the SAM family's own image processors make a tensor, in the words of a spec."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgevision.errors import InputError
from edgevision.spec import ImageInput

__all__ = ["Preprocess", "image_of_processor", "preprocess_of"]

Preprocess: TypeAlias = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""uint8 (H, W, 3) BGR frame to the float32 tensor (1, C, H, W) that the source would feed."""

_FILTERS = {2: "bilinear_antialias", 3: "bicubic_antialias"}
"""Pillow's number of a filter -> the spec's name."""


def image_of_processor(processor: Any) -> ImageInput:
    """The input that a SamImageProcessor's (longest side, padded) or a Sam2ImageProcessor's (stretched) settings describe.

    Raises InputError for settings that no spec can express.
    """
    name = type(processor).__name__
    size = _sides(processor.size)
    if not (processor.do_resize and processor.do_rescale and processor.do_normalize):
        raise InputError(
            f"{name} must resize, rescale and normalise; set all three in preprocessor_config.json"
        )
    # In units of pixels, so that SAM's padding, which is 0 after normalising, is exactly the mean.
    mean, std = (
        _pixels(values, processor.rescale_factor) for values in (processor.image_mean, processor.image_std)
    )
    longest = size.get("longest_edge")
    if longest is not None:
        canvas = _sides(processor.pad_size)
        if not processor.do_pad or (canvas.get("height"), canvas.get("width")) != (longest, longest):
            raise InputError(
                f"{name} resizes the longest side to {longest} and pads to {canvas}; the network needs a square of it"
            )
        geometry: dict[str, Any] = {
            "size_hw": (longest, longest),
            "resize": "longest_side_pad",
            "pad_placement": "bottom_right",
            "pad_value": mean,
        }
    elif size.get("height") is not None and size.get("width") is not None:
        geometry = {"size_hw": (size["height"], size["width"]), "resize": "stretch"}
    else:
        raise InputError(f"{name} resizes to {size}, which no spec of a promptable network can express")
    resample = int(processor.resample)
    if resample not in _FILTERS:
        raise InputError(
            f"{name} resizes with Pillow's filter {resample}; accepted: 2 (bilinear), 3 (bicubic)"
        )
    return ImageInput(**geometry, filter=_FILTERS[resample], color="rgb", scale=1.0, mean=mean, std=std)


def preprocess_of(processor: Any) -> Preprocess:
    """The processor as the source's own preprocessing."""

    def preprocess(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
        rgb = np.ascontiguousarray(frame[:, :, ::-1])
        return np.asarray(processor(images=rgb, return_tensors="np")["pixel_values"], np.float32)

    return preprocess


def _sides(value: Any) -> dict[str, Any]:
    """A size as a dict, whichever of its forms the version of the library has."""
    names = ("height", "width", "longest_edge")
    if isinstance(value, Mapping):
        return {name: value.get(name) for name in names}
    return {name: getattr(value, name, None) for name in names}


def _pixels(values: Any, rescale_factor: float) -> tuple[float, float, float]:
    one, two, three = (round(float(value) / rescale_factor, 6) for value in values)
    return one, two, three
