"""Inputs whose height and width may differ from run to run."""

from __future__ import annotations

from collections.abc import Mapping

from edgevision.export.network import Axis
from edgevision.spec import ImageInput

__all__ = ["size_axes"]


def size_axes(image: ImageInput) -> Mapping[str, Mapping[int, Axis]]:
    """`Part.dynamic` of an input (B, C, H, W): its sides vary where the spec lets them, up to its size."""
    if not image.multiple:
        return {}
    height, width = image.size_hw
    return {
        image.name: {
            2: Axis("height", image.multiple, image.multiple, height),
            3: Axis("width", image.multiple, image.multiple, width),
        }
    }
