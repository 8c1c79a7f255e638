"""`draw`: any result over its image."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.errors import InputError
from edgevision.imageio import import_cv2
from edgevision.overlay.objects import draw_detections, draw_oriented
from edgevision.overlay.pictures import draw_classification, draw_prompt_masks, draw_segmentation
from edgevision.results import (
    Classification,
    Detections,
    Embedding,
    OrientedDetections,
    PromptMasks,
    Result,
    Segmentation,
)

__all__ = ["draw"]


def draw(image: NDArray[np.uint8], result: Result, *, opacity: float = 0.45) -> NDArray[np.uint8]:
    """A copy of `image` with `result` drawn over it: uint8 (H, W, 3) BGR.

    image:   uint8 (H, W, 3) BGR, (H, W, 4) BGRA or (H, W) grey: the one that the result was computed from.
    opacity: of masks and label maps, 0-1.
    Raises InputError when the sizes differ or the result is of no known kind. Needs the extra `video`.
    """
    cv2 = import_cv2("draw()")
    canvas = _color_copy(cv2, image)
    if isinstance(result, Embedding):
        raise InputError("an Embedding has nothing to draw; compare it with others by its similarity()")
    if not isinstance(result, (Classification, Detections, OrientedDetections, PromptMasks, Segmentation)):
        raise InputError(
            "result must be Detections, OrientedDetections, Classification, Segmentation or PromptMasks, "
            f"got {type(result).__name__}"
        )
    if not 0.0 <= opacity <= 1.0:
        raise InputError(f"opacity must be from 0 to 1, got {opacity}")
    if canvas.shape[:2] != tuple(result.image_hw):
        raise InputError(
            f"the result is of an image of {result.image_hw[0]}x{result.image_hw[1]}, "
            f"got one of {canvas.shape[0]}x{canvas.shape[1]}; draw on the image that was given to the model"
        )
    if isinstance(result, Detections):
        draw_detections(cv2, canvas, result, opacity)
    elif isinstance(result, OrientedDetections):
        draw_oriented(cv2, canvas, result)
    elif isinstance(result, Segmentation):
        draw_segmentation(cv2, canvas, result, opacity)
    elif isinstance(result, PromptMasks):
        draw_prompt_masks(cv2, canvas, result, opacity)
    else:
        draw_classification(cv2, canvas, result)
    return canvas


def _color_copy(cv2: Any, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim not in (2, 3):
        got = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise InputError(f"image must be uint8 (H, W, 3), (H, W, 4) or (H, W), got {got}")
    if image.ndim == 2 or image.shape[2] == 1:
        return np.asarray(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_GRAY2BGR), np.uint8)
    return np.ascontiguousarray(image[:, :, :3]).copy()
