"""What a model may be called with."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any

import numpy as np

from edgevision.errors import InputError
from edgevision.frame_graph.images import is_device_image
from edgevision.tasks.tensors import check_image

__all__ = ["check_frame", "check_images"]


def check_images(images: Any, device: str) -> Sequence[Any]:
    """The images, a list also of one that was given alone.

    device: where a model runs that prepares images on the processor; "": arrays on the GPU will do, too.
    Raises InputError for what is no image; those on the GPU are looked at when they are placed.
    """
    if isinstance(images, (list, tuple)):
        for index, image in enumerate(images):
            check_frame(image, f"images[{index}]", device)
        return images
    if not isinstance(images, np.ndarray) and not is_device_image(images):
        raise InputError(
            f"image must be a uint8 array (H, W, 3), or a list of them, got {type(images).__name__}"
            + (
                "; read a file with edgevision.read_image(path)"
                if isinstance(images, (str, PathLike))
                else ""
            )
        )
    check_frame(images, "image", device)
    return [images]


def check_frame(image: Any, name: str, device: str) -> None:
    """Raises InputError, calling it `name`, for what is no image. device: as for `check_images`."""
    if not is_device_image(image):
        check_image(image, name)
    elif device:
        raise InputError(
            f"{name} is another library's array ({type(image).__name__}), and this model prepares images on the "
            f"processor (it runs on {device}): pass a NumPy array, one from a GPU with its .cpu().numpy() or .get()"
        )
