"""The one map between image and model coordinates.

Every resize mode is the same three steps: resize the image to `resized_hw`, lay it on a canvas with its top-left
corner at `offset_yx` (negative where it is cropped), fill the rest with the pad value. `Placement` holds them, and
both directions of the coordinate map follow from what was *really applied* (the rounded size, the rounded pad),
never from the ideal ratio.

Coordinates are continuous: pixel (0, 0) covers [0, 1) x [0, 1), its centre is (0.5, 0.5).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgevision.errors import InputError

__all__ = ["CROP_MODES", "PAD_PLACEMENTS", "RESIZE_MODES", "Placement", "place_image"]

RESIZE_MODES = (
    *("letterbox", "stretch", "shortest_side_crop", "longest_side_pad"),
    *("shortest_side_crop_floor", "stretch_crop"),
)
CROP_MODES = ("shortest_side_crop", "shortest_side_crop_floor", "stretch_crop")
"""Those that cut the canvas out of the resized image, and so have a `resize_size`."""
PAD_PLACEMENTS = ("center", "bottom_right")


@dataclass(frozen=True, slots=True)
class Placement:
    """Where an image lies in the model's input.

    image_hw:   (H, W) of the original image, pixels.
    resized_hw: (h, w) after resizing.
    offset_yx:  (top, left) of the resized image in the canvas; negative where it is cropped.
    canvas_hw:  (H, W) of the model's input.
    """

    image_hw: tuple[int, int]
    resized_hw: tuple[int, int]
    offset_yx: tuple[int, int]
    canvas_hw: tuple[int, int]

    @property
    def gain_yx(self) -> tuple[float, float]:
        """The (vertical, horizontal) scale really applied: resized size over image size."""
        return self.resized_hw[0] / self.image_hw[0], self.resized_hw[1] / self.image_hw[1]

    def boxes_to_image(self, boxes_xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
        """Boxes in image pixels, clipped to the image: float32 (N, 4) xyxy, from model-input pixels."""
        height, width = self.image_hw
        boxes = self.points_to_image(boxes_xyxy.reshape(-1, 2)).reshape(-1, 4)
        np.clip(boxes[:, 0::2], 0.0, width, out=boxes[:, 0::2])
        np.clip(boxes[:, 1::2], 0.0, height, out=boxes[:, 1::2])
        return boxes

    def points_to_image(self, points_xy: NDArray[np.float32]) -> NDArray[np.float32]:
        """Points in image pixels, not clipped: float32 (N, 2) x, y, from model-input pixels."""
        gain_y, gain_x = self.gain_yx
        top, left = self.offset_yx
        shift = np.array([left, top], np.float32)
        gain = np.array([gain_x, gain_y], np.float32)
        return np.asarray((points_xy - shift) / gain, dtype=np.float32)

    def roi_in(self, map_hw: Sequence[int]) -> tuple[float, float, float, float]:
        """Where the image lies in a map of size `map_hw` that covers the model's input: (y, x, height, width).

        In the map's pixels, fractions included; what is cropped away lies outside the map.
        """
        scale_y, scale_x = map_hw[0] / self.canvas_hw[0], map_hw[1] / self.canvas_hw[1]
        (top, left), (height, width) = self.offset_yx, self.resized_hw
        return top * scale_y, left * scale_x, height * scale_y, width * scale_x

    def keypoints_to_image(self, keypoints: NDArray[np.float32]) -> NDArray[np.float32]:
        """Keypoints in image pixels, clipped to the image: float32 (N, K, D) x, y and what else there is, unchanged.

        keypoints: float32 (N, K, D) with D of 2 or more, x and y in model-input pixels.
        """
        height, width = self.image_hw
        moved = np.array(keypoints, np.float32)
        points = self.points_to_image(moved[..., :2].reshape(-1, 2))
        np.clip(points, 0.0, np.array([width, height], np.float32), out=points)
        moved[..., :2] = points.reshape(*moved.shape[:-1], 2)
        return moved

    def rotated_to_image(self, boxes_xywhr: NDArray[np.float32]) -> NDArray[np.float32]:
        """Rotated boxes in image pixels, not clipped: float32 (N, 5) centre x, y, width, height, angle.

        The angle is in radians from 0 to below pi / 2, clockwise as seen: one of the ways to write a box, the width
        and height swapped where it must be.

        boxes_xywhr: float32 (N, 5) in model-input pixels, any angle. Where the ratio of the image's sides was kept
            but for whole pixels, the width and height given are divided by the horizontal and the vertical gain
            before any swap, as Ultralytics' predictor does (measured with 8.4.190). A stretch makes a
            parallelogram of a turned box; the box given has its centre, its first side and the length of its
            second.
        """
        gain_y, gain_x = self.gain_yx
        boxes = np.array(boxes_xywhr, np.float64)
        # Less than a pixel over the shorter side: what rounding the resized size makes of a common gain.
        if abs(gain_y / gain_x - 1.0) * min(self.resized_hw) <= 1.0:
            boxes[:, 2:4] /= gain_x, gain_y
        else:
            cosine, sine = np.cos(boxes[:, 4]), np.sin(boxes[:, 4])
            boxes[:, 2] *= np.hypot(cosine / gain_x, sine / gain_y)
            boxes[:, 3] *= np.hypot(sine / gain_x, cosine / gain_y)
            boxes[:, 4] = np.arctan2(sine / gain_y, cosine / gain_x)
        boxes = _canonical(boxes)
        boxes[:, :2] = self.points_to_image(boxes_xywhr[:, :2])
        return boxes.astype(np.float32)

    def points_to_model(self, points_xy: NDArray[np.float32]) -> NDArray[np.float32]:
        """Points in model-input pixels: float32 (N, 2) x, y, from image pixels."""
        gain_y, gain_x = self.gain_yx
        top, left = self.offset_yx
        gain = np.array([gain_x, gain_y], np.float32)
        return np.asarray(points_xy * gain + np.array([left, top], np.float32), dtype=np.float32)


def _canonical(boxes_xywhr: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same boxes with angles from 0 to below pi / 2: a new array."""
    boxes = boxes_xywhr.copy()
    boxes[:, 4] %= np.pi
    turned = boxes[:, 4] >= np.pi / 2
    boxes[turned, 2:4] = boxes[turned, 3:1:-1]
    boxes[:, 4] %= np.pi / 2
    return boxes


def place_image(
    image_hw: Sequence[int],
    canvas_hw: Sequence[int],
    *,
    mode: str = "letterbox",
    pad_placement: str = "center",
    resize_size: int | None = None,
    multiple: int = 0,
    upscale: bool = True,
) -> Placement:
    """The placement of an image of size `image_hw` in a model input of size `canvas_hw`.

    mode: "letterbox" (whole image, both sides fit, rest padded), "stretch" (both sides resized, ratio lost),
        "shortest_side_crop" (shortest side resized to `resize_size`, or to the canvas when that is None, then a
        centre crop), "shortest_side_crop_floor" (the same, half a pixel of the crop's corner rounded down, as
        transformers does), "stretch_crop" (both sides resized to `resize_size`, then a centre crop),
        "longest_side_pad" (as letterbox, with sizes rounded half up as Segment Anything does).
    pad_placement: "center" halves the pad (an odd pixel goes to the bottom or right), "bottom_right" leaves the
        image in the top-left corner.
    multiple: n > 0 lets a letterbox canvas shrink to the resized image's size rounded up to multiples of n.
    upscale: False leaves an image smaller than the canvas at its own size.
    Raises InputError for an unknown mode or placement, or a size below 1.
    """
    height, width = int(image_hw[0]), int(image_hw[1])
    canvas_h, canvas_w = int(canvas_hw[0]), int(canvas_hw[1])
    if min(height, width, canvas_h, canvas_w) < 1:
        raise InputError(
            f"sizes must be at least 1x1, got an image of {height}x{width} and a canvas of {canvas_h}x{canvas_w}"
        )
    if pad_placement not in PAD_PLACEMENTS:
        raise InputError(f"unknown pad placement {pad_placement!r}; accepted: {', '.join(PAD_PLACEMENTS)}")
    image, canvas = (height, width), (canvas_h, canvas_w)
    if mode == "stretch":
        return Placement(image, canvas, (0, 0), canvas)
    if mode in CROP_MODES:
        return _place_crop(image, canvas, resize_size, mode)
    if mode in ("letterbox", "longest_side_pad"):
        half_up = mode == "longest_side_pad"
        shrink = 0 if half_up else multiple
        return _place_fit(image, canvas, pad_placement, shrink, upscale, half_up)
    raise InputError(f"unknown resize mode {mode!r}; accepted: {', '.join(RESIZE_MODES)}")


def _place_fit(
    image: tuple[int, int],
    canvas: tuple[int, int],
    pad_placement: str,
    multiple: int,
    upscale: bool,
    half_up: bool,
) -> Placement:
    ratio = min(canvas[0] / image[0], canvas[1] / image[1])
    if not upscale:
        ratio = min(ratio, 1.0)
    # Letterbox rounds half to even, as Python's round does in the training code it mirrors; Segment Anything's
    # longest-side resize adds 0.5 and truncates.
    sizes = [math.floor(side * ratio + 0.5) if half_up else round(side * ratio) for side in image]
    resized = (max(1, min(sizes[0], canvas[0])), max(1, min(sizes[1], canvas[1])))
    if multiple > 0:
        fitted = [
            min(full, -(-side // multiple) * multiple) for side, full in zip(resized, canvas, strict=True)
        ]
        canvas = (fitted[0], fitted[1])
    # An odd pad's extra pixel goes to the bottom or right: round(d - 0.1) for a half d is floor(d).
    offset = (0, 0)
    if pad_placement == "center":
        offset = ((canvas[0] - resized[0]) // 2, (canvas[1] - resized[1]) // 2)
    return Placement(image, resized, offset, canvas)


def _place_crop(
    image: tuple[int, int], canvas: tuple[int, int], resize_size: int | None, mode: str
) -> Placement:
    """Shortest side, or both sides, to `resize_size` and a centre crop.

    The long side is int(size * long / short) (torchvision.transforms.Resize; transformers' too), the crop's corner is
    round((resized - crop) / 2), half to even (torchvision.transforms.CenterCrop), or its floor (transformers). A side
    that stays smaller than the crop is padded on both sides, the odd pixel at the bottom or right, as both do.
    """
    size = min(canvas) if resize_size is None else int(resize_size)
    if size < 1:
        raise InputError(f"resize_size must be at least 1, got {size}")
    short, long = min(image), max(image)
    long_resized = size if mode == "stretch_crop" else int(size * long / short)
    resized = (size, long_resized) if image[0] <= image[1] else (long_resized, size)
    offsets = []
    for side, crop in zip(resized, canvas, strict=True):
        spare = side - crop
        if spare < 0:
            offsets.append(-spare // 2)
        else:
            offsets.append(-(spare // 2) if mode == "shortest_side_crop_floor" else -round(spare / 2.0))
    return Placement(image, resized, (offsets[0], offsets[1]), canvas)
