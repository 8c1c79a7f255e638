"""NumPy reference of the native ImagePlan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.ops.reference.color import convert_yuv
from edgevision.ops.reference.image import write_image

__all__ = ["ImagePlan"]


@dataclass(frozen=True)
class ImagePlan:
    """How images of one size are placed and converted into tensors of one kind: the arguments of image.write_image."""

    image_height: int
    image_width: int
    image_channels: int
    canvas_height: int
    canvas_width: int
    table: NDArray[Any]
    pad: NDArray[Any]
    resized_height: int
    resized_width: int
    offset_y: int
    offset_x: int
    filter: int
    order_0: int
    order_1: int
    order_2: int
    to_gray: bool
    nhwc: bool

    def write(self, image: NDArray[np.uint8], out: NDArray[Any]) -> bool:
        """Write a uint8 image (H, W) or (H, W, channels) into all of `out`.

        False, with nothing written, if either is not an array as planned, or they overlap.
        """
        size = (self.image_height, self.image_width)
        shapes = (size, (*size, 1)) if self.image_channels == 1 else ((*size, self.image_channels),)
        if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.shape not in shapes:
            return False
        if not self._accepts(out, image):
            return False
        self._write(image, out)
        return True

    def write_yuv(
        self,
        y: NDArray[np.uint8],
        u: NDArray[np.uint8],
        v: NDArray[np.uint8],
        luma_offset: int,
        luma: int,
        red_v: int,
        green_u: int,
        green_v: int,
        blue_u: int,
        out: NDArray[Any],
    ) -> bool:
        """The same for planes and a matrix, as for color.convert_yuv, as a BGR image."""
        if y.shape != (self.image_height, self.image_width) or not self._accepts(out, y, u, v):
            return False
        image = np.empty((*y.shape, 3), np.uint8)
        convert_yuv(y, u, v, image, luma_offset, luma, red_v, green_u, green_v, blue_u, False)
        self._write(image, out)
        return True

    def _accepts(self, out: Any, *read: NDArray[np.uint8]) -> bool:
        canvas = (self.canvas_height, self.canvas_width)
        shape = (*canvas, len(self.pad)) if self.nhwc else (len(self.pad), *canvas)
        if not isinstance(out, np.ndarray):
            return False
        fits = bool(out.shape == shape and out.dtype == self.table.dtype)
        fits = fits and out.flags.writeable and out.flags.aligned
        return fits and not any(np.may_share_memory(array, out) for array in read)

    def _write(self, image: NDArray[np.uint8], out: NDArray[Any]) -> None:
        write_image(
            image, out, self.table, self.pad, self.resized_height, self.resized_width, self.offset_y, self.offset_x,
            self.filter, self.order_0, self.order_1, self.order_2, self.to_gray, self.nhwc,
        )  # fmt: skip
