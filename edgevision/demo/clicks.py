"""Where a person would click to mean an object."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgevision.imageio import import_cv2

__all__ = ["middle_point"]


def middle_point(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """The pixel of a mask, bool (H, W) and not empty, that lies farthest from all outside: x, y as float32 (2,).

    So Segment Anything (Kirillov et al. 2023, section 7.1) places the point of its evaluation. Needs the extra `video`.
    """
    cv2 = import_cv2("middle_point()")
    depth = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    line, column = np.unravel_index(int(depth.argmax()), depth.shape)
    return np.array([column, line], np.float32)
