"""What the demo's models learn from and are judged on, rendered by `edgevision.demo.scene`.

Scene seeds from 2**31 on are for training (`random_still` draws only those); smaller seeds are held out. Pictures go
through the deployment's own preprocessing: rendered at 1280 x 720, letterboxed with `cv2.INTER_LINEAR` and grey 114.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgevision.demo.crops import crop_part
from edgevision.demo.landmarks import settle_landmarks
from edgevision.demo.scene import Frame, Scene
from edgevision.geometry import place_image
from edgevision.ops.image import PixelMap, image_to_tensor

__all__ = [
    "CROP_HW",
    "FRAME_HW",
    "HELD_OUT_CLIPS",
    "HELD_OUT_STILLS",
    "INPUT_HW",
    "PAD",
    "VALIDATION",
    "Sample",
    "crop_samples",
    "fit_crop",
    "held_out_frames",
    "letterbox",
    "to_sample",
    "validation_frames",
]

INPUT_HW = (256, 448)
CROP_HW = (64, 64)
FRAME_HW = (720, 1280)
PAD = 114
HELD_OUT_STILLS = 1_000_000  # first seed of the held-out stills
HELD_OUT_CLIPS = 2_000_000  # first seed of the held-out clips
VALIDATION = 3_000_000  # first seed of the scenes looked at while training
CROP_SHIFT = 0.08  # a training crop's box is off by up to this share of its sides, as a detector's may be

_CROP_PIXELS = PixelMap(
    color="bgr", filter="bilinear_antialias", layout="nhwc", scale=1.0, pad_value=(PAD, PAD, PAD)
)


@dataclass(frozen=True)
class Sample:
    """A picture as the networks take it, with its truth in the pixels of that picture.

    image: uint8 (H, W, 3) BGR, letterboxed. boxes: float32 (M, 6): xyxy, class, 1 where the object is ignored.
    keypoints: float32 (M, 4, 3): x, y, 1 where it shows (`landmarks.settle_landmarks`). owners: uint8 (H, W): 1 + the
    row of the object that the pixel's centre shows, 0 for none.
    """

    image: npt.NDArray[np.uint8]
    boxes: npt.NDArray[np.float32]
    keypoints: npt.NDArray[np.float32]
    owners: npt.NDArray[np.uint8]


def letterbox(
    image: npt.NDArray[np.uint8], input_hw: tuple[int, int] = INPUT_HW
) -> tuple[npt.NDArray[np.uint8], float, tuple[int, int]]:
    """The picture scaled to fit and centred on grey, uint8 (*input_hw, 3); the scale; the pad (left, top)."""
    import cv2

    height, width = image.shape[:2]
    scale = min(input_hw[0] / height, input_hw[1] / width)
    new_w, new_h = round(width * scale), round(height * scale)
    left, top = (input_hw[1] - new_w) // 2, (input_hw[0] - new_h) // 2
    out = np.full((*input_hw, 3), PAD, np.uint8)
    out[top : top + new_h, left : left + new_w] = cv2.resize(
        image, (new_w, new_h), interpolation=cv2.INTER_LINEAR
    )
    return out, scale, (left, top)


def to_sample(frame: Frame, input_hw: tuple[int, int] = INPUT_HW) -> Sample:
    """The frame as the networks see it."""
    image, scale, (left, top) = letterbox(frame.image, input_hw)
    truth = frame.truth
    boxes = truth.boxes * np.float32(scale) + np.array([left, top, left, top], np.float32)
    rows = np.concatenate([boxes, truth.class_id[:, None], truth.ignored[:, None]], axis=1)
    keypoints = settle_landmarks(truth)
    keypoints[..., :2] = keypoints[..., :2] * np.float32(scale) + np.array([left, top], np.float32)
    return Sample(image, rows.astype(np.float32), keypoints, _owners(frame, input_hw, scale, (left, top)))


def _owners(
    frame: Frame, input_hw: tuple[int, int], scale: float, pad: tuple[int, int]
) -> npt.NDArray[np.uint8]:
    height, width = frame.image.shape[:2]
    owners = np.zeros((height, width), np.uint8)
    for row, mask in enumerate(frame.truth.masks):
        owners[mask] = row + 1
    # The picture's pixel under the centre of each of the input's.
    line = np.floor((np.arange(input_hw[0]) + 0.5 - pad[1]) / scale).astype(np.int64)
    column = np.floor((np.arange(input_hw[1]) + 0.5 - pad[0]) / scale).astype(np.int64)
    inside = ((line >= 0) & (line < height))[:, None] & ((column >= 0) & (column < width))
    seen = owners[line.clip(0, height - 1)[:, None], column.clip(0, width - 1)]
    return np.where(inside, seen, np.uint8(0))


def fit_crop(crop: npt.NDArray[np.uint8], size_hw: tuple[int, int] = CROP_HW) -> npt.NDArray[np.uint8]:
    """A part's picture at the classifiers' size, uint8 (*size_hw, 3) BGR, by the runtime's own kernel."""
    out = np.empty((*size_hw, 3), np.uint8)
    image_to_tensor(crop, place_image(crop.shape[:2], size_hw), out, source="bgr", pixels=_CROP_PIXELS)
    return out


def crop_samples(
    frame: Frame, rng: np.random.Generator | None = None, most: int | None = None
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The frame's counted parts, uint8 (N, *CROP_HW, 3) BGR, and their classes, int64 (N,).

    rng: draws which parts when there are more than `most`, and moves their boxes a little; None: all, as they are.
    """
    truth = frame.truth.counted()
    rows = np.arange(len(truth)) if rng is None else rng.permutation(len(truth))[:most]
    crops = np.empty((len(rows), *CROP_HW, 3), np.uint8)
    for out, row in zip(crops, rows, strict=True):
        box = truth.boxes[row].astype(np.float64)
        if rng is not None:
            sides = box[2:] - box[:2]
            box += rng.uniform(-CROP_SHIFT, CROP_SHIFT, 4) * np.tile(sides, 2)
        out[:] = fit_crop(crop_part(frame.image, box))
    return crops, truth.class_id[rows]


def held_out_frames(stills: int, clips: int, frames_per_clip: int = 10) -> Iterator[Frame]:
    """Frames of scenes never trained on: single ones, then clips sampled three times a second."""
    for i in range(stills):
        yield Scene(HELD_OUT_STILLS + i, FRAME_HW).frame(float(i % 37))
    for i in range(clips):
        scene = Scene(HELD_OUT_CLIPS + i, FRAME_HW)
        for k in range(frames_per_clip):
            yield scene.frame(k / 3)


def validation_frames(count: int) -> list[Frame]:
    """Frames to look at while training, of scenes neither trained on nor held out."""
    return [Scene(VALIDATION + i, FRAME_HW).frame(float(i % 29)) for i in range(count)]
