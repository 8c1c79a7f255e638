"""Pictures of single parts, cut out of a frame: what the demo's classifiers take."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["CROP_MARGIN", "crop_part"]

CROP_MARGIN = 0.1  # of the box's longer side, on each side


def crop_part(
    image: npt.NDArray[np.uint8], box: npt.NDArray[np.floating], margin: float = CROP_MARGIN
) -> npt.NDArray[np.uint8]:
    """The square about a box, a view of `image`, uint8 (h, w, 3); less than square where it would leave the image.

    box: (4,) xyxy in image pixels, at least partly inside. margin: shares of the longer side, added on each side.
    """
    height, width = image.shape[:2]
    x0, y0, x1, y1 = (float(value) for value in box)
    half = max(x1 - x0, y1 - y0) * (0.5 + margin)
    left, top = round((x0 + x1) / 2 - half), round((y0 + y1) / 2 - half)
    side = max(round(2 * half), 1)
    return image[max(top, 0) : min(top + side, height), max(left, 0) : min(left + side, width)]
