"""Objects over their image: boxes, upright or rotated, with masks and keypoints."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.overlay.strokes import DARK, WHITE, Color, blend_mask, class_color, draw_label, stroke_sizes
from edgevision.results import Detections, OrientedDetections

__all__ = ["draw_detections", "draw_oriented"]

_VISIBLE = 0.5
"""Keypoints of a lower visibility are not drawn: the model holds them more likely hidden or absent."""

_COCO_SKELETON = (
    (15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7), (6, 8),
    (7, 9), (8, 10), (1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6),
)  # fmt: skip
"""Which of the 17 keypoints of a COCO person are joined, from the category's own `skeleton`, counted from 0."""

_SUBPIXEL_BITS = 4
"""Coordinates are drawn in sixteenths of a pixel."""


def draw_detections(cv2: Any, canvas: NDArray[np.uint8], result: Detections, opacity: float) -> None:
    """Draw every box with its label, and its mask and keypoints where there are any."""
    width, scale = stroke_sizes(canvas)
    # Worst first, so that the most certain object lies on top.
    for index in range(len(result) - 1, -1, -1):
        color = class_color(int(result.class_id[index]))
        if result.masks is not None:
            left, top = result.masks.windows[index, :2].tolist()
            crop = result.masks.crop(index)
            blend_mask(cv2, canvas, crop, color, opacity, corner_xy=(left, top), outline=width)
        left, top, right, bottom = (round(float(value)) for value in result.xyxy[index])
        cv2.rectangle(canvas, (left, top), (right, bottom), DARK, width + 2)
        cv2.rectangle(canvas, (left, top), (right, bottom), color, width)
        if result.keypoints is not None:
            _draw_keypoints(cv2, canvas, result.keypoints[index], color, width)
        identity = "" if result.tracker_id is None else f" #{result.tracker_id[index]}"
        text = f"{result.names[index]}{identity} {result.confidence[index]:.0%}"
        draw_label(cv2, canvas, text, (left - width // 2, top), color, scale)


def draw_oriented(cv2: Any, canvas: NDArray[np.uint8], result: OrientedDetections) -> None:
    """Draw every rotated box with its label at its highest corner."""
    width, scale = stroke_sizes(canvas)
    corners = result.corners
    for index in range(len(result) - 1, -1, -1):
        color = class_color(int(result.class_id[index]))
        outline = _fixed_point(corners[index])
        cv2.polylines(canvas, [outline], True, DARK, width + 2, cv2.LINE_AA, _SUBPIXEL_BITS)
        cv2.polylines(canvas, [outline], True, color, width, cv2.LINE_AA, _SUBPIXEL_BITS)
        x, y = corners[index][np.argmin(corners[index, :, 1])]
        text = f"{result.names[index]} {result.confidence[index]:.0%}"
        draw_label(cv2, canvas, text, (round(float(x)), round(float(y))), color, scale)


def _draw_keypoints(
    cv2: Any, canvas: NDArray[np.uint8], keypoints: NDArray[np.float32], color: Color, width: int
) -> None:
    """Dots of the keypoints (K, 3) that are visible; the limbs between them where they are a COCO person's."""
    points = _fixed_point(keypoints[:, :2])
    visible = keypoints[:, 2] > _VISIBLE
    if len(points) == 17:
        for one, other in _COCO_SKELETON:
            if visible[one] and visible[other]:
                ends = points[one].tolist(), points[other].tolist()
                cv2.line(canvas, *ends, DARK, width + 2, cv2.LINE_AA, _SUBPIXEL_BITS)
                cv2.line(canvas, *ends, color, width, cv2.LINE_AA, _SUBPIXEL_BITS)
    radius = (width + 2) << _SUBPIXEL_BITS
    for index in np.flatnonzero(visible):
        center = points[index].tolist()
        cv2.circle(
            canvas, center, radius + (1 << _SUBPIXEL_BITS), DARK, cv2.FILLED, cv2.LINE_AA, _SUBPIXEL_BITS
        )
        cv2.circle(canvas, center, radius, WHITE, cv2.FILLED, cv2.LINE_AA, _SUBPIXEL_BITS)


def _fixed_point(points_xy: NDArray[np.float32]) -> NDArray[np.int32]:
    """Points as OpenCV's strokes take them with `shift`: its pixel 0 has its centre at 0, ours at 0.5."""
    return np.asarray(np.rint((points_xy - 0.5) * (1 << _SUBPIXEL_BITS)), dtype=np.int32)
