"""Images into one input tensor, as a spec's ImageInput says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from edgevision.errors import InputError
from edgevision.geometry import Placement, place_image
from edgevision.ops.image import PixelMap, image_to_tensor
from edgevision.spec import ImageInput
from edgevision.tasks.base import Buffers

__all__ = ["FRAME_FORMATS", "ImagePreparation"]

FRAME_FORMATS = ("bgr", "rgb")
"""Channel orders of colour frames; a fourth channel is alpha and is dropped; two dimensions are grey."""

_CACHED_SIZES = 64
"""Placements remembered: more different frame sizes than any set of cameras, fewer than a leak."""


class ImagePreparation:
    """Writes frames into a session's buffer. Placements are computed once for each size of frame."""

    def __init__(self, spec: ImageInput, frame_format: str = "bgr") -> None:
        if frame_format not in FRAME_FORMATS:
            raise InputError(f"unknown frame_format {frame_format!r}; accepted: {', '.join(FRAME_FORMATS)}")
        self.spec = spec
        self._formats = {2: "gray", 1: "gray", 3: frame_format, 4: frame_format + "a"}
        self._channels = 1 if spec.color == "gray" else 3
        self._pixels = PixelMap(
            color=spec.color,
            filter=spec.filter,
            pad_value=spec.pad_value,
            scale=spec.scale,
            mean=spec.mean,
            std=spec.std,
            layout=spec.layout,
        )
        self._placements: dict[tuple[int, int, bool], Placement] = {}

    def write(self, images: Sequence[NDArray[Any]], buffers: Buffers, batch: int | None) -> list[Placement]:
        """The placement of each image, once all are written into the input named by the spec."""
        # A canvas may shrink to the frame only where every image of the batch shrinks alike.
        sizes = {image.shape[:2] for image in images}
        placements = [self._place(image, shrink=len(sizes) == 1) for image in images]
        height, width = placements[0].canvas_hw
        rows = len(images) if batch is None else batch
        shape = (
            (rows, self._channels, height, width)
            if self.spec.layout == "nchw"
            else (rows, height, width, self._channels)
        )
        tensor = buffers(self.spec.name, shape)
        for image, placement, row in zip(images, placements, tensor, strict=False):
            channels = 2 if image.ndim == 2 else image.shape[2]
            image_to_tensor(image, placement, row, source=self._formats[channels], pixels=self._pixels)
        return placements

    def _place(self, image: NDArray[Any], shrink: bool) -> Placement:
        key = (image.shape[0], image.shape[1], shrink)
        placement = self._placements.get(key)
        if placement is None:
            placement = place_image(
                key[:2],
                self.spec.size_hw,
                mode=self.spec.resize,
                pad_placement=self.spec.pad_placement,
                resize_size=self.spec.resize_size,
                multiple=self.spec.multiple if shrink else 0,
                upscale=self.spec.upscale,
            )
            if len(self._placements) >= _CACHED_SIZES:
                self._placements.clear()
            self._placements[key] = placement
        return placement
