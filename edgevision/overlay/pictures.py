"""What belongs to a whole image over it: label maps, class scores, masks of a prompt."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.overlay.strokes import blend_mask, class_color, draw_label, stroke_sizes
from edgevision.results import Classification, PromptMasks, Segmentation

__all__ = ["draw_classification", "draw_prompt_masks", "draw_segmentation"]


def draw_segmentation(cv2: Any, canvas: NDArray[np.uint8], result: Segmentation, opacity: float) -> None:
    """Tint every region but the background, and list the classes with their share of the image."""
    width, scale = stroke_sizes(canvas)
    top = 4 * width
    for region in result:
        if region.class_id == 0 and len(result) > 1:
            continue  # by convention the background
        blend_mask(cv2, canvas, region.mask, class_color(region.class_id), opacity, outline=width)
    for region in result:
        text = f"{region.name} {region.area / result.labels.size:.1%}"
        color = class_color(region.class_id)
        top = draw_label(cv2, canvas, text, (4 * width, top), color, scale, below=True)


def draw_classification(cv2: Any, canvas: NDArray[np.uint8], result: Classification) -> None:
    """List the five best classes with their scores."""
    width, scale = stroke_sizes(canvas)
    top = 4 * width
    for class_id, name, confidence in result.top(5):
        text = f"{name} {confidence:.1%}"
        color = class_color(class_id)
        top = draw_label(cv2, canvas, text, (4 * width, top), color, scale * 1.25, below=True)


def draw_prompt_masks(cv2: Any, canvas: NDArray[np.uint8], result: PromptMasks, opacity: float) -> None:
    """Tint every candidate, the smallest on top, as they lie inside each other, and list what is expected of each."""
    width, scale = stroke_sizes(canvas)
    area = result.area
    for index in np.argsort(-area, kind="stable").tolist():
        blend_mask(cv2, canvas, result.masks[index], class_color(index), opacity, outline=width)
    top = 4 * width
    for index, iou in enumerate(result.iou.tolist()):
        text = f"mask {index}: IoU {iou:.0%}, {area[index] / result.masks[index].size:.1%}"
        top = draw_label(cv2, canvas, text, (4 * width, top), class_color(index), scale, below=True)
