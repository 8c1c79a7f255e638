"""Outlines of masks, through OpenCV (extra `video`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.errors import InputError
from edgevision.imageio import import_cv2

__all__ = ["mask_to_polygons"]


def mask_to_polygons(
    mask: NDArray[Any], window: Sequence[int] | NDArray[Any] | None = None
) -> list[NDArray[np.float32]]:
    """The outer outline of each connected part, float32 (P, 2) x, y in image pixels; largest area first.

    Vertices are the centres of outline pixels, (0.5, 0.5) for the image's first: floor(vertices) are pixels, and
    cv2.fillPoly of them gives the mask again, its holes filled. Parts that touch at corners are one; straight
    lines are reduced to their ends (cv2.CHAIN_APPROX_SIMPLE), so that P may be 1 or 2.

    mask: bool or uint8 (H, W), not 0 inside; of the image, or of its `window` (x1, y1, x2, y2).
    Raises MissingDependencyError without OpenCV, InputError for a wrong dtype or shape.
    """
    if not isinstance(mask, np.ndarray) or mask.ndim != 2 or mask.dtype not in (np.bool_, np.uint8):
        got = f"{mask.dtype} {mask.shape}" if isinstance(mask, np.ndarray) else f"a {type(mask).__name__}"
        raise InputError(f"mask must be bool or uint8 (H, W), got {got}")
    x1, y1, x2, y2 = (0, 0, *mask.shape[::-1]) if window is None else (int(edge) for edge in window)
    if mask.shape != (y2 - y1, x2 - x1):
        raise InputError(f"window {(x1, y1, x2, y2)} must have the mask's size, got a mask of {mask.shape}")
    cv2 = import_cv2("mask_to_polygons()")
    if mask.size == 0:
        return []
    pixels = np.ascontiguousarray(mask, dtype=np.uint8)
    outlines, _ = cv2.findContours(pixels, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    corner = np.array([x1 + 0.5, y1 + 0.5], np.float32)
    largest_first = sorted(outlines, key=cv2.contourArea, reverse=True)
    return [outline[:, 0, :].astype(np.float32) + corner for outline in largest_first]
