"""Rendered training pictures, kept in files: all of the demo's models learn from the same ones."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgevision.demo.scene import random_still
from edgevision.export.conveyor_data import FRAME_HW, crop_samples, to_sample

__all__ = ["CHUNK", "CROPS_A_PICTURE", "Crops", "Samples", "load_crops", "load_samples", "render_cache"]

CHUNK = 250  # pictures in one cache file
CROPS_A_PICTURE = 8  # at most


@dataclass(frozen=True)
class Samples:
    """N pictures and their truth, as `conveyor_data.Sample` says: images uint8 (N, H, W, 3), owners uint8 (N, H, W),
    boxes and keypoints one array a picture."""

    images: npt.NDArray[np.uint8]
    boxes: tuple[npt.NDArray[np.float32], ...]
    keypoints: tuple[npt.NDArray[np.float32], ...]
    owners: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class Crops:
    """N pictures of single parts: images uint8 (N, h, w, 3) BGR, classes int64 (N,)."""

    images: npt.NDArray[np.uint8]
    classes: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.images)


def _render_chunk(chunk: int, seed: int, folder: Path) -> Path:
    import cv2

    cv2.setNumThreads(1)  # one process a core already
    path = folder / f"seed{seed}-chunk{chunk:04d}.npz"
    if path.is_file():
        return path
    samples, crops = [], []
    for i in range(CHUNK):
        rng = np.random.default_rng([seed, chunk * CHUNK + i])
        frame = random_still(rng, FRAME_HW)
        samples.append(to_sample(frame))
        crops.append(crop_samples(frame, rng, CROPS_A_PICTURE))
    partial_path = path.with_suffix(".partial.npz")
    np.savez(
        partial_path,
        images=np.stack([sample.image for sample in samples]),
        owners=np.stack([sample.owners for sample in samples]),
        boxes=np.concatenate([sample.boxes for sample in samples]),
        keypoints=np.concatenate([sample.keypoints for sample in samples]),
        counts=np.array([len(sample.boxes) for sample in samples], np.int64),
        crops=np.concatenate([images for images, _ in crops]),
        classes=np.concatenate([classes for _, classes in crops]),
    )
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


def load_samples(paths: Sequence[Path]) -> Samples:
    """The pictures in the files that `render_cache` named."""
    images, owners, boxes, keypoints = [], [], [], []
    for path in paths:
        with np.load(path, allow_pickle=False) as data:
            images.append(data["images"])
            owners.append(data["owners"])
            ends = np.cumsum(data["counts"])[:-1]
            boxes.extend(np.split(data["boxes"], ends))
            keypoints.extend(np.split(data["keypoints"], ends))
    return Samples(np.concatenate(images), tuple(boxes), tuple(keypoints), np.concatenate(owners))


def load_crops(paths: Sequence[Path]) -> Crops:
    """The parts' pictures in the files that `render_cache` named."""
    images, classes = [], []
    for path in paths:
        with np.load(path, allow_pickle=False) as data:
            images.append(data["crops"])
            classes.append(data["classes"])
    return Crops(np.concatenate(images), np.concatenate(classes))
