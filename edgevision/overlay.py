"""Results drawn over their image, for people to look at (OpenCV does the strokes: extra `video`)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.errors import InputError
from edgevision.imageio import import_cv2
from edgevision.results import Classification, Detections, Embedding, Result, Segmentation

__all__ = ["class_color", "draw"]

Color = tuple[int, int, int]

_GOLDEN_ANGLE = 137.508
"""Degrees: successive class ids land far apart on the colour circle, however many classes there are."""

_DARK: Color = (24, 24, 24)
_WHITE: Color = (255, 255, 255)


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
    if not isinstance(result, (Classification, Detections, Segmentation)):
        raise InputError(
            f"result must be Detections, Classification or Segmentation, got {type(result).__name__}"
        )
    if not 0.0 <= opacity <= 1.0:
        raise InputError(f"opacity must be from 0 to 1, got {opacity}")
    if canvas.shape[:2] != tuple(result.image_hw):
        raise InputError(
            f"the result is of an image of {result.image_hw[0]}x{result.image_hw[1]}, "
            f"got one of {canvas.shape[0]}x{canvas.shape[1]}; draw on the image that was given to the model"
        )
    if isinstance(result, Detections):
        _draw_detections(cv2, canvas, result, opacity)
    elif isinstance(result, Segmentation):
        _draw_segmentation(cv2, canvas, result, opacity)
    else:
        _draw_classification(cv2, canvas, result)
    return canvas


def _color_copy(cv2: Any, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim not in (2, 3):
        got = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise InputError(f"image must be uint8 (H, W, 3), (H, W, 4) or (H, W), got {got}")
    if image.ndim == 2 or image.shape[2] == 1:
        return np.asarray(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_GRAY2BGR), np.uint8)
    return np.ascontiguousarray(image[:, :, :3]).copy()


def _stroke(canvas: NDArray[np.uint8]) -> tuple[int, float]:
    """Line width in pixels and text scale that look alike on every size of picture."""
    side = min(canvas.shape[:2])
    return max(1, round(side / 360)), max(0.36, side / 1300)


def _draw_detections(cv2: Any, canvas: NDArray[np.uint8], result: Detections, opacity: float) -> None:
    width, scale = _stroke(canvas)
    # Worst first, so that the most certain object lies on top.
    for index in range(len(result) - 1, -1, -1):
        item = next(iter(result[index]))
        color = class_color(item.class_id)
        if item.mask is not None:
            _blend_mask(canvas, item.mask, color, opacity)
        left, top, right, bottom = (round(float(value)) for value in item.xyxy)
        cv2.rectangle(canvas, (left, top), (right, bottom), _DARK, width + 2)
        cv2.rectangle(canvas, (left, top), (right, bottom), color, width)
        identity = "" if item.tracker_id is None else f" #{item.tracker_id}"
        text = f"{item.name}{identity} {item.confidence:.0%}"
        _draw_label(cv2, canvas, text, (left - width // 2, top), color, scale)


def _draw_segmentation(cv2: Any, canvas: NDArray[np.uint8], result: Segmentation, opacity: float) -> None:
    width, scale = _stroke(canvas)
    top = 4 * width
    for region in result:
        if region.class_id == 0 and len(result) > 1:
            continue  # by convention the background
        color = class_color(region.class_id)
        _blend_mask(canvas, region.mask, color, opacity)
        contours, _ = cv2.findContours(region.mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
        cv2.drawContours(canvas, contours, -1, color, width)
    for region in result:
        share = region.area / result.labels.size
        top = _draw_label(
            cv2,
            canvas,
            f"{region.name} {share:.1%}",
            (4 * width, top),
            class_color(region.class_id),
            scale,
            below=True,
        )


def _draw_classification(cv2: Any, canvas: NDArray[np.uint8], result: Classification) -> None:
    width, scale = _stroke(canvas)
    top = 4 * width
    for class_id, name, confidence in result.top(5):
        top = _draw_label(
            cv2,
            canvas,
            f"{name} {confidence:.1%}",
            (4 * width, top),
            class_color(class_id),
            scale * 1.25,
            below=True,
        )


def _blend_mask(canvas: NDArray[np.uint8], mask: NDArray[np.bool_], color: Color, opacity: float) -> None:
    canvas[mask] = (canvas[mask] * (1.0 - opacity) + np.array(color) * opacity + 0.5).astype(np.uint8)


def _draw_label(
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
    ink = _DARK if luma > 128 else _WHITE
    origin = (left + pad, top + pad + height)
    cv2.putText(canvas, text, origin, cv2.FONT_HERSHEY_SIMPLEX, scale, ink, thickness, cv2.LINE_AA)
    return int(top + plate_h + pad)
