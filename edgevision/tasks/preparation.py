"""Images into one input tensor, as a spec's ImageInput says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from numpy.typing import NDArray

from edgevision.errors import InputError
from edgevision.geometry import Placement, place_image
from edgevision.ops.image import PixelMap, image_to_tensor
from edgevision.spec import ImageInput

__all__ = ["FRAME_FORMATS", "Buffers", "ImagePreparation"]

Buffers: TypeAlias = Callable[[str, tuple[int, ...]], NDArray[Any]]
"""(input name, shape) -> the session's own array, to be written in place."""

FRAME_FORMATS = ("bgr", "rgb")
"""Channel orders of colour frames; a fourth channel is alpha and is dropped; two dimensions are grey."""

_CACHED_SIZES = 64
"""Placements remembered: more different frame sizes than any set of cameras, fewer than a leak."""


class ImagePreparation:
    """Writes frames into a session's buffer. Placements are computed once for each size of frame.

    pixels:  how pixels become elements of the tensor.
    sources: channels of a frame -> what ops.image calls it.
    """

    def __init__(self, spec: ImageInput, frame_format: str = "bgr") -> None:
        if frame_format not in FRAME_FORMATS:
            raise InputError(f"unknown frame_format {frame_format!r}; accepted: {', '.join(FRAME_FORMATS)}")
        self.spec = spec
        self._channels = 1 if spec.color == "gray" else 3
        self.sources = {1: "gray", 3: frame_format, 4: frame_format + "a"}
        self.pixels = PixelMap(
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
        """The placement of each image, once all are written into the input named by the spec.

        images: uint8 arrays as ops.image takes them.
        batch:  rows of the tensor when it is fixed (unused rows keep what they hold); None: one row an image.
        """
        placements, shape = self.place([image.shape[:2] for image in images], batch)
        tensor = buffers(self.spec.name, shape)
        for image, placement, row in zip(images, placements, tensor, strict=False):
            channels = 1 if image.ndim == 2 else image.shape[2]
            image_to_tensor(image, placement, row, source=self.sources[channels], pixels=self.pixels)
        return placements

    def place(
        self, sizes_hw: Sequence[tuple[int, ...]], batch: int | None
    ) -> tuple[list[Placement], tuple[int, int, int, int]]:
        """Where images of these sizes lie in the tensor, and its shape."""
        # A canvas may shrink to the frame only where every image of the batch shrinks alike.
        shrink = len(set(sizes_hw)) == 1
        placements = [self._place(height, width, shrink) for height, width in sizes_hw]
        height, width = placements[0].canvas_hw
        rows = len(sizes_hw) if batch is None else batch
        shape = (
            (rows, self._channels, height, width)
            if self.spec.layout == "nchw"
            else (rows, height, width, self._channels)
        )
        return placements, shape

    def _place(self, height: int, width: int, shrink: bool) -> Placement:
        key = (height, width, shrink)
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
