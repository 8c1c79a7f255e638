"""Colours, line widths, plates of text and masks: what every kind of drawing uses."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["DARK", "WHITE", "Color", "blend_mask", "class_color", "draw_label", "stroke_sizes"]

Color: TypeAlias = tuple[int, int, int]
"""Blue, green, red, 0-255."""

_GOLDEN_ANGLE = 137.508
"""Degrees: successive class ids land far apart on the colour circle, however many classes there are."""

DARK: Color = (24, 24, 24)
WHITE: Color = (255, 255, 255)


def class_color(class_id: int) -> Color:
    """The BGR colour of a class: the same in every picture, neighbours far apart in hue."""
    hue = ((class_id * _GOLDEN_ANGLE + 205.0) % 360.0) / 60.0
    value, saturation = (1.0, 0.78) if class_id % 2 == 0 else (0.86, 0.62)
    sector, rest = int(hue), hue - int(hue)
    low = value * (1.0 - saturation)
    falling, rising = value * (1.0 - saturation * rest), value * (1.0 - saturation * (1.0 - rest))
    red, green, blue = (
        (value, rising, low),
        (falling, value, low),
        (low, value, rising),
        (low, falling, value),
        (rising, low, value),
        (value, low, falling),
    )[sector]
    return round(blue * 255), round(green * 255), round(red * 255)


def stroke_sizes(canvas: NDArray[np.uint8]) -> tuple[int, float]:
    """Line width in pixels and text scale that look alike on every size of picture."""
    side = min(canvas.shape[:2])
    return max(1, round(side / 360)), max(0.36, side / 1300)


def blend_mask(
    cv2: Any,
    canvas: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    color: Color,
    opacity: float,
    *,
    corner_xy: tuple[int, int] = (0, 0),
    outline: int = 0,
) -> None:
    """Tint the canvas where a mask is set, and draw its outline so many pixels wide.

    mask: bool (h, w), of the whole canvas or of a window whose top left pixel is `corner_xy`.
    """
    left, top = corner_xy
    window = canvas[top : top + mask.shape[0], left : left + mask.shape[1]]
    window[mask] = (window[mask] * (1.0 - opacity) + np.array(color) * opacity + 0.5).astype(np.uint8)
    if outline and mask.size:
        contours, _ = cv2.findContours(
            mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE, offset=corner_xy
        )
        cv2.drawContours(canvas, contours, -1, color, outline)


def draw_label(
    cv2: Any,
    canvas: NDArray[np.uint8],
    text: str,
    corner_xy: tuple[int, int],
    color: Color,
    scale: float,
    *,
    below: bool = False,
) -> int:
    """Write `text` on a plate above (or below) a corner, kept inside the picture; the y under the plate."""
    thickness = max(1, round(scale * 1.6))
    (width, height), baseline = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
    pad = max(2, round(scale * 7))
    plate_h, plate_w = height + baseline + 2 * pad, width + 2 * pad
    left = min(max(corner_xy[0], 0), max(canvas.shape[1] - plate_w, 0))
    top = corner_xy[1] if below else corner_xy[1] - plate_h
    top = min(max(top, 0), max(canvas.shape[0] - plate_h, 0))
    cv2.rectangle(canvas, (left, top), (left + plate_w, top + plate_h), color, cv2.FILLED)
    # Black or white, whichever the plate's luma (BT.601 weights) contrasts with more.
    luma = 0.114 * color[0] + 0.587 * color[1] + 0.299 * color[2]
    ink = DARK if luma > 128 else WHITE
    origin = (left + pad, top + pad + height)
    cv2.putText(canvas, text, origin, cv2.FONT_HERSHEY_SIMPLEX, scale, ink, thickness, cv2.LINE_AA)
    return int(top + plate_h + pad)
