"""Photographs that come with scikit-image and scikit-learn, uint8 (H, W, 3) BGR: wide, tall, square, small."""

from __future__ import annotations

import numpy as np
import pytest


def load_photographs(soft: bool = False) -> dict[str, np.ndarray]:
    """name -> picture; skips the test where a library is not installed. soft: at half their contrast."""
    data = pytest.importorskip("skimage.data", reason="scikit-image is not installed")
    datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn is not installed")
    china, flower = datasets.load_sample_images().images
    rgb = {
        "astronaut 512x512": data.astronaut(),
        "coffee 400x600": data.coffee(),
        "chelsea 300x451": data.chelsea(),
        "china 427x640": china,
        "tall coffee 600x400": data.coffee().transpose(1, 0, 2),
        "tall flower 213x107": flower[::2, ::6],
        "small cat 61x46": data.chelsea()[::5, ::10][:61, :46],
    }
    bgr = {name: np.ascontiguousarray(image[:, :, ::-1]) for name, image in rgb.items()}
    return {name: image // 2 + 64 for name, image in bgr.items()} if soft else bgr
