"""Camera frames in YUV for tests."""

from __future__ import annotations

import numpy as np

__all__ = ["PLANAR", "frame_of", "noise"]

PLANAR = ("nv12", "nv21", "i420", "yv12")
"""The formats of 4:2:0: the luma, and below it the chroma."""


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    """Any bytes, uint8 of `shape`."""
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def frame_of(format: str, height: int, width: int, seed: int = 0) -> np.ndarray:
    """One buffer with a frame of noise."""
    shape = (height * 3 // 2, width) if format in PLANAR else (height, width, 2)
    return noise(*shape, seed=seed)
