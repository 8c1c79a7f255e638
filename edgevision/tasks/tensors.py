"""What goes in: whether images and a network's inputs are as a spec says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgevision.errors import InputError, SpecError
from edgevision.spec import ImageInput, ModelSpec, TensorInfo

__all__ = ["check_image", "check_tensors"]


def check_tensors(spec: ModelSpec, inputs: Sequence[TensorInfo]) -> None:
    """Raises SpecError unless the network's inputs are those that the spec names, of its types and shapes."""
    tensors = {tensor.name: tensor for tensor in inputs}
    unfed = set(tensors) - {item.name for item in spec.inputs}
    if unfed:
        raise SpecError(f"the network has inputs that the spec does not feed: {', '.join(sorted(unfed))}")
    for item in spec.inputs:
        tensor = tensors.get(item.name)
        if tensor is None:
            raise SpecError(
                f"the spec feeds input {item.name!r}, which the network does not have; its inputs: "
                f"{', '.join(tensors)}"
            )
        wanted = _tensor_shape(item)
        if tensor.dtype != item.dtype:
            raise SpecError(
                f"input {item.name!r} is {tensor.dtype} in the network and {item.dtype} in the spec"
            )
        if len(tensor.shape) != 4 or any(
            have is not None and want is not None and have != want
            for have, want in zip(tensor.shape, wanted, strict=True)
        ):
            raise SpecError(
                f"input {item.name!r} has shape {tensor.shape} in the network and {wanted} in the spec"
            )


def _tensor_shape(item: ImageInput) -> tuple[int | None, ...]:
    channels = 1 if item.color == "gray" else 3
    height, width = (None, None) if item.multiple else item.size_hw
    sides = (channels, height, width) if item.layout == "nchw" else (height, width, channels)
    return (item.batch, *sides)


def check_image(image: Any, name: str) -> None:
    """Raises InputError, calling the image `name`, unless it is uint8 (H, W, 3), (H, W, 4), (H, W, 1) or (H, W)."""
    if not isinstance(image, np.ndarray):
        raise InputError(f"{name} must be a uint8 array (H, W, 3), got {type(image).__name__}")
    if image.dtype != np.uint8:
        raise InputError(
            f"{name} must be uint8 with values 0-255, got {image.dtype}; convert it, e.g. "
            f"(image * 255).astype(numpy.uint8) for values 0-1"
        )
    shape = image.shape
    if len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] not in (1, 3, 4)):
        hint = "; pass a batch as a list of images" if len(shape) == 4 else ""
        raise InputError(f"{name} must be uint8 (H, W, 3), (H, W, 4) or (H, W), got {shape}{hint}")
    if shape[0] < 1 or shape[1] < 1:
        raise InputError(f"{name} is empty: its shape is {shape}; was the frame really read?")
