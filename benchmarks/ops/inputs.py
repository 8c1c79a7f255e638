"""What goes in: photographs, a detector's output with objects in it, logits with regions. The same on every run."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

__all__ = ["blobs", "nv12", "photograph", "smooth", "yolo_output"]


@lru_cache(maxsize=1)
def _pictures() -> tuple[np.ndarray, ...]:
    """Photographs that scikit-image and scikit-learn carry, BGR."""
    from skimage import data
    from sklearn.datasets import load_sample_images

    rgb = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket(), *load_sample_images().images]
    return tuple(np.ascontiguousarray(picture[..., ::-1]) for picture in rgb)


@lru_cache(maxsize=32)  # the sizes of a sweep: 0.2 GB
def photograph(height: int, width: int) -> np.ndarray:
    """Photographs side by side at about their own resolution: uint8 (height, width, 3) BGR, read-only."""
    rows, columns = max(1, round(height / 427)), max(1, round(width / 640))
    ys = [height * row // rows for row in range(rows + 1)]
    xs = [width * column // columns for column in range(columns + 1)]
    image = np.empty((height, width, 3), np.uint8)
    pictures = _pictures()
    for row in range(rows):
        for column in range(columns):
            cell = image[ys[row] : ys[row + 1], xs[column] : xs[column + 1]]
            picture = pictures[(row * columns + column) % len(pictures)]
            cell[...] = cv2.resize(picture, cell.shape[1::-1], interpolation=cv2.INTER_AREA)
    image.flags.writeable = False
    return image


def nv12(image: np.ndarray) -> np.ndarray:
    """A BGR image, its sides even, as a camera's NV12 buffer: uint8 (H * 3/2, W)."""
    height, width = image.shape[:2]
    i420 = cv2.cvtColor(image, cv2.COLOR_BGR2YUV_I420)
    frame = np.empty_like(i420)
    frame[:height] = i420[:height]
    planes = i420[height:].reshape(2, height // 2, width // 2)
    frame[height:] = planes.transpose(1, 2, 0).reshape(height // 2, width)
    return frame


def smooth(channels: int, height: int, width: int, *, regions: int = 12, seed: int = 0) -> np.ndarray:
    """Fields that change sign about `regions` times along each side: float32 (channels, height, width)."""
    coarse = np.random.default_rng(seed).normal(0, 5, (channels, regions, regions)).astype(np.float32)
    return np.stack([cv2.resize(one, (width, height), interpolation=cv2.INTER_CUBIC) for one in coarse])


def blobs(count: int, height: int, width: int, *, seed: int = 0) -> np.ndarray:
    """Mask logits as Segment Anything gives them: one object each, its border wavy: float32 (count, H, W)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    logits = 0.15 * smooth(count, height, width, regions=16, seed=seed)
    for one in logits:
        centre, radius = rng.uniform(0.35, 0.65, 2), rng.uniform(0.15, 0.35)
        distance = np.hypot(y / height - centre[0], x / width - centre[1])
        one += (25.0 * (radius - distance)).astype(np.float32)
    return logits


def yolo_output(
    side: int = 640, classes: int = 80, extra: int = 0, objects: int = 60, seed: int = 0
) -> np.ndarray:
    """A YOLO head's output with so many objects: float32 (4 + classes + extra, anchors), 8400 anchors at 640.

    Each object lights up the anchors at its middle, a dozen or so, with boxes that agree to a few pixels. All
    other scores are what a trained head leaves: mostly far below 1e-3, about one in a hundred above.
    """
    rng = np.random.default_rng(seed)
    centres, strides = _anchors(side)
    count = len(centres)
    sizes = strides[:, None] * np.exp(rng.normal(1.2, 0.5, (count, 2)))
    boxes = np.concatenate([centres + rng.normal(0, 0.5, (count, 2)) * strides[:, None], sizes], axis=1)
    scores = np.minimum(np.exp(rng.normal(-10.5, 1.5, (count, classes))), 0.2)
    rest = rng.normal(0, 1, (count, extra))
    for _ in range(objects):
        size = np.exp(rng.uniform(np.log(side / 40), np.log(side / 2), 2))
        # Inside the strip that a letterboxed 16:9 image fills.
        edge = np.array([0, side * 7 / 32])
        centre = rng.uniform(edge + size / 2, side - edge - size / 2)
        stride = 8 if size.max() < side / 8 else 16 if size.max() < side / 3 else 32
        reach = np.abs(centres - centre).max(axis=1) / np.minimum(2.0 * stride, size.max() / 2)
        lit = np.flatnonzero((reach < 1) & (strides == stride))
        boxes[lit, :2] = centre + rng.normal(0, 0.02, (len(lit), 2)) * size
        boxes[lit, 2:] = size * np.exp(rng.normal(0, 0.03, (len(lit), 2)))
        scores[lit, rng.integers(classes)] = rng.uniform(0.5, 0.95) * np.exp(-0.7 * reach[lit] ** 2)
        # No two alike, whose order would be anyone's choice.
        scores[lit] *= rng.uniform(0.97, 1.0, (len(lit), 1))
        rest[lit] = rng.normal(0, 1, extra) + rng.normal(0, 0.03, (len(lit), extra))
    return np.ascontiguousarray(np.concatenate([boxes, scores, rest], axis=1).T.astype(np.float32))


def _anchors(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Centres (A, 2) in pixels and strides (A,) of the three levels, large maps first."""
    centres, strides = [], []
    for stride in (8, 16, 32):
        steps = (np.arange(side // stride) + 0.5) * stride
        y, x = np.meshgrid(steps, steps, indexing="ij")
        centres.append(np.stack([x.ravel(), y.ravel()], axis=1))
        strides.append(np.full(x.size, stride))
    return np.concatenate(centres), np.concatenate(strides)
