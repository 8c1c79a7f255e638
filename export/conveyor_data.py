"""Pictures to train and judge the conveyor detector on, rendered by `edgevision.demo.scene`.

Scene seeds from 2**31 on are for training (`random_still` draws only those); smaller seeds are held out. Pictures go
through the deployment's own preprocessing: rendered at 1280 x 720, letterboxed with `cv2.INTER_LINEAR` and grey 114.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgevision.demo.scene import Frame, Scene, random_still

INPUT_HW = (256, 448)
FRAME_HW = (720, 1280)
PAD = 114
CHUNK = 250  # pictures in one cache file
HELD_OUT_STILLS = 1_000_000  # first seed of the held-out stills
HELD_OUT_CLIPS = 2_000_000  # first seed of the held-out clips


@dataclass(frozen=True)
class Samples:
    """images: uint8 (N, H, W, 3) BGR, letterboxed. boxes: one float32 (M, 6) a picture: xyxy in input pixels,
    class, 1 where the object is ignored."""

    images: npt.NDArray[np.uint8]
    boxes: tuple[npt.NDArray[np.float32], ...]


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


def to_sample(
    frame: Frame, input_hw: tuple[int, int] = INPUT_HW
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    """The letterboxed picture and its objects, float32 (M, 6) as in `Samples`."""
    image, scale, (left, top) = letterbox(frame.image, input_hw)
    truth = frame.truth
    boxes = truth.boxes * np.float32(scale) + np.array([left, top, left, top], np.float32)
    rows = np.concatenate([boxes, truth.class_id[:, None], truth.ignored[:, None]], axis=1)
    return image, rows.astype(np.float32)


def _render_chunk(chunk: int, seed: int, folder: Path) -> Path:
    import cv2

    cv2.setNumThreads(1)  # one process a core already
    path = folder / f"seed{seed}-chunk{chunk:04d}.npz"
    if path.is_file():
        return path
    images, boxes = [], []
    for i in range(CHUNK):
        rng = np.random.default_rng([seed, chunk * CHUNK + i])
        image, rows = to_sample(random_still(rng, FRAME_HW))
        images.append(image)
        boxes.append(rows)
    counts = np.array([len(rows) for rows in boxes], np.int64)
    partial_path = path.with_suffix(".partial.npz")
    np.savez(partial_path, images=np.stack(images), boxes=np.concatenate(boxes), counts=counts)
    partial_path.replace(path)
    return path


def render_cache(
    folder: Path, count: int, seed: int, workers: int, progress: Callable[[int], None] = lambda done: None
) -> list[Path]:
    """Files with `count` training pictures (rounded up to whole chunks); those rendered before are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    job = partial(_render_chunk, seed=seed, folder=folder)
    paths = []
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        for path in pool.imap(job, range(-(-count // CHUNK))):
            paths.append(path)
            progress(len(paths) * CHUNK)
    return paths


def load_cache(paths: Sequence[Path]) -> Samples:
    """The pictures in the files that `render_cache` named."""
    images, boxes = [], []
    for path in paths:
        with np.load(path, allow_pickle=False) as data:
            images.append(data["images"])
            boxes.extend(np.split(data["boxes"], np.cumsum(data["counts"])[:-1]))
    return Samples(np.concatenate(images), tuple(boxes))


def held_out_frames(stills: int, clips: int, frames_per_clip: int = 10) -> Iterator[Frame]:
    """Frames of scenes never trained on: single ones, then clips sampled three times a second."""
    for i in range(stills):
        yield Scene(HELD_OUT_STILLS + i, FRAME_HW).frame(float(i % 37))
    for i in range(clips):
        scene = Scene(HELD_OUT_CLIPS + i, FRAME_HW)
        for k in range(frames_per_clip):
            yield scene.frame(k / 3)
