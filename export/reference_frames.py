"""Input that looks like pictures, made without any: for probing a network, and for tests."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["reference_frames"]


def reference_frames(count: int, size_hw: tuple[int, int], seed: int = 0) -> NDArray[np.float32]:
    """Structured test input, float32 (count, 3, H, W), 0-1: smooth shapes under noise, as pictures have them.

    White noise alone would average out in the first layers and hide differences in the later ones.
    """
    rng = np.random.default_rng(seed)
    height, width = size_hw
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    frames = np.empty((count, 3, height, width), np.float32)
    for frame in frames:
        for plane in frame:
            waves = rng.uniform(0.005, 0.15, (4, 2)).astype(np.float32)
            phases = rng.uniform(0, 2 * np.pi, 4).astype(np.float32)
            plane[:] = sum(np.sin(fy * y + fx * x + p) for (fy, fx), p in zip(waves, phases, strict=True))
        frame[:] = (frame - frame.min()) / max(float(np.ptp(frame)), 1e-6)
        frame += rng.normal(0, 0.03, frame.shape)
    return np.clip(frames, 0.0, 1.0)
